//! Servers that die and networks that fail, for real.

use std::time::Duration;

use ops_core::{Error, ErrorKind};
use ops_pg::connect::ConnectOptions;
use ops_pg_replication::{
    BackupEvent, BaseBackup, BaseBackupOptions, Failure, ReplicationClient, ReplicationOptions,
    StartReplication, WalEvent, WalSegmentSize, WalStream,
};
use ops_testkit::proxy::Backend;
use ops_testkit::{FaultProxy, Pg};

use crate::support::{A_WHILE, PATIENCE, majors, physical, server};

/// The newest server: what the majors send is tested elsewhere.
async fn newest() -> Option<Pg> {
    server(*majors().await.last()?).tcp(true).start().await
}

fn options() -> ReplicationOptions {
    let connect = ConnectOptions::default().with_connect_timeout(Duration::from_secs(30));
    ReplicationOptions::default()
        .with_connect(connect)
        .with_silence_timeout(A_WHILE)
}

async fn proxied(pg: &Pg) -> (FaultProxy, ReplicationClient) {
    let info = pg.connect_info("postgres");
    let proxy = FaultProxy::start(Backend::of(&info).await).await;
    let client = ReplicationClient::connect(&proxy.connect_info(&info), &options()).await;
    (proxy, client.unwrap())
}

/// Reads into the data of a backup that is slow enough not to end meanwhile.
async fn begin(client: ReplicationClient) -> BaseBackup {
    let slow = BaseBackupOptions::default().with_max_rate_kb(4096);
    let mut backup = client.base_backup(&slow).await.unwrap();
    loop {
        if let Some(BackupEvent::Data(_)) = backup.next().await.unwrap() {
            return backup;
        }
    }
}

async fn failure_of_backup(mut backup: BaseBackup) -> Error {
    let failing = async {
        loop {
            match backup.next().await {
                Ok(event) => assert!(event.is_some(), "the backup has ended"),
                Err(err) => return err,
            }
        }
    };
    tokio::time::timeout(PATIENCE, failing).await.unwrap()
}

async fn begin_stream(pg: &Pg, mut client: ReplicationClient) -> WalStream {
    let flushed = client.identify_system().await.unwrap().flushed;
    let admin = pg.client("postgres").await;
    admin
        .batch_execute(
            "DROP TABLE IF EXISTS goods; CREATE TABLE goods AS SELECT generate_series(1, 1000)",
        )
        .await
        .unwrap();
    let begin = flushed.segment_start(WalSegmentSize::DEFAULT);
    let mut stream = client
        .start_replication(StartReplication::new(begin))
        .await
        .unwrap();
    loop {
        if let WalEvent::Wal { .. } = stream.next().await.unwrap() {
            return stream;
        }
    }
}

async fn failure_of_stream(mut stream: WalStream) -> Error {
    let failing = async {
        loop {
            if let Err(err) = stream.next().await {
                return err;
            }
        }
    };
    tokio::time::timeout(PATIENCE, failing).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_breaks_the_connection() {
    for major in majors().await {
        let mut pg = server(major).start().await.unwrap();
        let info = pg.connect_info("postgres");
        let backup = begin(physical(&info).await).await;
        let stream = begin_stream(&pg, physical(&info).await).await;
        pg.kill9().await;
        for err in [
            failure_of_backup(backup).await,
            failure_of_stream(stream).await,
        ] {
            assert_eq!(
                err.kind(),
                ErrorKind::Unavailable,
                "PostgreSQL {major}: {err:?}"
            );
            assert!(err.is_retryable(), "{err:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_terminated_is_worth_another_try() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let backup = begin(physical(&pg.connect_info("postgres")).await).await;
        let admin = pg.client("postgres").await;
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_replication";
        admin.batch_execute(sql).await.unwrap();
        let err = failure_of_backup(backup).await;
        // A server that was in the middle of a message cannot say why any more.
        assert!(matches!(err.code(), None | Some("57P01")), "{err:?}");
        assert_eq!(
            err.kind(),
            ErrorKind::Unavailable,
            "PostgreSQL {major}: {err:?}"
        );
        assert!(err.is_retryable(), "{err:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_swallows_everything_is_a_timeout() {
    let Some(pg) = newest().await else { return };
    let (proxy, client) = proxied(&pg).await;
    let backup = begin(client).await;
    proxy.set_frozen(true);
    let err = failure_of_backup(backup).await;
    assert_eq!(
        (err.kind(), Failure::of(&err)),
        (ErrorKind::Timeout, Some(Failure::Silent))
    );

    let (proxy, client) = proxied(&pg).await;
    let stream = begin_stream(&pg, client).await;
    proxy.set_frozen(true);
    let err = failure_of_stream(stream).await;
    assert_eq!(
        (err.kind(), Failure::of(&err)),
        (ErrorKind::Timeout, Some(Failure::Silent))
    );

    let info = pg.connect_info("postgres");
    let (proxy, _) = proxied(&pg).await;
    proxy.set_frozen(true);
    let connect = ConnectOptions::default().with_connect_timeout(Duration::from_millis(300));
    let connecting = options().with_connect(connect);
    let outcome = ReplicationClient::connect(&proxy.connect_info(&info), &connecting).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_reset_or_ended_is_broken() {
    let Some(pg) = newest().await else { return };
    for resets in [true, false] {
        let (proxy, client) = proxied(&pg).await;
        let backup = begin(client).await;
        let (stream_proxy, client) = proxied(&pg).await;
        let stream = begin_stream(&pg, client).await;
        for proxy in [&proxy, &stream_proxy] {
            let ended = if resets {
                proxy.reset_connections().await
            } else {
                proxy.end_connections().await
            };
            assert_eq!(ended, 1);
        }
        for err in [
            failure_of_backup(backup).await,
            failure_of_stream(stream).await,
        ] {
            assert_eq!(err.kind(), ErrorKind::Unavailable, "{err:?}");
            assert!(err.is_retryable(), "{err:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_is_no_silence() {
    let Some(pg) = newest().await else { return };
    let (proxy, client) = proxied(&pg).await;
    let mut stream = begin_stream(&pg, client).await;
    // A message of 128 KiB takes less than the time that the server may be silent.
    proxy.set_throttle(Some(2 << 20));
    let admin = pg.client("postgres").await;
    let sql = "CREATE TABLE more AS SELECT generate_series(1, 60000)";
    admin.batch_execute(sql).await.unwrap();
    let row = admin
        .query_one("SELECT pg_current_wal_flush_lsn()::text", &[])
        .await
        .unwrap();
    let end = row.get::<_, String>(0).parse().unwrap();
    crate::wal::read_to(&mut stream, end).await;
}
