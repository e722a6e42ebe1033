//! What fails, and that it keeps the password to itself.

use ops_core::database::{ConnectInfo, Engine, Host};
use ops_core::{Database, Error, ErrorKind, Report};
use ops_postgres::Postgres;
use ops_testkit::{Pg, RefusedPort};

const PASSWORD: &str = "canary-p@ss/w%rd";

#[track_caller]
fn assert_silent(err: &Error) {
    for text in [
        err.to_string(),
        format!("{err:?}"),
        format!("{err:#?}"),
        Report(err).to_string(),
    ] {
        assert!(!text.contains("canary"), "{text}");
    }
    assert_eq!(
        err.provider().map(ops_core::ProviderId::as_str),
        Some("postgres")
    );
}

/// Both calls fail alike, alone and in company.
async fn assert_fails(info: ConnectInfo, kind: ErrorKind) {
    let postgres = Postgres::builder(info).build().unwrap();
    assert!(!format!("{postgres:?}{postgres:#?}").contains("canary"));
    let err = postgres.describe().await.unwrap_err();
    assert_silent(&err);
    assert_eq!(
        (err.kind(), err.operation()),
        (kind, Some("database.describe")),
        "{err:?}"
    );
    let (one, other) = tokio::join!(postgres.ping(), postgres.ping());
    let (one, other) = (one.unwrap_err(), other.unwrap_err());
    for err in [&one, &other] {
        assert_silent(err);
        assert_eq!(
            (err.kind(), err.operation()),
            (kind, Some("database.ping")),
            "{err:?}"
        );
        assert!(err.resource().is_some());
    }
    assert_eq!(Report(&one).to_string(), Report(&other).to_string());
    assert_eq!(one.code(), other.code());
}

#[tokio::test]
async fn every_refusal_has_its_kind_and_no_password() {
    let server = Pg::builder()
        .tcp(true)
        .with(|server| server.password(PASSWORD));
    let Some(pg) = server.start().await else {
        return;
    };
    let info = pg.connect_info("postgres");
    Postgres::builder(info.clone())
        .build()
        .unwrap()
        .ping()
        .await
        .unwrap();

    assert_fails(
        info.clone().with_password("canary-wrong"),
        ErrorKind::Unauthenticated,
    )
    .await;
    assert_fails(info.clone().with_user("nobody"), ErrorKind::Unauthenticated).await;
    assert_fails(info.clone().with_database("nowhere"), ErrorKind::NotFound).await;
    let mut tls = info.clone();
    tls.tls.mode = ops_core::database::TlsMode::VerifyFull;
    assert_fails(tls, ErrorKind::Unavailable).await;
    let mut unresolved = info;
    unresolved.host = Host::Tcp("db.ops-test.invalid".to_owned());
    assert_fails(unresolved, ErrorKind::Unavailable).await;
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_unavailable() {
    let refused = RefusedPort::take();
    let host = Host::Tcp("127.0.0.1".to_owned());
    let info = ConnectInfo::new(Engine::Postgres, host, refused.port())
        .with_user("app")
        .with_password(PASSWORD);
    assert_fails(info, ErrorKind::Unavailable).await;
}

#[tokio::test]
async fn the_connection_is_told_with_its_password_inside_and_unprinted() {
    let url = "postgres://app:canary@localhost/shop";
    let postgres = Postgres::from_url(url).unwrap();
    let info = postgres.connect_info().await.unwrap();
    assert_eq!(
        info.password.as_ref().map(ops_core::Secret::expose),
        Some("canary")
    );
    assert!(!format!("{info}{info:?}{postgres:?}").contains("canary"));
    assert_eq!(postgres.provider().as_str(), "postgres");
    assert_eq!(info.to_string(), "postgres://app@localhost:5432/shop");
}
