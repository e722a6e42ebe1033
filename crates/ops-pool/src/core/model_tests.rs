//! The core against a reference that is as plain as the rules: no links, no counters,
//! no timers that are armed lazily. Both see the same random events; they must answer
//! the same at every step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// The reference.
#[derive(Debug)]
struct Model {
    pool_size: usize,
    min_pool_size: usize,
    max_connecting: usize,
    reset: bool,
    proven: bool,
    failing: Option<Failure>,
    draining: bool,
    /// The last one is the next one.
    idle: Vec<ServerId>,
    connecting: BTreeSet<ServerId>,
    resetting: BTreeMap<ServerId, Now>,
    lent: BTreeSet<ServerId>,
    gone: BTreeSet<ServerId>,
    queue: VecDeque<WaiterId>,
    served: BTreeMap<WaiterId, ServerId>,
    refused: BTreeMap<WaiterId, Refusal>,
}

impl Model {
    fn connected(&self) -> usize {
        self.idle.len() + self.resetting.len() + self.lent.len() + self.served.len()
    }

    fn shortage(&self, now: Now, connecting: usize) -> usize {
        let soon = self
            .resetting
            .values()
            .filter(|since| now.since(**since) < RESET_IS_SOON);
        let for_waiters = self.queue.len().saturating_sub(connecting + soon.count());
        for_waiters.max(
            self.min_pool_size
                .saturating_sub(self.connected() + connecting),
        )
    }

    fn parallel(&self, now: Now, retry_at: Option<Now>) -> usize {
        match (self.failing, retry_at) {
            (Some(_), Some(at)) if now < at => 0,
            (None, _) if self.proven => self.max_connecting,
            _ => 1,
        }
    }

    /// How many connections are to be opened in this state.
    fn to_open(&self, now: Now, retry_at: Option<Now>) -> usize {
        if self.draining {
            return 0;
        }
        let connecting = self.connecting.len();
        self.shortage(now, connecting)
            .min(self.pool_size - self.connected() - connecting)
            .min(self.parallel(now, retry_at).saturating_sub(connecting))
    }

    fn offer(&mut self, server: ServerId, out: &mut Vec<Action>) {
        if self.draining {
            out.push(Action::Close(server, CloseReason::ShuttingDown));
        } else if let Some(waiter) = self.queue.pop_front() {
            self.served.insert(waiter, server);
            out.push(Action::Wake(waiter));
        } else {
            self.idle.push(server);
        }
    }

    fn refuse_all(&mut self, refusal: Refusal, out: &mut Vec<Action>) {
        for waiter in self.queue.drain(..) {
            self.refused.insert(waiter, refusal);
            out.push(Action::Wake(waiter));
        }
    }

    /// What is to be done, apart from opening connections.
    fn step(&mut self, event: Event, now: Now, retry_at: Option<Now>) -> Vec<Action> {
        let mut out = Vec::new();
        let retry_in = retry_at.map_or(Duration::ZERO, |at| at.since(now));
        match event {
            Event::Acquire => {
                let probes = self.connecting.is_empty() && self.parallel(now, retry_at) > 0;
                let down = matches!(
                    self.failing,
                    Some(Failure::Unreachable | Failure::Permanent)
                );
                if self.draining {
                    out.push(Action::Refuse(Refusal::ShuttingDown));
                } else if let Some(server) = self.idle.pop() {
                    self.lent.insert(server);
                    out.push(Action::Grant(server));
                } else if down && self.connected() == 0 && !probes {
                    out.push(Action::Refuse(Refusal::ServerDown { retry_in }));
                }
                // Else it waits; the caller of this function knows the name it got.
            }
            Event::Collect(waiter) => {
                if let Some(server) = self.served.remove(&waiter) {
                    self.lent.insert(server);
                    out.push(Action::Grant(server));
                } else if let Some(refusal) = self.refused.remove(&waiter) {
                    out.push(Action::Refuse(refusal));
                } else if self.queue.contains(&waiter) {
                    out.push(Action::Wait(waiter));
                }
            }
            Event::CancelWait { waiter, .. } => {
                self.queue.retain(|other| *other != waiter);
                self.refused.remove(&waiter);
                if let Some(server) = self.served.remove(&waiter) {
                    self.offer(server, &mut out);
                }
            }
            Event::Release(server, verdict) if self.lent.remove(&server) => {
                let gone = self.gone.remove(&server);
                let reason = match verdict {
                    Verdict::Close(reason) => Some(reason),
                    _ if gone => Some(CloseReason::ServerGone),
                    _ => self.draining.then_some(CloseReason::ShuttingDown),
                };
                match reason {
                    Some(reason) => out.push(Action::Close(server, reason)),
                    None if self.reset && verdict == Verdict::Reusable => {
                        self.resetting.insert(server, now);
                        out.push(Action::Reset(server));
                    }
                    None => self.offer(server, &mut out),
                }
            }
            Event::Detach(server) => {
                self.lent.remove(&server);
                self.gone.remove(&server);
            }
            Event::Dial(server)
                if self.connecting.contains(&server)
                    && self.shortage(now, self.connecting.len() - 1) == 0 =>
            {
                self.connecting.remove(&server);
                out.push(Action::Close(server, CloseReason::NotNeeded));
            }
            Event::Connected(server) if self.connecting.remove(&server) => {
                self.failing = None;
                self.proven = true;
                self.offer(server, &mut out);
            }
            Event::ConnectFailed(server, failure) if self.connecting.remove(&server) => {
                self.failed(failure, retry_in, &mut out);
            }
            Event::ResetDone(server, outcome) if self.resetting.remove(&server).is_some() => {
                match outcome {
                    Ok(()) => self.offer(server, &mut out),
                    Err(reason) => out.push(Action::Close(server, reason)),
                }
            }
            Event::ServerGone(server) => self.server_gone(server, retry_in, &mut out),
            Event::Drain if !self.draining => {
                self.draining = true;
                self.refuse_all(Refusal::ShuttingDown, &mut out);
                for server in self
                    .idle
                    .drain(..)
                    .rev()
                    .chain(std::mem::take(&mut self.connecting))
                {
                    out.push(Action::Close(server, CloseReason::ShuttingDown));
                }
            }
            _ => {}
        }
        out
    }

    fn failed(&mut self, failure: Failure, retry_in: Duration, out: &mut Vec<Action>) {
        self.failing = Some(failure);
        let alone = self.connected() + self.connecting.len() == 0;
        if failure != Failure::Starting && alone {
            self.refuse_all(Refusal::ServerDown { retry_in }, out);
        }
    }

    fn server_gone(&mut self, server: ServerId, retry_in: Duration, out: &mut Vec<Action>) {
        if self.connecting.remove(&server) {
            return self.failed(Failure::Unreachable, retry_in, out);
        }
        if self.lent.contains(&server) {
            self.gone.insert(server);
            return;
        }
        let waiter = self
            .served
            .iter()
            .find(|(_, other)| **other == server)
            .map(|(w, _)| *w);
        if let Some(waiter) = waiter {
            self.served.remove(&waiter);
            if self.draining {
                self.refused.insert(waiter, Refusal::ShuttingDown);
            } else {
                self.queue.push_front(waiter);
            }
        }
        let was_idle = self.idle.contains(&server);
        self.idle.retain(|other| *other != server);
        if was_idle || waiter.is_some() || self.resetting.remove(&server).is_some() {
            out.push(Action::Close(server, CloseReason::ServerGone));
        }
        if !self.queue.is_empty()
            && let Some(idle) = self.idle.pop()
        {
            self.offer(idle, out);
        }
    }

    fn empty(&self) -> bool {
        self.connected() + self.connecting.len() == 0
    }
}

#[derive(Clone, Debug)]
enum Op {
    Acquire,
    Collect(usize),
    Cancel(usize),
    Release(usize, bool),
    Reset(usize, bool),
    Dial(usize),
    Connected(usize),
    Fail(usize, Failure),
    Gone(usize),
    Detach(usize),
    Pass(u64),
    Drain,
}

fn op() -> impl Strategy<Value = Op> {
    let failure = prop_oneof![
        Just(Failure::Permanent),
        Just(Failure::Unreachable),
        Just(Failure::Starting)
    ];
    prop_oneof![
        12 => Just(Op::Acquire),
        6 => any::<usize>().prop_map(Op::Collect),
        3 => any::<usize>().prop_map(Op::Cancel),
        8 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(n, ok)| Op::Release(n, ok)),
        8 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(n, ok)| Op::Reset(n, ok)),
        2 => any::<usize>().prop_map(Op::Dial),
        8 => any::<usize>().prop_map(Op::Connected),
        2 => (any::<usize>(), failure).prop_map(|(n, failure)| Op::Fail(n, failure)),
        2 => any::<usize>().prop_map(Op::Gone),
        1 => any::<usize>().prop_map(Op::Detach),
        4 => (0u64..400).prop_map(Op::Pass),
        (1) => prop::bool::weighted(0.1).prop_map(|yes| if yes { Op::Drain } else { Op::Pass(1) }),
    ]
}

fn pick<T: Copy>(from: impl IntoIterator<Item = T>, n: usize) -> Option<T> {
    let all: Vec<T> = from.into_iter().collect();
    (!all.is_empty()).then(|| all[n % all.len()])
}

impl Model {
    fn waiters(&self) -> Vec<WaiterId> {
        let mut all: Vec<WaiterId> = self.queue.iter().copied().collect();
        all.extend(self.served.keys());
        all.extend(self.refused.keys());
        all
    }

    fn servers(&self) -> Vec<ServerId> {
        let mut all: Vec<ServerId> = self.idle.clone();
        all.extend(self.served.values());
        all.extend(&self.connecting);
        all.extend(self.resetting.keys());
        all.extend(&self.lent);
        all
    }

    fn event(&self, op: &Op) -> Option<Event> {
        Some(match *op {
            Op::Acquire => Event::Acquire,
            Op::Collect(n) => Event::Collect(pick(self.waiters(), n)?),
            Op::Cancel(n) => Event::CancelWait {
                waiter: pick(self.waiters(), n)?,
                timed_out: false,
            },
            Op::Release(n, true) => Event::Release(pick(self.lent.clone(), n)?, Verdict::Reusable),
            Op::Release(n, false) => Event::Release(
                pick(self.lent.clone(), n)?,
                Verdict::Close(CloseReason::InTransaction),
            ),
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
            Op::Detach(n) => Event::Detach(pick(self.lent.clone(), n)?),
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
        let was_drained = self.model.draining && self.model.empty();
        let actions: Vec<Action> = self.core.step(event, self.now).collect();
        if let Err(problem) = self.core.check_invariants() {
            return Err(TestCaseError::fail(format!("{event:?}: {problem}")));
        }
        let retry_at = self.core.governor.retry_at(self.now);
        let mut expected = self.model.step(event, self.now, retry_at);
        if let (Event::Acquire, [Action::Wait(waiter), ..]) = (event, actions.as_slice())
            && expected.is_empty()
        {
            self.model.queue.push_back(*waiter);
            expected.push(Action::Wait(*waiter));
        }
        let to_open = self.model.to_open(self.now, retry_at);
        if self.model.draining && self.model.empty() && !was_drained {
            expected.push(Action::Drained);
        }
        let mut opened = 0;
        let mut got = Vec::new();
        for action in actions {
            match action {
                Action::Connect(server) => {
                    self.model.connecting.insert(server);
                    opened += 1;
                }
                Action::Timer(at) => self.timer = Some(at),
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
        Ok(())
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_core_does_what_the_reference_does(
        pool_size in 1usize..6,
        min in 0usize..4,
        max_connecting in 1usize..4,
        reset in any::<bool>(),
        seed in any::<u64>(),
        ops in prop::collection::vec(op(), 1..300),
    ) {
        let min_pool_size = min.min(pool_size);
        let mut pair = Pair {
            core: Core::new(Settings {
                pool_size,
                min_pool_size,
                max_connecting,
                server_lifetime: Duration::from_secs(1_000_000),
                server_idle_timeout: Duration::ZERO,
                server_login_retry: Duration::from_secs(2),
                reset,
                seed,
            }),
            model: Model {
                pool_size,
                min_pool_size,
                max_connecting,
                reset,
                proven: false,
                failing: None,
                draining: false,
                idle: Vec::new(),
                connecting: BTreeSet::new(),
                resetting: BTreeMap::new(),
                lent: BTreeSet::new(),
                gone: BTreeSet::new(),
                queue: VecDeque::new(),
                served: BTreeMap::new(),
                refused: BTreeMap::new(),
            },
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
