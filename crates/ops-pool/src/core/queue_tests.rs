//! Who is served, when, and with what.

use super::bench::{ACQUIRE, Bench, closes, connects, settings};
use super::*;

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
    assert_eq!(bench.step(ACQUIRE), [Action::Refuse(Refusal::ShuttingDown)]);
    let actions = bench.step(Event::Release(held, Verdict::Reusable));
    assert_eq!(
        actions,
        [
            Action::Close(held, CloseReason::ShuttingDown),
            Action::Settled
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
