//! A core with a clock for tests.

use std::time::Duration;

use super::*;

pub(crate) const ACQUIRE: Event = Event::Acquire {
    lane: LaneId(0),
    patience: None,
};

/// One lane, and nothing that is off by default.
pub(super) const ONE_LANE: LaneSettings = LaneSettings {
    weight: 1,
    reserved: 0,
};

pub(crate) fn settings(pool_size: usize) -> Settings {
    Settings {
        pool_size,
        min_pool_size: 0,
        reserve_pool_size: 0,
        reserve_pool_timeout: Duration::from_secs(5),
        lanes: vec![ONE_LANE],
        max_waiting: None,
        shed: false,
        round_robin: false,
        server_check_delay: None,
        limited: false,
        max_connecting: 4,
        server_lifetime: Duration::from_secs(3600),
        server_idle_timeout: Duration::from_secs(600),
        server_login_retry: Duration::from_secs(15),
        seed: 1,
    }
}

/// A core with a clock, which checks the invariants after every step.
pub(super) struct Bench {
    pub(super) core: Core,
    pub(super) now: Now,
    timer: Option<Now>,
}

impl Bench {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            core: Core::new(settings),
            now: Now::default(),
            timer: None,
        }
    }

    #[track_caller]
    pub(super) fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions: Vec<Action> = self.core.step(event, self.now).collect();
        self.core.check_invariants().unwrap();
        self.core.check_ages(self.now).unwrap();
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
    pub(super) fn wait(&mut self) -> (WaiterId, Vec<ServerId>) {
        let actions = self.step(ACQUIRE);
        let Some(Action::Wait(waiter)) = actions.first() else {
            panic!("{actions:?}")
        };
        (*waiter, connects(&actions))
    }

    #[track_caller]
    pub(super) fn grant(&mut self) -> ServerId {
        match self.step(ACQUIRE).as_slice() {
            [Action::Grant(server)] => *server,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn collect(&mut self, waiter: WaiterId) -> ServerId {
        match self.step(Event::Collect(waiter)).as_slice() {
            [Action::Grant(server)] => *server,
            other => panic!("{other:?}"),
        }
    }

    /// A connection that nobody uses.
    #[track_caller]
    pub(super) fn warm(&mut self, count: usize) -> Vec<ServerId> {
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
    pub(super) fn give_back(&mut self, server: ServerId) -> Vec<Action> {
        let actions = self.step(Event::Release(server, Verdict::Reusable));
        assert_eq!(actions.first(), Some(&Action::Reset(server)));
        self.step(Event::ResetDone(server, Ok(())))
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }

    /// Lets time pass up to `span`, with the ticks that the core asked for.
    #[track_caller]
    pub(super) fn run_for(&mut self, span: Duration) -> Vec<Action> {
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

pub(super) fn connects(actions: &[Action]) -> Vec<ServerId> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Connect(server) => Some(*server),
            _ => None,
        })
        .collect()
}

pub(super) fn closes(actions: &[Action], wanted: CloseReason) -> Vec<ServerId> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Close(server, reason) if *reason == wanted => Some(*server),
            _ => None,
        })
        .collect()
}
