//! The core against the reference. Both see the same random events; they must answer the
//! same at every step.

use std::time::Duration;

use proptest::prelude::*;

use super::bench::settings;
use super::model::Model;
use super::*;

#[derive(Clone, Debug)]
enum Op {
    Acquire(usize),
    Collect(usize),
    Cancel(usize),
    Release(usize, Verdict),
    Reset(usize, bool),
    Dial(usize),
    Connected(usize),
    Fail(usize, Failure),
    Gone(usize),
    Detach(usize),
    Pass(u64),
    Pause,
    Resume,
    Reconnect,
    Evict,
    Resize(usize, usize, usize),
    Drain,
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        6 => Just(Verdict::Reusable),
        2 => Just(Verdict::Clean),
        1 => Just(Verdict::Close(CloseReason::InTransaction)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let failure = prop_oneof![
        Just(Failure::Permanent),
        Just(Failure::Unreachable),
        Just(Failure::Starting)
    ];
    prop_oneof![
        12 => any::<usize>().prop_map(Op::Acquire),
        6 => any::<usize>().prop_map(Op::Collect),
        3 => any::<usize>().prop_map(Op::Cancel),
        8 => (any::<usize>(), verdict()).prop_map(|(n, verdict)| Op::Release(n, verdict)),
        8 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(n, ok)| Op::Reset(n, ok)),
        2 => any::<usize>().prop_map(Op::Dial),
        8 => any::<usize>().prop_map(Op::Connected),
        2 => (any::<usize>(), failure).prop_map(|(n, failure)| Op::Fail(n, failure)),
        2 => any::<usize>().prop_map(Op::Gone),
        1 => any::<usize>().prop_map(Op::Detach),
        4 => (0u64..400).prop_map(Op::Pass),
        1 => prop_oneof![
            1 => Just(Op::Pause),
            2 => Just(Op::Resume),
            1 => Just(Op::Reconnect),
            1 => Just(Op::Evict),
            1 => (2usize..6, 0usize..3, 0usize..3).prop_map(|(size, min, reserve)| {
                Op::Resize(size, min.min(size), reserve)
            }),
        ],
        (1) => prop::bool::weighted(0.1).prop_map(|yes| if yes { Op::Drain } else { Op::Pass(1) }),
    ]
}

fn pick<T: Copy>(from: impl IntoIterator<Item = T>, n: usize) -> Option<T> {
    let all: Vec<T> = from.into_iter().collect();
    (!all.is_empty()).then(|| all[n % all.len()])
}

impl Model {
    fn waiters(&self) -> Vec<WaiterId> {
        let mut all: Vec<WaiterId> = self.queues.iter().flatten().map(|(it, _)| *it).collect();
        all.extend(self.served.keys());
        all.extend(self.refused.keys());
        all
    }

    fn event(&self, op: &Op) -> Option<Event> {
        Some(match *op {
            Op::Acquire(n) => Event::Acquire {
                lane: LaneId(n % self.queues.len()),
                patience: None,
            },
            Op::Pause => Event::Pause,
            Op::Resume => Event::Resume,
            Op::Reconnect => Event::Reconnect,
            Op::Evict => Event::Evict,
            Op::Resize(pool_size, min_pool_size, reserve_pool_size) => Event::Resize {
                pool_size,
                min_pool_size,
                reserve_pool_size,
            },
            Op::Collect(n) => Event::Collect(pick(self.waiters(), n)?),
            Op::Cancel(n) => Event::CancelWait {
                waiter: pick(self.waiters(), n)?,
                timed_out: false,
            },
            Op::Release(n, verdict) => Event::Release(pick(self.lent.keys().copied(), n)?, verdict),
            Op::Reset(n, ok) => Event::ResetDone(
                pick(self.resetting.keys().copied(), n)?,
                if ok {
                    Ok(())
                } else {
                    Err(CloseReason::ResetFailed)
                },
            ),
            Op::Dial(n) => Event::Dial(pick(self.connecting.clone(), n)?),
            Op::Connected(n) => Event::Connected(pick(self.connecting.clone(), n)?),
            Op::Fail(n, failure) => {
                Event::ConnectFailed(pick(self.connecting.clone(), n)?, failure)
            }
            Op::Gone(n) => Event::ServerGone(pick(self.servers(), n)?),
            Op::Detach(n) => Event::Detach(pick(self.lent.keys().copied(), n)?),
            Op::Drain => Event::Drain,
            Op::Pass(_) => return None,
        })
    }
}

/// The core and the reference, side by side.
struct Pair {
    core: Core,
    model: Model,
    now: Now,
    timer: Option<Now>,
}

impl Pair {
    fn step(&mut self, event: Event) -> Result<(), TestCaseError> {
        let before = (self.model.all(), self.model.outdated());
        let actions: Vec<Action> = self.core.step(event, self.now).collect();
        let aged = self.core.check_ages(self.now);
        if let Err(problem) = self.core.check_invariants().and(aged) {
            return Err(TestCaseError::fail(format!("{event:?}: {problem}")));
        }
        let retry_at = self.core.governor.retry_at(self.now);
        let name = match (event, actions.as_slice()) {
            (Event::Acquire { .. }, [Action::Wait(waiter), ..]) => Some(*waiter),
            _ => None,
        };
        if let Event::Connected(server) = event {
            let entry = self.core.servers.get(server.0);
            let expires_at = entry.and_then(|entry| entry.expires_at);
            self.model.expires.extend(expires_at.map(|at| (server, at)));
        }
        let expected = self.model.step(event, name, self.now, retry_at);
        let settles = self.settles(before);
        let to_open = self.model.to_open(self.now, retry_at);
        let mut opened = 0;
        let mut settled = 0;
        let mut got = Vec::new();
        for action in actions {
            match action {
                Action::Connect(server) => {
                    self.model.connecting.insert(server);
                    self.model.generations.insert(server, self.model.generation);
                    opened += 1;
                }
                Action::Timer(at) => self.timer = Some(at),
                Action::Settled => settled += 1,
                other => got.push(other),
            }
        }
        prop_assert_eq!(got, expected, "after {:?} in {:?}", event, self.model);
        prop_assert_eq!(
            opened,
            to_open,
            "opened after {:?} in {:?}",
            event,
            self.model
        );
        prop_assert!(
            settled > 0 || !settles,
            "not told after {:?} in {:?}",
            event,
            self.model
        );
        Ok(())
    }

    /// Whether somebody who waits for an end must be told.
    fn settles(&self, (all, outdated): (usize, usize)) -> bool {
        let model = &self.model;
        let ends = (model.draining || model.paused) && model.all() == 0 && all > 0;
        ends || (outdated > 0 && model.outdated() == 0)
    }

    fn pass(&mut self, span: Duration) -> Result<(), TestCaseError> {
        let end = self.now.after(span);
        while let Some(at) = self.timer.filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.timer = None;
            self.step(Event::Tick)?;
        }
        self.now = end;
        Ok(())
    }
}

/// Two lanes, of which one may have reserved connections.
fn some_settings() -> impl Strategy<Value = Settings> {
    let size = (2usize..6, 0usize..4, 0usize..3, 1usize..4);
    let lanes = (1u32..4, 1u32..3, 0usize..2);
    let rest = (any::<bool>(), any::<bool>(), 0usize..8, any::<u64>());
    let lifetime = prop_oneof![Just(1_000_000_000u64), 300u64..3000];
    (size, lanes, rest, lifetime).prop_map(|(size, lanes, rest, lifetime)| {
        let (pool_size, min, reserve_pool_size, max_connecting) = size;
        let (round_robin, checks, most, seed) = rest;
        Settings {
            min_pool_size: min.min(pool_size),
            reserve_pool_size,
            reserve_pool_timeout: Duration::from_millis(300),
            max_connecting,
            lanes: vec![
                LaneSettings {
                    weight: lanes.0,
                    reserved: 0,
                },
                LaneSettings {
                    weight: lanes.1,
                    reserved: lanes.2,
                },
            ],
            max_waiting: (most > 4).then_some(most),
            round_robin,
            server_check_delay: checks.then_some(Duration::from_millis(200)),
            server_lifetime: Duration::from_millis(lifetime),
            server_idle_timeout: Duration::ZERO,
            server_login_retry: Duration::from_secs(2),
            seed,
            ..settings(pool_size)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn the_core_does_what_the_reference_does(
        settings in some_settings(),
        ops in prop::collection::vec(op(), 1..300),
    ) {
        let mut pair = Pair {
            core: Core::new(settings.clone()),
            model: Model::new(settings),
            now: Now::default(),
            timer: None,
        };
        pair.step(Event::Tick)?;
        for op in &ops {
            match op {
                Op::Pass(millis) => pair.pass(Duration::from_millis(*millis))?,
                op => {
                    if let Some(event) = pair.model.event(op) {
                        pair.step(event)?;
                    }
                }
            }
        }
    }
}
