//! Promotions, on every major.

use ops_pg_replication::{
    BaseBackupOptions, Failure, NextTimeline, StartReplication, Timeline, WalEvent, WalSegmentSize,
};
use ops_testkit::{Pg, wait_until};

use crate::support::{PATIENCE, majors, physical, receive, server};
use crate::wal::read_to;

const SIZE: WalSegmentSize = WalSegmentSize::DEFAULT;

/// Starts a server again as a standby of nobody.
async fn become_standby(pg: &mut Pg) {
    pg.stop(ops_pg::server::Shutdown::Fast).await;
    std::fs::write(pg.data_dir().join("standby.signal"), "").unwrap();
    pg.start_again().await;
}

async fn promote(pg: &Pg) {
    let admin = pg.client("postgres").await;
    admin.batch_execute("SELECT pg_promote()").await.unwrap();
    wait_until("the promotion", PATIENCE, async || {
        let row = admin
            .query_one("SELECT pg_is_in_recovery()", &[])
            .await
            .unwrap();
        !row.get::<_, bool>(0)
    })
    .await;
    admin
        .batch_execute("CREATE TABLE later (i int); CHECKPOINT")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_followed_on_the_same_connection() {
    let second = Timeline::new(2).unwrap();
    for major in majors().await {
        let mut pg = server(major)
            .setting("wal_keep_size", "512MB")
            .start()
            .await
            .unwrap();
        let mut client = physical(&pg.connect_info("postgres")).await;
        let begin = client
            .identify_system()
            .await
            .unwrap()
            .flushed
            .segment_start(SIZE);
        drop(client);
        become_standby(&mut pg).await;
        promote(&pg).await;

        let mut client = physical(&pg.connect_info("postgres")).await;
        let identity = client.identify_system().await.unwrap();
        assert_eq!(identity.timeline, second);
        let request = StartReplication::new(begin).with_timeline(Timeline::FIRST);
        let mut stream = client.start_replication(request.clone()).await.unwrap();
        let next = loop {
            match stream.next().await.unwrap() {
                WalEvent::TimelineEnded(next) => break next,
                event => assert!(matches!(
                    event,
                    WalEvent::Wal { .. } | WalEvent::Keepalive { .. }
                )),
            }
        };
        assert_eq!(
            stream.position(),
            next.switch,
            "all of the timeline has come"
        );
        assert!(stream.next().await.is_err(), "the stream is over");

        let mut client = stream.stop().await.unwrap();
        let history = client.timeline_history(second).await.unwrap();
        assert_eq!(history.switch_point(Timeline::FIRST), Some(next.switch));
        let file = std::fs::read(pg.data_dir().join("pg_wal/00000002.history")).unwrap();
        assert_eq!(history.raw(), &file);

        let from = next.switch.segment_start(SIZE);
        let request = StartReplication::new(from).with_timeline(second);
        let mut stream = client.start_replication(request).await.unwrap();
        read_to(&mut stream, identity.flushed).await;
        let client = stream.stop().await.unwrap();

        // The exact end of a timeline has nothing before it but where the log goes on.
        let request = StartReplication::new(next.switch).with_timeline(Timeline::FIRST);
        let mut stream = client.start_replication(request).await.unwrap();
        let expected = NextTimeline {
            timeline: second,
            switch: next.switch,
        };
        assert_eq!(
            stream.next().await.unwrap(),
            WalEvent::TimelineEnded(expected)
        );
        let client = stream.stop().await.unwrap();

        let past = StartReplication::new(identity.flushed).with_timeline(Timeline::FIRST);
        let err = client.start_replication(past).await.unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::NotInHistory), "{err:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_stopped_gives_its_connection_back() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let mut client = physical(&pg.connect_info("postgres")).await;
        let flushed = client.identify_system().await.unwrap().flushed;
        for _ in 0..3 {
            let request = StartReplication::new(flushed.segment_start(SIZE));
            let stream = client.start_replication(request).await.unwrap();
            client = stream.stop().await.unwrap();
            client.identify_system().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_promoted_in_the_middle_has_no_backup() {
    for major in majors().await {
        let builder = server(major).setting("full_page_writes", "on");
        let mut pg = builder.start().await.unwrap();
        become_standby(&mut pg).await;
        let client = physical(&pg.connect_info("postgres")).await;
        let slow = BaseBackupOptions::default().with_max_rate_kb(16 << 10);
        let mut backup = client.base_backup(&slow).await.unwrap();
        promote(&pg).await;
        let err = receive(&mut backup).await.unwrap_err();
        let failure = Failure::of(&err);
        assert_eq!(
            failure,
            Some(Failure::PromotedDuringBackup),
            "PostgreSQL {major}: {err:?}"
        );
        assert!(err.is_retryable());
    }
}
