//! Pools that share a limit.

use std::time::Duration;

use ops_pool::{Acquire, CloseReason, PoolGroup, Released};

use crate::server::{Fake, Login};
use crate::{all_of, over, settle};

#[tokio::test(start_paused = true)]
async fn pools_of_a_group_never_have_more_connections_than_it_allows() {
    let fake = Fake::new();
    let group = PoolGroup::new(3);
    let pools: Vec<_> = (0..4)
        .map(|_| over(&fake).pool_size(3).group(&group).build().unwrap())
        .collect();
    let mut tasks = Vec::new();
    for turn in 0..200_u64 {
        let pool = pools[usize::try_from(turn % 4).unwrap()].clone();
        tasks.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(turn * 7 % 50)).await;
            let session = pool.acquire().await.unwrap();
            tokio::time::sleep(Duration::from_millis(turn * 13 % 20)).await;
            drop(session);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(fake.most() <= 3, "{} at the same time", fake.most());
    assert!(group.in_use() <= 3);
    drop(pools);
    settle().await;
    assert_eq!((group.in_use(), fake.standing()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_takes_the_place_of_what_is_idle_in_another_pool() {
    let fake = Fake::new();
    let group = PoolGroup::new(2);
    let (one, other) = (
        over(&fake).group(&group).build().unwrap(),
        over(&fake).group(&group).build().unwrap(),
    );
    drop(all_of(&one, 2).await);
    settle().await;
    assert_eq!(one.snapshot().idle, 2);
    let session = other.acquire().await.unwrap();
    assert_eq!(one.snapshot().idle, 1);
    assert_eq!(session.release().await, Released::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_for_a_session_of_another_pool_to_come_back() {
    let fake = Fake::new();
    let group = PoolGroup::new(1);
    let (one, other) = (
        over(&fake).group(&group).build().unwrap(),
        over(&fake).group(&group).build().unwrap(),
    );
    let held = one.acquire().await.unwrap();
    let none = Acquire::new().timeout(Duration::from_secs(1));
    assert!(other.acquire_with(none).await.is_err());
    let waiter = tokio::spawn({
        let other = other.clone();
        async move { other.acquire().await.map(drop) }
    });
    settle().await;
    let _ = held.release().await;
    waiter.await.unwrap().unwrap();
    assert_eq!(one.snapshot().totals.closes, 1);
}

#[tokio::test(start_paused = true)]
async fn places_are_given_back_by_pools_that_end_and_connections_that_fail() {
    let fake = Fake::new();
    let group = PoolGroup::new(2);
    let (one, other) = (
        over(&fake).group(&group).build().unwrap(),
        over(&fake).group(&group).build().unwrap(),
    );
    fake.set_login(Login::Fails(ops_core::ErrorKind::Unavailable));
    assert!(one.acquire().await.is_err());
    assert_eq!(group.in_use(), 0);
    fake.set_login(Login::Works);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let held = all_of(&one, 2).await;
    let waiter = tokio::spawn({
        let other = other.clone();
        async move { other.acquire().await.map(drop) }
    });
    settle().await;
    let _ = one.shutdown(ops_pool::Drain::Now).await;
    for session in held {
        assert_eq!(
            session.release().await,
            Released::Closed(CloseReason::ShuttingDown)
        );
    }
    waiter.await.unwrap().unwrap();
    assert_eq!(group.in_use(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pool_may_be_in_two_groups_and_both_limits_hold() {
    let fake = Fake::new();
    let (database, user) = (PoolGroup::new(3), PoolGroup::new(2));
    let both = over(&fake).group(&database).group(&user).build().unwrap();
    let one = over(&fake).group(&user).group(&database).build().unwrap();
    let _two = all_of(&both, 2).await;
    let none = Acquire::new().timeout(Duration::from_secs(1));
    assert!(one.acquire_with(none).await.is_err());
    assert_eq!((database.in_use(), user.in_use()), (2, 2));
    let rest = over(&fake).group(&database).build().unwrap();
    let _third = rest.acquire().await.unwrap();
    let none = Acquire::new().timeout(Duration::from_secs(1));
    assert!(rest.acquire_with(none).await.is_err());
    assert_eq!((database.in_use(), user.in_use()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_group_of_zero_is_without_limit() {
    let fake = Fake::new();
    let group = PoolGroup::new(0);
    assert_eq!(group.max_connections(), None);
    let pool = over(&fake).pool_size(30).group(&group).build().unwrap();
    let _all = all_of(&pool, 30).await;
    assert_eq!(group.in_use(), 30);
}
