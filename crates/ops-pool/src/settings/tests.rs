use std::time::Duration;

use super::*;

#[test]
fn all_contradictions_are_told_at_once() {
    let second = Duration::from_secs(1);
    let err = PoolSettings::new()
        .with_pool_size(2)
        .with_min_pool_size(3)
        .with_max_db_connections(1)
        .with_max_user_connections(2)
        .with_max_connecting(0)
        .with_server_connect_timeout(Duration::ZERO)
        .with_server_login_retry(Duration::ZERO)
        .with_reset_timeout(Duration::ZERO)
        .with_reserve_pool_size(1)
        .with_reserve_pool_timeout(second)
        .with_query_wait_timeout(second)
        .with_connect_query(Some("SELECT '\0'".to_owned()))
        .check()
        .unwrap_err();
    let beginnings: Vec<_> = err
        .message()
        .split("; ")
        .map(|it| it.split([':', ',']).next().unwrap())
        .collect();
    assert_eq!(
        beginnings,
        [
            "min_pool_size is 3",
            "min_pool_size is 3",
            "min_pool_size is 3",
            "max_connecting is 0",
            "server_connect_timeout is 0",
            "server_login_retry is 0",
            "reset_timeout is 0",
            "reserve_pool_timeout is not shorter than query_wait_timeout",
            "connect_query holds a zero byte",
        ]
    );
}

#[test]
fn zero_has_pgbouncers_meanings() {
    let settings = PoolSettings::new()
        .with_query_wait_timeout(Duration::ZERO)
        .with_server_idle_timeout(Duration::ZERO)
        .with_server_lifetime(Duration::ZERO)
        .with_server_check_delay(Duration::ZERO)
        .with_reserve_pool_timeout(Duration::ZERO)
        .with_server_reset_query(" ")
        .with_reset_timeout(Duration::ZERO);
    settings.check().unwrap();
    assert!(!settings.resets());
    let err = settings.with_reserve_pool_size(1).check().unwrap_err();
    assert!(
        err.message().starts_with("reserve_pool_timeout is 0"),
        "{err}"
    );
}

#[test]
fn the_most_connections_are_the_least_of_all_limits() {
    let settings = PoolSettings::new().with_reserve_pool_size(5);
    assert_eq!(settings.most_connections(), 25);
    let settings = settings.with_max_db_connections(24);
    assert_eq!(settings.most_connections(), 24);
    assert_eq!(settings.with_max_user_connections(7).most_connections(), 7);
}

#[test]
fn sqlalchemys_defaults_are_mapped() {
    let settings = SqlAlchemy::new().settings().unwrap();
    assert_eq!((settings.pool_size, settings.reserve_pool_size), (5, 10));
    assert_eq!(settings.reserve_pool_timeout, Duration::from_millis(1));
    assert_eq!(settings.query_wait_timeout, Duration::from_secs(30));
    assert_eq!(settings.server_check_query, None);
    assert!(settings.server_round_robin);
    assert_eq!(settings.server_reset_query, "DISCARD ALL");
    assert!(settings.server_lifetime > Duration::from_secs(365 * 24 * 3600));
}

#[test]
fn sqlalchemys_arguments_are_mapped() {
    let arguments = SqlAlchemy::new()
        .with_pool_size(20)
        .with_max_overflow(0)
        .with_pool_pre_ping(true)
        .with_pool_recycle(Duration::from_secs(3600))
        .with_pool_use_lifo(true)
        .with_pool_timeout(None)
        .with_pool_reset_on_return(ResetOnReturn::Nothing);
    let settings = arguments.settings().unwrap();
    assert_eq!(settings.most_connections(), 20);
    assert_eq!(settings.server_check_query.as_deref(), Some(""));
    assert_eq!(settings.server_check_delay, Duration::ZERO);
    assert_eq!(settings.server_lifetime, Duration::from_secs(3600));
    assert!(!settings.server_round_robin);
    assert_eq!(settings.query_wait_timeout, Duration::ZERO);
    assert!(!settings.resets());
    // Not to wait is not to wait for ever.
    let impatient = arguments.with_pool_timeout(Duration::ZERO).settings();
    assert_eq!(
        impatient.unwrap().query_wait_timeout,
        Duration::from_millis(1)
    );
}

#[test]
fn pools_without_a_limit_are_refused() {
    let err = SqlAlchemy::new()
        .with_pool_size(0)
        .with_max_overflow(None)
        .settings()
        .unwrap_err();
    assert_eq!(
        err.message(),
        "pool_size is 0: nobody would ever get a session; max_overflow is -1: a pool has a limit"
    );
}

#[test]
fn presets_are_sound() {
    for clients in 1..120 {
        for connections in 1..120 {
            let settings = PoolSettings::for_clients(clients, connections);
            settings.check().unwrap();
            assert_eq!(settings.pool_size + settings.max_waiting, clients);
        }
        let settings = PoolSettings::per_instance(clients);
        settings.check().unwrap();
        assert_eq!(settings.most_connections(), clients);
    }
}
