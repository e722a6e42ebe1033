//! Bodies.
//!
//! A body for everybody is made from [`PublicReport`], which holds no cause, no number
//! and no text of a check; a body for authorized callers from [`FullReport`]. Every
//! shape has one function for each, and they share no state.

mod cache;
mod draft;
mod kube;
mod native;
mod presets;

use std::time::Duration;

use bytes::Bytes;
use ops_core::{Secret, Timestamp};
use serde::Serialize;
use serde::ser::SerializeMap;

use crate::aggregate::Verdict;
use crate::lifecycle::Lifecycle;
use crate::private::{Authorized, scrub};
use crate::snapshot::CheckReport;
use crate::status::Status;

pub(crate) use cache::{BodyCache, DetailCache, DetailKey};
pub(crate) use kube::{anonymous as kube_anonymous, authorized as kube_authorized};
pub(crate) use native::one_check;

/// The shape of the body of `/health`.
///
/// A caller chooses with `?format=` and the name in parentheses, or, for the draft, with
/// `Accept: application/health+json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// Ours, with everything (`native`).
    #[default]
    Native,
    /// `checks.{name}.ok` (`a`).
    PresetA,
    /// `ok` or `error`, and `connected` or `disconnected` for each check (`b`).
    PresetB,
    /// `services.{name}`, `healthy` or `unhealthy` (`c`).
    PresetC,
    /// The Internet-Draft `draft-inadarei-api-health-check` (`draft`).
    Draft,
}

impl Shape {
    /// The shape of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "native" => Some(Self::Native),
            "a" => Some(Self::PresetA),
            "b" => Some(Self::PresetB),
            "c" => Some(Self::PresetC),
            "draft" => Some(Self::Draft),
            _ => None,
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Draft => "application/health+json",
            _ => "application/json",
        }
    }

    pub(crate) fn anonymous(self, report: &PublicReport<'_>) -> Bytes {
        match self {
            Self::Native => native::anonymous(report),
            Self::PresetA => presets::a_anonymous(report),
            Self::PresetB => presets::b_anonymous(report),
            Self::PresetC => presets::c_anonymous(report),
            Self::Draft => draft::anonymous(report),
        }
    }

    pub(crate) fn authorized(self, report: &FullReport<'_>, proof: &Authorized) -> Bytes {
        match self {
            Self::Native => native::authorized(report, proof),
            Self::PresetA => presets::a_authorized(report),
            Self::PresetB => presets::b_authorized(report),
            Self::PresetC => presets::c_authorized(report),
            Self::Draft => draft::authorized(report),
        }
    }
}

/// What everybody may know.
pub(crate) struct PublicReport<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) timestamp: Timestamp,
    /// Names and states, where the application shows them.
    pub(crate) names: Option<Vec<(&'a str, Status)>>,
}

/// What authorized callers may know.
pub(crate) struct FullReport<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) timestamp: Timestamp,
    pub(crate) service: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
    pub(crate) uptime: Duration,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) checks: Vec<CheckReport>,
    pub(crate) gates: Vec<(&'a str, Status)>,
    pub(crate) signals: Vec<(&'a str, bool)>,
    pub(crate) known_secrets: &'a [Secret],
}

impl FullReport<'_> {
    fn detail(&self, check: &CheckReport, proof: &Authorized) -> Option<String> {
        let detail = check.detail.expose(proof);
        (!detail.is_empty()).then(|| scrub(detail, self.known_secrets))
    }

    /// Seconds since the start, to a tenth.
    fn uptime_seconds(&self) -> f64 {
        (self.uptime.as_secs_f64() * 10.0).floor() / 10.0
    }
}

/// A number of milliseconds, to a microsecond.
fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

/// An instant as bodies show it, to a millisecond.
pub(crate) fn instant(at: Timestamp) -> Timestamp {
    Timestamp::from_unix_millis(at.unix_millis()).unwrap_or(at)
}

/// A JSON object of pairs, in their order.
struct Object<I>(I);

impl<I, K, V> Serialize for Object<I>
where
    I: Iterator<Item = (K, V)> + Clone,
    K: Serialize,
    V: Serialize,
{
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0.clone() {
            map.serialize_entry(&key, &value)?;
        }
        map.end()
    }
}

fn json(value: &impl Serialize) -> Bytes {
    // Serializing plain data to memory does not fail; an empty object is still valid.
    serde_json::to_vec(value).map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from)
}
