//! How the provider is made.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::database::{TlsMode, TlsSettings};
use ops_core::id::DatabaseId;
use ops_core::{Clock, Error, Result, Secret, SystemClock};
use ops_http::{ApiClient, Auth, HttpClient, Limits, RetryPolicy};
use ops_pg::ping::Pinger;

use crate::{PROVIDER, error};

/// Where Neon's API is.
const BASE_URL: &str = "https://console.neon.tech/api/v2";

/// What Neon allows: 700 requests per minute, and 40 in a row.
const LIMITS: Limits = Limits::new(
    NonZeroU32::new(700).expect("not zero"),
    Duration::from_secs(60),
)
.with_burst(NonZeroU32::new(40).expect("not zero"));

/// One branch of a Neon project as a [`Database`](ops_core::Database). Clones are the same
/// branch and share connections and limits.
#[derive(Clone)]
pub struct Neon {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) api: ApiClient,
    pub(crate) project: DatabaseId,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    /// Made with the first ping, and dropped with one that fails.
    pub(crate) pinger: Mutex<Option<Arc<Pinger>>>,
}

/// What stands for the instance inside of its project, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) branch: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) is_pooled: bool,
    pub(crate) tls: TlsSettings,
    pub(crate) ping_timeout: Duration,
}

impl fmt::Debug for Neon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Neon")
            .field("project", &self.inner.project)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// Builds [`Neon`].
#[must_use]
pub struct NeonBuilder {
    token: Secret,
    project: String,
    settings: Settings,
    base_url: String,
    allow_http: bool,
    http_client: Option<HttpClient>,
    retry: Option<RetryPolicy>,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for NeonBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A base URL can hold credentials.
        f.debug_struct("NeonBuilder")
            .field("project", &self.project)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Neon {
    /// Begins with an API key and the id of a project, such as `spring-example-302709`.
    pub fn builder(token: impl Into<Secret>, project: impl Into<String>) -> NeonBuilder {
        NeonBuilder {
            token: token.into(),
            project: project.into(),
            settings: Settings {
                branch: None,
                database: None,
                role: None,
                organization: None,
                is_pooled: false,
                tls: TlsSettings::new(TlsMode::VerifyFull),
                ping_timeout: Duration::from_secs(10),
            },
            base_url: BASE_URL.to_owned(),
            allow_http: false,
            http_client: None,
            retry: None,
            limits: LIMITS,
            clock: Arc::new(SystemClock),
        }
    }

    /// Builds from the environment.
    ///
    /// | variable | what |
    /// | --- | --- |
    /// | `NEON_API_KEY` | the API key; required |
    /// | `NEON_PROJECT_ID` | the project; required |
    /// | `NEON_ORG_ID` | the organization, for keys of a person who has several |
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
        let mut problems = Vec::new();
        let mut required = |name| {
            read(name).unwrap_or_else(|| {
                problems.push(format!("{name} is not set"));
                String::new()
            })
        };
        let token = Secret::new(required("NEON_API_KEY"));
        let project = required("NEON_PROJECT_ID");
        if !problems.is_empty() {
            return Err(Error::invalid_config(problems).with_provider(PROVIDER));
        }
        let builder = Self::builder(token, project);
        match read("NEON_ORG_ID") {
            Some(organization) => builder.organization(organization),
            None => builder,
        }
        .build()
    }
}

impl NeonBuilder {
    /// Sets the branch by its name, which a restored branch inherits while its id changes.
    /// Defaults to the project's default branch.
    pub fn branch(mut self, name: impl Into<String>) -> Self {
        self.settings.branch = Some(name.into());
        self
    }

    /// Sets the database inside of the branch. Defaults to the oldest, which is the one that
    /// the project was made with.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.settings.database = Some(name.into());
        self
    }

    /// Sets the role to log in as. Defaults to the owner of the database.
    pub fn role(mut self, name: impl Into<String>) -> Self {
        self.settings.role = Some(name.into());
        self
    }

    /// Sets the organization that projects are made and listed in, such as
    /// `org-morning-bread-81040908`. Defaults to what the API key belongs to.
    pub fn organization(mut self, id: impl Into<String>) -> Self {
        self.settings.organization = Some(id.into());
        self
    }

    /// Connects through Neon's pooler, which works by transaction: session state such as
    /// prepared statements, `SET` and advisory locks does not hold there. Defaults to no.
    pub fn pooled(mut self, is_pooled: bool) -> Self {
        self.settings.is_pooled = is_pooled;
        self
    }

    /// Sets how connections to the database are protected, whatever Neon's URI says.
    /// Defaults to `verify-full` by the operating system's roots, and TLS 1.3.
    pub fn tls(mut self, tls: TlsSettings) -> Self {
        self.settings.tls = tls;
        self
    }

    /// Sets how long a ping may take, waking the compute and connecting included. Defaults
    /// to 10 s.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.settings.ping_timeout = timeout;
        self
    }

    /// Sets where the API is. Defaults to Neon's.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Allows a base URL with `http`, for tests. Defaults to no.
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

    /// Sets how much is sent. Defaults to what Neon allows an account: 700 requests in a
    /// minute, 40 of them in a row. Where several clients share an account, each has a part
    /// of it.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the clock that recovery windows and usage are reckoned by. Defaults to the
    /// system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks everything and builds. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidConfig` with all problems.
    pub fn build(self) -> Result<Neon> {
        let mut problems = self.settings.problems();
        if self.token.is_empty() {
            problems.push("the API key is empty".to_owned());
        }
        let project = DatabaseId::new(self.project)
            .map_err(|err| problems.push(format!("the project: {}", err.message())))
            .ok();
        let mut api = ApiClient::builder(PROVIDER, self.base_url)
            .auth(Auth::bearer(self.token))
            .errors(error::RULES)
            .limits(self.limits)
            .clock(Arc::clone(&self.clock))
            .allow_http(self.allow_http);
        if let Some(http) = self.http_client {
            api = api.http_client(http);
        }
        if let Some(policy) = self.retry {
            api = api.retry(policy);
        }
        let api = api
            .build()
            .map_err(|err| problems.push(err.message().to_owned()))
            .ok();
        let (Some(project), Some(api), true) = (project, api, problems.is_empty()) else {
            return Err(Error::invalid_config(problems).with_provider(PROVIDER));
        };
        Ok(Neon {
            inner: Arc::new(Inner {
                api,
                project,
                settings: self.settings,
                clock: self.clock,
                pinger: Mutex::new(None),
            }),
        })
    }
}

impl Settings {
    fn problems(&self) -> Vec<String> {
        let given = [
            ("branch", &self.branch),
            ("database", &self.database),
            ("role", &self.role),
            ("organization", &self.organization),
        ];
        let empty = given
            .into_iter()
            .filter(|(_, value)| value.as_deref() == Some(""));
        let mut problems: Vec<_> = empty
            .map(|(what, _)| format!("the {what} is empty"))
            .collect();
        if self.ping_timeout.is_zero() {
            problems.push("the timeout of pings is zero".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use ops_core::ErrorKind;

    use super::*;

    #[test]
    fn every_variable_that_is_missing_is_named() {
        let err = Neon::from_variables(|_| None).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert_eq!(
            err.to_string(),
            "neon: NEON_API_KEY is not set; NEON_PROJECT_ID is not set"
        );
    }

    #[test]
    fn the_key_is_never_printed() {
        let builder = Neon::builder("napi_hunter2", "p-1");
        assert!(!format!("{builder:?}").contains("hunter2"));
        assert!(!format!("{:?}", builder.build().unwrap()).contains("hunter2"));
    }
}
