//! The suites of the traits, against the fake.

use std::sync::Arc;

use ops_conformance::cdn::CdnFixture;
use ops_conformance::dns::DnsFixture;
use ops_conformance::{Fixture, async_trait};
use ops_core::cdn::Cdn;
use ops_core::dns::{Dns, DnsName};
use ops_core::id::ZoneId;

use crate::fake::{Fake, TOKEN};

/// The account of the fake.
struct Account(Fake);

impl Account {
    fn new() -> Self {
        Self(Fake::start(&[]))
    }
}

impl Fixture for Account {
    fn credential(&self) -> Option<String> {
        Some(TOKEN.to_owned())
    }
}

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

/// The cache in front of a zone of the fake.
struct Cache(Fake);

const HOST: &str = "shop.example";

impl Cache {
    fn new() -> Self {
        Self(Fake::start(&[HOST]))
    }
}

impl Fixture for Cache {
    fn credential(&self) -> Option<String> {
        Some(TOKEN.to_owned())
    }
}

#[async_trait]
impl CdnFixture for Cache {
    fn cdn(&self) -> Arc<dyn Cdn> {
        Arc::new(self.0.cdn(HOST))
    }

    fn abilities(&self) -> &'static [&'static str] {
        &["as_purge_tags", "as_purge_hosts"]
    }

    fn host(&self) -> String {
        HOST.to_owned()
    }

    async fn cache(&self, url: &str, tags: &[&str]) -> bool {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let mut account = self.0.account();
        let zone = account.zones.values_mut().next().unwrap();
        zone.cached.insert(url.to_owned(), tags);
        true
    }

    async fn is_cached(&self, url: &str) -> bool {
        let account = self.0.account();
        let zone = account.zones.values().next().unwrap();
        zone.cached.contains_key(url)
    }
}

mod cdn {
    use super::Cache;

    ops_conformance::cdn!(Cache::new());
}
