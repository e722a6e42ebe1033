//! Base backups out of a script: both forms of the stream, and every way to break one.

use std::time::Duration;

use ops_core::{Error, ErrorKind};
use ops_pg_replication::{BackupEvent, BaseBackup, BaseBackupOptions, Failure, Manifest};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::fake::{
    Fake, Finish, Step, columns, complete, copy, copy_done, copy_out, error, ready, row, table,
};
use crate::support::{A_WHILE, PATIENCE, Received, receive};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(150);

/// What comes before the data: a position, a tablespace, and the main data directory.
fn head() -> Vec<Vec<u8>> {
    vec![
        table(&[Some("0/2000028"), Some("1")]),
        columns(3),
        row(&[Some("16385"), Some("/space"), None]),
        row(&[None, None, Some("12")]),
        complete(),
    ]
}

fn tail() -> Vec<Vec<u8>> {
    vec![table(&[Some("0/2000100"), Some("1")]), complete(), ready()]
}

/// A backup as 13 and 14 send it.
fn old_form() -> Vec<Vec<u8>> {
    let data = vec![
        copy_out(),
        copy(b"space"),
        copy_done(),
        error("WARNING", "01000", "look out"),
        copy_out(),
        copy(b"ma"),
        copy(b""),
        copy(b"in"),
        copy_done(),
        copy_out(),
        copy(b"{manifest}"),
        copy_done(),
    ];
    [head(), data, tail()].concat()
}

/// The same backup as 15 and later send it.
fn new_form() -> Vec<Vec<u8>> {
    let end = [b'd'].into_iter().chain([0; 1024]).collect::<Vec<_>>();
    let data = vec![
        copy_out(),
        copy(b"n16385.tar\0/space\0"),
        copy(b"dspace"),
        copy(&end),
        error("WARNING", "01000", "look out"),
        copy(b"nbase.tar\0\0"),
        copy(b"dma"),
        copy(b"d"),
        copy(b"din"),
        copy(&end),
        copy(b"m"),
        copy(b"d{manifest}"),
        copy_done(),
    ];
    [head(), data, tail()].concat()
}

fn forms() -> [(&'static str, Vec<Vec<u8>>); 2] {
    [("14.23", old_form()), ("18.4", new_form())]
}

async fn play(
    version: &str,
    steps: Vec<Step>,
    finish: Finish,
    silence: Duration,
) -> Result<Received, Error> {
    let mut script = vec![Step::Query("BASE_BACKUP")];
    script.extend(steps);
    let fake = Fake::start(version, script, finish).await;
    let options = BaseBackupOptions::default().with_start_timeout(silence);
    let receiving = async {
        let client = fake.client(silence).await?;
        let mut backup = client.base_backup(&options).await?;
        let outcome = receive(&mut backup).await;
        if outcome.is_err() {
            let again = backup.next().await.unwrap_err();
            assert_eq!(again.kind(), ErrorKind::InvalidInput);
            assert!(backup.into_client().is_err());
        }
        outcome
    };
    tokio::time::timeout(PATIENCE, receiving)
        .await
        .expect("it must not hang")
}

async fn send(version: &str, bytes: Vec<u8>) -> Result<Received, Error> {
    play(version, vec![Step::Send(bytes)], Finish::Close, LONG).await
}

async fn begun(fake: &Fake, silence: Duration) -> BaseBackup {
    let client = fake.client(silence).await.unwrap();
    let backup = client.base_backup(&BaseBackupOptions::default()).await;
    backup.unwrap()
}

#[tokio::test]
async fn both_forms_of_the_stream_give_the_same_events() {
    for (version, messages) in forms() {
        let backup = send(version, messages.concat()).await.unwrap();
        let names: Vec<_> = backup.archives.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["16385.tar", "base.tar"], "{version}");
        let zeros = [0; 1024];
        assert_eq!(backup.archives[0].bytes, [&b"space"[..], &zeros].concat());
        assert_eq!(
            backup.archives[0].tablespace.as_ref().map(|it| it.oid),
            Some(16385)
        );
        assert_eq!(backup.archives[1].bytes, [&b"main"[..], &zeros].concat());
        assert_eq!(backup.archives[1].tablespace, None);
        assert_eq!(backup.manifest.as_deref(), Some(&b"{manifest}"[..]));
        assert_eq!(backup.notices[0].message, "look out");
        assert_eq!(backup.start.main_size, Some(12 * 1024));
        assert_eq!(backup.end.lsn.to_string(), "0/2000100");
        assert_eq!(backup.end.checksum_failure, None);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_off_anywhere_is_never_a_backup() {
    for (version, messages) in forms() {
        let bytes = messages.concat();
        for length in 0..bytes.len() {
            let err = send(version, bytes[..length].to_vec()).await.unwrap_err();
            assert_eq!(
                err.kind(),
                ErrorKind::Unavailable,
                "{version}: {length}: {err:?}"
            );
            assert!(err.is_retryable(), "{version}: {length}: {err:?}");
        }
    }
}

#[tokio::test]
async fn silence_anywhere_is_a_timeout() {
    for (version, messages) in forms() {
        let silences = (0..messages.len()).map(async |count| {
            // Half of the next message makes no difference.
            let mut bytes = messages[..count].concat();
            bytes.extend(&messages[count][..messages[count].len() / 2]);
            let err = play(version, vec![Step::Send(bytes)], Finish::Silence, SHORT).await;
            let err = err.unwrap_err();
            assert_eq!(
                err.kind(),
                ErrorKind::Timeout,
                "{version}: {count}: {err:?}"
            );
            assert_eq!(
                Failure::of(&err),
                Some(Failure::Silent),
                "{version}: {count}"
            );
        });
        futures_util::future::join_all(silences).await;
    }
}

#[tokio::test]
async fn an_error_anywhere_is_the_error_of_the_backup() {
    for (version, messages) in forms() {
        for count in 0..messages.len() {
            let mut bytes = messages[..count].concat();
            bytes.extend(error("FATAL", "57P01", "terminating connection"));
            let err = send(version, bytes).await.unwrap_err();
            assert_eq!(
                (err.kind(), err.code()),
                (ErrorKind::Unavailable, Some("57P01"))
            );
        }
    }
}

#[tokio::test]
async fn nonsense_anywhere_is_not_understood() {
    for (version, messages) in forms() {
        for count in 0..messages.len() {
            for nonsense in [
                &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
                b"d\x7f\xff\xff\xff",
                &[0; 9],
            ] {
                let mut bytes = messages[..count].concat();
                bytes.extend(nonsense);
                // It must not wait for what such a length announces.
                let steps = vec![Step::Send(bytes)];
                let err = play(version, steps, Finish::Silence, LONG)
                    .await
                    .unwrap_err();
                assert_eq!(err.kind(), ErrorKind::Decode, "{version}: {count}: {err:?}");
                assert_eq!(Failure::of(&err), Some(Failure::Protocol));
            }
        }
    }
}

#[tokio::test]
async fn no_message_may_be_missing_or_come_twice() {
    for (version, messages) in forms() {
        let typed = version == "18.4";
        let harmless = |index: usize| {
            let message = &messages[index];
            // Notices, ends of tables, descriptions and data.
            let begins = typed && matches!(message.get(5), Some(b'n' | b'm'));
            matches!(message[0], b'N' | b'C' | b'T') || (message[0] == b'd' && !begins)
        };
        for index in (0..messages.len()).filter(|index| !harmless(*index)) {
            let mut fewer = messages.clone();
            fewer.remove(index);
            let outcome = send(version, fewer.concat()).await;
            assert!(outcome.is_err(), "{version}: without {index}");
        }
        for index in (0..messages.len() - 1).filter(|index| !harmless(*index)) {
            let mut more = messages.clone();
            more.insert(index, messages[index].clone());
            let err = send(version, more.concat()).await.unwrap_err();
            assert_eq!(
                err.kind(),
                ErrorKind::Decode,
                "{version}: {index} twice: {err:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_out_of_order_is_not_understood() {
    let with = |data: &[&[u8]]| {
        let mut messages = head();
        messages.push(copy_out());
        messages.extend(data.iter().map(|data| copy(data)));
        messages.push(copy_done());
        messages.extend(tail());
        messages.concat()
    };
    for data in [
        &[&b"dbefore any archive"[..]][..],
        &[b"nother.tar\0\0"],
        &[b"n99.tar\0/other\0"],
        &[b"nbase.tar\0\0", b"n16385.tar\0/space\0"],
        &[b"m"],
        &[b"n16385.tar\0/space\0", b"nbase.tar\0\0", b"m", b"m"],
        &[b"n16385.tar\0/space\0", b"nbase.tar"],
        &[b"x"],
        &[b""],
        &[b"p\0\0"],
    ] {
        let err = send("17.10", with(data)).await.unwrap_err();
        assert_eq!(
            Failure::of(&err),
            Some(Failure::Protocol),
            "{data:?}: {err:?}"
        );
    }
    let mut backwards = new_form();
    let end = backwards.len() - 3;
    backwards[end] = table(&[Some("0/1000000"), Some("1")]);
    let err = send("17.10", backwards.concat()).await.unwrap_err();
    assert_eq!(err.message(), "the base backup ends before it begins");
}

#[tokio::test]
async fn an_error_about_checksums_counts_only_after_the_end() {
    let failure = error(
        "ERROR",
        "XX001",
        "checksum verification failure during base backup",
    );
    for (version, messages) in forms() {
        let last = messages.len() - 2;
        let mut late = messages.clone();
        late[last] = failure.clone();
        let backup = send(version, late.concat()).await.unwrap();
        let told = backup.end.checksum_failure.unwrap();
        assert_eq!(
            (told.code.as_str(), told.failure),
            ("XX001", Some(Failure::ChecksumFailed))
        );

        let mut other = messages.clone();
        other[last] = error(
            "ERROR",
            "55000",
            "the standby was promoted during online backup",
        );
        let err = send(version, other.concat()).await.unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::PromotedDuringBackup));

        for index in 0..last - 1 {
            let mut early = messages[..index].to_vec();
            early.push(failure.clone());
            early.push(ready());
            let err = send(version, early.concat()).await.unwrap_err();
            assert_eq!(
                err.kind(),
                ErrorKind::Integrity,
                "{version}: {index}: {err:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_a_gigabyte_is_an_error() {
    let mut data = vec![b'd'];
    data.extend(vec![7; 32 << 10]);
    let begin = [head(), vec![copy_out(), copy(b"n16385.tar\0/space\0")]].concat();
    let script = vec![
        Step::Query("BASE_BACKUP"),
        Step::Send(begin.concat()),
        Step::Repeat(copy(&data), 32 << 10),
        Step::Send(error("ERROR", "58030", "could not read file")),
        Step::Send(ready()),
    ];
    let fake = Fake::start("18.4", script, Finish::Silence).await;
    let client = fake.client(LONG).await.unwrap();
    let mut backup = client
        .base_backup(&BaseBackupOptions::default())
        .await
        .unwrap();
    let mut bytes = 0_u64;
    let err = loop {
        match backup.next().await {
            Ok(Some(BackupEvent::Data(data))) => bytes += data.len() as u64,
            Ok(event) => assert!(
                matches!(event, Some(BackupEvent::Archive { .. })),
                "{event:?}"
            ),
            Err(err) => break err,
        }
    };
    assert_eq!(bytes, 1 << 30);
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::Unavailable, Some("58030"))
    );
}

#[tokio::test]
async fn what_has_been_read_is_there_without_waiting() {
    for (version, messages) in forms() {
        let steps = vec![Step::Query("BASE_BACKUP"), Step::Send(messages.concat())];
        let mut backup = begun(&Fake::start(version, steps, Finish::Close).await, LONG).await;
        let (mut waited, mut looked) = (0, 0);
        while backup.next().await.unwrap().is_some() {
            waited += 1;
            while backup.buffered().unwrap().is_some() {
                looked += 1;
            }
        }
        // All of it came in one piece, which the socket may have cut.
        assert!(looked > waited, "{version}: {looked} and {waited}");
        assert!(backup.buffered().unwrap().is_none());
    }
}

#[tokio::test]
async fn a_caller_that_looks_away_loses_nothing() {
    for (version, messages) in forms() {
        let steps = vec![Step::Query("BASE_BACKUP"), Step::Drip(messages.concat(), 3)];
        let fake = Fake::start(version, steps, Finish::Close).await;
        let mut backup = begun(&fake, LONG).await;
        let (mut bytes, mut given_up) = (0, 0);
        loop {
            // The future is dropped as soon as it has to wait.
            tokio::select! {
                biased;
                event = backup.next() => match event.unwrap() {
                    Some(BackupEvent::Data(data)) => bytes += data.len(),
                    Some(_) => {}
                    None => break,
                },
                () = tokio::task::yield_now() => given_up += 1,
            }
        }
        assert_eq!(bytes, 5 + 4 + 2 * 1024);
        assert!(given_up > 10, "{given_up}");
    }
}

#[tokio::test]
async fn a_caller_that_looks_away_is_told_of_silence_all_the_same() {
    let begin = [head(), vec![copy_out()]].concat().concat();
    let steps = vec![Step::Query("BASE_BACKUP"), Step::Send(begin)];
    let fake = Fake::start("18.4", steps, Finish::Silence).await;
    let mut backup = begun(&fake, A_WHILE).await;
    let watching = async {
        loop {
            let look = Duration::from_millis(10);
            if let Ok(outcome) = tokio::time::timeout(look, backup.next()).await {
                return outcome.unwrap_err();
            }
        }
    };
    let err = tokio::time::timeout(PATIENCE, watching).await.unwrap();
    assert_eq!(Failure::of(&err), Some(Failure::Silent));
}

#[tokio::test]
async fn a_manifest_that_nobody_asked_for_is_not_understood() {
    for (version, messages) in forms() {
        let steps = vec![Step::Query("BASE_BACKUP"), Step::Send(messages.concat())];
        let fake = Fake::start(version, steps, Finish::Close).await;
        let client = fake.client(LONG).await.unwrap();
        let options = BaseBackupOptions::default().with_manifest(Manifest::No);
        let mut backup = client.base_backup(&options).await.unwrap();
        let err = receive(&mut backup).await.unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::Protocol));
    }
}

#[test]
fn no_change_of_a_stream_makes_it_panic_or_hang() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let forms = forms().map(|(version, messages)| (version, messages.concat()));
    let changes = (
        0..2_usize,
        any::<prop::sample::Index>(),
        any::<u8>(),
        0..4_usize,
    );
    let mut runner = TestRunner::new(Config::with_cases(400));
    let outcome = runner.run(&changes, |(form, at, byte, removed)| {
        let (version, mut bytes) = forms[form].clone();
        let at = at.index(bytes.len());
        bytes.splice(at..(at + removed).min(bytes.len()), [byte]);
        let _ = runtime.block_on(send(version, bytes));
        Ok(())
    });
    outcome.unwrap();
}
