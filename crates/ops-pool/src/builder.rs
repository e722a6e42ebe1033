//! Describing a pool.

mod problems;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use ops_core::database::{ConnectInfo, Host};
use ops_core::{Clock, Error, Result, SystemClock};
use ops_pg::connect::ConnectOptions;
use tokio::runtime::Handle;

use crate::config::{Config, Target};
use crate::connect::{Connect, PgConnect};
use crate::connect_query::ConnectQuery;
use crate::core::Settings;
use crate::group::{Groups, PoolGroup};
use crate::lane::{Lane, Lanes};
use crate::pool::SessionPool;
use crate::reset::{OnDirty, Reset};
use crate::settings::PoolSettings;
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
    settings: PoolSettings,
    reset: Reset,
    on_dirty: OnDirty,
    max_waiting: Option<usize>,
    shed: bool,
    refuse_nested: bool,
    leak_threshold: Option<Duration>,
    lanes: Vec<Lane>,
    groups: Groups,
    clock: Arc<dyn Clock>,
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
            settings: PoolSettings::default(),
            reset: Reset::default(),
            on_dirty: OnDirty::default(),
            max_waiting: None,
            shed: false,
            refuse_nested: false,
            leak_threshold: None,
            lanes: Vec::new(),
            groups: Groups::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Takes over all settings at once, in place of what was set before.
    ///
    /// `max_db_connections` and `max_user_connections` hold for this pool alone. Where they
    /// are to hold for several pools together, leave them at zero and put the pools into
    /// one [`group`](Self::group).
    pub fn settings(mut self, settings: PoolSettings) -> Self {
        self.reset = Reset::Custom(settings.server_reset_query.clone());
        self.max_waiting = (settings.max_waiting > 0).then_some(settings.max_waiting);
        for limit in [settings.max_db_connections, settings.max_user_connections] {
            if limit > 0 {
                self.groups.add(&PoolGroup::new(limit));
            }
        }
        self.settings = settings;
        self
    }

    /// Sets how many connections the pool may have. Defaults to 20. Zero is refused.
    ///
    /// All pools of all processes together must stay below the server's `max_connections`
    /// less `superuser_reserved_connections`.
    pub fn pool_size(mut self, pool_size: usize) -> Self {
        self.settings.pool_size = pool_size;
        self
    }

    /// Sets how many connections are kept open also when nobody uses them. Defaults to 0.
    pub fn min_pool_size(mut self, min_pool_size: usize) -> Self {
        self.settings.min_pool_size = min_pool_size;
        self
    }

    /// Sets how many connections may be opened at the same time. Defaults to 4. The first
    /// connection, and the first after a failure, is opened alone.
    pub fn max_connecting(mut self, max_connecting: usize) -> Self {
        self.settings.max_connecting = max_connecting;
        self
    }

    /// Sets how long a caller waits for a session. Defaults to 120 s; zero is for ever.
    pub fn query_wait_timeout(mut self, timeout: Duration) -> Self {
        self.settings.query_wait_timeout = timeout;
        self
    }

    /// Sets how long opening a connection may take, login included. Defaults to 15 s.
    pub fn server_connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.server_connect_timeout = timeout;
        self
    }

    /// Sets the longest pause between attempts to connect while they fail. Defaults to
    /// 15 s. The first pause is 50 ms; after a refused login every pause is the longest.
    pub fn server_login_retry(mut self, longest: Duration) -> Self {
        self.settings.server_login_retry = longest;
        self
    }

    /// Sets the age at which a connection is not used again. Defaults to 3600 s; zero uses
    /// each connection once. Connections of the same age are closed one after the other,
    /// `server_lifetime / pool_size` apart.
    ///
    /// A pool that has no more than `min_pool_size` connections, and room for one more,
    /// closes an old one only once its successor stands. Until then, as while the server
    /// cannot be reached, the old one is used on.
    pub fn server_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.server_lifetime = lifetime;
        self
    }

    /// Sets how long a connection above `min_pool_size` may be idle. Defaults to 600 s;
    /// zero is for ever.
    pub fn server_idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.server_idle_timeout = timeout;
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
        self.settings.reset_timeout = timeout;
        self
    }

    /// Sets how many connections above `pool_size` are opened, one at a time, when the
    /// caller at the head of the queue has waited for `reserve_pool_timeout`. Defaults to 0.
    ///
    /// They are connections as any other: `server_idle_timeout` and `server_lifetime` make
    /// the pool small again.
    pub fn reserve_pool_size(mut self, reserve_pool_size: usize) -> Self {
        self.settings.reserve_pool_size = reserve_pool_size;
        self
    }

    /// Sets how long the head of the queue waits before the reserve is used. Defaults to
    /// 5 s; zero never uses it.
    pub fn reserve_pool_timeout(mut self, timeout: Duration) -> Self {
        self.settings.reserve_pool_timeout = timeout;
        self
    }

    /// Sets whether the connection that has been idle for longest is used next, and not
    /// the one that was used last. Defaults to false.
    pub fn server_round_robin(mut self, round_robin: bool) -> Self {
        self.settings.server_round_robin = round_robin;
        self
    }

    /// Sets how long a connection may be idle before it is checked when it is needed.
    /// Defaults to 30 s; zero checks always, None never.
    pub fn server_check_delay(mut self, delay: Option<Duration>) -> Self {
        match delay {
            Some(delay) => {
                self.settings.server_check_delay = delay;
                self.settings.server_check_query.get_or_insert_default();
            }
            None => self.settings.server_check_query = None,
        }
        self
    }

    /// Sets what a check runs, for up to `reset_timeout`. Defaults to the empty query: one
    /// round trip.
    pub fn server_check_query(mut self, sql: impl Into<String>) -> Self {
        self.settings.server_check_query = Some(sql.into());
        self
    }

    /// Sets how many callers may wait; who comes then is refused with
    /// [`AcquireError::QueueFull`](crate::AcquireError::QueueFull). Defaults to None, any
    /// number.
    pub fn max_waiting(mut self, most: Option<usize>) -> Self {
        self.max_waiting = most;
        self
    }

    /// Sets whether a caller is refused at once, with
    /// [`AcquireError::Overloaded`](crate::AcquireError::Overloaded), who would wait for
    /// longer than it is ready to at the rate at which sessions come free. Defaults to
    /// false.
    pub fn shed(mut self, shed: bool) -> Self {
        self.shed = shed;
        self
    }

    /// Sets whether a task that has a session is refused another one, with
    /// [`AcquireError::NestedAcquire`](crate::AcquireError::NestedAcquire), at the moment at
    /// which every session is held by a task that waits for another. Defaults to false.
    ///
    /// A session counts as held by the task that acquired it until another task has used
    /// it: do not set this where one task acquires sessions for others.
    pub fn refuse_nested(mut self, refuse: bool) -> Self {
        self.refuse_nested = refuse;
        self
    }

    /// Sets how long a session may be out before a warning tells who has it. Defaults to
    /// None, for ever.
    pub fn leak_threshold(mut self, threshold: Option<Duration>) -> Self {
        self.leak_threshold = threshold;
        self
    }

    /// Describes a lane of the queue.
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lanes.push(lane);
        self
    }

    /// Puts the pool into a group, whose limit then holds too.
    pub fn group(mut self, group: &PoolGroup) -> Self {
        self.groups.add(group);
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
        self.settings.cancel_timeout = timeout;
        self
    }

    /// Sets the clock that `show_servers` and the like tell times by. Defaults to the
    /// system's. Nothing waits by it.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
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
        let note = &mut |problem| problems.push(problem);
        let lanes = Lanes::new(&self.lanes, self.settings.pool_size, note);
        if runtime.is_err() {
            problems.push("a pool is built inside of a tokio runtime, and here is none".to_owned());
        }
        let runtime = match runtime {
            Ok(runtime) if problems.is_empty() => runtime,
            _ => return Err(Error::invalid_config(problems).with_operation("pool.build")),
        };
        let settings = self.core_settings(&lanes);
        let config = self.into_config(lanes);
        Ok(SessionPool::new(Shared::start(config, settings, &runtime)))
    }

    fn core_settings(&self, lanes: &Lanes) -> Settings {
        let settings = &self.settings;
        Settings {
            pool_size: settings.pool_size,
            min_pool_size: settings.min_pool_size,
            reserve_pool_size: settings.reserve_pool_size,
            reserve_pool_timeout: settings.reserve_pool_timeout,
            lanes: lanes.settings(),
            max_waiting: self.max_waiting,
            shed: self.shed,
            round_robin: settings.server_round_robin,
            server_check_delay: settings.check_delay(),
            limited: !self.groups.is_empty(),
            max_connecting: settings.max_connecting,
            server_lifetime: settings.server_lifetime,
            server_idle_timeout: settings.server_idle_timeout,
            server_login_retry: settings.server_login_retry,
            // A new hasher has random keys: the only randomness that std has to offer.
            seed: RandomState::new().build_hasher().finish(),
        }
    }

    fn into_config(self, lanes: Lanes) -> Config {
        let mut settings = self.settings;
        let reset = self.reset.plan();
        reset
            .sql
            .as_ref()
            .clone_into(&mut settings.server_reset_query);
        settings.max_waiting = self.max_waiting.unwrap_or_default();
        let target = Target::of(&self.source);
        Config {
            connect: connector(self.source, &settings),
            target,
            reset,
            on_dirty: self.on_dirty,
            lanes,
            groups: self.groups,
            shed: self.shed,
            refuse_nested: self.refuse_nested,
            leak_threshold: self.leak_threshold,
            clock: self.clock,
            settings,
        }
    }
}

impl Target {
    fn of(source: &Source) -> Self {
        let Source::Info(info, options) = source else {
            return Self::default();
        };
        let user = info.user.clone().unwrap_or_default();
        Self {
            host: match &info.host {
                Host::Tcp(host) => Some(host.clone()),
                _ => None,
            },
            port: info.port,
            // The server's own default.
            database: info.database.clone().unwrap_or_else(|| user.clone()),
            user,
            application_name: options.application_name.clone(),
        }
    }
}

fn connector(source: Source, settings: &PoolSettings) -> Arc<dyn Connect> {
    let inner: Arc<dyn Connect> = match source {
        Source::Custom(connect) => connect,
        Source::Info(info, options) => {
            let options = options.with_connect_timeout(settings.server_connect_timeout);
            Arc::new(PgConnect::new(*info, options))
        }
    };
    match settings.connect_query.clone() {
        Some(sql) => Arc::new(ConnectQuery { inner, sql }),
        None => inner,
    }
}
