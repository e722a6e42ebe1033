//! Instants, and the clock that they come from.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind};

/// An instant in UTC with nanosecond resolution.
///
/// Prints as RFC 3339 in UTC, such as `2026-11-20T22:57:52.123Z`.
///
/// ```
/// use ops_core::Timestamp;
///
/// let t: Timestamp = "2026-01-02T03:04:05+08:00".parse()?;
/// assert_eq!(t.to_string(), "2026-01-01T19:04:05Z");
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The instant that many seconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// `InvalidInput` outside the years -9999 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Result<Self, Error> {
        jiff::Timestamp::from_second(seconds)
            .map(Self)
            .map_err(out_of_range)
    }

    /// The instant that many milliseconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// `InvalidInput` outside the years -9999 to 9999.
    pub fn from_unix_millis(millis: i64) -> Result<Self, Error> {
        jiff::Timestamp::from_millisecond(millis)
            .map(Self)
            .map_err(out_of_range)
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// Whole milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Reads an HTTP date (RFC 9110, section 5.6.7), such as `Fri, 20 Nov 2026 22:57:52 GMT`.
    ///
    /// # Errors
    /// `Decode` where the text is no such date.
    pub fn parse_http_date(text: &str) -> Result<Self, Error> {
        jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(text)
            .map(Self)
            .map_err(|source| Error::new(ErrorKind::Decode, "not an HTTP date").with_source(source))
    }

    /// How long `earlier` lies before this instant; zero where it lies after it.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or(Duration::ZERO)
    }

    /// This instant plus a span, or the last representable instant.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        jiff::SignedDuration::try_from(span)
            .ok()
            .and_then(|span| self.0.checked_add(span).ok())
            .map_or(Self(jiff::Timestamp::MAX), Self)
    }

    /// This instant minus a span, or the first representable instant.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        jiff::SignedDuration::try_from(span)
            .ok()
            .and_then(|span| self.0.checked_sub(span).ok())
            .map_or(Self(jiff::Timestamp::MIN), Self)
    }

    /// The instant in UTC by a `strftime` pattern, such as `%Y%m%dT%H%M%SZ`.
    #[must_use]
    pub fn strftime_utc(self, pattern: &str) -> String {
        self.0
            .to_zoned(jiff::tz::TimeZone::UTC)
            .strftime(pattern)
            .to_string()
    }
}

#[cold]
fn out_of_range(source: jiff::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, "the instant is out of range").with_source(source)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads RFC 3339. A text without an offset is refused: it names no instant.
    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse().map(Self).map_err(|source: jiff::Error| {
            Error::new(ErrorKind::Decode, "not an RFC 3339 instant").with_source(source)
        })
    }
}

impl From<SystemTime> for Timestamp {
    /// A time that is out of range becomes the nearest instant that is not.
    fn from(time: SystemTime) -> Self {
        let limit = if time < SystemTime::UNIX_EPOCH {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        Self(jiff::Timestamp::try_from(time).unwrap_or(limit))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        time.0.into()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the time comes from.
///
/// Wall time decides ids, retention and freshness, so it is injected wherever it
/// decides something. Sleeps and deadlines use the runtime's own monotonic timers.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

impl<T: Clock + ?Sized> Clock for std::sync::Arc<T> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_instant_without_an_offset_is_refused() {
        for text in ["2026-01-02T03:04:05", "2026-01-02", "yesterday", ""] {
            let err = text.parse::<Timestamp>().unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Decode, "{text}");
        }
        assert_eq!(
            at("2026-01-02T03:04:05.678+08:00").to_string(),
            "2026-01-01T19:04:05.678Z"
        );
    }

    #[test]
    fn an_http_date_is_read() {
        let date = Timestamp::parse_http_date("Fri, 20 Nov 2026 22:57:52 GMT").unwrap();
        assert_eq!(date, at("2026-11-20T22:57:52Z"));
        for text in ["", "22:57:52 GMT", "Fri, 31 Nov 2026 22:57:52 GMT"] {
            assert_eq!(
                Timestamp::parse_http_date(text).unwrap_err().kind(),
                ErrorKind::Decode
            );
        }
    }

    #[test]
    fn arithmetic_ends_at_the_first_and_last_instant() {
        let last = Timestamp::UNIX_EPOCH.saturating_add(Duration::MAX);
        let first = Timestamp::UNIX_EPOCH.saturating_sub(Duration::MAX);
        assert_eq!(last, last.saturating_add(Duration::from_secs(1)));
        assert_eq!(first, first.saturating_sub(Duration::from_secs(1)));
        assert_eq!(first.saturating_since(last), Duration::ZERO);
        assert!(last.saturating_since(first) > Duration::from_secs(86_400 * 365 * 19_000));
    }

    #[test]
    fn a_system_time_beyond_the_range_becomes_the_nearest_instant() {
        let far = Duration::from_secs(86_400 * 366 * 20_000);
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(
            Timestamp::from(epoch + far),
            Timestamp::UNIX_EPOCH.saturating_add(Duration::MAX)
        );
        assert_eq!(
            Timestamp::from(epoch - far),
            Timestamp::UNIX_EPOCH.saturating_sub(Duration::MAX)
        );
    }

    #[test]
    fn unix_seconds_out_of_range_are_refused() {
        let err = Timestamp::from_unix_seconds(i64::MAX).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_pattern_prints_in_utc() {
        let text = at("2026-01-02T03:04:05+08:00").strftime_utc("%Y%m%dT%H%M%SZ");
        assert_eq!(text, "20260101T190405Z");
    }

    proptest! {
        #[test]
        fn every_instant_survives_its_text(millis in -60_000_000_000_000_i64..250_000_000_000_000) {
            let instant = Timestamp::from_unix_millis(millis).unwrap();
            prop_assert_eq!(instant.to_string().parse::<Timestamp>().unwrap(), instant);
            prop_assert_eq!(Timestamp::from(SystemTime::from(instant)), instant);
        }

        #[test]
        fn adding_and_taking_away_meet(millis in 0_i64..4_000_000_000_000, span in 0_u64..4_000_000_000) {
            let (start, span) = (Timestamp::from_unix_millis(millis).unwrap(), Duration::from_millis(span));
            let end = start.saturating_add(span);
            prop_assert_eq!(end.saturating_since(start), span);
            prop_assert_eq!(end.saturating_sub(span), start);
        }
    }
}
