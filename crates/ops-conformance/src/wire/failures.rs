//! Failures after which nobody knows what was done.

use std::time::Duration;

use ops_core::{ErrorKind, Retry};
use ops_http::test_util::Reply;
use tokio::net::TcpSocket;

use super::WireFixture;
use super::play::{ATTEMPTS, each, some_body};

pub(super) async fn w_030_a_server_that_cannot_be_reached_is_tried_again(
    fixture: &dyn WireFixture,
) {
    let table = fixture.table();
    // A port that is taken, and on which nobody listens.
    let socket =
        TcpSocket::new_v4().and_then(|it| it.bind(([127, 0, 0, 1], 0).into()).map(|()| it));
    let address = socket.and_then(|it| Ok((it.local_addr()?, it)));
    let (address, _taken) = address.unwrap_or_else(|err| panic!("no port can be had: {err}"));
    each(table, |call| async move {
        let alone = call.against(table);
        let at = alone.endpoint(&format!("http://{address}"));
        let started = (call.start)(&at, alone.sample());
        let Err(err) = (started.run)().await else {
            panic!("{}: succeeds without a server", call.id);
        };
        assert!(err.kind() == ErrorKind::Unavailable, "{}: {err:?}", call.id);
        // Nothing was sent: whatever it is may be tried again.
        let attempts = usize::try_from(err.attempts());
        assert!(
            attempts == Ok(ATTEMPTS),
            "{}: {} attempts",
            call.id,
            err.attempts()
        );
        assert!(err.retry() != Retry::OutcomeUnknown, "{}: {err:?}", call.id);
    })
    .await;
}

/// What may have been executed is sent again where that is harmless, and is of unknown
/// outcome where it is not.
async fn repeated(
    fixture: &dyn WireFixture,
    what: &str,
    kind: ErrorKind,
    fault: impl Fn(Reply) -> Reply + Clone + Send + Sync + 'static,
) {
    let table = fixture.table();
    each(table, |call| {
        let fault = fault.clone();
        async move {
            let seen = call.against(table).flawed(fault).await;
            let err = seen.error(call, what);
            assert!(
                err.kind() == kind,
                "{}: {what}: {} and not {kind}: {err:?}",
                call.id,
                err.kind()
            );
            let (times, advice) = if call.is_repeatable() {
                (ATTEMPTS, Retry::Never)
            } else {
                (1, Retry::OutcomeUnknown)
            };
            seen.assert_attempts(call, times, what);
            assert!(
                err.retry() == advice,
                "{}: {what}: {:?} and not {advice:?}",
                call.id,
                err.retry()
            );
        }
    })
    .await;
}

async fn answered(fixture: &dyn WireFixture, status: u16, usual: ErrorKind) {
    let table = fixture.table();
    let (reply, kind) = (table.failure(status), table.kind(status, usual));
    repeated(fixture, &status.to_string(), kind, move |_| reply.clone()).await;
}

pub(super) async fn w_031_an_internal_error_is_repeated_where_that_is_harmless(
    fixture: &dyn WireFixture,
) {
    answered(fixture, 500, ErrorKind::Unavailable).await;
}

pub(super) async fn w_032_a_bad_gateway_is_repeated_where_that_is_harmless(
    fixture: &dyn WireFixture,
) {
    answered(fixture, 502, ErrorKind::Unavailable).await;
}

pub(super) async fn w_033_an_outage_is_repeated_where_that_is_harmless(fixture: &dyn WireFixture) {
    answered(fixture, 503, ErrorKind::Unavailable).await;
}

pub(super) async fn w_034_a_gateway_timeout_is_repeated_where_that_is_harmless(
    fixture: &dyn WireFixture,
) {
    answered(fixture, 504, ErrorKind::Timeout).await;
}

pub(super) async fn w_035_a_reset_is_repeated_where_that_is_harmless(fixture: &dyn WireFixture) {
    let reset = |good: Reply| good.reset();
    repeated(fixture, "a reset", ErrorKind::Unavailable, reset).await;
}

pub(super) async fn w_036_a_reset_behind_the_headers_is_repeated_where_that_is_harmless(
    fixture: &dyn WireFixture,
) {
    let reset = |good| some_body(good).reset_after_headers();
    let what = "a reset behind the headers";
    repeated(fixture, what, ErrorKind::Unavailable, reset).await;
}

pub(super) async fn w_037_a_truncated_body_is_repeated_where_that_is_harmless(
    fixture: &dyn WireFixture,
) {
    let truncated = |good| some_body(good).truncated();
    let what = "a truncated body";
    repeated(fixture, what, ErrorKind::Unavailable, truncated).await;
}

pub(super) async fn w_038_a_failure_that_passes_is_not_seen(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        if !call.is_repeatable() {
            return;
        }
        let usual = call.against(table).run(|_, _, _| None).await;
        let failure = table.failure(504);
        let failures = vec![failure.clone(), failure];
        let seen = call.against(table).answered_at_first(failures).await;
        seen.assert_done(call, "a failure that passes");
        seen.assert_sent(call, usual.sent.len() + 2, "a failure that passes");
    })
    .await;
}

pub(super) async fn w_039_a_slow_server_is_given_up_at_the_deadline(fixture: &dyn WireFixture) {
    // Long enough to be connected on a machine that has much else to do.
    const DEADLINE: Duration = Duration::from_secs(2);
    let silence: fn(Reply) -> Reply = |good| good.delay(Duration::from_secs(60));
    let drip: fn(Reply) -> Reply = |good| some_body(good).drip(Duration::from_millis(100));
    let table = fixture.table();
    for (what, slow) in [("no answer", silence), ("a slow drip", drip)] {
        each(table, |call| async move {
            let late = call.against(table).with_deadline(DEADLINE);
            let seen = late.flawed(slow).await;
            let err = seen.error(call, what);
            let id = call.id;
            assert!(err.kind() == ErrorKind::Timeout, "{id}: {what}: {err:?}");
            let is_soon = seen.took < DEADLINE + Duration::from_secs(5);
            assert!(is_soon, "{id}: {what}: given up after {:?}", seen.took);
            seen.assert_attempts(call, 1, what);
            let is_unknown = err.retry() == Retry::OutcomeUnknown;
            assert!(
                is_unknown != call.is_repeatable(),
                "{id}: {what}: {:?}",
                err.retry()
            );
        })
        .await;
    }
}
