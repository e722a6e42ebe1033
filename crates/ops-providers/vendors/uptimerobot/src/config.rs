//! How the provider is made.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ops_core::{Clock, Error, Result, Secret, SystemClock};
use ops_http::{ApiClient, Auth, ErrorRules, HttpClient, Limits, RetryPolicy};

use crate::{PROVIDER, error};

/// Where UptimeRobot's API is.
const BASE_URL: &str = "https://api.uptimerobot.com/v3";

/// Where beats go.
const HEARTBEAT_URL: &str = "https://heartbeat.uptimerobot.com";

/// What the free plan allows: 10 requests a minute.
const LIMITS: Limits = Limits::new(
    NonZeroU32::new(10).expect("not zero"),
    Duration::from_secs(60),
);

/// The shortest interval that the API takes, in any plan.
const MIN_INTERVAL: Duration = Duration::from_secs(30);

/// No time zone is further from UTC than this, in minutes.
const MAX_UTC_OFFSET: i32 = 14 * 60;

/// An account at UptimeRobot as a [`Monitor`](ops_core::Monitor). Clones are the same
/// account and share connections and limits.
#[derive(Clone)]
pub struct UptimeRobot {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) api: ApiClient,
    /// Without the API key: an address of a heartbeat is a secret of its own.
    pub(crate) beats: ApiClient,
    /// Where beats go, without a slash at the end.
    pub(crate) heartbeat_url: String,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What the account and its plan are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) min_interval: Duration,
    pub(crate) utc_offset_minutes: i32,
}

impl fmt::Debug for UptimeRobot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UptimeRobot")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// Builds [`UptimeRobot`].
#[must_use]
pub struct UptimeRobotBuilder {
    api_key: Secret,
    settings: Settings,
    limits: Limits,
    base_url: String,
    heartbeat_url: String,
    allow_http: bool,
    http_client: Option<HttpClient>,
    retry: Option<RetryPolicy>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for UptimeRobotBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A base URL can hold credentials.
        f.debug_struct("UptimeRobotBuilder")
            .field("settings", &self.settings)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl UptimeRobot {
    /// Begins with an API key of the account that may write.
    pub fn builder(api_key: impl Into<Secret>) -> UptimeRobotBuilder {
        UptimeRobotBuilder {
            api_key: api_key.into(),
            settings: Settings {
                min_interval: MIN_INTERVAL,
                utc_offset_minutes: 0,
            },
            limits: LIMITS,
            base_url: BASE_URL.to_owned(),
            heartbeat_url: HEARTBEAT_URL.to_owned(),
            allow_http: false,
            http_client: None,
            retry: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Builds from the environment.
    ///
    /// | variable | what |
    /// | --- | --- |
    /// | `UPTIMEROBOT_API_KEY` | the API key; required |
    ///
    /// # Errors
    /// `InvalidConfig` where the variable is missing or does not hold what it should.
    pub fn from_env() -> Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the environment"
        )]
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let api_key = read("UPTIMEROBOT_API_KEY").ok_or_else(|| {
            let problem = "UPTIMEROBOT_API_KEY is not set";
            Error::invalid_config([problem]).with_provider(PROVIDER)
        })?;
        Self::builder(api_key).build()
    }
}

impl UptimeRobotBuilder {
    /// Sets how much is sent. Defaults to what the free plan allows: 10 requests a minute.
    /// Paid plans allow twice the number of their monitors, 5000 at most. Where several
    /// clients share an account, each has a part of it.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the shortest interval of a check that the plan allows: a shorter one is refused
    /// before anything is sent. Defaults to 30 s, below which no plan goes.
    pub fn min_interval(mut self, interval: Duration) -> Self {
        self.settings.min_interval = interval;
        self
    }

    /// Sets how far the account's time zone is ahead of UTC, in minutes. UptimeRobot takes
    /// maintenance windows as a date and a time of day without a zone. Defaults to 0.
    pub fn utc_offset_minutes(mut self, minutes: i32) -> Self {
        self.settings.utc_offset_minutes = minutes;
        self
    }

    /// Sets where the API is. Defaults to UptimeRobot's.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Sets where beats go. Defaults to UptimeRobot's.
    pub fn heartbeat_url(mut self, url: impl Into<String>) -> Self {
        self.heartbeat_url = url.into();
        self
    }

    /// Allows base URLs with `http`, for tests. Defaults to no.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Shares connections with other providers. Defaults to connections of its own.
    pub fn http_client(mut self, http: HttpClient) -> Self {
        self.http_client = Some(http);
        self
    }

    /// Sets when requests are sent again. Defaults to [`RetryPolicy::default`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets the clock by which windows lie in time. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks everything and builds. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems.
    pub fn build(mut self) -> Result<UptimeRobot> {
        let mut problems = self.settings.problems();
        if self.api_key.is_empty() {
            problems.push("the API key is empty".to_owned());
        }
        let mut kept = |made: Result<ApiClient>, what: &str| {
            let problem = |err: Error| problems.push(format!("{what}: {}", err.message()));
            made.map_err(problem).ok()
        };
        // Both share connections, where none are given.
        if self.http_client.is_none() {
            self.http_client = HttpClient::builder().build().ok();
        }
        let auth = Auth::bearer(self.api_key.clone());
        let api = self.client(&self.base_url, error::RULES);
        let api = kept(api.auth(auth).limits(self.limits).build(), "the API");
        let beats = self.client(&self.heartbeat_url, error::BEAT_RULES);
        let beats = kept(beats.build(), "the heartbeats");
        let (Some(api), Some(beats), true) = (api, beats, problems.is_empty()) else {
            return Err(Error::invalid_config(problems).with_provider(PROVIDER));
        };
        Ok(UptimeRobot {
            inner: Arc::new(Inner {
                api,
                beats,
                heartbeat_url: self.heartbeat_url.trim_end_matches('/').to_owned(),
                settings: self.settings,
                clock: self.clock,
            }),
        })
    }

    fn client(&self, base_url: &str, rules: ErrorRules) -> ops_http::ApiClientBuilder {
        let mut client = ApiClient::builder(PROVIDER, base_url)
            .errors(rules)
            .clock(Arc::clone(&self.clock))
            .allow_http(self.allow_http);
        if let Some(http) = &self.http_client {
            client = client.http_client(http.clone());
        }
        if let Some(policy) = &self.retry {
            client = client.retry(policy.clone());
        }
        client
    }
}

impl Settings {
    fn problems(self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.min_interval.is_zero() {
            problems.push("the shortest interval is zero".to_owned());
        }
        if self.utc_offset_minutes.abs() > MAX_UTC_OFFSET {
            problems.push("no time zone is that far from UTC".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use ops_core::ErrorKind;

    use super::*;

    #[test]
    fn a_variable_that_is_missing_is_named() {
        let err = UptimeRobot::from_variables(|_| None).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert_eq!(
            err.to_string(),
            "uptimerobot: UPTIMEROBOT_API_KEY is not set"
        );
        UptimeRobot::from_variables(|_| Some("u1-key".to_owned())).unwrap();
    }

    #[test]
    fn the_key_is_never_printed() {
        let builder = UptimeRobot::builder("u1-hunter2");
        assert!(!format!("{builder:?}").contains("hunter2"));
        assert!(!format!("{:?}", builder.build().unwrap()).contains("hunter2"));
    }
}
