//! The suite of [`Cdn`].

#![expect(
    clippy::unwrap_used,
    reason = "a case is a test, in a function of its own"
)]

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::cdn::{Cdn, Purge, PurgeRequest};
use ops_core::id::PurgeId;

use crate::case::Outcome;
use crate::fixture::Fixture;
use crate::macros::suite;
use crate::support::{done, eventually};

mod account;
mod hosts;
mod purges;
mod refusals;
mod requests;
mod status;
mod tags;

/// What the suite needs to know of a provider of [`Cdn`].
#[async_trait]
pub trait CdnFixture: Fixture {
    /// The provider; the same zone at each call.
    fn cdn(&self) -> Arc<dyn Cdn>;

    /// The accessors that answer `Some`, such as `as_purge_tags`, in any order. Written
    /// down, so that an ability that gets lost is seen.
    fn abilities(&self) -> &'static [&'static str];

    /// The host name of the zone, below which there may be others, such as `shop.example`.
    fn host(&self) -> String;

    /// Makes the vendor cache a URL that the origin has marked with tags. `false`, the
    /// default, where that cannot be brought about.
    async fn cache(&self, url: &str, tags: &[&str]) -> bool {
        let _ = (url, tags);
        false
    }

    /// Whether the vendor has a URL cached. Defaults to `false`.
    async fn is_cached(&self, url: &str) -> bool {
        let _ = url;
        false
    }

    /// Whether the vendor knows idempotency keys. Defaults to `false`.
    fn knows_keys(&self) -> bool {
        false
    }

    /// An id that could be a purge's and is none's.
    fn missing_purge(&self) -> PurgeId {
        PurgeId::new("ops-test-no-such-purge").unwrap()
    }
}

const UNSEEN: Outcome = Outcome::NotOffered("the fixture does not see what is cached");

/// The zone of one case.
struct Site<'a> {
    fixture: &'a dyn CdnFixture,
    cdn: Arc<dyn Cdn>,
    host: String,
}

impl<'a> Site<'a> {
    fn new(fixture: &'a dyn CdnFixture) -> Self {
        let (cdn, host) = (fixture.cdn(), fixture.host());
        Self { fixture, cdn, host }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.host)
    }

    /// Caches what is not marked.
    async fn caches(&self, urls: &[&str]) -> bool {
        for url in urls {
            if !self.fixture.cache(url, &[]).await {
                return false;
            }
        }
        true
    }

    /// Looks until, of what was cached, this is left. A purge that tells how far it has come
    /// is asked between two looks.
    async fn comes_to(&self, cached: &[&str], purge: Purge, left: &[&str]) {
        eventually!(self.fixture, format!("only {left:?} is cached"), {
            let mut seen = Vec::new();
            for url in cached {
                if self.fixture.is_cached(url).await {
                    seen.push(*url);
                }
            }
            if let (Some(status), Some(id)) = (self.cdn.as_purge_status(), &purge.id) {
                let _ = status.purge_status(id).await;
            }
            (seen == left).then_some(())
        });
    }

    /// Of these URLs, which are cached, a purge leaves the last ones.
    async fn leaves(&self, cached: &[&str], request: PurgeRequest, left: &[&str]) -> Outcome {
        if !self.caches(cached).await {
            return UNSEEN;
        }
        let purge = done(self.cdn.purge(request).await);
        self.comes_to(cached, purge, left).await;
        Outcome::Passed
    }

    /// More names than one request carries, twice over.
    fn too_many(&self) -> u32 {
        self.cdn.limits().max_per_request.unwrap_or(30) * 2 + 1
    }
}

suite! {
    ($)
    /// One test per case of [`Cdn`](ops_core::Cdn).
    cdn(CdnFixture, cdn, cdn_quirks_are_justified)

    "C-001" account::c_001_the_abilities_are_those_that_are_declared [];
    "C-002" account::c_002_a_refusal_names_the_provider [];
    "C-003" account::c_003_the_credential_is_not_printed [];

    "C-010" purges::c_010_everything_is_purged [];
    "C-011" purges::c_011_urls_are_purged [];
    "C-012" purges::c_012_a_longer_path_is_another_url [];
    "C-013" purges::c_013_a_query_is_part_of_a_url [];
    "C-014" purges::c_014_a_scheme_is_part_of_a_url [];
    "C-015" purges::c_015_a_host_is_part_of_a_url [];
    "C-016" purges::c_016_an_awkward_url_is_purged_alone [];
    "C-017" purges::c_017_what_begins_with_a_prefix_is_purged [];
    "C-018" purges::c_018_what_does_not_begin_with_a_prefix_stays [];
    "C-019" purges::c_019_the_scheme_of_a_prefix_does_not_matter [];
    "C-020" purges::c_020_a_prefix_is_of_one_host [];

    "C-030" requests::c_030_purging_what_is_not_cached_succeeds [];
    "C-031" requests::c_031_purging_twice_succeeds [];
    "C-032" requests::c_032_more_urls_than_fit_one_request_are_purged [];
    "C-033" requests::c_033_more_prefixes_than_fit_one_request_are_purged [];
    "C-034" requests::c_034_a_url_that_is_named_twice_is_purged [];
    "C-035" requests::c_035_concurrent_purges_do_not_mix [];
    "C-036" requests::c_036_a_purge_that_is_given_up_does_not_stop_the_next [];
    "C-037" requests::c_037_one_key_makes_one_purge [];
    "C-038" requests::c_038_the_key_of_another_purge_is_a_conflict [];

    "C-040" refusals::c_040_no_urls_are_not_everything [];
    "C-041" refusals::c_041_no_prefixes_are_not_everything [];
    "C-042" refusals::c_042_what_is_no_url_is_refused [];
    "C-043" refusals::c_043_what_is_no_prefix_is_refused [];
    "C-044" refusals::c_044_a_url_outside_the_zone_is_refused [];
    "C-045" refusals::c_045_a_prefix_outside_the_zone_is_refused [];
    "C-046" refusals::c_046_a_prefix_with_a_query_is_refused [];
    "C-047" refusals::c_047_a_refused_purge_of_urls_purges_nothing [];
    "C-048" refusals::c_048_a_refused_purge_of_prefixes_purges_nothing [];
    "C-049" refusals::c_049_a_password_in_a_url_is_not_repeated [];

    "C-050" tags::c_050_tags_are_purged_or_unsupported_by_name [];
    "C-051" tags::c_051_what_has_another_tag_stays [as_purge_tags];
    "C-052" tags::c_052_no_tags_are_not_everything [as_purge_tags];
    "C-053" tags::c_053_what_is_no_tag_is_refused [as_purge_tags];
    "C-054" tags::c_054_a_refused_purge_of_tags_purges_nothing [as_purge_tags];
    "C-055" tags::c_055_more_tags_than_fit_one_request_are_purged [as_purge_tags];

    "C-060" hosts::c_060_hosts_are_purged_or_unsupported_by_name [];
    "C-061" hosts::c_061_what_is_of_another_host_stays [as_purge_hosts];
    "C-062" hosts::c_062_no_hosts_are_not_everything [as_purge_hosts];
    "C-063" hosts::c_063_what_is_no_host_is_refused [as_purge_hosts];
    "C-064" hosts::c_064_a_host_outside_the_zone_is_refused [as_purge_hosts];
    "C-065" hosts::c_065_a_refused_purge_of_hosts_purges_nothing [as_purge_hosts];
    "C-066" hosts::c_066_more_hosts_than_fit_one_request_are_purged [as_purge_hosts];

    "C-070" status::c_070_a_purge_is_followed_to_its_end_or_that_is_unsupported_by_name [];
    "C-071" status::c_071_a_purge_that_is_not_done_has_an_id [as_purge_status];
    "C-072" status::c_072_the_state_of_a_purge_names_it [as_purge_status];
    "C-073" status::c_073_a_purge_that_is_done_stays_done [as_purge_status];
    "C-074" status::c_074_a_missing_purge_is_not_found [as_purge_status];
    "C-075" status::c_075_an_awkward_purge_id_is_nobody_elses [as_purge_status];
}
