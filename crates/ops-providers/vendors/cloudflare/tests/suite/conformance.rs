//! The suites of the traits, against the fake.

use std::sync::Arc;

use ops_conformance::dns::DnsFixture;
use ops_conformance::{Fixture, async_trait};
use ops_core::dns::{Dns, DnsName};
use ops_core::id::ZoneId;

use crate::fake::Fake;

#[path = "../../../../../ops-core/tests/memory/contract/cdn.rs"]
#[expect(dead_code, reason = "Cloudflare cannot tell how far a purge has come")]
mod contract;

/// The account of the fake.
struct Account(Fake);

impl Account {
    fn new() -> Self {
        Self(Fake::start(&[]))
    }
}

impl Fixture for Account {}

#[async_trait]
impl DnsFixture for Account {
    fn dns(&self) -> Arc<dyn Dns> {
        Arc::new(self.0.provider())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &["as_zone_tls"]
    }

    async fn new_zone(&self) -> (ZoneId, DnsName) {
        let name = format!("{}.example", self.unique("zone"));
        self.0.add(&name);
        (self.0.zone(&name), DnsName::new(name).unwrap())
    }
}

mod dns {
    use super::Account;

    ops_conformance::dns!(Account::new());
}

macro_rules! cdn {
    ($($case:ident)+) => {$(
        #[tokio::test]
        async fn $case() {
            let fake = Fake::start(&["shop.example"]);
            contract::$case(&fake.cdn("shop.example")).await;
        }
    )+};
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
