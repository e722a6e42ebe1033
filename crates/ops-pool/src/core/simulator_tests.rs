//! A seeded simulation. A failure prints its seed, and the seed repeats it.

mod world;

use std::collections::BTreeMap;

use super::Event;
use world::World;

/// Runs one world for about this many steps, and says what it saw.
fn simulate(seed: u64, steps: u64) -> World {
    let mut world = World::new(seed);
    while world.steps < steps && world.run_one() {}
    world.settle();
    world.step(Event::Drain);
    world.settle();
    assert!(
        world.core.drained(),
        "sessions are back and the pool is not drained"
    );
    world
}

/// Runs worlds for five million steps together. A simulation in which nothing happens
/// proves nothing, so this counts what did.
fn simulate_many(first_seed: u64) {
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    let mut steps = 0;
    let mut seed = first_seed;
    while steps < 5_000_000 {
        seed += 1;
        let world = std::panic::catch_unwind(|| simulate(seed, 20_000));
        let world = world.unwrap_or_else(|_| panic!("seed {seed}"));
        steps += world.steps;
        let totals = world.core.totals();
        let counts = [
            ("checks", totals.checks),
            ("reserve", totals.reserve_connects),
            ("timeouts", totals.timeouts),
            ("refusals", totals.refusals),
            ("passed by", world.passed_by.into()),
        ];
        for (what, count) in world.closes.into_iter().chain(counts) {
            *counted.entry(what).or_default() += count;
        }
    }
    for what in [
        "query_in_flight",
        "reset_failed",
        "server_gone",
        "lifetime_over",
        "idle_too_long",
        "not_needed",
        "shutting_down",
        "paused",
        "reconnect",
        "pool_shrunk",
        "evicted",
        "checks",
        "reserve",
        "timeouts",
        "refusals",
        "passed by",
    ] {
        assert!(
            counted.get(what).is_some_and(|count| *count > 50),
            "{what}: {counted:?}"
        );
    }
}

#[test]
fn the_first_five_million_steps_break_no_invariant_and_end_every_acquire() {
    simulate_many(0);
}

#[test]
fn the_second_five_million_steps_break_no_invariant_and_end_every_acquire() {
    simulate_many(1 << 32);
}

#[test]
fn the_third_five_million_steps_break_no_invariant_and_end_every_acquire() {
    simulate_many(2 << 32);
}

#[test]
fn the_fourth_five_million_steps_break_no_invariant_and_end_every_acquire() {
    simulate_many(3 << 32);
}
