//! Connections to a server.

use std::time::Duration;

use ops_core::database::ConnectInfo;
use ops_core::{Error, ErrorKind, Result};
use tokio_postgres::{Client, Config, NoTls};

use crate::error::from_driver;

/// How to connect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// What the server shows in `pg_stat_activity`. Defaults to `ops`.
    pub application_name: String,
    /// How long name resolution, TCP, TLS and login may take together. Defaults to 10 s.
    pub connect_timeout: Duration,
    /// Run-time parameters, set at start-up (`-c name=value`). Defaults to none.
    pub parameters: Vec<(String, String)>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            application_name: "ops".to_owned(),
            connect_timeout: Duration::from_secs(10),
            parameters: Vec::new(),
        }
    }
}

impl ConnectOptions {
    /// Sets what the server shows in `pg_stat_activity`.
    #[must_use]
    pub fn with_application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }

    /// Sets how long connecting may take.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Adds a run-time parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }
}

/// Connects, and drives the connection in a task that ends with the client.
///
/// # Errors
/// `Unauthenticated`, `NotFound` for a missing database, `Unavailable` for a server that
/// cannot be reached, `Timeout` after `connect_timeout`.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn connect(info: &ConnectInfo, options: &ConnectOptions) -> Result<Client> {
    let mut config = Config::new();
    match &info.host {
        ops_core::database::Host::Unix(folder) => config.host_path(folder),
        host => config.host(host.to_string()),
    };
    config.port(info.port).application_name(&options.application_name);
    if let Some(user) = &info.user {
        config.user(user);
    }
    if let Some(password) = &info.password {
        config.password(password.expose());
    }
    if let Some(database) = &info.database {
        config.dbname(database);
    }
    let connecting = tokio::time::timeout(options.connect_timeout, config.connect(NoTls)).await;
    let (client, connection) = connecting
        .map_err(|_| Error::new(ErrorKind::Timeout, "connecting took too long"))?
        .map_err(from_driver)?;
    tokio::spawn(connection);
    Ok(client)
}
