//! What a chain of certificates is worth at a moment. No I/O.

use std::sync::Arc;
use std::time::Duration;

use ops_core::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::Limits;
use super::recorder::Chain;
use crate::client_tls::{code_of, provider};
use crate::outcome::{Outcome, Unit};
use crate::status::Code;

/// From when to when a certificate is good, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Validity {
    from: i64,
    until: i64,
}

pub(super) fn judge(
    chain: &Chain,
    server: &ServerName<'_>,
    roots: &Arc<RootCertStore>,
    limits: Limits,
    now: Timestamp,
) -> Outcome {
    let now = now.unix_seconds();
    let Some(leaf) = validity(&chain.leaf) else {
        return Outcome::unhealthy(Code::TlsInvalid).with_detail("the certificate cannot be read");
    };
    // Roots may be missing on a small image; then nothing can be trusted.
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider());
    let verifier = match verifier.build() {
        Ok(verifier) => verifier,
        Err(err) => return Outcome::unhealthy(Code::TlsInvalid).with_detail(err.to_string()),
    };
    let verify = |at: i64| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at.try_into().unwrap_or(0)));
        verifier.verify_server_cert(&chain.leaf, &chain.intermediates, server, &[], at)
    };
    let told = |outcome: Outcome, chain_until: Option<i64>| {
        let outcome =
            outcome.with_observation("leaf_remaining", left(leaf.until, now), Unit::Seconds);
        match chain_until {
            Some(until) => {
                outcome.with_observation("chain_remaining", left(until, now), Unit::Seconds)
            }
            None => outcome,
        }
    };
    if let Err(err) = verify(now) {
        let code = if leaf.until <= now {
            Code::TlsExpired
        } else {
            code_of(&err)
        };
        return told(Outcome::unhealthy(code).with_detail(err.to_string()), None);
    }
    let until = best_end(chain, leaf, now, |at| verify(at).is_ok());
    let remaining = seconds(until - now);
    let lifetime = seconds(leaf.until - leaf.from);
    let outcome = if remaining < limits.fail.min(lifetime / 12) {
        Outcome::unhealthy(Code::TlsExpiring)
    } else if remaining < limits.warn.min(lifetime / 4) {
        Outcome::degraded(Code::TlsExpiring)
    } else {
        Outcome::healthy()
    };
    let days = remaining.as_secs() / (24 * 3600);
    told(
        outcome.with_detail(format!("good for {days} more days")),
        Some(until),
    )
}

/// The last moment at which a chain to a root can be found: it lies at the end of one of
/// the certificates. Trying the ends finds the best of all chains, cross-signed ones too.
fn best_end(chain: &Chain, leaf: Validity, now: i64, is_good: impl Fn(i64) -> bool) -> i64 {
    let mut ends: Vec<i64> = chain
        .intermediates
        .iter()
        .filter_map(validity)
        .map(|validity| validity.until)
        .filter(|until| (now..leaf.until).contains(until))
        .chain([leaf.until])
        .collect();
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends.into_iter().find(|end| is_good(*end)).unwrap_or(now)
}

fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = parsed.validity();
    Some(Validity {
        from: validity.not_before.timestamp(),
        until: validity.not_after.timestamp(),
    })
}

fn seconds(n: i64) -> Duration {
    Duration::from_secs(n.try_into().unwrap_or(0))
}

/// Seconds until then, negative where it has been.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of a few years are exact"
)]
const fn left(until: i64, now: i64) -> f64 {
    (until - now) as f64
}

/// That many seconds after a moment, in seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 are exact for long"
)]
pub(super) fn seconds_after(now: Timestamp, remaining: f64) -> f64 {
    now.unix_seconds() as f64 + remaining
}
