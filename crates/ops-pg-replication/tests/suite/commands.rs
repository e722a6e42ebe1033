//! Commands on every major.

use ops_core::ErrorKind;
use ops_pg_replication::{
    Failure, Lsn, SlotOptions, SystemId, Timeline, TimelineHistory, WalSegmentSize,
};

use crate::support::{majors, physical, server, slot, with_database};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_which_cluster_it_is() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let admin = pg.client("postgres").await;
        let sql = "SELECT system_identifier::text, timeline_id FROM pg_control_system(), pg_control_checkpoint()";
        let row = admin.query_one(sql, &[]).await.unwrap();
        let expected: SystemId = row.get::<_, String>(0).parse().unwrap();

        let mut client = physical(&pg.connect_info("postgres")).await;
        assert_eq!(client.server_major(), major);
        let version = client.show("server_version_num").await.unwrap();
        assert_eq!(version, client.server_version_num().to_string());
        let identity = client.identify_system().await.unwrap();
        assert_eq!(
            (identity.system_id, identity.timeline),
            (expected, Timeline::FIRST)
        );
        assert!(identity.flushed > Lsn::new(WalSegmentSize::DEFAULT.bytes()));
        assert_eq!(identity.database, None);
        identity.expect(expected).unwrap();
        let err = identity.expect(SystemId::new(7)).unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::WrongSystem));

        let size = client.show("wal_segment_size").await.unwrap();
        assert_eq!(
            WalSegmentSize::from_setting(&size).unwrap(),
            WalSegmentSize::DEFAULT
        );
        client.close().await;

        let mut client = with_database(&pg.connect_info("postgres")).await;
        let identity = client.identify_system().await.unwrap();
        assert_eq!(identity.database.as_deref(), Some("postgres"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_leaves_the_connection_usable() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let mut client = with_database(&pg.connect_info("postgres")).await;
        let err = client.query("SELECT 1/0").await.unwrap_err();
        assert_eq!(
            (err.kind(), err.code()),
            (ErrorKind::InvalidInput, Some("22012"))
        );
        let err = client.show("no_such_setting").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotFound);
        let err = client.show("work_mem; DROP").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
        let rows = client
            .query("SELECT 7 AS seven, NULL AS nothing; SELECT 'é'")
            .await
            .unwrap();
        assert_eq!(rows[0].text("seven").unwrap(), Some("7"));
        assert_eq!(rows[0].get("nothing"), None);
        assert_eq!(rows[1].value(0).map(|it| &it[..]), Some("é".as_bytes()));
        client
            .query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
            .await
            .unwrap();
        let notices = client.take_notices();
        assert_eq!(notices[0].message, "hello");
        let err = client.query("COPY pg_class TO STDOUT").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported);
        let err = client.query("SELECT 1").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Conflict, "an answer is unread");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_created_read_and_dropped() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let mut client = with_database(&pg.connect_info("postgres")).await;
        let (name, idle) = (slot("ops_1"), slot("idle"));
        assert_eq!(client.read_slot(&name).await.unwrap(), None);
        let err = client.drop_slot(&name, false).await.unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::SlotMissing), "{err:?}");
        assert_eq!(err.kind(), ErrorKind::NotFound);

        client
            .create_slot(&name, SlotOptions::default())
            .await
            .unwrap();
        let err = client
            .create_slot(&name, SlotOptions::default())
            .await
            .unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::SlotExists), "{err:?}");
        let position = client.read_slot(&name).await.unwrap().unwrap();
        let flushed = client.identify_system().await.unwrap().flushed;
        assert!(position.restart_lsn.unwrap() <= flushed);
        assert_eq!(
            position.restart_timeline,
            (major >= 15).then_some(Timeline::FIRST)
        );

        let lazy = SlotOptions::default().with_reserve_wal(false);
        client.create_slot(&idle, lazy).await.unwrap();
        assert_eq!(
            client.read_slot(&idle).await.unwrap().unwrap().restart_lsn,
            None
        );

        let temporary = slot("temporary");
        let options = SlotOptions::default().with_temporary(true);
        client.create_slot(&temporary, options).await.unwrap();
        let mut other = with_database(&pg.connect_info("postgres")).await;
        let err = other.drop_slot(&temporary, false).await.unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::SlotActive), "{err:?}");
        assert!(err.is_retryable());
        client.close().await;
        other.drop_slot(&name, true).await.unwrap();
        assert_eq!(other.read_slot(&name).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_an_old_server_cannot_tell_of_a_slot() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let mut client = physical(&pg.connect_info("postgres")).await;
        let outcome = client.read_slot(&slot("ops_1")).await;
        if major >= 15 {
            assert_eq!(outcome.unwrap(), None);
        } else {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_without_room_are_over_quota() {
    for major in majors().await {
        let pg = server(major)
            .setting("max_replication_slots", "1")
            .start()
            .await
            .unwrap();
        let mut client = physical(&pg.connect_info("postgres")).await;
        client
            .create_slot(&slot("one"), SlotOptions::default())
            .await
            .unwrap();
        let err = client
            .create_slot(&slot("two"), SlotOptions::default())
            .await
            .unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::TooManySlots), "{err:?}");
        assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_without_a_history_is_not_found() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let mut client = physical(&pg.connect_info("postgres")).await;
        let first = client.timeline_history(Timeline::FIRST).await.unwrap();
        assert_eq!(first, TimelineHistory::initial());
        let err = client
            .timeline_history(Timeline::new(2).unwrap())
            .await
            .unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::HistoryMissing), "{err:?}");
        assert_eq!(err.kind(), ErrorKind::NotFound);
        client.identify_system().await.unwrap();
    }
}
