//! Logins out of a script.

use std::time::Duration;

use ops_core::{Error, ErrorKind, Secret};
use ops_pg::connect::ConnectOptions;
use ops_pg_replication::{Failure, ReplicationClient, ReplicationOptions};

use crate::fake::{Fake, Finish, Step, error, msg, ready, table, welcome};
use crate::support::{A_WHILE, PATIENCE};

const SHORT: Duration = Duration::from_millis(150);

fn ask(kind: u32, more: &[u8]) -> Vec<u8> {
    msg(b'R', &[&kind.to_be_bytes(), more].concat())
}

async fn log_in(
    bytes: Vec<u8>,
    finish: Finish,
    timeout: Duration,
) -> Result<ReplicationClient, Error> {
    log_in_by(vec![Step::Send(bytes)], finish, timeout).await
}

async fn log_in_by(
    steps: Vec<Step>,
    finish: Finish,
    timeout: Duration,
) -> Result<ReplicationClient, Error> {
    let fake = Fake::raw(steps, finish).await;
    let connect = ConnectOptions::default().with_connect_timeout(timeout);
    let options = ReplicationOptions::default().with_connect(connect);
    let info = fake.info.clone().with_password(Secret::from("canary"));
    let connecting = ReplicationClient::connect(&info, &options);
    let outcome = tokio::time::timeout(PATIENCE, connecting)
        .await
        .expect("it must not hang");
    if let Err(err) = &outcome {
        assert!(!format!("{err:?}").contains("canary"), "{err:?}");
        assert_eq!(err.resource(), Some(info.to_string().as_str()));
    }
    outcome
}

#[tokio::test]
async fn a_login_that_is_cut_off_or_silent_is_a_typed_error() {
    let scram = ask(10, b"SCRAM-SHA-256\0\0");
    for bytes in [welcome("18.4"), scram] {
        for length in 0..bytes.len() {
            let cut = log_in(bytes[..length].to_vec(), Finish::Close, PATIENCE).await;
            let err = cut.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Unavailable, "{length}: {err:?}");
            assert!(err.is_retryable(), "nothing has happened: {err:?}");
        }
        let silences = (0..bytes.len()).step_by(7).map(async |length| {
            let silent = log_in(bytes[..length].to_vec(), Finish::Silence, SHORT).await;
            assert_eq!(silent.unwrap_err().kind(), ErrorKind::Timeout);
        });
        futures_util::future::join_all(silences).await;
    }
}

#[tokio::test]
async fn what_is_no_login_is_refused() {
    use ErrorKind::{Decode, Unauthenticated, Unsupported};
    for (bytes, kind) in [
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Decode),
        (ready(), Decode),
        (ask(3, b""), Unauthenticated),
        (ask(7, b""), Unsupported),
        (ask(5, b"\0"), Decode),
        (ask(10, b"SCRAM-SHA-1\0\0"), Unsupported),
        (ask(10, b"SCRAM-SHA-256"), Decode),
        (ask(10, b"SCRAM-SHA-256-PLUS\0\0"), Unsupported),
        // A server that skips its half of SCRAM might be anybody.
        (
            [ask(10, b"SCRAM-SHA-256\0\0"), welcome("18.4")].concat(),
            Decode,
        ),
        (
            [ask(10, b"SCRAM-SHA-256\0\0"), ask(11, b"r=x,s=x,i=1")].concat(),
            Decode,
        ),
        (msg(b'v', &[0; 8]), Decode),
        (welcome("12.22"), Unsupported),
        (welcome("unknown"), Decode),
        ([ask(0, b""), ready()].concat(), Decode),
        (
            error("FATAL", "57P03", "the database system is starting up"),
            ErrorKind::Unavailable,
        ),
    ] {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let err = log_in(bytes, Finish::Silence, PATIENCE).await.unwrap_err();
        assert_eq!(err.kind(), kind, "{text:?}: {err:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_not_trusted() {
    let proof = format!("v={}=", "A".repeat(43));
    let message = "the server does not prove that it knows the password";
    for last in [proof.as_str(), ""] {
        let end = [ask(12, last.as_bytes()), welcome("18.4")].concat();
        let offer = Step::Send(ask(10, b"SCRAM-SHA-256\0\0"));
        let steps = vec![offer, Step::Scram, Step::Send(end)];
        let err = log_in_by(steps, Finish::Silence, PATIENCE)
            .await
            .unwrap_err();
        assert_eq!(
            (err.kind(), err.message()),
            (ErrorKind::Unauthenticated, message)
        );
    }
}

#[tokio::test]
async fn an_answer_of_the_wrong_shape_is_not_understood() {
    for answer in [
        ready(),
        table(&[]),
        table(&[Some("x"), Some("1"), Some("0/1"), None]),
        table(&[Some("7"), Some("0"), Some("0/1"), None]),
        table(&[Some("7"), Some("1"), Some("0"), None]),
        table(&[Some("7"), Some("1")]),
        [
            table(&[Some("7"), Some("1"), Some("0/1"), None]),
            table(&[Some("7")]),
        ]
        .concat(),
        msg(b'D', b"\0\x01\0\0\0\x01x"),
        msg(b'T', b"\0\x01x"),
    ] {
        let answer = [answer, ready()].concat();
        let steps = vec![Step::Query("IDENTIFY_SYSTEM"), Step::Send(answer.clone())];
        let fake = Fake::start("18.4", steps, Finish::Silence).await;
        let mut client = fake.client(PATIENCE).await.unwrap();
        let err = client.identify_system().await.unwrap_err();
        assert_eq!(
            Failure::of(&err),
            Some(Failure::Protocol),
            "{answer:?}: {err:?}"
        );
    }
}

#[tokio::test]
async fn a_command_without_an_answer_is_a_timeout_and_the_connection_is_not_used_again() {
    let fake = Fake::start("18.4", Vec::new(), Finish::Silence).await;
    let mut client = fake.client(A_WHILE).await.unwrap();
    let err = client.identify_system().await.unwrap_err();
    assert_eq!(
        (err.kind(), Failure::of(&err)),
        (ErrorKind::Timeout, Some(Failure::Silent))
    );
    assert!(err.is_retryable(), "it only reads");
    let err = client.query("SELECT 1").await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
}
