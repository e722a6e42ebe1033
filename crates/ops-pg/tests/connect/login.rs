//! Logins that a server refuses.

use ops_core::database::TlsSettings;
use ops_core::{ErrorKind, Retry};
use ops_pg::connect::{ConnectOptions, connect};
use ops_testkit::Pg;

use crate::certificates::Authority;
use crate::server::{PASSWORD, info, plain, refusal, with_tls};

async fn server() -> Option<Pg> {
    Pg::builder()
        .tcp(true)
        .with(|server| server.password(PASSWORD))
        .start()
        .await
}

#[tokio::test]
async fn a_wrong_password_is_unauthenticated() {
    let Some(pg) = server().await else { return };
    let info = plain(&pg).with_password("canary-wrong");
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::Unauthenticated, Some("28P01"))
    );
    assert_eq!(err.retry(), Retry::Never);
    assert_eq!(err.resource(), Some(info.to_string().as_str()));
}

#[tokio::test]
async fn a_missing_password_is_unauthenticated() {
    let Some(pg) = server().await else { return };
    let mut info = plain(&pg);
    info.password = None;
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(err.kind(), ErrorKind::Unauthenticated);
    assert!(err.to_string().contains("asks for a password"), "{err}");
}

#[tokio::test]
async fn a_missing_database_is_not_found() {
    let Some(pg) = server().await else { return };
    let info = plain(&pg).with_database("nowhere");
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::NotFound, Some("3D000"))
    );
    assert!(err.to_string().contains("nowhere"), "{err}");
}

#[tokio::test]
async fn a_login_that_the_server_has_no_rule_for_is_unauthenticated() {
    let identity = Authority::new().server(&["localhost"]);
    let Some(pg) = with_tls(&identity).start().await else {
        return;
    };
    let err = refusal(connect(&plain(&pg), &ConnectOptions::default()).await);
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::Unauthenticated, Some("28000"))
    );
}

#[tokio::test]
async fn a_connection_too_many_is_over_quota_and_may_go_well_later() {
    let Some(pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    let admin = pg.client("postgres").await;
    admin
        .batch_execute("CREATE ROLE app LOGIN CONNECTION LIMIT 1")
        .await
        .unwrap();
    let info = plain(&pg).with_user("app");
    let _first = connect(&info, &ConnectOptions::default()).await.unwrap();
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::QuotaExceeded, Some("53300"))
    );
    assert_eq!(err.retry(), Retry::Safe);
}

#[tokio::test]
async fn a_user_without_the_right_to_connect_is_denied() {
    let Some(pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    let admin = pg.client("postgres").await;
    let sql = "CREATE ROLE app LOGIN; CREATE DATABASE closed";
    for statement in sql.split(';') {
        admin.batch_execute(statement).await.unwrap();
    }
    admin
        .batch_execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        .await
        .unwrap();
    let info = plain(&pg).with_user("app").with_database("closed");
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::PermissionDenied, Some("42501"))
    );
}

#[tokio::test]
async fn a_server_that_does_not_accept_connections_yet_is_unavailable() {
    let Some(mut pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    let info = plain(&pg);
    // In recovery without hot standby the server never gets further than this answer.
    pg.stop(ops_pg::server::Shutdown::Fast).await;
    std::fs::write(pg.data_dir().join("standby.signal"), "").unwrap();
    pg.server_mut().set("hot_standby", "off");
    let mut starting = pg;
    let start = tokio::spawn(async move { starting.server_mut().start().await.map(|()| starting) });
    let mut last = None;
    ops_testkit::wait_until(
        "an answer",
        std::time::Duration::from_secs(30),
        async || {
            let err = refusal(connect(&info, &ConnectOptions::default()).await);
            let answered = err.code() == Some("57P03");
            last = Some(err);
            answered
        },
    )
    .await;
    let err = last.unwrap();
    assert_eq!(
        (err.kind(), err.retry()),
        (ErrorKind::Unavailable, Retry::Safe)
    );
    start.abort();
}

#[tokio::test]
async fn a_run_time_parameter_that_the_server_does_not_know_is_refused() {
    let Some(pg) = server().await else { return };
    let options = ConnectOptions::default().with_parameter("no_such_parameter", "1");
    let err = refusal(connect(&plain(&pg), &options).await);
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::NotFound, Some("42704"))
    );
}

#[tokio::test]
async fn a_host_that_is_no_name_cannot_have_tls() {
    let Some(pg) = server().await else { return };
    let mut info = info(&pg, TlsSettings::new(ops_core::database::TlsMode::Require));
    info.host = ops_core::database::Host::Tcp("a host".to_owned());
    let err = refusal(connect(&info, &ConnectOptions::default()).await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
}
