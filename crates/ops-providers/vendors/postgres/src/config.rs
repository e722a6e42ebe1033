//! How a [`Postgres`] is made.

use std::env::VarError;
use std::time::Duration;

use ops_core::database::{ConnectInfo, Engine};
use ops_core::{Error, Result};
use ops_pg::connect::ConnectOptions;
use ops_pg::conninfo::parse_with_options;

use crate::Postgres;

/// The variable that holds the connection URL.
const URL_VARIABLE: &str = "DATABASE_URL";

/// Describes a [`Postgres`].
#[derive(Clone, Debug)]
#[must_use]
pub struct PostgresBuilder {
    info: ConnectInfo,
    options: ConnectOptions,
    timeout: Duration,
}

impl Postgres {
    /// Describes a server that is reached in a certain way.
    pub fn builder(info: ConnectInfo) -> PostgresBuilder {
        PostgresBuilder {
            info,
            options: ConnectOptions::default(),
            timeout: Duration::from_secs(5),
        }
    }

    /// A server by its connection URL, whose parts are those of [`ops_pg::conninfo`].
    ///
    /// ```
    /// use ops_postgres::Postgres;
    ///
    /// let postgres = Postgres::from_url("postgres://app:hunter2@db.internal/shop")?;
    /// assert_eq!(format!("{postgres:?}"), r#"Postgres("postgres://app@db.internal:5432/shop")"#);
    /// # Ok::<(), ops_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidConfig` with what is wrong, and no value out of the URL.
    pub fn from_url(url: &str) -> Result<Self> {
        Self::url_builder(url)?.build()
    }

    /// Describes a server by its connection URL; as [`from_url`](Self::from_url), with more
    /// to say.
    ///
    /// # Errors
    /// As [`from_url`](Self::from_url).
    pub fn url_builder(url: &str) -> Result<PostgresBuilder> {
        let (info, options) = parse_with_options(url)?;
        Ok(Self::builder(info).connect_options(options))
    }

    /// A server by the environment.
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `DATABASE_URL` | the connection URL; required |
    ///
    /// # Errors
    /// `InvalidConfig` where the variable is not set, not UTF-8, or not a connection URL.
    pub fn from_env() -> Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is where the environment is read"
        )]
        let url = std::env::var(URL_VARIABLE);
        Self::from_variable(url)
    }

    fn from_variable(url: Result<String, VarError>) -> Result<Self> {
        let problem = match url {
            Ok(url) if !url.is_empty() => return Self::from_url(&url),
            Ok(_) | Err(VarError::NotPresent) => "is not set",
            // The error itself would print the value.
            Err(VarError::NotUnicode(_)) => "is not UTF-8",
        };
        let err = Error::invalid_config([format!("{URL_VARIABLE} {problem}")]);
        Err(err.with_provider("postgres"))
    }
}

impl PostgresBuilder {
    /// Sets how to connect: application name, run-time parameters and the like.
    /// Defaults to those of [`ConnectOptions`].
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets how long each call may take, connecting included. Defaults to 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Checks the settings. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidConfig` for a database that is not PostgreSQL, or a timeout of zero.
    pub fn build(self) -> Result<Postgres> {
        let Self {
            info,
            options,
            timeout,
        } = self;
        let mut problems = Vec::new();
        if info.engine != Engine::Postgres {
            problems.push("the database is not PostgreSQL");
        }
        if timeout.is_zero() {
            problems.push("the timeout is zero");
        }
        if problems.is_empty() {
            return Ok(Postgres::new(info, options, timeout));
        }
        Err(Error::invalid_config(problems).with_provider("postgres"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use ops_core::ErrorKind;
    use ops_core::database::Host;

    use super::*;

    #[test]
    fn the_variable_holds_a_connection_url() {
        let postgres = Postgres::from_variable(Ok("postgres://localhost/shop".into())).unwrap();
        assert!(format!("{postgres:?}").contains("localhost:5432/shop"));
    }

    #[test]
    fn a_variable_that_holds_none_is_said_without_its_value() {
        let canary = std::ffi::OsString::from_vec(b"canary\xff".to_vec());
        for (value, part) in [
            (Err(VarError::NotPresent), "DATABASE_URL is not set"),
            (Ok(String::new()), "DATABASE_URL is not set"),
            (
                Err(VarError::NotUnicode(canary)),
                "DATABASE_URL is not UTF-8",
            ),
            (Ok("canary".into()), "connection URL"),
        ] {
            let err = Postgres::from_variable(value).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig);
            assert!(err.to_string().contains(part), "{err}");
            assert!(!format!("{err:?}").contains("canary"), "{err:?}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let info = ConnectInfo::new(Engine::Redis, Host::Tcp("h".into()), 6379);
        let err = Postgres::builder(info)
            .timeout(Duration::ZERO)
            .build()
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        let text = err.to_string();
        assert!(
            text.contains("not PostgreSQL") && text.contains("timeout"),
            "{text}"
        );
    }
}
