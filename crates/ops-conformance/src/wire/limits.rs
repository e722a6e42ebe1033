//! Vendors that want to be left alone for a while.

use std::time::Duration;

use ops_core::{Clock, ErrorKind, Retry, SystemClock};

use super::WireFixture;
use super::play::{ATTEMPTS, each};

pub(super) async fn w_020_a_limit_is_waited_for_and_then_told(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let seen = call.against(table).answered(table.failure(429)).await;
        let err = seen.error(call, "429");
        assert!(err.kind() == ErrorKind::RateLimited, "{}: {err:?}", call.id);
        // Nothing was executed: whatever it is may be sent again.
        seen.assert_attempts(call, ATTEMPTS, "429");
    })
    .await;
}

/// The first request is answered by this, and its call succeeds not before the wait is over.
async fn waits(fixture: &dyn WireFixture, status: u16, wait: Duration, header: fn() -> String) {
    let table = fixture.table();
    each(table, |call| async move {
        let what = format!("{status} with a wait");
        let usual = call.against(table).run(|_, _, _| None).await;
        let failure = table.failure(status);
        let fault = move |number, _: &_, _| {
            (number == 0).then(|| failure.clone().header("retry-after", header()))
        };
        let seen = call.against(table).run(fault).await;
        seen.assert_done(call, &what);
        seen.assert_sent(call, usual.sent.len() + 1, &what);
        // Timers may fire a little early.
        let is_kept = seen.took + Duration::from_millis(20) >= wait;
        assert!(
            is_kept,
            "{}: {what}: sent again after {:?}",
            call.id, seen.took
        );
    })
    .await;
}

pub(super) async fn w_021_a_wait_in_seconds_is_kept(fixture: &dyn WireFixture) {
    waits(fixture, 429, Duration::from_secs(1), || "1".to_owned()).await;
}

pub(super) async fn w_022_a_wait_until_a_date_is_kept(fixture: &dyn WireFixture) {
    // A date has whole seconds.
    waits(fixture, 429, Duration::from_secs(1), || {
        let until = SystemClock.now().saturating_add(Duration::from_secs(2));
        until.strftime_utc("%a, %d %b %Y %H:%M:%S GMT")
    })
    .await;
}

pub(super) async fn w_023_a_wait_that_is_too_long_is_handed_on(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let reply = table.failure(429).header("retry-after", "3600");
        let seen = call.against(table).answered(reply).await;
        let err = seen.error(call, "429 with an hour's wait");
        assert!(err.kind() == ErrorKind::RateLimited, "{}: {err:?}", call.id);
        let told = if call.is_second_step {
            Retry::Never
        } else {
            Retry::After(Duration::from_secs(3600))
        };
        assert!(err.retry() == told, "{}: {:?}", call.id, err.retry());
        seen.assert_attempts(call, 1, "429 with an hour's wait");
    })
    .await;
}

pub(super) async fn w_024_an_outage_with_a_wait_is_waited_for(fixture: &dyn WireFixture) {
    waits(fixture, 503, Duration::ZERO, || "0".to_owned()).await;
}
