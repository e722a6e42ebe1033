//! Wire cases: what a provider makes of servers that refuse, break and talk nonsense.
//!
//! A provider's test gives a table of its calls: for each operation that the crate can send
//! an answer that is good, and what is done with the provider to send it. The suite makes
//! the provider anew for each try, against a server that answers the operation under test
//! in one wrong way and everything else well, and looks at the outcome and at what was
//! sent.
//!
//! ```
//! # mod acme {
//! #     use ops_http::{ApiClient, ApiRequest, Auth, Operation};
//! #     ops_http::operations! {
//! #         /// Answers one app.
//! #         GET_APP = Operation::get("getApp", "/apps/{id}");
//! #     }
//! #     pub fn client(at: &ops_conformance::wire::Endpoint) -> ApiClient {
//! #         ApiClient::builder("acme", at.base_url()).allow_http(true).auth(Auth::bearer(at.token()))
//! #             .retry(at.retry()).limits(at.limits()).http_client(at.http_client()).build().unwrap()
//! #     }
//! #     pub async fn app(client: &ApiClient, id: &str) -> ops_core::Result<String> {
//! #         client.execute(ApiRequest::new(&GET_APP).segment("id", id).json()).await
//! #     }
//! # }
//! use ops_conformance::wire::{Sample, Wire};
//! use ops_http::ApiClient;
//! use ops_http::test_util::respond;
//!
//! fn wire() -> Wire<ApiClient> {
//!     // An own type has its builder take what the endpoint gives.
//!     Wire::new(acme::OPERATIONS, acme::client)
//!         .call("getApp", respond(200).json(&"shop"), |acme, sample: Sample| async move {
//!             acme::app(&acme, sample.id()).await
//!         })
//! }
//!
//! # fn main() {}
//! mod wire_cases {
//!     ops_conformance::wire!(super::wire());
//! }
//! ```

#![expect(clippy::panic, reason = "a case is a test, in a function of its own")]

use crate::fixture::Fixture;
use crate::macros::suite;

mod answers;
mod endpoint;
mod failures;
mod limits;
mod listings;
mod play;
mod refusals;
mod requests;
mod secrets;
mod table;

pub use endpoint::{Endpoint, Sample};
pub use table::{Failure, Page, Table, Wire};

/// What the suite needs to know of a provider: [`Wire`].
pub trait WireFixture: Fixture {
    /// The table of its calls.
    fn table(&self) -> &Table;
}

suite! {
    ($)
    /// One test per case of a provider over HTTP; takes a [`Wire`](crate::wire::Wire).
    wire(WireFixture, table, wire_quirks_are_justified)

    "W-001" requests::w_001_every_operation_has_a_call [];
    "W-002" requests::w_002_a_good_answer_is_understood_at_once [];
    "W-003" requests::w_003_a_slash_behind_the_base_url_changes_nothing [];
    "W-004" requests::w_004_an_awkward_id_arrives_encoded_once [];
    "W-005" requests::w_005_what_is_sent_again_is_the_same [];
    "W-006" requests::w_006_a_call_that_is_dropped_gives_back_its_place [];

    "W-010" refusals::w_010_a_refused_credential_is_unauthenticated [];
    "W-011" refusals::w_011_a_forbidden_call_is_denied [];
    "W-012" refusals::w_012_what_is_missing_is_not_found_or_absent [];
    "W-013" refusals::w_013_a_conflict_is_told [];
    "W-014" refusals::w_014_what_cannot_be_processed_is_invalid [];
    "W-015" refusals::w_015_a_refusal_by_a_page_of_html_is_that_refusal [];
    "W-016" refusals::w_016_a_redirect_is_not_followed [];
    "W-017" refusals::w_017_an_error_names_provider_and_operation [];
    "W-018" refusals::w_018_an_error_holds_the_id_of_the_request [];

    "W-020" limits::w_020_a_limit_is_waited_for_and_then_told [];
    "W-021" limits::w_021_a_wait_in_seconds_is_kept [];
    "W-022" limits::w_022_a_wait_until_a_date_is_kept [];
    "W-023" limits::w_023_a_wait_that_is_too_long_is_handed_on [];
    "W-024" limits::w_024_an_outage_with_a_wait_is_waited_for [];

    "W-030" failures::w_030_a_server_that_cannot_be_reached_is_tried_again [];
    "W-031" failures::w_031_an_internal_error_is_repeated_where_that_is_harmless [];
    "W-032" failures::w_032_a_bad_gateway_is_repeated_where_that_is_harmless [];
    "W-033" failures::w_033_an_outage_is_repeated_where_that_is_harmless [];
    "W-034" failures::w_034_a_gateway_timeout_is_repeated_where_that_is_harmless [];
    "W-035" failures::w_035_a_reset_is_repeated_where_that_is_harmless [];
    "W-036" failures::w_036_a_reset_behind_the_headers_is_repeated_where_that_is_harmless [];
    "W-037" failures::w_037_a_truncated_body_is_repeated_where_that_is_harmless [];
    "W-038" failures::w_038_a_failure_that_passes_is_not_seen [];
    "W-039" failures::w_039_a_slow_server_is_given_up_at_the_deadline [];

    "W-040" answers::w_040_broken_json_is_not_understood [];
    "W-041" answers::w_041_a_page_of_html_is_no_answer [];
    "W-042" answers::w_042_an_empty_body_is_no_answer [];
    "W-043" answers::w_043_an_oversized_body_is_refused [];
    "W-044" answers::w_044_unknown_fields_are_ignored [];
    "W-045" answers::w_045_a_field_that_is_null_is_accepted_or_named [];
    "W-046" answers::w_046_the_content_type_does_not_matter [];

    "W-050" listings::w_050_a_listing_of_several_pages_comes_whole [];
    "W-051" listings::w_051_a_page_is_asked_for_as_the_last_one_said [];
    "W-052" listings::w_052_a_listing_that_comes_back_to_a_page_ends [];
    "W-053" listings::w_053_a_listing_without_an_end_ends [];
    "W-054" listings::w_054_a_page_that_fails_is_read_again_alone [];
    "W-055" listings::w_055_a_next_page_at_another_host_is_not_read [];

    "W-060" secrets::w_060_the_credential_is_seen_nowhere [];
    "W-061" secrets::w_061_the_credential_is_in_no_url [];
}
