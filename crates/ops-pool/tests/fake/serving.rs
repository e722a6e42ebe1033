//! Who gets a session, when, and in which state.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use ops_core::database::{ConnectInfo, Engine, Host};
use ops_core::{ErrorKind, Report, Retry};
use ops_pool::{Acquire, AcquireError, CloseReason, Released, SessionPool};

use crate::server::{Fake, Login, Reset};
use crate::{all_of, over, settle};

#[tokio::test(start_paused = true)]
async fn callers_are_served_in_the_order_they_came() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    let first = pool.acquire().await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..20 {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let session = pool.acquire().await.unwrap();
            order.lock().unwrap().push(number);
            session.batch_execute("SELECT 1").await.unwrap();
        }));
        settle().await;
    }
    drop(first);
    join_all(tasks).await;
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    assert_eq!(pool.snapshot().totals.connects, 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_in_vain_is_told_who_has_the_sessions() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(2).build().unwrap();
    let label = Acquire::new().label("nightly");
    let _nightly = pool.acquire_with(label).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    let line = line!() + 1;
    let _other = pool.acquire().await.unwrap();
    let limit = Acquire::new().timeout(Duration::from_secs(5));
    let err = pool.acquire_with(limit).await.unwrap_err();

    let AcquireError::Timeout(report) = &err else {
        panic!("{err:?}")
    };
    assert_eq!((report.active, report.pool_size, report.waiting), (2, 2, 0));
    let [nightly, other] = report.holders.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!(nightly.label.as_deref(), Some("nightly"));
    assert_eq!(nightly.age, Duration::from_secs(65));
    assert_eq!(
        (other.location.line(), other.label.as_deref()),
        (line, None)
    );
    assert_eq!(
        err.to_string(),
        format!(
            "no session came free in 5.0 s: 2 of 2 in use, 0 connecting, 0 resetting, 0 others \
             waiting; held by nightly at {file}:{} for 65.0 s, {file}:{line} for 5.0 s",
            nightly.location.line(),
            file = file!(),
        )
    );
    assert_eq!(pool.snapshot().totals.timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_query_wait_timeout_and_not_before() {
    let fake = Fake::new();
    let limit = Duration::from_secs(3);
    let pool = over(&fake)
        .pool_size(1)
        .query_wait_timeout(limit)
        .build()
        .unwrap();
    let _held = pool.acquire().await.unwrap();
    let begun = tokio::time::Instant::now();
    let err = pool.acquire().await.unwrap_err();
    assert!(matches!(err, AcquireError::Timeout(_)), "{err:?}");
    assert!(begun.elapsed() >= limit && begun.elapsed() < limit + Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_safe_to_repeat_as_an_error_of_the_suite() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    let _held = pool.acquire().await.unwrap();
    let how = Acquire::new().timeout(Duration::ZERO);
    let err = ops_core::Error::from(pool.acquire_with(how).await.unwrap_err());
    assert_eq!((err.kind(), err.retry()), (ErrorKind::Timeout, Retry::Safe));
    assert!(
        Report(&err)
            .to_string()
            .starts_with("pool.acquire: no session: no session came free")
    );
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_hangs_holds_nobody_up_while_there_is_room() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(2).build().unwrap();
    let session = pool.acquire().await.unwrap();
    fake.set_reset(Reset::Hangs);
    let released = tokio::spawn(session.release());
    settle().await;
    let begun = tokio::time::Instant::now();
    let _next = pool.acquire().await.unwrap();
    assert!(
        begun.elapsed() <= Duration::from_millis(150),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        released.await.unwrap(),
        Released::Closed(CloseReason::ResetTimedOut)
    );
    settle().await;
    assert_eq!(fake.cancels.load(Ordering::SeqCst), 1);
    assert_eq!(fake.standing(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_dropped_dirty_is_closed_and_replaced() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    let session = pool.acquire().await.unwrap();
    session.batch_execute("BEGIN").await.unwrap();
    drop(session);
    let session = pool.acquire().await.unwrap();
    assert!(session.batch_execute("HANG").now_or_never().is_none());
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::QueryInFlight)
    );
    settle().await;
    assert_eq!((fake.attempts(), fake.standing()), (2, 0));
    assert_eq!(fake.cancels.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_with_a_session_in_hand_gives_it_back() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    for begin in ["SELECT 1", "BEGIN"] {
        let pool = pool.clone();
        let task = tokio::spawn(async move {
            let session = pool.acquire().await.unwrap();
            session.batch_execute(begin).await.unwrap();
            panic!("on purpose");
        });
        assert!(task.await.unwrap_err().is_panic());
    }
    pool.acquire().await.unwrap();
    assert_eq!(fake.attempts(), 2);
    assert_eq!(pool.snapshot().totals.dirty_closes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_detached_connection_is_no_longer_the_pools() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(1).build().unwrap();
    let client = pool.acquire().await.unwrap().detach();
    let _other = pool.acquire().await.unwrap();
    drop(pool);
    client.batch_execute("SELECT 1").await.unwrap();
    drop(client);
    settle().await;
    assert_eq!(fake.standing(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_minimum_is_kept_without_callers_and_after_a_crash() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(5).min_pool_size(3).build().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(pool.snapshot().idle, 3);
    fake.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((pool.snapshot().idle, fake.standing()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_when_their_time_is_over() {
    let fake = Fake::new();
    let pool = over(&fake)
        .server_idle_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    drop(all_of(&pool, 3).await);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(fake.standing(), 3);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fake.standing(), 0);
}

#[tokio::test(start_paused = true)]
async fn old_connections_are_closed_and_used_no_more() {
    let fake = Fake::new();
    let lifetime = Duration::from_secs(100);
    let pool = over(&fake)
        .pool_size(1)
        .server_lifetime(lifetime)
        .build()
        .unwrap();
    let session = pool.acquire().await.unwrap();
    tokio::time::sleep(lifetime).await;
    session.batch_execute("SELECT 1").await.unwrap();
    assert_eq!(
        session.release().await,
        Released::Closed(CloseReason::LifetimeOver)
    );
}

#[tokio::test(start_paused = true)]
async fn at_the_minimum_an_old_connection_goes_once_its_successor_stands() {
    let fake = Fake::new();
    let pool = over(&fake)
        .pool_size(2)
        .min_pool_size(1)
        .server_lifetime(Duration::from_secs(100))
        .build()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    fake.set_login(Login::Fails(ErrorKind::Unavailable));
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert!(fake.attempts() > 2, "{} attempts", fake.attempts());
    for _ in 0..3 {
        let session = pool.acquire().await.unwrap();
        session.batch_execute("SELECT 1").await.unwrap();
        assert_eq!(session.release().await, Released::Clean);
    }
    assert_eq!((fake.standing(), pool.snapshot().totals.connects), (1, 1));
    fake.set_login(Login::Works);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!((fake.standing(), fake.most()), (1, 2));
    assert_eq!(pool.snapshot().totals.connects, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_on_a_few_connections_all_get_their_turn() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(4).build().unwrap();
    let mut tasks = Vec::new();
    for caller in 0..32u32 {
        let pool = pool.clone();
        tasks.push(tokio::spawn(async move {
            for turn in 0..60u32 {
                if (caller + turn) % 7 == 0 {
                    // Gone while waiting, or with a session that nobody looked at.
                    drop(pool.acquire().now_or_never());
                    continue;
                }
                let session = pool.acquire().await.unwrap();
                match (caller * 60 + turn) % 11 {
                    0 => session.batch_execute("BEGIN").await.unwrap(),
                    1 => drop(session.batch_execute("SELECT 1").now_or_never()),
                    2 => drop(session.release().now_or_never()),
                    _ => session.batch_execute("SELECT 1").await.unwrap(),
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(
        fake.most() <= 4 + 4,
        "{} connections stood at once",
        fake.most()
    );
    let sessions = all_of(&pool, 4).await;
    assert_eq!(pool.snapshot().active, 4);
    drop(sessions);
}

#[tokio::test(start_paused = true)]
async fn without_a_reset_query_a_session_is_handed_on_as_it_is() {
    let fake = Fake::new();
    fake.set_reset(Reset::Fails);
    let pool = over(&fake)
        .pool_size(1)
        .server_reset_query("")
        .build()
        .unwrap();
    for _ in 0..3 {
        let session = pool.acquire().await.unwrap();
        session.batch_execute("SELECT 1").await.unwrap();
        assert_eq!(session.release().await, Released::Clean);
    }
    assert_eq!((fake.attempts(), pool.snapshot().totals.resets), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_state_is_told_in_the_words_of_pgbouncer() {
    let fake = Fake::new();
    let pool = over(&fake).pool_size(2).build().unwrap();
    let _first = pool.acquire().await.unwrap();
    drop(pool.acquire().await.unwrap());
    settle().await;
    let _second = pool.acquire().await.unwrap();
    let mut waiting = Box::pin(pool.acquire());
    assert!((&mut waiting).now_or_never().is_none());
    tokio::time::advance(Duration::from_millis(2_500)).await;
    let row = pool.show_pools();
    assert_eq!(
        (row.cl_active, row.cl_waiting, row.sv_active, row.sv_idle),
        (2, 1, 2, 0)
    );
    assert_eq!(
        (row.sv_tested, row.sv_login, row.pool_mode),
        (0, 0, "session")
    );
    assert_eq!((row.maxwait, row.maxwait_us), (2, 500_000));
    let snapshot = pool.snapshot();
    assert_eq!(snapshot.totals.assignments, 3);
    assert!(snapshot.since_last_return.unwrap() >= Duration::from_millis(2_500));
}

#[tokio::test]
async fn every_contradiction_is_named_in_one_error() {
    let info = ConnectInfo::new(Engine::Redis, Host::Tcp("localhost".into()), 5432);
    let err = SessionPool::builder(info)
        .pool_size(0)
        .min_pool_size(3)
        .max_connecting(0)
        .server_connect_timeout(Duration::ZERO)
        .reset_timeout(Duration::ZERO)
        .server_login_retry(Duration::ZERO)
        .build()
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    for problem in [
        "pool_size is 0",
        "min_pool_size is 3, more than pool_size, which is 0",
        "max_connecting is 0",
        "server_connect_timeout is 0",
        "reset_timeout is 0",
        "server_login_retry is 0",
        "not PostgreSQL",
        "no user",
    ] {
        assert!(
            err.message().contains(problem),
            "{problem} is missing in {err}"
        );
    }
}

#[test]
fn a_pool_without_a_runtime_is_refused() {
    let err = over(&Fake::new()).build().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.message().contains("tokio runtime"), "{err}");
}
