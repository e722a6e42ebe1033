//! The pool as the rows of PgBouncer's console.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ops_core::{Clock, Timestamp};
use ops_pool::{Acquire, PoolSettings, show};

use crate::server::{Fake, Login};
use crate::{over, settle};

/// A wall clock that stands still.
#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1_767_265_200).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn each_connection_is_shown_in_its_state_and_with_its_caller() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(4)
        .server_check_delay(Some(Duration::from_secs(30)))
        .clock(Arc::new(Noon))
        .build()
        .unwrap();
    let (one, two, three) = (
        pool.acquire().await.unwrap(),
        pool.acquire().await.unwrap(),
        pool.acquire().await.unwrap(),
    );
    drop(one);
    settle().await;
    tokio::time::advance(Duration::from_secs(40)).await;
    drop(two);
    settle().await;
    fake.set_login(Login::Hangs);
    let _four = pool.acquire().await.unwrap();
    fake.set_reset(crate::server::Reset::Hangs);
    drop(three);
    tokio::time::advance(Duration::from_secs(2)).await;

    let rows = pool.show_servers();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.id, row.state, row.link.as_str(), row.close_needed))
        .collect();
    assert_eq!(
        shown,
        [
            (1, "used", "", false),
            (2, "active", "c4", false),
            (3, "tested", "", false)
        ]
    );
    let opened = rows[1].connect_time.unwrap().to_string();
    assert_eq!(opened, "2026-01-01T10:59:18Z");
    let handed = rows[1].request_time.unwrap().to_string();
    assert_eq!(handed, "2026-01-01T10:59:58Z");
    let row = pool.show_pools();
    assert_eq!(
        (row.sv_active, row.sv_idle, row.sv_used, row.sv_tested),
        (1, 0, 1, 1)
    );

    pool.reconnect();
    let active = &pool.show_servers()[0];
    assert_eq!((active.state, active.close_needed), ("active", true));
}

#[tokio::test(start_paused = true)]
async fn each_caller_is_shown_with_where_it_is_and_how_long_it_has_waited() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(1)
        .clock(Arc::new(Noon))
        .build()
        .unwrap();
    let report = Acquire::new().label("report");
    let (line, session) = (line!() + 1, pool.acquire_with(report));
    let session = session.await.unwrap();
    tokio::time::advance(Duration::from_secs(3)).await;
    let mut waiting = Box::pin(pool.acquire());
    assert!((&mut waiting).now_or_never().is_none());
    tokio::time::advance(Duration::from_millis(2_500)).await;

    let rows = pool.show_clients();
    let [holder, waiter] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!((holder.state, waiter.state), ("active", "waiting"));
    assert_eq!(holder.application_name, "report");
    assert!(holder.addr.ends_with("show.rs"), "{}", holder.addr);
    assert_eq!(holder.port, line - 1);
    let server = &pool.show_servers()[0];
    assert_eq!((&holder.link, &holder.ptr), (&server.ptr, &server.link));
    assert_eq!((waiter.wait, waiter.wait_us), (2, 500_000));
    assert_eq!(
        holder.connect_time.unwrap().to_string(),
        "2026-01-01T10:59:54.5Z"
    );

    drop(session);
    let session = waiting.await.unwrap();
    let rows = pool.show_clients();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].state, rows[0].id), ("active", 2));
    drop(session);
    assert!(pool.show_clients().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_databases_lists_and_settings_are_those_of_the_pool_now() {
    let fake = Fake::new();
    let settings = PoolSettings::new()
        .with_pool_size(3)
        .with_max_waiting(10)
        .with_max_db_connections(9)
        .with_server_reset_query("RESET ALL");
    let pool = over(&fake).settings(settings).build().unwrap();
    let _session = pool.acquire().await.unwrap();
    pool.resize(pool.size().with_pool_size(2)).unwrap();

    let row = pool.show_databases();
    assert_eq!((row.pool_size, row.max_connections), (2, 9));
    assert_eq!(
        (row.current_connections, row.max_client_connections),
        (1, 12)
    );
    assert_eq!((row.paused, row.disabled), (false, false));
    let lists = show::table(&pool.show_lists());
    assert!(
        lists.contains("used_servers") && lists.contains("used_clients"),
        "{lists}"
    );
    let config = pool.show_config();
    let value = |key| {
        let row = config.iter().find(|row| row.key == key).unwrap();
        (row.value.as_str(), row.default.as_str(), row.changeable)
    };
    assert_eq!(value("default_pool_size"), ("2", "20", "yes"));
    assert_eq!(
        value("server_reset_query"),
        ("RESET ALL", "DISCARD ALL", "no")
    );
    assert_eq!(value("max_waiting"), ("10", "0", "no"));
}

#[tokio::test(start_paused = true)]
async fn what_callers_do_is_counted_and_averaged_over_the_last_minute_that_is_over() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(2).build().unwrap();
    let session = pool.acquire().await.unwrap();
    for _ in 0..120 {
        session.batch_execute("SELECT 1").await.unwrap();
    }
    let holder = &pool.holders()[0];
    assert!(!holder.idle_in_transaction);
    let row = pool.show_stats();
    assert_eq!((row.total_query_count, row.avg_query_count), (120, 0));
    assert_eq!(row.total_server_assignment_count, 1);
    assert!(row.total_received > 120 * 8 && row.total_sent > 120 * 6);

    // What a connection has counted outlives it.
    drop(session);
    settle().await;
    fake.kill();
    settle().await;
    assert_eq!(pool.show_stats().total_query_count, 120);
    assert_eq!(pool.show_servers().len(), 0);

    tokio::time::sleep(Duration::from_secs(61)).await;
    let row = pool.show_stats();
    assert_eq!((row.total_query_count, row.avg_query_count), (120, 2));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(pool.show_stats().avg_query_count, 0);
}
