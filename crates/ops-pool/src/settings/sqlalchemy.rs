//! The settings of SQLAlchemy's `QueuePool`.

use std::time::Duration;

use ops_core::{Error, Result};

use super::PoolSettings;

/// As good as for ever: a connection never gets so old.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The arguments of SQLAlchemy's `create_engine` that are about its pool, with its names and
/// its defaults.
///
/// ```
/// use std::time::Duration;
///
/// use ops_pool::SqlAlchemy;
///
/// // create_engine(url, pool_size=20, max_overflow=10, pool_pre_ping=True, pool_recycle=3600)
/// let settings = SqlAlchemy::new()
///     .with_pool_size(20)
///     .with_max_overflow(10)
///     .with_pool_pre_ping(true)
///     .with_pool_recycle(Some(Duration::from_secs(3600)))
///     .settings()?;
/// assert_eq!(settings.pool_size, 20);
/// assert_eq!(settings.reserve_pool_size, 10);
/// assert_eq!(settings.most_connections(), 30);
/// # Ok::<(), ops_core::Error>(())
/// ```
///
/// # What becomes of what
///
/// | SQLAlchemy | here | what differs |
/// | --- | --- | --- |
/// | `pool_size` | `pool_size` | 0, no limit, is refused |
/// | `max_overflow` | `reserve_pool_size`, with a `reserve_pool_timeout` of 1 ms | see below; -1, no limit, is refused |
/// | `pool_timeout` | `query_wait_timeout` | 0, not to wait, is 1 ms |
/// | `pool_recycle` | `server_lifetime` | closed while idle too, and not only when it is asked for; connections of one age are closed one after the other; -1, never, is a century |
/// | `pool_pre_ping=True` | `server_check_delay` 0, `server_check_query` empty | a check that fails costs a connection, and not all that are older |
/// | `pool_pre_ping=False` | no `server_check_query` | |
/// | `pool_use_lifo=False` | `server_round_robin` | |
/// | `pool_reset_on_return='rollback'` | `server_reset_query` `DISCARD ALL` | everything is reset and not only the transaction; a session that was left inside a transaction is closed |
/// | `pool_reset_on_return=None` | no `server_reset_query` | an open transaction is still never handed on |
///
/// **Overflow and reserve.** SQLAlchemy opens an overflow connection as soon as `pool_size`
/// are out, and closes it when it comes back. Here the head of the queue waits for 1 ms
/// first, connections beyond `pool_size` are opened one at a time, and each is an ordinary
/// one afterwards: it serves others until `server_idle_timeout` or `server_lifetime` ends
/// it. So a burst does not connect and disconnect for every request.
///
/// **Idle connections.** SQLAlchemy keeps `pool_size` connections for ever once it has opened
/// them. Here those above `min_pool_size` are closed after `server_idle_timeout`, 600 s.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlAlchemy {
    /// Defaults to 5. Zero is no limit to SQLAlchemy, and refused here.
    pub pool_size: usize,
    /// Defaults to 10. None, -1 to SQLAlchemy, is no limit, and refused here.
    pub max_overflow: Option<usize>,
    /// Defaults to 30 s. None is for ever.
    pub pool_timeout: Option<Duration>,
    /// Defaults to None, -1 to SQLAlchemy: never.
    pub pool_recycle: Option<Duration>,
    /// Defaults to no.
    pub pool_pre_ping: bool,
    /// Defaults to no.
    pub pool_use_lifo: bool,
    /// Defaults to [`ResetOnReturn::Rollback`].
    pub pool_reset_on_return: ResetOnReturn,
}

/// SQLAlchemy's `pool_reset_on_return`.
///
/// `'commit'` has no value: no pool can know that what it was left is to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetOnReturn {
    /// `'rollback'` or `True`.
    #[default]
    Rollback,
    /// `None` or `False`.
    Nothing,
}

impl Default for SqlAlchemy {
    fn default() -> Self {
        Self {
            pool_size: 5,
            max_overflow: Some(10),
            pool_timeout: Some(Duration::from_secs(30)),
            pool_recycle: None,
            pool_pre_ping: false,
            pool_use_lifo: false,
            pool_reset_on_return: ResetOnReturn::Rollback,
        }
    }
}

impl SqlAlchemy {
    /// SQLAlchemy's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`pool_size`](Self::pool_size).
    #[must_use]
    pub fn with_pool_size(mut self, pool_size: usize) -> Self {
        self.pool_size = pool_size;
        self
    }

    /// Sets [`max_overflow`](Self::max_overflow).
    #[must_use]
    pub fn with_max_overflow(mut self, max_overflow: impl Into<Option<usize>>) -> Self {
        self.max_overflow = max_overflow.into();
        self
    }

    /// Sets [`pool_timeout`](Self::pool_timeout).
    #[must_use]
    pub fn with_pool_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.pool_timeout = timeout.into();
        self
    }

    /// Sets [`pool_recycle`](Self::pool_recycle).
    #[must_use]
    pub fn with_pool_recycle(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.pool_recycle = age.into();
        self
    }

    /// Sets [`pool_pre_ping`](Self::pool_pre_ping).
    #[must_use]
    pub fn with_pool_pre_ping(mut self, pre_ping: bool) -> Self {
        self.pool_pre_ping = pre_ping;
        self
    }

    /// Sets [`pool_use_lifo`](Self::pool_use_lifo).
    #[must_use]
    pub fn with_pool_use_lifo(mut self, use_lifo: bool) -> Self {
        self.pool_use_lifo = use_lifo;
        self
    }

    /// Sets [`pool_reset_on_return`](Self::pool_reset_on_return).
    #[must_use]
    pub fn with_pool_reset_on_return(mut self, reset: ResetOnReturn) -> Self {
        self.pool_reset_on_return = reset;
        self
    }

    /// The same as settings of this pool.
    ///
    /// # Errors
    /// `InvalidConfig` with every problem: what has no limit, and what contradicts itself.
    pub fn settings(&self) -> Result<PoolSettings> {
        let Self {
            pool_size,
            max_overflow,
            pool_timeout,
            pool_recycle,
            pool_pre_ping,
            pool_use_lifo,
            pool_reset_on_return,
        } = self;
        let millisecond = Duration::from_millis(1);
        let settings = PoolSettings {
            pool_size: *pool_size,
            reserve_pool_size: max_overflow.unwrap_or_default(),
            reserve_pool_timeout: millisecond,
            query_wait_timeout: pool_timeout.map_or(Duration::ZERO, |it| it.max(millisecond)),
            server_lifetime: pool_recycle.unwrap_or(CENTURY),
            server_check_delay: Duration::ZERO,
            server_check_query: pool_pre_ping.then(String::new),
            server_round_robin: !pool_use_lifo,
            server_reset_query: match pool_reset_on_return {
                ResetOnReturn::Rollback => "DISCARD ALL".to_owned(),
                ResetOnReturn::Nothing => String::new(),
            },
            ..PoolSettings::default()
        };
        let mut problems = settings.problems();
        if max_overflow.is_none() {
            problems.push("max_overflow is -1: a pool has a limit".to_owned());
        }
        if problems.is_empty() {
            return Ok(settings);
        }
        Err(Error::invalid_config(problems).with_operation("pool.sqlalchemy"))
    }
}
