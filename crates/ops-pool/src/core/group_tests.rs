//! Pools that share a limit.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::bench::{ACQUIRE, settings};
use super::*;

/// Some pools and the places that they share. Connections stand at once, and are given
/// back when the test says so.
struct Shop {
    ledger: Ledger<usize>,
    pools: Vec<Core>,
    now: Now,
    lent: Vec<(usize, ServerId)>,
    waiting: Vec<(usize, WaiterId)>,
    served: usize,
}

impl Shop {
    fn new(limit: usize, sizes: &[(usize, usize)]) -> Self {
        let pools = sizes.iter().map(|(size, min)| {
            Core::new(Settings {
                min_pool_size: *min,
                limited: true,
                ..settings(*size)
            })
        });
        let mut shop = Self {
            ledger: Ledger::new(limit),
            pools: pools.collect(),
            now: Now::default(),
            lent: Vec::new(),
            waiting: Vec::new(),
            served: 0,
        };
        for pool in 0..sizes.len() {
            shop.step(pool, Event::Tick);
        }
        shop
    }

    fn step(&mut self, pool: usize, event: Event) {
        let mut events = VecDeque::from([(pool, event)]);
        let mut fuel = 1000;
        while let Some((pool, event)) = events.pop_front() {
            fuel -= 1;
            assert!(fuel > 0, "pools go round in circles: {event:?} of {pool}");
            let actions: Vec<Action> = self.pools[pool].step(event, self.now).collect();
            self.pools[pool].check_invariants().unwrap();
            for action in actions {
                self.act(pool, action, &mut events);
            }
        }
        let standing: usize = self.pools.iter().map(|pool| pool.counts().all()).sum();
        assert!(standing <= self.ledger.limit());
        assert_eq!(standing, self.ledger.in_use(), "places were lost");
    }

    fn act(&mut self, pool: usize, action: Action, events: &mut VecDeque<(usize, Event)>) {
        match action {
            Action::Grant(server) => {
                self.lent.push((pool, server));
                self.served += 1;
            }
            Action::Wait(waiter) => self.waiting.push((pool, waiter)),
            Action::Wake(waiter) => {
                self.waiting.retain(|it| *it != (pool, waiter));
                events.push_back((pool, Event::Collect(waiter)));
            }
            Action::Connect(server) => events.push_back((pool, Event::Connected(server))),
            Action::Request => self.request(pool, events),
            Action::GiveBack(places) => {
                self.ledger.give_back(places);
                self.pass_on(events);
            }
            Action::Spare => {
                let mut pressing = self.ledger.pressing().filter(|other| **other != pool);
                if pressing.any(|other| self.pools[*other].presses()) {
                    events.push_back((pool, Event::Evict));
                }
            }
            Action::Refuse(refusal) => panic!("{refusal:?}"),
            _ => {}
        }
    }

    fn request(&mut self, pool: usize, events: &mut VecDeque<(usize, Event)>) {
        let presses = self.pools[pool].presses();
        self.ledger.enlist(&pool, presses);
        self.pass_on(events);
        let granted = events
            .iter()
            .any(|event| matches!(event.1, Event::Granted(_)));
        if !presses || granted || self.ledger.free() > 0 {
            return;
        }
        let mut idle: Vec<(Now, usize)> = (0..self.pools.len())
            .filter(|other| *other != pool)
            .filter_map(|other| Some((self.pools[other].oldest_idle()?, other)))
            .collect();
        idle.sort_unstable();
        for (_, other) in idle.into_iter().take(self.pools[pool].requested()) {
            events.push_back((other, Event::Evict));
        }
    }

    /// One pool at a time, so that what it wants is known when it is served.
    fn pass_on(&mut self, events: &mut VecDeque<(usize, Event)>) {
        let mut skip = 0;
        while self.ledger.free() > 0
            && let Some(pool) = self.ledger.candidate(skip)
        {
            let pending = events
                .iter()
                .any(|(of, event)| *of == pool && matches!(event, Event::Granted(_)));
            let wanted = self.pools[pool].requested();
            if pending {
                skip += 1;
            } else if wanted == 0 {
                self.ledger.delist(&pool);
            } else {
                let granted = wanted.min(self.ledger.free());
                self.ledger.take(granted);
                events.push_back((pool, Event::Granted(granted)));
                skip += 1;
            }
        }
    }

    fn give_back(&mut self, which: usize) {
        if !self.lent.is_empty() {
            let (pool, server) = self.lent.remove(which % self.lent.len());
            self.step(pool, Event::Release(server, Verdict::Clean));
        }
    }

    fn pass(&mut self) {
        self.now = self.now.after(Duration::from_millis(1));
    }
}

#[test]
fn a_pool_in_which_callers_wait_takes_the_place_of_what_is_idle_elsewhere() {
    let mut shop = Shop::new(2, &[(2, 0), (2, 0)]);
    shop.step(0, ACQUIRE);
    shop.step(0, ACQUIRE);
    shop.step(1, ACQUIRE);
    assert_eq!(shop.waiting.len(), 1, "every place is taken");
    shop.give_back(0);
    assert_eq!(shop.waiting.len(), 0, "the place of the one that came back");
    assert_eq!(shop.pools[0].counts().all(), 1);
    assert_eq!(shop.pools[1].counts().all(), 1);
}

#[test]
fn the_connection_that_was_idle_for_longest_is_the_one_that_goes() {
    let mut shop = Shop::new(3, &[(2, 0), (2, 0), (2, 0)]);
    for pool in [0, 1, 0] {
        shop.step(pool, ACQUIRE);
    }
    for which in [1, 0, 0] {
        shop.pass();
        shop.give_back(which);
    }
    // Pool 1 had its connection back first.
    shop.step(2, ACQUIRE);
    assert_eq!(shop.pools[0].counts().idle, 2);
    assert_eq!(shop.pools[1].counts().all(), 0);
    assert_eq!(shop.pools[2].counts().active, 1);
}

#[test]
fn connections_that_are_only_kept_ready_do_not_cost_others_theirs() {
    let mut shop = Shop::new(2, &[(2, 0), (2, 2)]);
    assert_eq!(shop.pools[1].counts().idle, 2);
    shop.step(0, ACQUIRE);
    shop.step(0, ACQUIRE);
    assert_eq!(
        shop.pools[0].counts().active,
        2,
        "those who wait come first"
    );
    shop.give_back(0);
    assert_eq!(shop.pools[0].counts().idle, 1, "and keep what they have");
}

#[derive(Clone, Debug)]
enum Op {
    Acquire(usize),
    GiveBack(usize),
    Leave(usize),
    Break(usize),
    Pass,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => any::<usize>().prop_map(Op::Acquire),
        4 => any::<usize>().prop_map(Op::GiveBack),
        1 => any::<usize>().prop_map(Op::Leave),
        1 => any::<usize>().prop_map(Op::Break),
        2 => Just(Op::Pass),
    ]
}

proptest! {
    #[test]
    fn the_limit_holds_and_everybody_is_served_in_the_end(
        limit in 1usize..6,
        sizes in prop::collection::vec((1usize..5, 0usize..2), 1..4),
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut shop = Shop::new(limit, &sizes);
        for op in ops {
            match op {
                Op::Acquire(n) => shop.step(n % sizes.len(), ACQUIRE),
                Op::GiveBack(n) => shop.give_back(n),
                Op::Leave(n) if !shop.waiting.is_empty() => {
                    let (pool, waiter) = shop.waiting.remove(n % shop.waiting.len());
                    shop.step(pool, Event::CancelWait { waiter, timed_out: true });
                }
                Op::Break(n) if !shop.lent.is_empty() => {
                    let (pool, server) = shop.lent[n % shop.lent.len()];
                    shop.step(pool, Event::ServerGone(server));
                }
                Op::Leave(_) | Op::Break(_) | Op::Pass => shop.pass(),
            }
        }
        while !shop.lent.is_empty() {
            shop.give_back(0);
        }
        prop_assert!(shop.waiting.is_empty(), "{:?} wait for ever", shop.waiting);
    }
}
