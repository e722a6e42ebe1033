//! What an instance is.

use ops_core::database::{DatabaseState, Engine};
use ops_core::{Database, ErrorKind};
use ops_postgres::Postgres;
use ops_testkit::Pg;

use crate::fake::Fake;

#[tokio::test]
async fn a_server_is_described_by_its_own_words() {
    let Some(pg) = Pg::start().await else { return };
    let postgres = Postgres::from_url(&pg.url("postgres")).unwrap();
    let client = pg.client("postgres").await;
    let row = client.query_one("SHOW server_version", &[]).await.unwrap();

    let description = postgres.describe().await.unwrap();

    assert_eq!(description.engine, Engine::Postgres);
    assert_eq!(description.state, DatabaseState::Available);
    assert_eq!(
        Some(description.version.as_str()),
        row.get::<_, &str>(0).split(' ').next()
    );
    assert!(
        description
            .version
            .chars()
            .next()
            .is_some_and(|char| char.is_ascii_digit())
    );
}

#[tokio::test]
async fn the_size_is_that_of_the_database_and_grows_with_it() {
    let Some(pg) = Pg::start().await else { return };
    pg.create_database("shop").await;
    let shop = Postgres::from_url(&pg.url("shop")).unwrap();
    let other = Postgres::from_url(&pg.url("postgres")).unwrap();
    let before = shop.describe().await.unwrap().size_bytes.unwrap();
    let other_before = other.describe().await.unwrap().size_bytes.unwrap();

    let client = pg.client("shop").await;
    client
        .batch_execute("CREATE TABLE t AS SELECT generate_series(1, 200000)")
        .await
        .unwrap();

    let grown = shop.describe().await.unwrap().size_bytes.unwrap() - before;
    assert!(grown > 4_000_000, "{grown}");
    let other_after = other.describe().await.unwrap().size_bytes.unwrap();
    assert!(other_after.abs_diff(other_before) < 1_000_000);
}

#[tokio::test]
async fn a_description_leaves_no_connection_behind() {
    let Some(pg) = Pg::start().await else { return };
    let url = format!("{}&application_name=describer", pg.url("postgres"));
    let postgres = Postgres::from_url(&url).unwrap();
    postgres.describe().await.unwrap();
    let client = pg.client("postgres").await;
    ops_testkit::wait_until(
        "it to close",
        std::time::Duration::from_secs(10),
        async || {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'describer'";
            client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0
        },
    )
    .await;
}

#[tokio::test]
async fn a_major_that_is_too_old_or_too_new_is_unsupported_by_name() {
    for (row, version) in [
        (&["12.22 (Debian 12.22-1)", "120022", "1"], "12.22"),
        (&["9.6.24", "90624", "1"], "9.6.24"),
        (&["19beta1", "190000", "1"], "19beta1"),
    ] {
        let fake = Fake::answering(row).await;
        let postgres = Postgres::builder(fake.info()).build().unwrap();
        let err = postgres.describe().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported);
        assert!(err.to_string().contains(version), "{err}");
        assert_eq!(err.operation(), Some("database.describe"));
    }
}

#[tokio::test]
async fn the_oldest_and_the_newest_major_are_described() {
    for (row, version) in [
        (&["13.0", "130000", "7"], "13.0"),
        (&["18.6 (x)", "180006", "7"], "18.6"),
    ] {
        let fake = Fake::answering(row).await;
        let postgres = Postgres::builder(fake.info()).build().unwrap();
        let description = postgres.describe().await.unwrap();
        assert_eq!(
            (description.version.as_str(), description.size_bytes),
            (version, Some(7))
        );
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_not_understood() {
    for row in [&["15.1", "canary", "1"], &["15.1", "150001", "-1"]] {
        let fake = Fake::answering(row).await;
        let postgres = Postgres::builder(fake.info()).build().unwrap();
        assert_eq!(
            postgres.describe().await.unwrap_err().kind(),
            ErrorKind::Decode
        );
    }
    let fake = Fake::answering(&[]).await;
    let postgres = Postgres::builder(fake.info()).build().unwrap();
    assert_eq!(
        postgres.describe().await.unwrap_err().kind(),
        ErrorKind::Decode
    );
    assert_eq!(postgres.ping().await.unwrap_err().kind(), ErrorKind::Decode);
}
