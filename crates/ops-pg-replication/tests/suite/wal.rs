//! Streams of WAL from every major.

use std::time::Duration;

use ops_core::ErrorKind;
use ops_core::database::ConnectInfo;
use ops_pg::connect::ConnectOptions;
use ops_pg_replication::{
    Failure, Lsn, ReplicationClient, ReplicationOptions, SlotOptions, StartReplication,
    StatusUpdate, Timeline, WalEvent, WalSegmentSize, WalStream,
};
use ops_testkit::{Pg, wait_until};

use crate::support::{A_WHILE, PATIENCE, majors, physical, server, slot, with_database};

const SIZE: WalSegmentSize = WalSegmentSize::DEFAULT;

/// Reads up to a position, and returns the WAL from where the stream stood.
pub(crate) async fn read_to(stream: &mut WalStream, end: Lsn) -> Vec<u8> {
    let (mut wal, mut expected) = (Vec::new(), stream.position());
    while stream.position() < end {
        let event = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap();
        if let WalEvent::Wal {
            start,
            data,
            server_end,
            ..
        } = event.unwrap()
        {
            assert_eq!(start, expected);
            wal.extend(&data[..]);
            expected = start.saturating_add(data.len() as u64);
            assert_eq!(stream.position(), expected);
            assert!(server_end >= expected);
        }
    }
    wal
}

async fn lsn(admin: &tokio_postgres::Client, sql: &str) -> Lsn {
    let row = admin
        .query_one(&format!("SELECT ({sql})::text"), &[])
        .await
        .unwrap();
    row.get::<_, String>(0).parse().unwrap()
}

async fn start(info: &ConnectInfo, start: StartReplication) -> WalStream {
    physical(info).await.start_replication(start).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_come_byte_for_byte_as_the_server_has_them() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let (admin, info) = (pg.client("postgres").await, pg.connect_info("postgres"));
        let name = slot("archive");
        let mut client = with_database(&info).await;
        client
            .create_slot(&name, SlotOptions::default())
            .await
            .unwrap();
        let reserved = client
            .read_slot(&name)
            .await
            .unwrap()
            .unwrap()
            .restart_lsn
            .unwrap();
        let begin = reserved.segment_start(SIZE);
        let request = StartReplication::new(begin).with_slot(name.clone());
        let mut stream = client.start_replication(request).await.unwrap();

        let sql = "CREATE TABLE goods AS SELECT i, md5(i::text) FROM generate_series(1, 200000) i";
        admin.batch_execute(sql).await.unwrap();
        let end = lsn(&admin, "pg_switch_wal()").await;
        let whole = end.segment_of_end(Timeline::FIRST, SIZE).end(SIZE);
        let wal = read_to(&mut stream, whole).await;
        assert!(wal.len() as u64 >= 2 * SIZE.bytes());
        for (index, content) in wal.chunks(16 << 20).enumerate() {
            let number = begin.segment_number(SIZE) + index as u64;
            let segment = begin.saturating_add(index as u64 * SIZE.bytes());
            let file = segment.segment(Timeline::FIRST, SIZE).file_name(SIZE);
            let there = std::fs::read(pg.data_dir().join("pg_wal").join(&file)).unwrap();
            assert_eq!(there.len(), content.len(), "{file} ({number})");
            assert!(there == content, "PostgreSQL {major}: {file} differs");
        }

        stream
            .report(StatusUpdate {
                write: whole,
                flush: whole,
            })
            .unwrap();
        let sql = "SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = 'archive'";
        wait_until("the slot to follow the report", PATIENCE, async || {
            let row = admin.query_one(sql, &[]).await.unwrap();
            row.get::<_, String>(0) == whole.to_string()
        })
        .await;
        let err = stream
            .report(StatusUpdate {
                write: Lsn::MAX,
                flush: whole,
            })
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
        // Neither a lower report nor the end of the stream moves the slot back.
        stream
            .report(StatusUpdate {
                write: begin,
                flush: begin,
            })
            .unwrap();
        let mut client = stream.stop().await.unwrap();
        let position = client.read_slot(&name).await.unwrap().unwrap();
        assert_eq!(position.restart_lsn, Some(whole));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_commit_returns_when_its_wal_is_reported_and_not_before() {
    for major in majors().await {
        let builder = server(major).setting("synchronous_standby_names", "durable");
        let pg = builder.start().await.unwrap();
        let info = pg.connect_info("postgres");
        let connect = ConnectOptions::default().with_application_name("durable");
        let options = ReplicationOptions::default().with_connect(connect);
        let mut client = ReplicationClient::connect(&info, &options).await.unwrap();
        let flushed = client.identify_system().await.unwrap().flushed;
        let request = StartReplication::new(flushed.segment_start(SIZE));
        let mut stream = client.start_replication(request).await.unwrap();
        let reporter = stream.reporter();

        let writer = pg.client("postgres").await;
        let commit = tokio::spawn(async move {
            writer
                .batch_execute("CREATE TABLE goods (i int)")
                .await
                .unwrap();
        });
        let admin = pg.client("postgres").await;
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        wait_until("the commit to wait", PATIENCE, async || {
            admin.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 1
        })
        .await;
        let end = lsn(&admin, "pg_current_wal_flush_lsn()").await;
        read_to(&mut stream, end).await;
        assert!(!commit.is_finished(), "nothing has been reported");
        reporter
            .report(StatusUpdate {
                write: end,
                flush: end,
            })
            .unwrap();
        tokio::time::timeout(PATIENCE, commit)
            .await
            .unwrap()
            .unwrap();
    }
}

/// Starts a stream from a server that gives a silent receiver up after two seconds.
async fn from_an_impatient_server(major: u32) -> (Pg, WalStream) {
    let builder = server(major).setting("wal_sender_timeout", "2s");
    let pg = builder.start().await.unwrap();
    let info = pg.connect_info("postgres");
    let mut client = physical(&info).await;
    let flushed = client.identify_system().await.unwrap().flushed;
    let request = StartReplication::new(flushed.segment_start(SIZE));
    let stream = client.start_replication(request).await.unwrap();
    (pg, stream)
}

/// Waits until the server has heard of the receiver this long after now.
async fn heard_after(admin: &tokio_postgres::Client, span: Duration) {
    let row = admin.query_one("SELECT now()::text", &[]).await.unwrap();
    let sql = format!(
        "SELECT count(*) FROM pg_stat_replication WHERE reply_time > '{}'::timestamptz + interval '{} ms'",
        row.get::<_, String>(0),
        span.as_millis()
    );
    wait_until("reports to go on", PATIENCE, async || {
        let senders = "SELECT count(*) FROM pg_stat_replication";
        let senders: i64 = admin.query_one(senders, &[]).await.unwrap().get(0);
        assert_eq!(senders, 1, "the server has given the receiver up");
        admin.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_go_on_while_the_caller_takes_nothing() {
    for major in majors().await {
        let (pg, mut stream) = from_an_impatient_server(major).await;
        let admin = pg.client("postgres").await;
        // More than the sockets hold, so that the server cannot send on.
        let sql = "CREATE TABLE goods AS SELECT i, md5(i::text) FROM generate_series(1, 300000) i";
        admin.batch_execute(sql).await.unwrap();
        let end = lsn(&admin, "pg_current_wal_flush_lsn()").await;
        heard_after(&admin, Duration::from_secs(4)).await;
        read_to(&mut stream, end).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_go_on_while_data_comes_without_a_pause() {
    for major in majors().await {
        let (pg, mut stream) = from_an_impatient_server(major).await;
        let admin = pg.client("postgres").await;
        let writer = pg.client("postgres").await;
        let load = tokio::spawn(async move {
            writer
                .batch_execute("CREATE TABLE goods (i int, t text)")
                .await
                .unwrap();
            loop {
                let sql = "INSERT INTO goods SELECT i, md5(i::text) FROM generate_series(1, 20000) i; TRUNCATE goods";
                if writer.batch_execute(sql).await.is_err() {
                    return;
                }
            }
        });
        let reader = tokio::spawn(async move {
            let mut bytes = 0;
            loop {
                match stream.next().await {
                    Ok(WalEvent::Wal { data, .. }) => bytes += data.len(),
                    Ok(_) => {}
                    Err(err) => return (bytes, err),
                }
            }
        });
        heard_after(&admin, Duration::from_secs(4)).await;
        assert!(!reader.is_finished());
        load.abort();
        reader.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_is_asked_for_a_sign_of_life() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let info = pg.connect_info("postgres");
        let options = ReplicationOptions::default().with_silence_timeout(2 * A_WHILE);
        let mut client = ReplicationClient::connect(&info, &options).await.unwrap();
        let flushed = client.identify_system().await.unwrap().flushed;
        let request = StartReplication::new(flushed);
        let mut stream = client.start_replication(request).await.unwrap();
        // The server by itself would say something after 30 s.
        let mut signs = 0;
        while signs < 2 {
            match tokio::time::timeout(PATIENCE, stream.next())
                .await
                .unwrap()
                .unwrap()
            {
                WalEvent::Keepalive { .. } => signs += 1,
                event => assert!(matches!(event, WalEvent::Wal { .. }), "{event:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_streamed_is_told_apart() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let (admin, info) = (pg.client("postgres").await, pg.connect_info("postgres"));
        let flushed = physical(&info)
            .await
            .identify_system()
            .await
            .unwrap()
            .flushed;
        let fails = async |request: StartReplication| {
            let mut stream = match physical(&info).await.start_replication(request).await {
                Ok(stream) => stream,
                Err(err) => return err,
            };
            loop {
                if let Err(err) = stream.next().await {
                    let over = stream.next().await.unwrap_err();
                    assert_eq!(over.kind(), ErrorKind::InvalidInput);
                    assert!(stream.stop().await.is_err());
                    return err;
                }
            }
        };
        let from = StartReplication::new(flushed.segment_start(SIZE));

        let err = fails(from.clone().with_slot(slot("missing"))).await;
        assert_eq!(Failure::of(&err), Some(Failure::SlotMissing), "{err:?}");
        let ahead = StartReplication::new(flushed.saturating_add(1 << 40));
        let err = fails(ahead).await;
        assert_eq!(Failure::of(&err), Some(Failure::AheadOfServer), "{err:?}");
        let foreign = from.clone().with_timeline(Timeline::new(7).unwrap());
        let err = fails(foreign).await;
        assert_eq!(Failure::of(&err), Some(Failure::NotInHistory), "{err:?}");

        let name = slot("used");
        physical(&info)
            .await
            .create_slot(&name, SlotOptions::default())
            .await
            .unwrap();
        let user = start(&info, from.clone().with_slot(name.clone())).await;
        let err = fails(from.clone().with_slot(name)).await;
        assert_eq!(Failure::of(&err), Some(Failure::SlotActive), "{err:?}");

        drop(user);
        wait_until("the slot to be free", PATIENCE, async || {
            let sql = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active";
            admin.batch_execute(sql).await.is_ok()
                && admin.query("SELECT FROM pg_replication_slots", &[]).await.unwrap().is_empty()
        })
        .await;
        for _ in 0..3 {
            admin
                .batch_execute("CREATE TABLE x (); DROP TABLE x; SELECT pg_switch_wal()")
                .await
                .unwrap();
        }
        admin.batch_execute("CHECKPOINT; CHECKPOINT").await.unwrap();
        let err = fails(from).await;
        assert_eq!(Failure::of(&err), Some(Failure::WalRemoved), "{err:?}");
        assert_eq!(
            (err.kind(), err.code()),
            (ErrorKind::NotFound, Some("58P01"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_invalidated_is_lost() {
    for major in majors().await {
        let builder = server(major)
            .setting("max_slot_wal_keep_size", "1MB")
            .setting("max_wal_size", "32MB")
            .setting("min_wal_size", "32MB");
        let pg = builder.start().await.unwrap();
        let (admin, info) = (pg.client("postgres").await, pg.connect_info("postgres"));
        let (name, mut client) = (slot("lagging"), with_database(&info).await);
        client
            .create_slot(&name, SlotOptions::default())
            .await
            .unwrap();
        let reserved = client
            .read_slot(&name)
            .await
            .unwrap()
            .unwrap()
            .restart_lsn
            .unwrap();
        for _ in 0..4 {
            admin
                .batch_execute("CREATE TABLE x (); DROP TABLE x; SELECT pg_switch_wal()")
                .await
                .unwrap();
        }
        admin.batch_execute("CHECKPOINT").await.unwrap();
        assert_eq!(
            client.read_slot(&name).await.unwrap().unwrap().restart_lsn,
            None
        );

        let request = StartReplication::new(reserved.segment_start(SIZE)).with_slot(name);
        let err = match client.start_replication(request).await {
            Err(err) => err,
            Ok(mut stream) => loop {
                if let Err(err) = stream.next().await {
                    break err;
                }
            },
        };
        // Before 18 the server lets a lost slot be used again, but has not the WAL.
        let failure = Failure::of(&err).unwrap();
        println!("PostgreSQL {major}: {failure:?}");
        assert!(
            matches!(failure, Failure::SlotLost | Failure::WalRemoved),
            "{err:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shuts_down_has_sent_everything() {
    for major in majors().await {
        let mut pg = server(major).start().await.unwrap();
        let info = pg.connect_info("postgres");
        let mut client = physical(&info).await;
        let flushed = client.identify_system().await.unwrap().flushed;
        let request = StartReplication::new(flushed.segment_start(SIZE));
        let mut stream = client.start_replication(request).await.unwrap();
        let reading = tokio::spawn(async move {
            loop {
                match stream.next().await.unwrap() {
                    WalEvent::ServerStopped => return stream,
                    // The server waits until all of it has been taken.
                    WalEvent::Wal { .. } => {
                        let end = stream.position();
                        stream
                            .report(StatusUpdate {
                                write: end,
                                flush: end,
                            })
                            .unwrap();
                    }
                    _ => {}
                }
            }
        });
        pg.stop(ops_pg::server::Shutdown::Fast).await;
        let stream = tokio::time::timeout(PATIENCE, reading)
            .await
            .unwrap()
            .unwrap();
        let checkpoint = stream.position();
        assert!(stream.stop().await.is_err(), "the connection is gone");
        pg.start_again().await;
        let admin = pg.client("postgres").await;
        let end = lsn(&admin, "SELECT checkpoint_lsn FROM pg_control_checkpoint()").await;
        assert!(checkpoint > end, "the checkpoint of the shutdown has come");
    }
}
