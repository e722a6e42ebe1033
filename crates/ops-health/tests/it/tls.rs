//! The TLS check against real handshakes.

use std::sync::Arc;

use ops_core::database::TlsVersion;
use ops_health::checks::Tls;
use ops_health::{Check, CheckCtx, Code, Outcome, Status};
use ops_testkit::{ManualClock, RefusedPort};
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::certificates::{Authority, Leaf, serve};
use crate::support::seconds;

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS13, &TLS12];

fn tls(port: u16, root: &Authority) -> Tls {
    Tls::new("127.0.0.1", port)
        .server_name("api.test")
        .root_certificates_pem(root.root_pem())
}

async fn look(check: &Tls, day: &str) -> Outcome {
    let clock = ManualClock::at(&format!("2026-{day}T00:00:00Z"));
    let ctx = CheckCtx::new(seconds(10)).with_clock(Arc::new(clock));
    check.run(&ctx).await
}

async fn found(check: &Tls, day: &str) -> (Status, Code) {
    let outcome = look(check, day).await;
    (outcome.status(), outcome.code())
}

fn observed(outcome: &Outcome, name: &str) -> f64 {
    let all = outcome.observations();
    all.iter().find(|o| o.name == name).unwrap().value / 86_400.0
}

const GOOD: (Status, Code) = (Status::Healthy, Code::Ok);
const EXPIRING: (Status, Code) = (Status::Degraded, Code::TlsExpiring);
const ENDS_SOON: (Status, Code) = (Status::Unhealthy, Code::TlsExpiring);
const EXPIRED: (Status, Code) = (Status::Unhealthy, Code::TlsExpired);
const INVALID: (Status, Code) = (Status::Unhealthy, Code::TlsInvalid);

/// Good from January 1st to October 1st.
fn long(root: &Authority) -> Leaf {
    root.leaf("api.test", (1, 1), (10, 1))
}

#[tokio::test]
async fn a_certificate_is_judged_by_the_time_that_is_left() {
    let root = Authority::new("root");
    let check = tls(serve(long(&root), None, BOTH).await, &root);
    for (day, expected) in [
        ("01-02", GOOD),
        ("09-10", GOOD),
        ("09-11", EXPIRING),
        ("09-24", EXPIRING),
        ("09-25", ENDS_SOON),
        ("09-30", ENDS_SOON),
        ("10-02", EXPIRED),
    ] {
        assert_eq!(found(&check, day).await, expected, "{day}");
    }
    let outcome = look(&check, "09-21").await;
    assert!(
        (observed(&outcome, "leaf_remaining") - 10.0).abs() < 1e-9,
        "{outcome:?}"
    );
    assert!(observed(&look(&check, "10-03").await, "leaf_remaining") < 0.0);
}

#[tokio::test]
async fn a_short_lived_certificate_is_measured_by_its_lifetime() {
    let root = Authority::new("root");
    // 12 days: a quarter is 3, a twelfth is 1.
    let leaf = root.leaf("api.test", (3, 1), (3, 13));
    let check = tls(serve(leaf, None, BOTH).await, &root);
    assert_eq!(found(&check, "03-10").await, GOOD);
    assert_eq!(found(&check, "03-11").await, EXPIRING);
    assert_eq!(found(&check, "03-12").await, EXPIRING);
    let almost = ManualClock::at("2026-03-12T00:00:01Z");
    let ctx = CheckCtx::new(seconds(10)).with_clock(Arc::new(almost));
    assert_eq!(check.run(&ctx).await.status(), Status::Unhealthy);
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_told_from_one_that_ended() {
    let (root, stranger) = (Authority::new("root"), Authority::new("root"));
    let port = serve(long(&root), None, BOTH).await;
    assert_eq!(found(&tls(port, &stranger), "03-01").await, INVALID);
    let other = tls(port, &root).server_name("other.test");
    assert_eq!(found(&other, "03-01").await, INVALID);
    let early = root.leaf("api.test", (6, 1), (10, 1));
    let check = tls(serve(early, None, BOTH).await, &root);
    assert_eq!(found(&check, "03-01").await, INVALID, "not yet good");
}

#[tokio::test]
async fn an_intermediate_that_ends_sooner_counts() {
    let (root, middle) = (Authority::new("root"), Authority::new("middle"));
    let leaf = || middle.leaf("api.test", (1, 1), (10, 1));
    let chained = leaf().with(middle.signed_by(&root, (5, 1)));
    let check = tls(serve(chained, None, BOTH).await, &root);
    assert_eq!(found(&check, "03-01").await, GOOD);
    let outcome = look(&check, "04-21").await;
    assert_eq!((outcome.status(), outcome.code()), EXPIRING);
    assert!(
        (observed(&outcome, "chain_remaining") - 10.0).abs() < 1e-9,
        "{outcome:?}"
    );
    assert!(observed(&outcome, "leaf_remaining") > 100.0);
    assert_eq!(found(&check, "05-02").await, EXPIRED);
    // Without it, nobody can know that the leaf is good.
    let check = tls(serve(leaf(), None, BOTH).await, &root);
    assert_eq!(found(&check, "03-01").await, INVALID);
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn when_certificates_end_is_told_as_seconds_since_the_epoch() {
    let seen = crate::recorder::Seen::default();
    let _installed = metrics::set_default_local_recorder(&seen);
    let (root, middle) = (Authority::new("root"), Authority::new("middle"));
    let leaf = middle.leaf("api.test", (1, 1), (10, 1));
    let chained = leaf.with(middle.signed_by(&root, (5, 1)));
    let check = tls(serve(chained, None, BOTH).await, &root);
    assert_eq!(found(&check, "03-01").await, GOOD);
    for (scope, expected) in [("leaf", 1_790_812_800.0), ("chain", 1_777_593_600.0)] {
        let name = format!("ops_tls_not_after_timestamp_seconds{{host=127.0.0.1,scope={scope}}}");
        let told = seen.get(&name);
        assert!(
            told.is_some_and(|told| (told - expected).abs() < 1.0),
            "{told:?}: {}",
            seen.all()
        );
    }
}

#[tokio::test]
async fn a_cross_signed_intermediate_that_ended_does_not_matter_beside_a_good_one() {
    let (root, old) = (Authority::new("root"), Authority::new("old"));
    let middle = Authority::new("middle");
    let leaf = middle
        .leaf("api.test", (1, 1), (10, 1))
        .with(middle.signed_by(&old, (4, 1)))
        .with(middle.signed_by(&root, (2, 1)))
        .with(middle.signed_by(&root, (9, 1)));
    let check = tls(serve(leaf, None, BOTH).await, &root);
    assert_eq!(found(&check, "03-01").await, GOOD);
    let outcome = look(&check, "04-02").await;
    assert_eq!((outcome.status(), outcome.code()), GOOD);
    assert!(
        (observed(&outcome, "chain_remaining") - 152.0).abs() < 1e-9,
        "{outcome:?}"
    );
}

#[tokio::test]
async fn the_server_is_asked_by_name() {
    let root = Authority::new("root");
    let named = long(&root);
    let first = root.leaf("default.test", (1, 1), (2, 1));
    let port = serve(first, Some(("api.test", named)), BOTH).await;
    assert_eq!(found(&tls(port, &root), "03-01").await, GOOD);
    let first = tls(port, &root).server_name("default.test");
    assert_eq!(found(&first, "03-01").await, EXPIRED);
}

#[tokio::test]
async fn an_old_version_of_tls_is_told() {
    let root = Authority::new("root");
    let port = serve(long(&root), None, &[&TLS12]).await;
    let outdated = (Status::Degraded, Code::TlsOutdated);
    assert_eq!(found(&tls(port, &root), "03-01").await, outdated);
    // What is worse comes first.
    assert_eq!(found(&tls(port, &root), "10-02").await, EXPIRED);
    let content = tls(port, &root).versions(TlsVersion::V1_2, TlsVersion::V1_2);
    assert_eq!(found(&content, "03-01").await, GOOD);
    let strict = tls(port, &root).versions(TlsVersion::V1_3, TlsVersion::V1_3);
    assert_eq!(found(&strict, "03-01").await, INVALID);
}

#[tokio::test]
async fn what_speaks_no_tls_is_invalid_and_what_is_not_there_is_refused() {
    let root = Authority::new("root");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"220 smtp.test ESMTP\r\n").await;
        }
    });
    assert_eq!(found(&tls(port, &root), "03-01").await, INVALID);
    let refused = RefusedPort::take();
    let nobody = found(&tls(refused.port(), &root), "03-01").await;
    assert_eq!(nobody, (Status::Unhealthy, Code::Refused));
}
