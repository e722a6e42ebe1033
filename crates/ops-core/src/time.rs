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
    fn from(time: SystemTime) -> Self {
        jiff::Timestamp::try_from(time).map_or(Self(jiff::Timestamp::MAX), Self)
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
