//! Describing a pool.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use ops_core::database::{ConnectInfo, Engine};
use ops_core::{Error, Result};
use ops_pg::connect::ConnectOptions;
use tokio::runtime::Handle;

use crate::config::Config;
use crate::connect::{Connect, PgConnect};
use crate::core::Settings;
use crate::pool::SessionPool;
use crate::reset::{OnDirty, Reset};
use crate::shared::Shared;

#[derive(Debug)]
enum Source {
    Info(Box<ConnectInfo>, ConnectOptions),
    Custom(Arc<dyn Connect>),
}

/// Describes a pool. Names and defaults are PgBouncer's where it has the same notion.
///
/// ```
/// use std::time::Duration;
///
/// use ops_core::database::{ConnectInfo, Engine, Host};
/// use ops_pool::SessionPool;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), ops_core::Error> {
/// let info = ConnectInfo::new(Engine::Postgres, Host::Tcp("localhost".into()), 5432)
///     .with_user("app")
///     .with_database("shop");
/// let pool = SessionPool::builder(info)
///     .pool_size(10)
///     .query_wait_timeout(Duration::from_secs(5))
///     .build()?;
/// assert_eq!(pool.snapshot().pool_size, 10);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct SessionPoolBuilder {
    source: Source,
    pool_size: usize,
    min_pool_size: usize,
    max_connecting: usize,
    query_wait_timeout: Duration,
    server_connect_timeout: Duration,
    server_login_retry: Duration,
    server_lifetime: Duration,
    server_idle_timeout: Duration,
    reset: Reset,
    reset_timeout: Duration,
    on_dirty: OnDirty,
    cancel_timeout: Duration,
}

impl SessionPoolBuilder {
    pub(crate) fn from_info(info: ConnectInfo) -> Self {
        Self::new(Source::Info(Box::new(info), ConnectOptions::default()))
    }

    pub(crate) fn from_connect(connect: Arc<dyn Connect>) -> Self {
        Self::new(Source::Custom(connect))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            pool_size: 20,
            min_pool_size: 0,
            max_connecting: 4,
            query_wait_timeout: Duration::from_secs(120),
            server_connect_timeout: Duration::from_secs(15),
            server_login_retry: Duration::from_secs(15),
            server_lifetime: Duration::from_secs(3600),
            server_idle_timeout: Duration::from_secs(600),
            reset: Reset::DiscardAll,
            reset_timeout: Duration::from_secs(5),
            on_dirty: OnDirty::Close,
            cancel_timeout: Duration::from_secs(2),
        }
    }

    /// Sets how many connections the pool may have. Defaults to 20. Zero is refused.
    ///
    /// All pools of all processes together must stay below the server's `max_connections`
    /// less `superuser_reserved_connections`.
    pub fn pool_size(mut self, pool_size: usize) -> Self {
        self.pool_size = pool_size;
        self
    }

    /// Sets how many connections are kept open also when nobody uses them. Defaults to 0.
    pub fn min_pool_size(mut self, min_pool_size: usize) -> Self {
        self.min_pool_size = min_pool_size;
        self
    }

    /// Sets how many connections may be opened at the same time. Defaults to 4. The first
    /// connection, and the first after a failure, is opened alone.
    pub fn max_connecting(mut self, max_connecting: usize) -> Self {
        self.max_connecting = max_connecting;
        self
    }

    /// Sets how long a caller waits for a session. Defaults to 120 s; zero is for ever.
    pub fn query_wait_timeout(mut self, timeout: Duration) -> Self {
        self.query_wait_timeout = timeout;
        self
    }

    /// Sets how long opening a connection may take, login included. Defaults to 15 s.
    pub fn server_connect_timeout(mut self, timeout: Duration) -> Self {
        self.server_connect_timeout = timeout;
        self
    }

    /// Sets the longest pause between attempts to connect while they fail. Defaults to
    /// 15 s. The first pause is 50 ms; after a refused login every pause is the longest.
    pub fn server_login_retry(mut self, longest: Duration) -> Self {
        self.server_login_retry = longest;
        self
    }

    /// Sets the age at which a connection is not used again. Defaults to 3600 s; zero uses
    /// each connection once. Connections of the same age are closed one after the other,
    /// `server_lifetime / pool_size` apart.
    pub fn server_lifetime(mut self, lifetime: Duration) -> Self {
        self.server_lifetime = lifetime;
        self
    }

    /// Sets how long a connection above `min_pool_size` may be idle. Defaults to 600 s;
    /// zero is for ever.
    pub fn server_idle_timeout(mut self, timeout: Duration) -> Self {
        self.server_idle_timeout = timeout;
        self
    }

    /// Sets how a session that comes back is reset. Defaults to [`Reset::DiscardAll`].
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// Sets what resets a session that comes back: PgBouncer's name for
    /// [`Reset::Custom`]. Defaults to `DISCARD ALL`; empty is [`Reset::None`].
    pub fn server_reset_query(self, sql: impl Into<String>) -> Self {
        self.reset(Reset::Custom(sql.into()))
    }

    /// Sets how long it may take to make a session as good as new before the connection is
    /// closed. Defaults to 5 s.
    pub fn reset_timeout(mut self, timeout: Duration) -> Self {
        self.reset_timeout = timeout;
        self
    }

    /// Sets what is to become of a session that comes back inside of a transaction or with
    /// a query that is not over. Defaults to [`OnDirty::Close`].
    pub fn on_dirty(mut self, on_dirty: OnDirty) -> Self {
        self.on_dirty = on_dirty;
        self
    }

    /// Sets how long [`OnDirty::Rollback`] waits for a query to be canceled before the
    /// connection is closed. Defaults to 2 s.
    pub fn cancel_timeout(mut self, timeout: Duration) -> Self {
        self.cancel_timeout = timeout;
        self
    }

    /// Sets how to connect: application name, run-time parameters, TCP keepalive. Its
    /// `connect_timeout` is replaced by `server_connect_timeout`. Without effect on a pool
    /// with a [`Connect`] of its own.
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        if let Source::Info(_, kept) = &mut self.source {
            *kept = options;
        }
        self
    }

    /// Makes the pool. Connections are opened when they are needed, and at once up to
    /// `min_pool_size`.
    ///
    /// # Errors
    /// `InvalidConfig` with everything that contradicts itself, or where there is no tokio
    /// runtime to run on.
    pub fn build(self) -> Result<SessionPool> {
        let runtime = Handle::try_current();
        let mut problems = self.problems();
        if runtime.is_err() {
            problems.push("a pool is built inside of a tokio runtime, and here is none".to_owned());
        }
        let runtime = match runtime {
            Ok(runtime) if problems.is_empty() => runtime,
            _ => return Err(Error::invalid_config(problems).with_operation("pool.build")),
        };
        let Self {
            source,
            pool_size,
            min_pool_size,
            max_connecting,
            query_wait_timeout,
            server_connect_timeout,
            server_login_retry,
            server_lifetime,
            server_idle_timeout,
            reset,
            reset_timeout,
            on_dirty,
            cancel_timeout,
        } = self;
        let (database, user) = names(&source);
        let config = Config {
            connect: connector(source, server_connect_timeout),
            database,
            user,
            pool_size,
            query_wait_timeout: (!query_wait_timeout.is_zero()).then_some(query_wait_timeout),
            server_connect_timeout,
            reset: reset.plan(),
            reset_timeout,
            on_dirty,
            cancel_timeout,
        };
        let settings = Settings {
            pool_size,
            min_pool_size,
            max_connecting,
            server_lifetime,
            server_idle_timeout,
            server_login_retry,
            // The verdict says of each session whether it needs one.
            reset: true,
            // A new hasher has random keys: the only randomness that std has to offer.
            seed: RandomState::new().build_hasher().finish(),
        };
        Ok(SessionPool::new(Shared::start(config, settings, &runtime)))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |wrong: bool, problem: &str| {
            if wrong {
                problems.push(problem.to_owned());
            }
        };
        check(
            self.pool_size == 0,
            "pool_size is 0: nobody would ever get a session",
        );
        check(
            self.min_pool_size > self.pool_size,
            &format!(
                "min_pool_size is {}, more than pool_size, which is {}",
                self.min_pool_size, self.pool_size
            ),
        );
        check(
            self.max_connecting == 0,
            "max_connecting is 0: nothing would ever connect",
        );
        check(
            self.server_connect_timeout.is_zero(),
            "server_connect_timeout is 0",
        );
        check(self.server_login_retry.is_zero(), "server_login_retry is 0");
        check(
            self.reset_timeout.is_zero(),
            "reset_timeout is 0: no reset would ever succeed",
        );
        let rolls_back = self.on_dirty == OnDirty::Rollback;
        check(
            rolls_back && self.cancel_timeout.is_zero(),
            "cancel_timeout is 0: no query would ever be canceled",
        );
        check(
            rolls_back && self.cancel_timeout > self.reset_timeout,
            "cancel_timeout is longer than reset_timeout, which it is a part of",
        );
        if let Source::Info(info, _) = &self.source {
            check(
                info.engine != Engine::Postgres,
                "the database is not PostgreSQL",
            );
            check(info.user.is_none(), "no user is named");
        }
        problems
    }
}

fn names(source: &Source) -> (String, String) {
    match source {
        Source::Info(info, _) => {
            let user = info.user.clone().unwrap_or_default();
            // The server's own default.
            (info.database.clone().unwrap_or_else(|| user.clone()), user)
        }
        Source::Custom(_) => (String::new(), String::new()),
    }
}

fn connector(source: Source, timeout: Duration) -> Arc<dyn Connect> {
    match source {
        Source::Custom(connect) => connect,
        Source::Info(info, options) => {
            Arc::new(PgConnect::new(*info, options.with_connect_timeout(timeout)))
        }
    }
}
