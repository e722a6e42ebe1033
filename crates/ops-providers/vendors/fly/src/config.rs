//! How the provider is made.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::hosting::MachineSize;
use ops_core::id::{DeploymentId, Region};
use ops_core::{Clock, Error, Result, Secret, SystemClock};
use ops_http::{ApiClient, Auth, HttpClient, Limits, RetryPolicy, header};

use crate::settings::{Guest, guest_of};
use crate::{PROVIDER, error};

/// Where the Machines API is.
const MACHINES_URL: &str = "https://api.machines.dev/v1";

/// Where the GraphQL API and the logs are.
const PLATFORM_URL: &str = "https://api.fly.io";

/// One organization at Fly.io as a [`Hosting`](ops_core::Hosting). Clones are the same
/// organization and share connections and limits.
#[derive(Clone)]
pub struct Fly {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) machines: ApiClient,
    pub(crate) platform: ApiClient,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    /// Why deployments of this provider have failed, newest last: Fly keeps no reason.
    pub(crate) failures: Mutex<VecDeque<(DeploymentId, String)>>,
}

/// How apps are made and changed.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) organization: String,
    pub(crate) region: Option<Region>,
    pub(crate) port: u16,
    pub(crate) guest: Guest,
    pub(crate) start_timeout: Duration,
    pub(crate) interval: Duration,
}

impl fmt::Debug for Fly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fly")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// Builds [`Fly`].
#[must_use]
pub struct FlyBuilder {
    token: Secret,
    settings: Settings,
    size: Option<MachineSize>,
    base_url: String,
    platform_url: String,
    allow_http: bool,
    http_client: Option<HttpClient>,
    retry: Option<RetryPolicy>,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for FlyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A base URL can hold credentials.
        f.debug_struct("FlyBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Fly {
    /// Begins with a token, such as `fly tokens create org` prints.
    pub fn builder(token: impl Into<Secret>) -> FlyBuilder {
        FlyBuilder {
            token: token.into(),
            settings: Settings {
                organization: "personal".to_owned(),
                region: None,
                port: 8080,
                guest: Guest::SMALLEST,
                start_timeout: Duration::from_secs(300),
                interval: Duration::from_secs(1),
            },
            size: None,
            base_url: MACHINES_URL.to_owned(),
            platform_url: PLATFORM_URL.to_owned(),
            allow_http: false,
            http_client: None,
            retry: None,
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Builds from the environment.
    ///
    /// | variable | what |
    /// | --- | --- |
    /// | `FLY_API_TOKEN` | the token; required |
    /// | `FLY_ORG` | the organization's slug; `personal` by default |
    ///
    /// # Errors
    /// `InvalidConfig` with every variable that is missing or does not hold what it should.
    pub fn from_env() -> Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the environment"
        )]
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let read = |name| read(name).filter(|value| !value.is_empty());
        let Some(token) = read("FLY_API_TOKEN") else {
            let problem = "FLY_API_TOKEN is not set".to_owned();
            return Err(Error::invalid_config([problem]).with_provider(PROVIDER));
        };
        let builder = Self::builder(token);
        match read("FLY_ORG") {
            Some(organization) => builder.organization(organization),
            None => builder,
        }
        .build()
    }
}

impl FlyBuilder {
    /// Sets the organization that apps are made and listed in, by its slug. Defaults to
    /// `personal`.
    pub fn organization(mut self, slug: impl Into<String>) -> Self {
        self.settings.organization = slug.into();
        self
    }

    /// Sets where the first machine of an app runs that names no regions. Defaults to what
    /// Fly finds near the caller.
    pub fn region(mut self, region: Region) -> Self {
        self.settings.region = Some(region);
        self
    }

    /// Sets the port on which apps listen that name none. Defaults to 8080.
    pub fn port(mut self, port: u16) -> Self {
        self.settings.port = port;
        self
    }

    /// Sets the size of the machines of apps that name none. Defaults to `shared-cpu-1x`.
    pub fn size(mut self, size: MachineSize) -> Self {
        self.size = Some(size);
        self
    }

    /// Sets how long one machine may take to start and to pass its checks. Defaults to 5
    /// minutes.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.settings.start_timeout = timeout;
        self
    }

    /// Sets the pause between two looks at a machine's checks, or at a log that is
    /// followed. Defaults to 1 second.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval;
        self
    }

    /// Sets where the Machines API is. Defaults to Fly's; inside of Fly's private network it
    /// is at `http://_api.internal:4280/v1`, which needs [`allow_http`](Self::allow_http).
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Sets where `/graphql` and `/api/v1/apps/../logs` are. Defaults to Fly's.
    pub fn platform_url(mut self, url: impl Into<String>) -> Self {
        self.platform_url = url.into();
        self
    }

    /// Allows URLs with `http`, for tests and Fly's private network. Defaults to no.
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

    /// Sets how much is sent to each of Fly's two APIs. Defaults to 8 requests at a time and no
    /// rate: Fly counts requests for each action and machine, which one rate for all cannot
    /// express, and what it refuses is sent again after a pause.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the clock that the beginning of a log is reckoned by. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks everything and builds. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems.
    pub fn build(mut self) -> Result<Fly> {
        let mut problems = self.settings.problems();
        if let Some(size) = &self.size {
            match guest_of(size, None) {
                Ok(guest) => self.settings.guest = guest,
                Err(err) => problems.push(format!("the size: {}", err.message())),
            }
        }
        let auth = authorization(&self.token);
        let http = self.http_client.take();
        let http = http.map_or_else(|| HttpClient::builder().build(), Ok);
        let http = http.map_err(|err| problems.push(err.message().to_owned()));
        let mut clients = Vec::new();
        for url in [&self.base_url, &self.platform_url] {
            let mut api = ApiClient::builder(PROVIDER, url)
                .auth(auth.clone())
                .errors(error::RULES)
                .limits(self.limits)
                .clock(Arc::clone(&self.clock))
                .allow_http(self.allow_http);
            if let Ok(http) = &http {
                api = api.http_client(http.clone());
            }
            if let Some(policy) = &self.retry {
                api = api.retry(policy.clone());
            }
            match api.build() {
                Ok(api) => clients.push(api),
                Err(err) => problems.push(err.message().to_owned()),
            }
        }
        problems.dedup();
        let (Some(platform), Some(machines), true) =
            (clients.pop(), clients.pop(), problems.is_empty())
        else {
            return Err(Error::invalid_config(problems).with_provider(PROVIDER));
        };
        Ok(Fly {
            inner: Arc::new(Inner {
                machines,
                platform,
                settings: self.settings,
                clock: self.clock,
                failures: Mutex::default(),
            }),
        })
    }
}

/// Macaroons, which is what Fly makes by now, have a scheme of their own.
fn authorization(token: &Secret) -> Auth {
    let bare = token.expose().trim_start_matches("FlyV1 ");
    let is_macaroon = bare
        .split(',')
        .any(|part| part.starts_with("fm1r_") || part.starts_with("fm2_"));
    let scheme = if is_macaroon { "FlyV1 " } else { "Bearer " };
    Auth::header(header::AUTHORIZATION, scheme, Secret::new(bare.to_owned()))
}

impl Settings {
    fn problems(&self) -> Vec<String> {
        let wrong = [
            (self.organization.is_empty(), "the organization is empty"),
            (self.port == 0, "the port is zero"),
            (self.start_timeout.is_zero(), "the time to start is zero"),
        ];
        let wrong = wrong.into_iter().filter(|(is_wrong, _)| *is_wrong);
        wrong.map(|(_, problem)| problem.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use ops_core::ErrorKind;

    use super::*;

    #[test]
    fn a_variable_that_is_missing_is_named() {
        let err = Fly::from_variables(|_| None).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert_eq!(err.to_string(), "fly: FLY_API_TOKEN is not set");
    }

    #[test]
    fn the_organization_is_read() {
        let read = |name: &str| Some(if name == "FLY_ORG" { "acme" } else { "t" }.to_owned());
        let fly = Fly::from_variables(read).unwrap();
        assert_eq!(fly.inner.settings.organization, "acme");
    }

    #[test]
    fn the_token_is_never_printed() {
        let builder = Fly::builder("FlyV1 fm2_hunter2");
        assert!(!format!("{builder:?}").contains("hunter2"));
        assert!(!format!("{:?}", builder.build().unwrap()).contains("hunter2"));
    }
}
