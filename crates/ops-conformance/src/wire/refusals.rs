//! Refusals, which are final.

use ops_core::{ErrorKind, Retry};
use ops_http::test_util::{MockServer, respond};

use super::WireFixture;
use super::play::{Seen, each};
use super::table::{Call, Table};

/// The id that the vendor gives every request.
pub(super) const REQUEST_ID: &str = "req-5e7c0a91d2";

pub(super) async fn w_010_a_refused_credential_is_unauthenticated(fixture: &dyn WireFixture) {
    let table = fixture.table();
    let times = if table.refreshes { 2 } else { 1 };
    each(table, |call| async move {
        let seen = call.against(table).answered(table.failure(401)).await;
        assert_refused(table, call, &seen, 401, ErrorKind::Unauthenticated);
        seen.assert_attempts(call, times, "401");
    })
    .await;
}

#[track_caller]
fn assert_refused(table: &Table, call: &Call, seen: &Seen, status: u16, usual: ErrorKind) {
    let err = seen.error(call, &status.to_string());
    let kind = table.kind(status, usual);
    assert!(
        err.kind() == kind,
        "{}: {status}: {} and not {kind}: {err:?}",
        call.id,
        err.kind()
    );
    assert!(
        err.retry() == Retry::Never,
        "{}: {status}: {:?}: {err:?}",
        call.id,
        err.retry()
    );
}

async fn refused(fixture: &dyn WireFixture, status: u16, usual: ErrorKind) {
    let table = fixture.table();
    each(table, |call| async move {
        let seen = call.against(table).answered(table.failure(status)).await;
        assert_refused(table, call, &seen, status, usual);
        seen.assert_attempts(call, 1, &status.to_string());
    })
    .await;
}

pub(super) async fn w_011_a_forbidden_call_is_denied(fixture: &dyn WireFixture) {
    refused(fixture, 403, ErrorKind::PermissionDenied).await;
}

pub(super) async fn w_012_what_is_missing_is_not_found_or_absent(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let seen = call.against(table).answered(table.failure(404)).await;
        if call.absent_is_success {
            seen.assert_done(call, "404");
        } else {
            assert_refused(table, call, &seen, 404, ErrorKind::NotFound);
        }
        seen.assert_attempts(call, 1, "404");
    })
    .await;
}

pub(super) async fn w_013_a_conflict_is_told(fixture: &dyn WireFixture) {
    refused(fixture, 409, ErrorKind::Conflict).await;
}

pub(super) async fn w_014_what_cannot_be_processed_is_invalid(fixture: &dyn WireFixture) {
    refused(fixture, 422, ErrorKind::InvalidInput).await;
}

pub(super) async fn w_015_a_refusal_by_a_page_of_html_is_that_refusal(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let seen = call.against(table).answered(respond(400).html()).await;
        assert_refused(table, call, &seen, 400, ErrorKind::InvalidInput);
        assert_no_markup(call, &seen);
    })
    .await;
}

/// No page is repeated in an error.
#[track_caller]
pub(super) fn assert_no_markup(call: &Call, seen: &Seen) {
    let text = format!("{:?}", seen.error(call, "a page of HTML"));
    assert!(!text.contains('<'), "{}: {text}", call.id);
}

pub(super) async fn w_016_a_redirect_is_not_followed(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        for status in [302, 307] {
            let elsewhere = MockServer::serving(|_| respond(500));
            let to = format!("{}/elsewhere?lease=7c11b0", elsewhere.base_url());
            let reply = respond(status).header("location", to);
            let seen = call.against(table).answered(reply).await;
            let err = seen.error(call, "a redirect");
            assert!(
                err.kind() == ErrorKind::InvalidConfig,
                "{}: {err:?}",
                call.id
            );
            assert!(
                !format!("{err:?}").contains("7c11b0"),
                "{}: {err:?}",
                call.id
            );
            seen.assert_attempts(call, 1, "a redirect");
            let followed = elsewhere.requests().len();
            assert!(followed == 0, "{}: a redirect is followed", call.id);
        }
    })
    .await;
}

pub(super) async fn w_017_an_error_names_provider_and_operation(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        let seen = call.against(table).answered(table.failure(403)).await;
        let err = seen.error(call, "403");
        assert!(
            err.provider().is_some(),
            "{}: no provider: {err:?}",
            call.id
        );
        assert!(
            err.operation().is_some(),
            "{}: no operation: {err:?}",
            call.id
        );
    })
    .await;
}

pub(super) async fn w_018_an_error_holds_the_id_of_the_request(fixture: &dyn WireFixture) {
    let table = fixture.table();
    each(table, |call| async move {
        for status in [403, 500] {
            let seen = call.against(table).answered(table.failure(status)).await;
            let err = seen.error(call, &status.to_string());
            assert!(
                err.request_id() == Some(REQUEST_ID),
                "{}: {status}: {err:?}",
                call.id
            );
        }
    })
    .await;
}
