//! When connections are opened and closed.

use std::time::Duration;

use super::bench::{ACQUIRE, Bench, closes, connects, settings};
use super::*;

#[test]
fn the_first_connection_is_opened_alone_and_the_rest_in_parallel() {
    let mut bench = Bench::new(settings(20));
    let (_, first) = bench.wait();
    assert_eq!(first.len(), 1);
    for _ in 0..9 {
        assert!(bench.wait().1.is_empty());
    }
    let next = connects(&bench.step(Event::Connected(first[0])));
    assert_eq!(next.len(), 4);
    // One more for each that stands, as long as somebody waits.
    assert_eq!(connects(&bench.step(Event::Connected(next[0]))).len(), 1);
}

#[test]
fn a_burst_on_a_warm_pool_opens_no_more_than_the_governor_allows() {
    let mut bench = Bench::new(settings(50));
    let warm = bench.warm(5);
    for _ in 0..5 {
        bench.grant();
    }
    let waiters: Vec<(WaiterId, Vec<ServerId>)> = (0..45).map(|_| bench.wait()).collect();
    let dialed: usize = waiters.iter().map(|(_, dialed)| dialed.len()).sum();
    assert_eq!(dialed, 4);
    // The five warm connections serve all of them before one of the four stands.
    for (turn, (waiter, _)) in waiters.iter().enumerate() {
        let server = warm[turn % 5];
        let actions = bench.give_back(server);
        assert!(actions.contains(&Action::Wake(*waiter)), "{actions:?}");
        bench.collect(*waiter);
    }
    assert_eq!(bench.core.counts().all(), 9);
}

#[test]
fn a_connection_that_nobody_waits_for_anymore_is_not_dialed() {
    let mut bench = Bench::new(settings(2));
    let (waiter, dialed) = bench.wait();
    bench.step(Event::CancelWait {
        waiter,
        timed_out: false,
    });
    let actions = bench.step(Event::Dial(dialed[0]));
    assert_eq!(closes(&actions, CloseReason::NotNeeded), dialed);
    assert!(!bench.core.knows(dialed[0]));
}

#[test]
fn a_connection_that_is_waited_for_is_dialed() {
    let mut bench = Bench::new(settings(2));
    let (_, dialed) = bench.wait();
    assert!(bench.step(Event::Dial(dialed[0])).is_empty());
    assert!(bench.core.knows(dialed[0]));
}

#[test]
fn one_failure_is_told_to_all_and_the_next_callers_fail_fast() {
    let mut bench = Bench::new(settings(4));
    let (first, dialed) = bench.wait();
    let (second, _) = bench.wait();
    let actions = bench.step(Event::ConnectFailed(dialed[0], Failure::Unreachable));
    assert_eq!(actions, [Action::Wake(first), Action::Wake(second)]);
    let refused = bench.step(Event::Collect(first));
    assert!(
        matches!(refused[..], [Action::Refuse(Refusal::ServerDown { .. })]),
        "{refused:?}"
    );
    let refused = bench.step(ACQUIRE);
    let [Action::Refuse(Refusal::ServerDown { retry_in })] = refused[..] else {
        panic!("{refused:?}")
    };
    bench.pass(retry_in);
    let (_, probe) = bench.wait();
    assert_eq!(probe.len(), 1);
    // Only one caller waits for the probe.
    assert!(matches!(bench.step(ACQUIRE)[..], [Action::Refuse(_)]));
    bench.step(Event::Connected(probe[0]));
    assert!(bench.core.governor.last_failure().is_none());
}

#[test]
fn a_failure_to_grow_does_not_fail_those_who_can_wait_for_a_return() {
    let mut bench = Bench::new(settings(2));
    let server = bench.warm(1)[0];
    bench.grant();
    let (waiter, dialed) = bench.wait();
    assert!(
        bench
            .step(Event::ConnectFailed(dialed[0], Failure::Unreachable))
            .is_empty()
    );
    assert_eq!(bench.give_back(server), [Action::Wake(waiter)]);
}

#[test]
fn a_server_that_is_starting_is_waited_for() {
    let mut bench = Bench::new(settings(2));
    let (waiter, dialed) = bench.wait();
    assert!(
        bench
            .step(Event::ConnectFailed(dialed[0], Failure::Starting))
            .is_empty()
    );
    let (_, none) = bench.wait();
    assert!(none.is_empty());
    let dialed = connects(&bench.run_for(Duration::from_millis(250)));
    assert_eq!(dialed.len(), 1);
    assert_eq!(
        bench.step(Event::Connected(dialed[0]))[0],
        Action::Wake(waiter)
    );
}

#[test]
fn a_wrong_password_costs_one_login_however_many_ask() {
    let mut bench = Bench::new(settings(20));
    let (_, dialed) = bench.wait();
    let mut logins = dialed.len();
    for _ in 0..50 {
        logins += bench.wait().1.len();
    }
    logins += connects(&bench.step(Event::ConnectFailed(dialed[0], Failure::Permanent))).len();
    for _ in 0..50 {
        bench.pass(Duration::from_millis(100));
        logins += connects(&bench.step(ACQUIRE)).len();
    }
    assert_eq!(logins, 1);
}

#[test]
fn the_minimum_is_opened_without_anybody_asking_and_kept() {
    let mut bench = Bench::new(Settings {
        min_pool_size: 3,
        ..settings(5)
    });
    let mut dialed = connects(&bench.step(Event::Tick));
    assert_eq!(dialed.len(), 1);
    while let Some(server) = dialed.pop() {
        assert!(bench.step(Event::Dial(server)).is_empty());
        dialed.extend(connects(&bench.step(Event::Connected(server))));
    }
    assert_eq!(bench.core.counts().idle, 3);
    bench.run_for(Duration::from_secs(1200));
    assert_eq!(bench.core.counts().idle, 3);
}

#[test]
fn idle_connections_above_the_minimum_are_closed_oldest_first() {
    let mut bench = Bench::new(Settings {
        min_pool_size: 1,
        ..settings(3)
    });
    let servers = bench.warm(3);
    bench.pass(Duration::from_secs(10));
    let newest = bench.grant();
    bench.give_back(newest);
    let actions = bench.run_for(Duration::from_secs(595));
    assert_eq!(closes(&actions, CloseReason::IdleTooLong), servers[..2]);
    assert_eq!(newest, servers[2]);
    bench.run_for(Duration::from_secs(1000));
    assert_eq!(bench.core.counts().idle, 1);
}

#[test]
fn old_connections_are_replaced_one_after_the_other() {
    let lifetime = Duration::from_secs(3600);
    let idle = Duration::ZERO;
    let mut bench = Bench::new(Settings {
        server_idle_timeout: idle,
        ..settings(4)
    });
    bench.warm(4);
    let mut closed = Vec::new();
    for second in 0..8000 {
        let actions = bench.run_for(Duration::from_secs(1));
        closed.extend(
            closes(&actions, CloseReason::LifetimeOver)
                .iter()
                .map(|_| second),
        );
    }
    assert_eq!(closed.len(), 4);
    assert!(closed[0] >= lifetime.as_secs() * 19 / 20 - 1 && closed[0] <= lifetime.as_secs());
    for pair in closed.windows(2) {
        assert!(
            pair[1] - pair[0] >= lifetime.as_secs() / 4 - 1,
            "{closed:?}"
        );
    }
}

#[test]
fn an_old_connection_is_closed_when_it_comes_back() {
    let mut bench = Bench::new(settings(1));
    let server = bench.warm(1)[0];
    bench.grant();
    bench.pass(Duration::from_secs(3601));
    let actions = bench.step(Event::Release(server, Verdict::Reusable));
    assert_eq!(closes(&actions, CloseReason::LifetimeOver), [server]);
}

#[test]
fn a_lifetime_of_zero_uses_a_connection_once() {
    let mut bench = Bench::new(Settings {
        server_lifetime: Duration::ZERO,
        ..settings(1)
    });
    let (waiter, dialed) = bench.wait();
    bench.step(Event::Connected(dialed[0]));
    bench.step(Event::CancelWait {
        waiter,
        timed_out: false,
    });
    let server = bench.grant();
    assert_eq!(server, dialed[0]);
    let actions = bench.step(Event::Release(server, Verdict::Reusable));
    assert_eq!(closes(&actions, CloseReason::LifetimeOver), [server]);
}

/// Two connections stand, as many as the minimum asks for, and the first is too old.
fn with_an_elder(pool_size: usize) -> (Bench, Vec<ServerId>, Vec<Action>) {
    let mut bench = Bench::new(Settings {
        min_pool_size: 2,
        ..settings(pool_size)
    });
    let first = connects(&bench.step(Event::Tick));
    let second = connects(&bench.step(Event::Connected(first[0])));
    bench.pass(Duration::from_secs(600));
    bench.step(Event::Connected(second[0]));
    let actions = bench.run_for(Duration::from_secs(3000));
    (bench, vec![first[0], second[0]], actions)
}

#[test]
fn at_the_minimum_an_old_connection_is_closed_once_its_successor_stands() {
    let (mut bench, standing, actions) = with_an_elder(3);
    assert_eq!(closes(&actions, CloseReason::LifetimeOver), []);
    let successor = connects(&actions);
    assert_eq!(successor.len(), 1);
    assert!(bench.step(Event::Dial(successor[0])).is_empty());
    let actions = bench.step(Event::Connected(successor[0]));
    assert_eq!(
        actions,
        [Action::Close(standing[0], CloseReason::LifetimeOver)]
    );
    // The other one is as old 600 s later, and goes 1200 s after the first.
    let early = bench.run_for(Duration::from_secs(1195));
    assert_eq!(early, []);
    assert_eq!(connects(&bench.run_for(Duration::from_secs(10))).len(), 1);
    assert_eq!(bench.core.counts().idle, 2);
}

#[test]
fn without_room_for_a_successor_an_old_connection_is_closed_first() {
    let (_, standing, actions) = with_an_elder(2);
    let closed = closes(&actions, CloseReason::LifetimeOver);
    assert_eq!((closed, connects(&actions).len()), (vec![standing[0]], 1));
}

#[test]
fn an_old_connection_serves_on_while_the_server_is_away() {
    let (mut bench, standing, actions) = with_an_elder(3);
    let mut attempts = connects(&actions);
    for _ in 0..8 {
        let failed = bench.step(Event::ConnectFailed(attempts[0], Failure::Unreachable));
        assert_eq!(failed, []);
        let both = [bench.grant(), bench.grant()];
        assert!(both.contains(&standing[0]));
        assert_eq!(connects(&bench.give_back(both[0])), []);
        assert_eq!(connects(&bench.give_back(both[1])), []);
        attempts = connects(&bench.run_for(Duration::from_secs(15)));
        assert_eq!(attempts.len(), 1);
    }
    let actions = bench.step(Event::Connected(attempts[0]));
    assert_eq!(closes(&actions, CloseReason::LifetimeOver), [standing[0]]);
}

#[test]
fn a_successor_whose_permit_does_not_come_is_not_waited_for() {
    let mut bench = Bench::new(Settings {
        min_pool_size: 1,
        limited: true,
        ..settings(3)
    });
    bench.step(Event::Tick);
    let first = connects(&bench.step(Event::Granted(1)));
    bench.step(Event::Connected(first[0]));
    let actions = bench.run_for(Duration::from_secs(3601));
    assert_eq!(
        actions,
        [
            Action::Request,
            Action::Close(first[0], CloseReason::LifetimeOver),
            Action::GiveBack(1),
        ]
    );
    assert_eq!(connects(&bench.step(Event::Granted(1))).len(), 1);
}

#[test]
fn a_successor_whose_permit_comes_stands_first() {
    let mut bench = Bench::new(Settings {
        min_pool_size: 1,
        limited: true,
        ..settings(3)
    });
    bench.step(Event::Tick);
    let first = connects(&bench.step(Event::Granted(1)));
    bench.step(Event::Connected(first[0]));
    while bench.core.requested() == 0 {
        bench.run_for(Duration::from_millis(10));
    }
    let successor = connects(&bench.step(Event::Granted(1)));
    assert_eq!(bench.run_for(Duration::from_secs(10)), []);
    let actions = bench.step(Event::Connected(successor[0]));
    assert_eq!(closes(&actions, CloseReason::LifetimeOver), first);
}
