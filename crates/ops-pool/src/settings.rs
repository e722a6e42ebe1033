//! The settings of a pool as a value.

pub(crate) mod pgbouncer;
mod presets;
mod sqlalchemy;

use std::time::Duration;

use ops_core::{Error, Result};

use pgbouncer::{PgBouncerIni, PgBouncerPool};
pub use sqlalchemy::{ResetOnReturn, SqlAlchemy};

/// The settings of a pool as a value: names, meanings and defaults are PgBouncer's where it
/// has the same notion.
///
/// They come from the code, from a `pgbouncer.ini` ([`PgBouncerIni`](crate::PgBouncerIni)),
/// or from the arguments of SQLAlchemy's `create_engine` ([`SqlAlchemy`]), and go to
/// [`SessionPoolBuilder::settings`](crate::SessionPoolBuilder::settings).
///
/// ```
/// use std::time::Duration;
///
/// use ops_pool::PoolSettings;
///
/// let settings = PoolSettings::new()
///     .with_pool_size(10)
///     .with_reserve_pool_size(5)
///     .with_query_wait_timeout(Duration::from_secs(30));
/// settings.check()?;
/// assert_eq!(settings.server_reset_query, "DISCARD ALL");
/// assert_eq!(settings.most_connections(), 15);
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolSettings {
    /// The most connections without the reserve. Defaults to 20. Zero, which is no limit to
    /// PgBouncer, is refused.
    pub pool_size: usize,
    /// How many connections are kept open also when nobody uses them. Defaults to 0.
    pub min_pool_size: usize,
    /// How many connections may be opened beyond `pool_size` once the head of the queue has
    /// waited for `reserve_pool_timeout`. Defaults to 0.
    pub reserve_pool_size: usize,
    /// Defaults to 5 s. Zero with a reserve is refused; to PgBouncer it turns the reserve off.
    pub reserve_pool_timeout: Duration,
    /// The most connections of all pools of one database together. Defaults to 0, no limit.
    pub max_db_connections: usize,
    /// The most connections of all pools of one user together. Defaults to 0, no limit.
    pub max_user_connections: usize,
    /// Whether the connection that was idle the longest is used next, and not the one that
    /// came back last. Defaults to no.
    pub server_round_robin: bool,
    /// What is run when a session comes back. Defaults to `DISCARD ALL`; empty is nothing.
    pub server_reset_query: String,
    /// After how much idle time a connection is checked before it is used. Defaults to
    /// 30 s; zero is always.
    pub server_check_delay: Duration,
    /// What checks it. Defaults to the empty query, `Some("")`; None is no check.
    pub server_check_query: Option<String>,
    /// The age at which a connection is not used again. Defaults to 3600 s; zero is once.
    pub server_lifetime: Duration,
    /// How long a connection above `min_pool_size` may be idle. Defaults to 600 s; zero is
    /// for ever.
    pub server_idle_timeout: Duration,
    /// How long opening a connection may take, login included. Defaults to 15 s.
    pub server_connect_timeout: Duration,
    /// The longest pause between attempts to connect while they fail. Defaults to 15 s.
    pub server_login_retry: Duration,
    /// How long a caller waits for a session. Defaults to 120 s; zero is for ever.
    pub query_wait_timeout: Duration,
    /// What is run on a new connection before anybody gets it. Defaults to nothing. An error
    /// of it is logged and ignored, as PgBouncer does.
    pub connect_query: Option<String>,
    /// How many connections may be opened at the same time. Defaults to 4. PgBouncer opens
    /// one at a time.
    pub max_connecting: usize,
    /// How long the reset may take before the connection is closed. Defaults to 5 s.
    /// PgBouncer has no such limit.
    pub reset_timeout: Duration,
    /// How long an abandoned query may take to be canceled before its connection is closed.
    /// Defaults to 2 s.
    pub cancel_timeout: Duration,
    /// How many callers may wait; one more is refused at once. Defaults to 0, no limit.
    pub max_waiting: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            pool_size: 20,
            min_pool_size: 0,
            reserve_pool_size: 0,
            reserve_pool_timeout: Duration::from_secs(5),
            max_db_connections: 0,
            max_user_connections: 0,
            server_round_robin: false,
            server_reset_query: "DISCARD ALL".to_owned(),
            server_check_delay: Duration::from_secs(30),
            server_check_query: Some(String::new()),
            server_lifetime: Duration::from_secs(3600),
            server_idle_timeout: Duration::from_secs(600),
            server_connect_timeout: Duration::from_secs(15),
            server_login_retry: Duration::from_secs(15),
            query_wait_timeout: Duration::from_secs(120),
            connect_query: None,
            max_connecting: 4,
            reset_timeout: Duration::from_secs(5),
            cancel_timeout: Duration::from_secs(2),
            max_waiting: 0,
        }
    }
}

/// One setter for each field, named after it.
macro_rules! setters {
    ($($with:ident => $field:ident: $type:ty),+ $(,)?) => {
        impl PoolSettings {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}

setters! {
    with_pool_size => pool_size: usize,
    with_min_pool_size => min_pool_size: usize,
    with_reserve_pool_size => reserve_pool_size: usize,
    with_reserve_pool_timeout => reserve_pool_timeout: Duration,
    with_max_db_connections => max_db_connections: usize,
    with_max_user_connections => max_user_connections: usize,
    with_server_round_robin => server_round_robin: bool,
    with_server_check_delay => server_check_delay: Duration,
    with_server_check_query => server_check_query: Option<String>,
    with_server_lifetime => server_lifetime: Duration,
    with_server_idle_timeout => server_idle_timeout: Duration,
    with_server_connect_timeout => server_connect_timeout: Duration,
    with_server_login_retry => server_login_retry: Duration,
    with_query_wait_timeout => query_wait_timeout: Duration,
    with_connect_query => connect_query: Option<String>,
    with_max_connecting => max_connecting: usize,
    with_reset_timeout => reset_timeout: Duration,
    with_cancel_timeout => cancel_timeout: Duration,
    with_max_waiting => max_waiting: usize,
}

impl PoolSettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`server_reset_query`](Self::server_reset_query).
    #[must_use]
    pub fn with_server_reset_query(mut self, sql: impl Into<String>) -> Self {
        self.server_reset_query = sql.into();
        self
    }

    /// What a `pgbouncer.ini` says about one of its databases: the short form of
    /// [`PgBouncerIni`](crate::PgBouncerIni), which also takes a user and reads included
    /// files.
    ///
    /// # Errors
    /// `InvalidConfig` with every problem of the file and its line.
    pub fn from_pgbouncer_ini(text: &str, database: &str) -> Result<PgBouncerPool> {
        PgBouncerIni::new(text).read(database)
    }

    /// The most connections that a pool with these settings has at any moment, reserve
    /// included: what it takes out of a [`Budget`](crate::Budget).
    #[must_use]
    pub fn most_connections(&self) -> usize {
        [self.max_db_connections, self.max_user_connections]
            .into_iter()
            .filter(|limit| *limit > 0)
            .fold(
                self.pool_size.saturating_add(self.reserve_pool_size),
                usize::min,
            )
    }

    /// Whether anything is run when a session comes back.
    #[must_use]
    pub fn resets(&self) -> bool {
        !self.server_reset_query.trim().is_empty()
    }

    /// After how long idle a connection is checked. None is never.
    pub(crate) fn check_delay(&self) -> Option<Duration> {
        let checks = self.server_check_query.is_some();
        checks.then_some(self.server_check_delay)
    }

    /// Fails where the settings contradict each other or could never serve anybody.
    ///
    /// # Errors
    /// `InvalidConfig` with every problem.
    pub fn check(&self) -> Result<()> {
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::invalid_config(problems).with_operation("pool.settings"))
    }

    /// Everything that is wrong, one text each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |wrong: bool, problem: &str| {
            if wrong {
                problems.push(problem.to_owned());
            }
        };
        let Self {
            pool_size,
            min_pool_size,
            ..
        } = self;
        check(
            *pool_size == 0,
            "pool_size is 0: nobody would ever get a session",
        );
        check(
            min_pool_size > pool_size,
            &format!("min_pool_size is {min_pool_size}, more than pool_size, which is {pool_size}"),
        );
        for (name, limit) in [
            ("max_db_connections", self.max_db_connections),
            ("max_user_connections", self.max_user_connections),
        ] {
            check(
                limit > 0 && *min_pool_size > limit,
                &format!("min_pool_size is {min_pool_size}, more than {name}, which is {limit}"),
            );
        }
        check(
            self.max_connecting == 0,
            "max_connecting is 0: nothing would ever connect",
        );
        check(
            self.server_connect_timeout.is_zero(),
            "server_connect_timeout is 0: no connection would ever stand",
        );
        check(
            self.server_login_retry.is_zero(),
            "server_login_retry is 0: a server that is down would be stormed",
        );
        check(
            self.reset_timeout.is_zero() && self.resets(),
            "reset_timeout is 0: no reset would ever succeed",
        );
        let (reserve, waits) = (
            self.reserve_pool_size > 0,
            !self.query_wait_timeout.is_zero(),
        );
        check(
            reserve && self.reserve_pool_timeout.is_zero(),
            "reserve_pool_timeout is 0: the reserve would never be used",
        );
        check(
            reserve && waits && self.reserve_pool_timeout >= self.query_wait_timeout,
            "reserve_pool_timeout is not shorter than query_wait_timeout: the reserve would \
             never be used",
        );
        for (name, sql) in [
            ("server_reset_query", Some(&self.server_reset_query)),
            ("server_check_query", self.server_check_query.as_ref()),
            ("connect_query", self.connect_query.as_ref()),
        ] {
            check(
                sql.is_some_and(|sql| sql.contains('\0')),
                &format!("{name} holds a zero byte"),
            );
        }
        problems
    }
}

#[cfg(test)]
mod tests;
