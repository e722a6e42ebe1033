//! How the vendor's edge speaks TLS.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::id::ZoneId;
use crate::macros::setters;

/// How the edge speaks to visitors and to the origin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum EdgeTlsMode {
    /// Without TLS on either side.
    Off,
    /// With TLS to visitors, without it to the origin.
    Flexible,
    /// With TLS on both sides; the origin's certificate is not looked at.
    Full,
    /// With TLS on both sides, and a certificate of the origin that holds.
    Strict,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// A version of TLS that visitors speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum EdgeTlsVersion {
    /// TLS 1.0.
    #[cfg_attr(feature = "serde", serde(rename = "1.0"))]
    V1_0,
    /// TLS 1.1.
    #[cfg_attr(feature = "serde", serde(rename = "1.1"))]
    V1_1,
    /// TLS 1.2.
    #[cfg_attr(feature = "serde", serde(rename = "1.2"))]
    V1_2,
    /// TLS 1.3.
    #[cfg_attr(feature = "serde", serde(rename = "1.3"))]
    V1_3,
}

/// What browsers are told about coming back without TLS (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Hsts {
    /// How long they must not. Zero turns it off.
    pub max_age: Duration,
    /// Whether this holds for every name below. Defaults to no.
    pub include_subdomains: bool,
    /// Whether browsers may be shipped with it. Defaults to no.
    pub preload: bool,
}

impl Hsts {
    /// Nothing is asked of browsers.
    pub const OFF: Self = Self::new(Duration::ZERO);

    /// For the name alone, and not shipped with browsers.
    #[must_use]
    pub const fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            include_subdomains: false,
            preload: false,
        }
    }

    /// Whether anything is asked of browsers.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.max_age.is_zero()
    }
}

setters! { Hsts {
    val { with_include_subdomains(include_subdomains: bool), with_preload(preload: bool) }
} }

/// How the edge speaks TLS for a zone. `None` is what the vendor does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ZoneTlsSettings {
    /// How it speaks to visitors and to the origin.
    pub mode: Option<EdgeTlsMode>,
    /// The oldest TLS that visitors may speak.
    pub min_version: Option<EdgeTlsVersion>,
    /// Whether visitors may speak HTTP/3.
    pub http3: Option<bool>,
    /// Whether requests without TLS are sent to the address with it.
    pub always_https: Option<bool>,
    /// What browsers are told about coming back without TLS.
    pub hsts: Option<Hsts>,
}

setters! { ZoneTlsSettings {
    opt {
        with_mode(mode: EdgeTlsMode),
        with_min_version(min_version: EdgeTlsVersion),
        with_http3(http3: bool),
        with_always_https(always_https: bool),
        with_hsts(hsts: Hsts),
    }
} }

/// What to change. What is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZoneTlsChange {
    /// How the edge speaks to visitors and to the origin.
    pub mode: Option<EdgeTlsMode>,
    /// The oldest TLS that visitors may speak.
    pub min_version: Option<EdgeTlsVersion>,
    /// Whether visitors may speak HTTP/3.
    pub http3: Option<bool>,
    /// Whether requests without TLS are sent to the address with it.
    pub always_https: Option<bool>,
    /// What browsers are told about coming back without TLS.
    pub hsts: Option<Hsts>,
}

impl ZoneTlsChange {
    /// What a zone that serves a shop should have: [`EdgeTlsMode::Strict`], TLS 1.2 at
    /// least, HTTP/3, and no way without TLS. HSTS is left as it is: it cannot be taken
    /// back before its time is over.
    #[must_use]
    pub fn hardened() -> Self {
        Self::default()
            .with_mode(EdgeTlsMode::Strict)
            .with_min_version(EdgeTlsVersion::V1_2)
            .with_http3(true)
            .with_always_https(true)
    }

    /// Fails for a change that would lock visitors out, given what the zone has now.
    /// Every [`ZoneTls`] asks this before it changes anything.
    ///
    /// # Errors
    /// `InvalidInput` for HSTS in a zone without TLS, and for a preload that the lists of
    /// browsers refuse: they ask for a year and all names below.
    pub fn check(&self, present: &ZoneTlsSettings) -> Result<()> {
        let mode = self.mode.as_ref().or(present.mode.as_ref());
        let hsts = self.hsts.or(present.hsts).unwrap_or(Hsts::OFF);
        let touches = self.mode.is_some() || self.hsts.is_some();
        let problem = if touches && hsts.is_on() && mode == Some(&EdgeTlsMode::Off) {
            "HSTS without TLS would lock visitors out"
        } else if self.hsts.is_some_and(|hsts| !hsts.may_preload()) {
            "a preload needs a maximum age of a year and all names below"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidInput, problem))
    }

    /// What of this change differs from what the zone has.
    #[must_use]
    pub fn differing_from(self, present: &ZoneTlsSettings) -> Self {
        fn keep<T: PartialEq>(wanted: Option<T>, present: Option<&T>) -> Option<T> {
            wanted.filter(|wanted| present != Some(wanted))
        }
        Self {
            mode: keep(self.mode, present.mode.as_ref()),
            min_version: keep(self.min_version, present.min_version.as_ref()),
            http3: keep(self.http3, present.http3.as_ref()),
            always_https: keep(self.always_https, present.always_https.as_ref()),
            hsts: keep(self.hsts, present.hsts.as_ref()),
        }
    }

    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

setters! { ZoneTlsChange {
    opt {
        with_mode(mode: EdgeTlsMode),
        with_min_version(min_version: EdgeTlsVersion),
        with_http3(http3: bool),
        with_always_https(always_https: bool),
        with_hsts(hsts: Hsts),
    }
} }

impl Hsts {
    fn may_preload(&self) -> bool {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        !self.preload || (self.include_subdomains && self.max_age >= YEAR)
    }
}

/// How the edge speaks TLS. An ability of [`Dns`](super::Dns).
#[async_trait]
pub trait ZoneTls: fmt::Debug + Send + Sync + 'static {
    /// How the edge speaks TLS for a zone.
    ///
    /// # Errors
    /// `NotFound` for the zone.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn tls_settings(&self, zone: &ZoneId) -> Result<ZoneTlsSettings>;

    /// Changes how the edge speaks TLS for a zone, and answers how it does then.
    ///
    /// # Behavior
    /// 1. What is `None` is left as it is, and what is as wanted already is not sent.
    /// 2. A change that [`ZoneTlsChange::check`] refuses is refused before anything is
    ///    changed.
    /// 3. Where the vendor has a setting for each, they are changed in the order in which
    ///    none of them locks visitors out: TLS before HSTS, and HSTS off before TLS off.
    ///
    /// # Errors
    /// `NotFound` for the zone; `InvalidInput` as above; `Unsupported` for a setting that
    /// the vendor or the plan does not have. After a failure some of it may be changed;
    /// repeating is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of it changed.
    async fn set_tls_settings(
        &self,
        zone: &ZoneId,
        change: ZoneTlsChange,
    ) -> Result<ZoneTlsSettings>;
}

const _: fn(&dyn ZoneTls) = |_| {};

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    #[test]
    fn a_change_that_locks_visitors_out_is_refused() {
        let on = Hsts::new(YEAR);
        let off = ZoneTlsSettings::default().with_mode(EdgeTlsMode::Off);
        let with_hsts = ZoneTlsSettings::default()
            .with_mode(EdgeTlsMode::Full)
            .with_hsts(on);
        let change = ZoneTlsChange::default();
        assert!(change.clone().with_hsts(on).check(&off).is_err());
        let both = change.clone().with_hsts(on).with_mode(EdgeTlsMode::Full);
        both.check(&off).unwrap();
        let to_off = change.clone().with_mode(EdgeTlsMode::Off);
        assert!(to_off.check(&with_hsts).is_err());
        to_off
            .clone()
            .with_hsts(Hsts::OFF)
            .check(&with_hsts)
            .unwrap();
        change.with_http3(true).check(&off.with_hsts(on)).unwrap();
    }

    #[test]
    fn a_preload_is_for_a_year_and_all_names_below() {
        let present = ZoneTlsSettings::default();
        let preload = Hsts::new(YEAR).with_preload(true);
        let check = |hsts| ZoneTlsChange::default().with_hsts(hsts).check(&present);
        assert_eq!(check(preload).unwrap_err().kind(), ErrorKind::InvalidInput);
        check(preload.with_include_subdomains(true)).unwrap();
        let short = Hsts::new(YEAR / 2).with_include_subdomains(true);
        assert!(check(short.with_preload(true)).is_err());
    }

    #[test]
    fn only_what_differs_is_left_of_a_change() {
        let present = ZoneTlsSettings::default()
            .with_mode(EdgeTlsMode::Strict)
            .with_min_version(EdgeTlsVersion::V1_0)
            .with_always_https(true);
        let left = ZoneTlsChange::hardened().differing_from(&present);
        let wanted = ZoneTlsChange::default()
            .with_min_version(EdgeTlsVersion::V1_2)
            .with_http3(true);
        assert_eq!(left, wanted);
        assert!(ZoneTlsChange::default().is_empty());
    }
}
