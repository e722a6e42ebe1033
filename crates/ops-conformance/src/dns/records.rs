//! Records of each type.

use super::{DnsFixture, Site};

async fn is_read_as_it_was_put(fixture: &dyn DnsFixture, label: &str, kind: &str, texts: &[&str]) {
    let site = Site::new(fixture).await;
    let wanted = site.set(label, kind, texts);
    site.put(&wanted).await;
    site.assert_has(&wanted).await;
}

pub(super) async fn dns_010_addresses_are_read_as_they_were_put(fixture: &dyn DnsFixture) {
    is_read_as_it_was_put(fixture, "addresses", "A", &["192.0.2.7", "192.0.2.8"]).await;
}

pub(super) async fn dns_011_addresses_of_ipv6_are_read_as_they_were_put(fixture: &dyn DnsFixture) {
    is_read_as_it_was_put(fixture, "@", "AAAA", &["2001:db8::7"]).await;
}

pub(super) async fn dns_012_an_alias_is_read_as_it_was_put(fixture: &dyn DnsFixture) {
    is_read_as_it_was_put(fixture, "www", "CNAME", &["shop.fly.example"]).await;
}

pub(super) async fn dns_013_mail_servers_are_read_as_they_were_put(fixture: &dyn DnsFixture) {
    is_read_as_it_was_put(
        fixture,
        "@",
        "MX",
        &["10 mx1.mail.example", "20 mx2.mail.example"],
    )
    .await;
}

pub(super) async fn dns_014_a_service_is_read_as_it_was_put(fixture: &dyn DnsFixture) {
    is_read_as_it_was_put(fixture, "_sip._tcp", "SRV", &["10 5 5061 sip.shop.example"]).await;
}

pub(super) async fn dns_015_an_authority_is_read_as_it_was_put(fixture: &dyn DnsFixture) {
    is_read_as_it_was_put(fixture, "@", "CAA", &["0 issue authority.example"]).await;
}

pub(super) async fn dns_016_a_delegation_is_read_as_it_was_put(fixture: &dyn DnsFixture) {
    is_read_as_it_was_put(
        fixture,
        "sub",
        "NS",
        &["ns1.other.example", "ns2.other.example"],
    )
    .await;
}

pub(super) async fn dns_017_a_wildcard_is_read_as_it_was_put(fixture: &dyn DnsFixture) {
    is_read_as_it_was_put(fixture, "*", "TXT", &["any"]).await;
}

pub(super) async fn dns_018_a_text_with_quotes_is_read_as_it_was_put(fixture: &dyn DnsFixture) {
    let texts = ["say \"a\\b\"", "v=spf1 include:_spf.mail.example -all"];
    is_read_as_it_was_put(fixture, "txt", "TXT", &texts).await;
}

pub(super) async fn dns_019_a_long_text_is_read_as_it_was_put(fixture: &dyn DnsFixture) {
    let long = "k=v; ".repeat(100);
    is_read_as_it_was_put(fixture, "txt", "TXT", &[long.trim_end()]).await;
}
