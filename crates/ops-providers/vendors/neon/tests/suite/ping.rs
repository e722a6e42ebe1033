//! Pings go over a connection of their own, to a real server.

use std::time::Duration;

use ops_core::database::{Database, Role, TlsMode, TlsSettings};
use ops_core::{ErrorKind, ProviderId};
use ops_neon::Neon;
use ops_testkit::{Pg, fixture};

use crate::fake::Fake;
use crate::server;

fn neon(fake: &Fake) -> Neon {
    let builder = fake.builder().tls(TlsSettings::new(TlsMode::Disable));
    builder
        .ping_timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

#[tokio::test]
async fn neon_is_asked_for_the_address_once() {
    if Pg::available_majors().await.is_empty() {
        return fixture::skip("PostgreSQL is not installed");
    }
    let fake = Fake::start();
    fake.state().server = Some(server::on_demand().await);
    let neon = neon(&fake);
    let ping = neon.ping().await.unwrap();
    assert_eq!(ping.role, Role::Primary);
    let asked = fake.requests().len();
    neon.ping().await.unwrap();
    assert_eq!(fake.requests().len(), asked);
}

#[tokio::test]
async fn neon_is_asked_anew_after_a_ping_that_failed() {
    if Pg::available_majors().await.is_empty() {
        return fixture::skip("PostgreSQL is not installed");
    }
    let fake = Fake::start();
    // Nobody listens there.
    fake.state().server = Some(1);
    let neon = neon(&fake);
    let err = neon.ping().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert_eq!(err.operation(), Some("database.ping"));
    assert_eq!(err.provider().map(ProviderId::as_str), Some("neon"));
    fake.state().server = Some(server::on_demand().await);
    neon.ping().await.unwrap();
}
