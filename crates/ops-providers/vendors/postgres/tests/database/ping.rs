//! Pings, and the connection that they go over.

use std::fs;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ops_core::database::Role;
use ops_core::{Database, ErrorKind, Retry};
use ops_pg::server::Shutdown;
use ops_postgres::Postgres;
use ops_testkit::{Pg, wait_until};

use crate::fake::Fake;

fn pinger(pg: &Pg) -> Postgres {
    let url = format!("{}&application_name=pinger", pg.url("postgres"));
    Postgres::from_url(&url).unwrap()
}

/// The server's processes that pings talk to.
async fn pids(pg: &Pg) -> Vec<i32> {
    let client = pg.client("postgres").await;
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pinger'";
    client
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

#[tokio::test]
async fn a_primary_answers_over_one_connection_that_stays() {
    let Some(pg) = Pg::start().await else { return };
    let postgres = pinger(&pg);
    let ping = postgres.ping().await.unwrap();
    assert_eq!(ping.role, Role::Primary);
    let before = pids(&pg).await;
    assert_eq!(before.len(), 1);
    for _ in 0..5 {
        postgres.clone().ping().await.unwrap();
    }
    assert_eq!(pids(&pg).await, before);
}

#[tokio::test]
async fn the_latency_is_that_of_the_round_trip_alone() {
    let login = Duration::from_millis(300);
    let fake = Fake::slow_to_let_in(login, &["f"]).await;
    let postgres = Postgres::builder(fake.info()).build().unwrap();
    let begun = Instant::now();
    let ping = postgres.ping().await.unwrap();
    let whole = begun.elapsed();
    assert!(
        ping.latency + login <= whole,
        "{:?} of {whole:?}",
        ping.latency
    );
    assert!(ping.latency > Duration::ZERO);
}

#[tokio::test]
async fn a_server_in_recovery_is_a_replica_until_it_is_promoted() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    pg.stop(Shutdown::Fast).await;
    fs::write(pg.data_dir().join("standby.signal"), "").unwrap();
    pg.start_again().await;
    let postgres = pinger(&pg);
    assert_eq!(postgres.ping().await.unwrap().role, Role::Replica);
    let before = pids(&pg).await;

    pg.client("postgres")
        .await
        .simple_query("SELECT pg_promote()")
        .await
        .unwrap();

    assert_eq!(postgres.ping().await.unwrap().role, Role::Primary);
    assert_eq!(
        pids(&pg).await,
        before,
        "the connection did not have to change"
    );
}

#[tokio::test]
async fn a_restarted_server_answers_the_very_next_ping() {
    let Some(mut pg) = Pg::start().await else {
        return;
    };
    let postgres = pinger(&pg);
    for how in [Some(Shutdown::Fast), Some(Shutdown::Immediate), None] {
        postgres.ping().await.unwrap();
        match how {
            Some(how) => pg.stop(how).await,
            None => pg.kill9().await,
        }
        let err = postgres.ping().await.unwrap_err();
        assert_eq!(
            (err.kind(), err.retry()),
            (ErrorKind::Unavailable, Retry::Safe),
            "{err:?}"
        );
        assert_eq!(err.operation(), Some("database.ping"));
        pg.start_again().await;
        postgres.ping().await.unwrap();
        pg.stop(Shutdown::Fast).await;
        pg.start_again().await;
        postgres.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced_without_an_error() {
    let Some(pg) = Pg::start().await else { return };
    let postgres = pinger(&pg);
    postgres.ping().await.unwrap();
    let before = pids(&pg).await;
    let end = format!("SELECT pg_terminate_backend({})", before.first().unwrap());
    pg.client("postgres")
        .await
        .simple_query(&end)
        .await
        .unwrap();

    postgres.ping().await.unwrap();

    wait_until(
        "the old process to go",
        Duration::from_secs(10),
        async || pids(&pg).await.len() == 1,
    )
    .await;
    assert_ne!(pids(&pg).await, before);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_connection() {
    let Some(pg) = Pg::start().await else { return };
    let postgres = pinger(&pg);
    let pings = join_all((0..50).map(|_| postgres.ping())).await;
    let first = *pings.first().unwrap().as_ref().unwrap();
    for ping in pings {
        assert_eq!(ping.unwrap(), first);
    }
    assert_eq!(pids(&pg).await.len(), 1);
}

#[tokio::test]
async fn an_outage_is_met_by_one_attempt_however_many_ask() {
    let fake = Fake::silent().await;
    let timeout = Duration::from_millis(300);
    let postgres = Postgres::builder(fake.info())
        .timeout(timeout)
        .build()
        .unwrap();
    let begun = Instant::now();
    let outcomes = join_all((0..50).map(|_| postgres.ping())).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    for outcome in outcomes {
        let err = outcome.unwrap_err();
        assert_eq!(
            (err.kind(), err.retry()),
            (ErrorKind::Timeout, Retry::Safe),
            "{err:?}"
        );
        assert_eq!(err.operation(), Some("database.ping"));
    }
    assert_eq!(fake.accepted(), 1);
}

#[tokio::test]
async fn a_ping_that_is_given_up_spoils_neither_its_companions_nor_the_next() {
    let fake = Fake::silent().await;
    let timeout = Duration::from_secs(2);
    let postgres = Postgres::builder(fake.info())
        .timeout(timeout)
        .build()
        .unwrap();

    // The first who asks goes away; the other one still gets its answer.
    let (given_up, outcome) = tokio::join!(
        tokio::time::timeout(Duration::from_millis(100), postgres.ping()),
        postgres.ping(),
    );
    assert!(given_up.is_err());
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(fake.accepted(), 1);

    // Nobody waits any more, so that the next one starts afresh with all of its time.
    let given_up = tokio::time::timeout(Duration::from_secs(1), postgres.ping()).await;
    assert!(given_up.is_err());
    let begun = Instant::now();
    assert_eq!(
        postgres.ping().await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert!(begun.elapsed() >= Duration::from_millis(1_900));
    assert_eq!(fake.accepted(), 3);
}

#[tokio::test]
async fn a_server_that_falls_silent_costs_the_deadline_and_its_connection() {
    let Some(pg) = Pg::start().await else { return };
    let url = format!("{}&application_name=pinger", pg.url("postgres"));
    let (info, options) = ops_pg::conninfo::parse_with_options(&url).unwrap();
    let timeout = Duration::from_millis(500);
    let postgres = Postgres::builder(info)
        .connect_options(options)
        .timeout(timeout)
        .build();
    let postgres = postgres.unwrap();
    postgres.ping().await.unwrap();
    let before = pids(&pg).await;
    let pid = rustix::process::Pid::from_raw(*before.first().unwrap()).unwrap();

    // The process that serves the connection stands still; the server does not.
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    assert_eq!(
        postgres.ping().await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    postgres.ping().await.unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
}
