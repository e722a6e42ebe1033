use std::time::Duration;

use super::*;

fn settings(pool_size: usize) -> Settings {
    Settings {
        pool_size,
        min_pool_size: 0,
        max_connecting: 4,
        server_lifetime: Duration::from_secs(3600),
        server_idle_timeout: Duration::from_secs(600),
        server_login_retry: Duration::from_secs(15),
        reset: true,
        seed: 1,
    }
}

/// A core with a clock, which checks the invariants after every step.
struct Bench {
    core: Core,
    now: Now,
    timer: Option<Now>,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self {
            core: Core::new(settings),
            now: Now::default(),
            timer: None,
        }
    }

    #[track_caller]
    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions: Vec<Action> = self.core.step(event, self.now).collect();
        self.core.check_invariants().unwrap();
        actions.retain(|action| match action {
            Action::Timer(at) => {
                self.timer = Some(*at);
                false
            }
            _ => true,
        });
        actions
    }

    #[track_caller]
    fn wait(&mut self) -> (WaiterId, Vec<ServerId>) {
        let actions = self.step(Event::Acquire);
        let Some(Action::Wait(waiter)) = actions.first() else {
            panic!("{actions:?}")
        };
        (*waiter, connects(&actions))
    }

    #[track_caller]
    fn grant(&mut self) -> ServerId {
        match self.step(Event::Acquire).as_slice() {
            [Action::Grant(server)] => *server,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn collect(&mut self, waiter: WaiterId) -> ServerId {
        match self.step(Event::Collect(waiter)).as_slice() {
            [Action::Grant(server)] => *server,
            other => panic!("{other:?}"),
        }
    }

    /// A connection that nobody uses.
    #[track_caller]
    fn warm(&mut self, count: usize) -> Vec<ServerId> {
        let mut servers = Vec::new();
        for _ in 0..count {
            let (waiter, dialed) = self.wait();
            self.step(Event::Connected(dialed[0]));
            servers.push(self.collect(waiter));
        }
        for server in &servers {
            self.give_back(*server);
        }
        servers
    }

    #[track_caller]
    fn give_back(&mut self, server: ServerId) -> Vec<Action> {
        let actions = self.step(Event::Release(server, Verdict::Reusable));
        assert_eq!(actions.first(), Some(&Action::Reset(server)));
        self.step(Event::ResetDone(server, Ok(())))
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }

    /// Lets time pass up to `span`, with the ticks that the core asked for.
    #[track_caller]
    fn run_for(&mut self, span: Duration) -> Vec<Action> {
        let end = self.now.after(span);
        let mut actions = Vec::new();
        while let Some(at) = self.timer.filter(|at| *at <= end) {
            assert!(at >= self.now);
            self.now = at;
            self.timer = None;
            actions.extend(self.step(Event::Tick));
        }
        self.now = end;
        actions
    }
}

fn connects(actions: &[Action]) -> Vec<ServerId> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Connect(server) => Some(*server),
            _ => None,
        })
        .collect()
}

fn closes(actions: &[Action], wanted: CloseReason) -> Vec<ServerId> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Close(server, reason) if *reason == wanted => Some(*server),
            _ => None,
        })
        .collect()
}

#[test]
fn waiters_are_served_in_the_order_they_came() {
    let mut bench = Bench::new(settings(1));
    let server = bench.warm(1)[0];
    let held = bench.grant();
    assert_eq!(held, server);
    let waiters: Vec<WaiterId> = (0..5).map(|_| bench.wait().0).collect();
    for waiter in waiters {
        assert_eq!(bench.give_back(server), [Action::Wake(waiter)]);
        assert_eq!(bench.collect(waiter), server);
    }
}

#[test]
fn the_connection_that_was_used_last_is_used_next() {
    let mut bench = Bench::new(settings(3));
    let servers = bench.warm(3);
    assert_eq!(bench.grant(), servers[2]);
    assert_eq!(bench.grant(), servers[1]);
    bench.give_back(servers[1]);
    assert_eq!(bench.grant(), servers[1]);
}

#[test]
fn nobody_gets_a_connection_before_its_reset_is_done() {
    let mut bench = Bench::new(settings(1));
    let server = bench.warm(1)[0];
    bench.grant();
    let (waiter, _) = bench.wait();
    assert_eq!(
        bench.step(Event::Release(server, Verdict::Reusable)),
        [Action::Reset(server)]
    );
    assert_eq!(bench.step(Event::Collect(waiter)), [Action::Wait(waiter)]);
    assert_eq!(
        bench.step(Event::ResetDone(server, Ok(()))),
        [Action::Wake(waiter)]
    );
}

#[test]
fn a_waiter_that_leaves_after_it_was_served_passes_the_connection_on() {
    let mut bench = Bench::new(settings(1));
    let server = bench.warm(1)[0];
    bench.grant();
    let (first, _) = bench.wait();
    let (second, _) = bench.wait();
    bench.give_back(server);
    let cancel = Event::CancelWait {
        waiter: first,
        timed_out: false,
    };
    assert_eq!(bench.step(cancel), [Action::Wake(second)]);
    assert_eq!(bench.collect(second), server);
}

#[test]
fn a_waiter_whose_connection_breaks_before_it_is_collected_keeps_its_place() {
    let mut bench = Bench::new(settings(2));
    let servers = bench.warm(2);
    bench.grant();
    bench.grant();
    let (first, _) = bench.wait();
    let (second, _) = bench.wait();
    bench.give_back(servers[0]);
    bench.step(Event::ServerGone(servers[0]));
    assert_eq!(bench.give_back(servers[1]), [Action::Wake(first)]);
    assert_eq!(bench.step(Event::Collect(second)), [Action::Wait(second)]);
}

#[test]
fn a_waiter_whose_connection_breaks_takes_one_that_is_idle() {
    let mut bench = Bench::new(settings(2));
    let servers = bench.warm(2);
    bench.grant();
    bench.grant();
    let (waiter, _) = bench.wait();
    bench.give_back(servers[0]);
    bench.give_back(servers[1]);
    let actions = bench.step(Event::ServerGone(servers[0]));
    assert!(actions.contains(&Action::Wake(waiter)), "{actions:?}");
    assert_eq!(bench.collect(waiter), servers[1]);
}

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
fn a_wedged_reset_does_not_keep_a_waiter_from_spare_capacity() {
    let mut bench = Bench::new(settings(2));
    let server = bench.warm(1)[0];
    bench.grant();
    bench.step(Event::Release(server, Verdict::Reusable));
    let (waiter, dialed) = bench.wait();
    assert!(
        dialed.is_empty(),
        "a reset that has just begun is waited for"
    );
    let dialed = connects(&bench.run_for(RESET_IS_SOON));
    assert_eq!(dialed.len(), 1);
    bench.step(Event::Connected(dialed[0]));
    assert_eq!(bench.collect(waiter), dialed[0]);
}

#[test]
fn a_failed_reset_closes_the_connection_and_the_waiter_gets_another() {
    let mut bench = Bench::new(settings(1));
    let server = bench.warm(1)[0];
    bench.grant();
    let (_, _) = bench.wait();
    bench.step(Event::Release(server, Verdict::Reusable));
    let actions = bench.step(Event::ResetDone(server, Err(CloseReason::ResetFailed)));
    assert_eq!(closes(&actions, CloseReason::ResetFailed), [server]);
    assert_eq!(connects(&actions).len(), 1);
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
    let refused = bench.step(Event::Acquire);
    let [Action::Refuse(Refusal::ServerDown { retry_in })] = refused[..] else {
        panic!("{refused:?}")
    };
    bench.pass(retry_in);
    let (_, probe) = bench.wait();
    assert_eq!(probe.len(), 1);
    // Only one caller waits for the probe.
    assert!(matches!(
        bench.step(Event::Acquire)[..],
        [Action::Refuse(_)]
    ));
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
        logins += connects(&bench.step(Event::Acquire)).len();
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

#[test]
fn a_detached_connection_makes_room() {
    let mut bench = Bench::new(settings(1));
    let server = bench.warm(1)[0];
    bench.grant();
    let (_, none) = bench.wait();
    assert!(none.is_empty());
    assert_eq!(connects(&bench.step(Event::Detach(server))).len(), 1);
}

#[test]
fn draining_refuses_waiters_closes_what_is_idle_and_ends_with_the_last_session() {
    let mut bench = Bench::new(settings(2));
    let servers = bench.warm(2);
    let held = bench.grant();
    let actions = bench.step(Event::Drain);
    assert_eq!(closes(&actions, CloseReason::ShuttingDown), [servers[0]]);
    assert_eq!(
        bench.step(Event::Acquire),
        [Action::Refuse(Refusal::ShuttingDown)]
    );
    let actions = bench.step(Event::Release(held, Verdict::Reusable));
    assert_eq!(
        actions,
        [
            Action::Close(held, CloseReason::ShuttingDown),
            Action::Drained
        ]
    );
}

#[test]
fn what_is_gone_is_not_answered() {
    let mut bench = Bench::new(settings(1));
    let server = bench.warm(1)[0];
    bench.step(Event::ServerGone(server));
    for event in [
        Event::Release(server, Verdict::Reusable),
        Event::ResetDone(server, Ok(())),
        Event::Connected(server),
        Event::Dial(server),
        Event::Detach(server),
        Event::ServerGone(server),
    ] {
        assert!(bench.step(event).is_empty(), "{event:?}");
    }
    assert_eq!(bench.core.counts().all(), 0);
}
