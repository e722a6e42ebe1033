//! Callers, a network and a server around the core, on a clock of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use crate::close::CloseReason;
use crate::core::bench::settings;
use crate::core::*;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // xorshift64*, apart from the core's own generator.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(low * 1000 + self.below((high - low) * 1000 + 1))
    }
}

/// What the world has planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Plan {
    Arrive,
    GiveUp(WaiterId),
    Collect(WaiterId),
    Return(ServerId),
    Dial(ServerId),
    ConnectEnds(ServerId),
    ResetEnds(ServerId),
    Breaks(ServerId),
    OutageEnds,
    Resume,
    Tick(Now),
}

/// Somebody who waits.
#[derive(Debug)]
struct Line {
    waiter: WaiterId,
    lane: LaneId,
    woken: bool,
    /// How many in other lanes were served since this one was the first in its lane.
    passed_by: u32,
}

pub(super) struct World {
    pub(super) core: Core,
    random: Random,
    now: Now,
    plans: BinaryHeap<Reverse<(Now, u64, Plan)>>,
    sequence: u64,
    timer: Option<Now>,
    arrivals: bool,
    outage: Option<Failure>,
    asking: LaneId,
    lent: BTreeSet<ServerId>,
    standing: BTreeSet<ServerId>,
    /// In the order of arrival.
    waiting: Vec<Line>,
    weights: Vec<u32>,
    /// Whether a lane may have to leave a connection to another.
    reserves: bool,
    /// The most that anybody was passed by.
    pub(super) passed_by: u32,
    pub(super) steps: u64,
    acquires: u64,
    granted: u64,
    refused: u64,
    canceled: u64,
    pub(super) closes: BTreeMap<&'static str, u64>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut below = |n: u64| usize::try_from(random.below(n)).unwrap();
        let pool_size = 2 + below(7);
        let lanes: Vec<LaneSettings> = (0..=below(3))
            .map(|lane| LaneSettings {
                weight: 1 + u32::try_from(below(4)).unwrap(),
                reserved: if lane == 1 { below(2) } else { 0 },
            })
            .collect();
        let weights = lanes.iter().map(|lane| lane.weight).collect();
        let reserves = lanes.iter().any(|lane| lane.reserved > 0);
        let settings = Settings {
            min_pool_size: below(3).min(pool_size),
            max_connecting: 1 + below(4),
            reserve_pool_size: below(3),
            reserve_pool_timeout: Duration::from_millis(50),
            lanes,
            max_waiting: [None, Some(20)][below(2)],
            shed: below(4) == 0,
            round_robin: below(2) == 0,
            server_check_delay: [None, Some(Duration::from_millis(40))][below(2)],
            server_lifetime: [
                Duration::ZERO,
                Duration::from_secs(5),
                Duration::from_secs(60),
            ][usize::try_from(random.below(3)).unwrap()],
            server_idle_timeout: [Duration::ZERO, Duration::from_millis(200)]
                [usize::try_from(random.below(2)).unwrap()],
            server_login_retry: Duration::from_secs(1),
            seed,
            ..settings(pool_size)
        };
        let mut world = Self {
            core: Core::new(settings),
            random,
            now: Now::default(),
            plans: BinaryHeap::new(),
            sequence: 0,
            timer: None,
            arrivals: true,
            outage: None,
            asking: LaneId::default(),
            lent: BTreeSet::new(),
            standing: BTreeSet::new(),
            waiting: Vec::new(),
            weights,
            reserves,
            passed_by: 0,
            steps: 0,
            acquires: 0,
            granted: 0,
            refused: 0,
            canceled: 0,
            closes: BTreeMap::new(),
        };
        world.plan(Duration::ZERO, Plan::Arrive);
        world.step(Event::Tick);
        world
    }

    fn plan(&mut self, after: Duration, plan: Plan) {
        self.plan_at(self.now.after(after), plan);
    }

    fn plan_at(&mut self, at: Now, plan: Plan) {
        self.sequence += 1;
        self.plans.push(Reverse((at, self.sequence, plan)));
    }

    pub(super) fn step(&mut self, event: Event) {
        self.steps += 1;
        let actions: Vec<Action> = self.core.step(event, self.now).collect();
        self.core.check_invariants().unwrap();
        self.core.check_ages(self.now).unwrap();
        for action in actions {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Grant(server) => {
                assert!(self.standing.contains(&server), "{server:?} does not stand");
                assert!(self.lent.insert(server), "{server:?} is in two hands");
                self.granted += 1;
                let hold = self.random.millis(0, 20);
                self.plan(hold, Plan::Return(server));
            }
            Action::Wait(waiter) => {
                if !self.waiting.iter().any(|line| line.waiter == waiter) {
                    self.waiting.push(Line {
                        waiter,
                        lane: self.asking,
                        woken: false,
                        passed_by: 0,
                    });
                    let patience = self.random.millis(1, 400);
                    self.plan(patience, Plan::GiveUp(waiter));
                }
            }
            Action::Refuse(_) => self.refused += 1,
            Action::Wake(waiter) => {
                let slow = self.random.millis(0, 2);
                self.plan(slow, Plan::Collect(waiter));
                self.woken(waiter);
            }
            Action::Connect(server) => {
                let time = self.random.millis(0, 8);
                self.plan(time, Plan::Dial(server));
            }
            Action::Reset(server) => {
                assert!(!self.lent.contains(&server));
                let slow = if self.random.chance(2) { 400 } else { 3 };
                let time = self.random.millis(0, slow);
                self.plan(time, Plan::ResetEnds(server));
            }
            Action::Close(server, reason) => {
                assert!(
                    !self.lent.contains(&server),
                    "{server:?} was closed in use: {reason}"
                );
                self.standing.remove(&server);
                *self.closes.entry(reason.as_str()).or_default() += 1;
            }
            Action::Timer(at) => {
                self.timer = Some(at);
                self.plan_at(at, Plan::Tick(at));
            }
            Action::Check(server) => {
                let time = self.random.millis(0, 2);
                self.plan(time, Plan::ResetEnds(server));
            }
            Action::Request | Action::GiveBack(_) | Action::Spare => {
                unreachable!("this pool is in no group")
            }
            Action::Settled => {}
        }
    }

    /// Nobody is served before those who came earlier in the same lane, and nobody is
    /// passed by more often than the other lanes have weight.
    fn woken(&mut self, waiter: WaiterId) {
        let place = self.waiting.iter().position(|line| line.waiter == waiter);
        let place = place.expect("only who waits is woken");
        let lane = self.waiting[place].lane;
        let earlier = self.waiting[..place].iter();
        let jumped = earlier.filter(|line| line.lane == lane && !line.woken);
        assert_eq!(jumped.count(), 0, "{:?}", self.waiting);
        if std::mem::replace(&mut self.waiting[place].woken, true) {
            self.head_is_back(lane);
        }
        let turn = self.core.waiters.get(waiter.0).map(|waiter| waiter.turn);
        if self.reserves || matches!(turn, Some(Turn::Refused(_))) {
            return;
        }
        let mut first_seen = vec![false; self.weights.len()];
        for line in self.waiting.iter_mut().filter(|line| !line.woken) {
            let first = !std::mem::replace(&mut first_seen[line.lane.0], true);
            if first && line.lane != lane {
                line.passed_by += 1;
                let others: u32 = self.weights.iter().sum::<u32>() - self.weights[line.lane.0];
                assert!(line.passed_by <= others, "{line:?} of {:?}", self.weights);
                self.passed_by = self.passed_by.max(line.passed_by);
            }
        }
    }

    /// Somebody's connection broke before it was collected: nobody else was at the head of
    /// the lane in the meantime.
    fn head_is_back(&mut self, lane: LaneId) {
        for line in self.waiting.iter_mut().filter(|line| line.lane == lane) {
            line.passed_by = 0;
        }
    }

    pub(super) fn run_one(&mut self) -> bool {
        let Some(Reverse((at, _, plan))) = self.plans.pop() else {
            return false;
        };
        self.now = self.now.max(at);
        match plan {
            Plan::Arrive if self.arrivals => {
                self.acquires += 1;
                self.acquire();
                let gap = if self.random.chance(2) { 500 } else { 6 };
                let gap = self.random.millis(0, gap);
                self.plan(gap, Plan::Arrive);
                self.misfortune();
            }
            Plan::GiveUp(waiter) => self.leave(waiter),
            Plan::Collect(waiter) => self.collect(waiter),
            Plan::Return(server) => self.give_back(server),
            Plan::Dial(server) => {
                self.step(Event::Dial(server));
                if self.core.knows(server) {
                    let time = self.random.millis(1, 30);
                    self.plan(time, Plan::ConnectEnds(server));
                }
            }
            Plan::ConnectEnds(server) => match self.outage {
                Some(failure) => self.step(Event::ConnectFailed(server, failure)),
                None if self.core.knows(server) => {
                    self.standing.insert(server);
                    self.step(Event::Connected(server));
                }
                None => {}
            },
            Plan::ResetEnds(server) => {
                let failed = self.random.chance(3);
                let outcome = if failed {
                    Err(CloseReason::ResetFailed)
                } else {
                    Ok(())
                };
                self.step(Event::ResetDone(server, outcome));
            }
            Plan::Breaks(server) => self.step(Event::ServerGone(server)),
            Plan::OutageEnds => self.outage = None,
            Plan::Resume => self.step(Event::Resume),
            Plan::Tick(at) if self.timer == Some(at) => {
                self.timer = None;
                self.step(Event::Tick);
            }
            Plan::Arrive | Plan::Tick(_) => {}
        }
        true
    }

    fn acquire(&mut self) {
        let lanes = u64::try_from(self.weights.len()).unwrap();
        let lane = LaneId(usize::try_from(self.random.below(lanes)).unwrap());
        let patience = Some(self.random.millis(1, 400));
        self.asking = lane;
        self.step(Event::Acquire { lane, patience });
    }

    /// What an operator does now and then.
    fn operate(&mut self) {
        match self.random.below(800) {
            0 => {
                self.step(Event::Pause);
                let time = self.random.millis(1, 300);
                self.plan(time, Plan::Resume);
            }
            1 => self.step(Event::Reconnect),
            2 => {
                let mut below = |n: u64| usize::try_from(self.random.below(n)).unwrap();
                let size = Event::Resize {
                    pool_size: 2 + below(7),
                    min_pool_size: below(3),
                    reserve_pool_size: below(3),
                };
                self.step(size);
            }
            3 => self.step(Event::Evict),
            _ => {}
        }
    }

    fn misfortune(&mut self) {
        self.operate();
        if self.outage.is_none() && self.random.below(400) == 0 {
            let kinds = [Failure::Unreachable, Failure::Starting, Failure::Permanent];
            self.outage = Some(kinds[usize::try_from(self.random.below(3)).unwrap()]);
            let time = self.random.millis(1, 3000);
            self.plan(time, Plan::OutageEnds);
            for server in self.standing.clone() {
                let time = self.random.millis(0, 5);
                self.plan(time, Plan::Breaks(server));
            }
        } else if self.random.chance(1)
            && let Some(server) = self.standing.iter().next().copied()
        {
            self.plan(Duration::ZERO, Plan::Breaks(server));
        }
    }

    fn collect(&mut self, waiter: WaiterId) {
        let Some(place) = self.waiting.iter().position(|line| line.waiter == waiter) else {
            return;
        };
        let before = self.granted + self.refused;
        self.step(Event::Collect(waiter));
        if self.granted + self.refused > before {
            self.waiting.remove(place);
        } else {
            // Its connection broke between the wake and now: it waits at its old place.
            self.waiting[place].woken = false;
            self.head_is_back(self.waiting[place].lane);
        }
    }

    fn leave(&mut self, waiter: WaiterId) {
        let before = self.waiting.len();
        self.waiting.retain(|line| line.waiter != waiter);
        if self.waiting.len() < before {
            self.canceled += 1;
            self.step(Event::CancelWait {
                waiter,
                timed_out: true,
            });
        }
    }

    fn give_back(&mut self, server: ServerId) {
        self.lent.remove(&server);
        if self.random.chance(1) {
            self.standing.remove(&server);
            return self.step(Event::Detach(server));
        }
        let dirty = self.random.chance(5);
        let verdict = if dirty {
            Verdict::Close(CloseReason::QueryInFlight)
        } else if self.random.chance(20) {
            Verdict::Clean
        } else {
            Verdict::Reusable
        };
        self.step(Event::Release(server, verdict));
    }

    /// Lets everything that is under way come to its end.
    pub(super) fn settle(&mut self) {
        self.arrivals = false;
        let end = self.now.after(Duration::from_secs(10));
        while self
            .plans
            .peek()
            .is_some_and(|Reverse((at, ..))| *at <= end)
            && self.run_one()
        {}
        // The outage is over: what is too old has its successor in the making.
        let replaced = self.core.elder(self.now).is_none() || self.core.counts().connecting > 0;
        assert!(replaced, "too old and kept");
        assert!(self.waiting.is_empty(), "{:?} wait for ever", self.waiting);
        assert_eq!(self.acquires, self.granted + self.refused + self.canceled);
    }
}
