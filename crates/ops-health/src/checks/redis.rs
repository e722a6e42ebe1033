//! Whether a Redis server answers, and takes writes.

use std::fmt;
use std::time::Duration;

use ops_core::Secret;
use ops_core::database::{Role, TlsVersion};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Criticality, Kind, Scope};

mod connection;
mod info;
mod target;

use connection::Connection;
use target::Target;

/// Whether a Redis server answers, and whether it still takes writes.
///
/// Every run is one PING over one connection of the check's own. A server that refuses
/// writes because it cannot persist them refuses PING too (`MISCONF`). One that was told to
/// go on (`stop-writes-on-bgsave-error no`), or that saves by command alone, answers PING, so
/// every sixth run, and every run while it is bad, also asks `INFO` for persistence and
/// replication; what only that shows is found up to five intervals later. Both are
/// [`Code::ReadOnly`], and [`Code::WrongRole`] is a replica in place of a primary. A server
/// that does not allow `INFO` is judged by PING alone.
///
/// Every 10 s; not critical, and shared by all replicas. For a server that is paid by the
/// request, [`Redis::priced_per_request`].
///
/// ```
/// use ops_core::Secret;
/// use ops_health::checks::Redis;
///
/// let check = Redis::new(Secret::from("rediss://app:password@cache.internal:6380/0"));
/// ```
pub struct Redis {
    name: String,
    target: Result<Target, String>,
    expected: Role,
    min_tls: TlsVersion,
    roots: Option<Vec<u8>>,
    is_priced: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// Runs since `INFO` was asked.
    since_info: u32,
    /// What it told.
    persistence: Option<Outcome>,
}

/// `INFO` is asked once in so many runs.
const INFO_EVERY: u32 = 6;

impl Redis {
    /// Looks at the server of this URL: `redis://` or `rediss://` (TLS) with user, password,
    /// host, port and database, or `redis+unix://` with the path of a socket.
    #[must_use]
    pub fn new(url: impl Into<Secret>) -> Self {
        Self {
            name: "redis".to_owned(),
            target: Target::parse(&url.into()),
            expected: Role::Primary,
            min_tls: TlsVersion::V1_3,
            roots: None,
            is_priced: false,
            state: Mutex::default(),
        }
    }

    /// Sets the name. Defaults to `redis`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets which role the server must have. Defaults to [`Role::Primary`];
    /// [`Role::Unknown`] accepts any.
    #[must_use]
    pub fn expect(mut self, role: Role) -> Self {
        self.expected = role;
        self
    }

    /// Sets the oldest version of TLS that is accepted. Defaults to TLS 1.3.
    #[must_use]
    pub fn min_tls(mut self, version: TlsVersion) -> Self {
        self.min_tls = version;
        self
    }

    /// Trusts these root certificates (PEM) instead of the system's.
    #[must_use]
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Says that every request costs money, as at Upstash: runs every 60 s and not more
    /// often.
    #[must_use]
    pub fn priced_per_request(mut self) -> Self {
        self.is_priced = true;
        self
    }

    async fn look(&self, state: &mut State, ctx: &CheckCtx) -> Result<Outcome, Outcome> {
        let target = self
            .target
            .as_ref()
            .map_err(|_| Outcome::unhealthy(Code::Failed))?;
        // Put back after a good answer only: a run that is dropped half way closes it, and
        // no answer to an old question is ever read by a new one.
        let mut connection = match state.connection.take() {
            Some(connection) => connection,
            None => Connection::open(target, self.min_tls, self.roots.as_deref(), ctx).await?,
        };
        let asked = Instant::now();
        connection.ping().await?;
        let took = asked.elapsed();
        let is_bad = state
            .persistence
            .as_ref()
            .is_some_and(|p| p.code() != Code::Ok);
        if state.persistence.is_none() || is_bad || state.since_info + 1 >= INFO_EVERY {
            state.since_info = 0;
            state.persistence = Some(match connection.info().await? {
                Some(text) => info::judge(&text, self.expected),
                None => Outcome::healthy(),
            });
        } else {
            state.since_info += 1;
        }
        let outcome = state.persistence.clone().unwrap_or_else(Outcome::healthy);
        // Behind one name, another server may have taken over: look it up again.
        if outcome.code() != Code::WrongRole {
            state.connection = Some(connection);
        }
        Ok(outcome.with_observation("round_trip", took.as_secs_f64(), Unit::Seconds))
    }
}

impl Check for Redis {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Cache
    }

    fn policy(&self) -> Policy {
        let policy = Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_scope(Scope::SharedDependency);
        if self.is_priced {
            let minute = Duration::from_secs(60);
            policy.with_interval(minute).with_min_interval(minute)
        } else {
            policy
        }
    }

    fn problems(&self) -> Vec<String> {
        self.target.as_ref().err().cloned().into_iter().collect()
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        let mut state = self.state.lock().await;
        self.look(&mut state, ctx)
            .await
            .unwrap_or_else(|outcome| outcome)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("name", &self.name)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
