//! Certificates that end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ops_core::{Clock as _, SystemClock, Timestamp};
use ops_health::checks::Tls;
use ops_health::{Code, Status};
use ops_testkit::ManualClock;
use rustls::version::TLS13;

use crate::certificates::{Authority, Leaf, serve};
use crate::measure::{Found, HEALTHY, TENTH, Watched};

const EXPIRING: Found = (Status::Degraded, Code::TlsExpiring);
const ENDS_SOON: Found = (Status::Unhealthy, Code::TlsExpiring);
const EXPIRED: Found = (Status::Unhealthy, Code::TlsExpired);

async fn tls(root: &Authority, leaf: Leaf) -> Tls {
    Tls::new("127.0.0.1", serve(leaf, None, &[&TLS13]).await)
        .server_name("api.test")
        .root_certificates_pem(root.root_pem())
}

#[tokio::test]
async fn a_certificate_that_comes_to_its_end_is_told_at_every_step_in_time() {
    let root = Authority::new("root");
    let check = tls(&root, root.leaf("api.test", (1, 1), (10, 1))).await;
    let clock = ManualClock::at("2026-03-01T00:00:00Z");
    let shared = Arc::new(clock.clone());
    let watched = Watched::of(|builder| builder.clock(shared).check(check), TENTH);
    watched.first("tls", HEALTHY).await;
    for (day, what, expected) in [
        ("2026-09-11", "a certificate with 20 days left", EXPIRING),
        ("2026-09-25", "a certificate with 6 days left", ENDS_SOON),
        ("2026-10-02", "a certificate that has expired", EXPIRED),
    ] {
        let day: Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
        clock.set(day);
        watched.detects(what, "tls", Instant::now(), expected).await;
    }
}

fn since_1970() -> Duration {
    Duration::from_millis(u64::try_from(SystemClock.now().unix_millis()).unwrap())
}

#[tokio::test]
async fn a_certificate_that_ends_by_the_real_clock_is_told_in_time() {
    let root = Authority::new("root");
    // Certificates count in seconds.
    let ends = Duration::from_secs(since_1970().as_secs() + 3);
    let born = ends.saturating_sub(Duration::from_secs(24 * 3600));
    let check = tls(&root, root.leaf_between("api.test", born, ends)).await;
    let watched = Watched::start(check, TENTH, ENDS_SOON).await;
    let left = ends.saturating_sub(since_1970());
    let end = Instant::now() + left;
    tokio::time::sleep_until(end.into()).await;
    // Unhealthy as before, for another reason: the first run tells.
    watched
        .detects(
            "a certificate that ends while it is shown",
            "tls",
            end,
            EXPIRED,
        )
        .await;
}
