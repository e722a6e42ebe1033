//! How to connect, and how long to wait.

use std::sync::Arc;
use std::time::Duration;

use ops_core::{Clock, Error, Result, SystemClock};
use ops_pg::connect::ConnectOptions;

/// What a connection can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Replication commands alone (`replication=true`); `pg_hba.conf` needs a line for the
    /// database `replication`.
    #[default]
    Physical,
    /// Replication commands, and SQL in the database of the connection
    /// (`replication=database`); `pg_hba.conf` needs a line for that database.
    Database,
}

/// How to connect, and how long to wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplicationOptions {
    /// How to connect. The application name defaults to `ops`, and is what
    /// `pg_stat_replication` and `synchronous_standby_names` know the connection by.
    pub connect: ConnectOptions,
    /// What the connection can do. Defaults to replication commands alone.
    pub mode: Mode,
    /// How long the answer to a command may take. Defaults to 60 s.
    pub command_timeout: Duration,
    /// How long the server may be silent in the middle of a stream, and how long it may
    /// take nothing that is sent to it. Time that the caller takes does not count. Defaults
    /// to 60 s.
    pub silence_timeout: Duration,
    /// What time is told to the server. Defaults to the system's clock.
    pub clock: Arc<dyn Clock>,
}

impl Default for ReplicationOptions {
    fn default() -> Self {
        Self {
            connect: ConnectOptions::default(),
            mode: Mode::default(),
            command_timeout: Duration::from_secs(60),
            silence_timeout: Duration::from_secs(60),
            clock: Arc::new(SystemClock),
        }
    }
}

impl ReplicationOptions {
    /// Sets how to connect.
    #[must_use]
    pub fn with_connect(mut self, connect: ConnectOptions) -> Self {
        self.connect = connect;
        self
    }

    /// Sets what the connection can do.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets how long the answer to a command may take.
    #[must_use]
    pub fn with_command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// Sets how long the server may be silent in the middle of a stream.
    #[must_use]
    pub fn with_silence_timeout(mut self, timeout: Duration) -> Self {
        self.silence_timeout = timeout;
        self
    }

    /// Sets what time is told to the server.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        if self.command_timeout.is_zero() {
            problems.push("the command timeout is zero");
        }
        if self.silence_timeout.is_zero() {
            problems.push("the silence timeout is zero");
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::invalid_config(problems))
    }
}
