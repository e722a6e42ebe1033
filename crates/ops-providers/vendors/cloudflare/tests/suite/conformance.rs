//! The contracts of the traits, against the fake.

use crate::fake::Fake;

#[path = "../../../../../ops-core/tests/memory/contract/cdn.rs"]
#[expect(dead_code, reason = "Cloudflare cannot tell how far a purge has come")]
mod cdn;
#[path = "../../../../../ops-core/tests/memory/contract/dns.rs"]
mod dns;

macro_rules! dns {
    ($($case:ident)+) => {$(
        #[tokio::test]
        async fn $case() {
            let fake = Fake::start(&["shop.example"]);
            dns::$case(&fake.provider(), &fake.zone("shop.example")).await;
        }
    )+};
}

macro_rules! cdn {
    ($($case:ident)+) => {$(
        #[tokio::test]
        async fn $case() {
            let fake = Fake::start(&["shop.example"]);
            cdn::$case(&fake.cdn("shop.example")).await;
        }
    )+};
}

dns! {
    a_zone_is_listed_and_described
    every_type_of_record_comes_back_as_it_was_put
    texts_come_back_as_they_were_put
    putting_a_set_replaces_it_and_nothing_else
    a_time_to_live_is_kept_and_one_beyond_the_limits_refused
    a_name_outside_the_zone_is_refused
    a_cname_has_its_name_for_itself
    deleting_a_set_twice_succeeds
    a_zone_that_is_missing_is_not_found
    a_listing_is_filtered_by_name_and_type
    ensuring_sets_sends_only_what_differs
    a_change_of_tls_leaves_the_rest_as_it_is
    every_tls_setting_is_kept
    a_change_that_locks_visitors_out_changes_nothing
    ensuring_tls_twice_changes_it_once
}

cdn! {
    everything_urls_and_prefixes_are_purged
    purging_what_is_not_cached_succeeds
    nothing_named_is_never_taken_for_everything
    what_is_no_url_of_the_zone_is_refused
    more_than_fits_one_request_is_purged
    tags_are_purged_and_bad_ones_refused
    hosts_are_purged_and_those_of_others_refused
}
