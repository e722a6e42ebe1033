//! A PostgreSQL server for a test.
//!
//! ```no_run
//! use ops_testkit::Pg;
//!
//! # async fn test() {
//! // None where no server is installed: the test was skipped, and said so.
//! let Some(pg) = Pg::start().await else { return };
//!
//! // Or with settings, on a loopback port.
//! let started = Pg::builder().setting("wal_level", "logical").tcp(true).start().await;
//! let Some(mut pg) = started else { return };
//!
//! pg.create_database("shop").await;
//! let client = pg.client("shop").await;
//! client.batch_execute("CREATE TABLE goods (id int)").await.unwrap();
//!
//! pg.kill9().await;
//! pg.start_again().await;
//! # }
//! ```
//!
//! A server takes about 0.2 s to start in memory: each test can have its own. It is gone when the
//! value is dropped. Data does not survive a crash of the machine (`fsync` is off), but it
//! does survive [`Pg::kill9`].

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;

use ops_core::database::{ConnectInfo, Host};
use ops_core::{Report, Result};
use ops_pg::binaries::{Binaries, Finder, Major};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::server::{Shutdown, ThrowawayServer, ThrowawayServerBuilder};
use tokio_postgres::Client;

use crate::fixture;

/// A PostgreSQL server for a test. It is gone when this is dropped.
///
/// It dereferences to [`ThrowawayServer`], which tells folder, port, pid and log. What
/// fails panics here, with the whole chain of errors: it is a test's preparation.
#[derive(Debug)]
pub struct Pg {
    server: ThrowawayServer,
}

impl Pg {
    /// Starts a server with default settings, on its Unix-domain socket alone. None where
    /// no server is installed; see [`fixture::skip`].
    ///
    /// # Panics
    /// Where the server does not start.
    pub async fn start() -> Option<Self> {
        Self::builder().start().await
    }

    /// Describes a server.
    pub fn builder() -> PgBuilder {
        PgBuilder::default()
    }

    /// The majors whose servers are installed, the oldest first.
    pub async fn available_majors() -> Vec<Major> {
        let mut majors: Vec<_> = servers().await.iter().map(Binaries::major).collect();
        majors.sort_unstable();
        majors.dedup();
        majors
    }

    /// Connects to a database as the superuser.
    ///
    /// # Panics
    /// Where connecting fails.
    pub async fn client(&self, database: &str) -> Client {
        let info = self.server.connect_info(database);
        expect(
            "connecting",
            connect(&info, &ConnectOptions::default()).await,
        )
    }

    /// How to reach a database of the server as its superuser: over TCP where that was
    /// asked for, else over the Unix-domain socket.
    #[must_use]
    pub fn connect_info(&self, database: &str) -> ConnectInfo {
        self.server.connect_info(database)
    }

    /// As [`connect_info`](Self::connect_info), as a connection URL of libpq. It holds the
    /// password where there is one.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let info = self.server.connect_info(database);
        let user = encoded(info.user.as_deref().unwrap_or_default());
        let password = info
            .password
            .as_ref()
            .map(|it| format!(":{}", encoded(it.expose())));
        let login = format!("{user}{}", password.unwrap_or_default());
        let (database, port) = (encoded(database), info.port);
        match &info.host {
            Host::Unix(folder) => {
                let folder = encoded(&folder.to_string_lossy());
                format!("postgresql://{login}@/{database}?host={folder}&port={port}")
            }
            host => format!("postgresql://{login}@{host}:{port}/{database}"),
        }
    }

    /// Creates an empty database.
    ///
    /// # Panics
    /// Where that fails.
    pub async fn create_database(&self, name: &str) {
        expect(
            "creating a database",
            self.server.create_database(name).await,
        );
    }

    /// The path of a program of the server's installation, such as `pg_dump`.
    ///
    /// # Panics
    /// Where the installation lacks it: some packages hold the server alone.
    #[must_use]
    pub fn bin(&self, name: &str) -> PathBuf {
        expect(
            "looking for a program",
            self.server.binaries().program(name),
        )
    }

    /// Stops the server.
    ///
    /// # Panics
    /// Where that fails.
    pub async fn stop(&mut self, how: Shutdown) {
        expect("stopping the server", self.server.stop(how).await);
    }

    /// Kills the server and all its processes with SIGKILL, as a crash would.
    ///
    /// # Panics
    /// Where that fails.
    pub async fn kill9(&mut self) {
        expect("killing the server", self.server.kill9().await);
    }

    /// Starts the server again in the same folder and on the same port, and waits until
    /// it answers.
    ///
    /// # Panics
    /// Where the server does not start.
    pub async fn start_again(&mut self) {
        expect("starting the server", self.server.start().await);
    }

    /// The server itself, for what may fail in a test on purpose.
    pub fn server_mut(&mut self) -> &mut ThrowawayServer {
        &mut self.server
    }
}

impl Deref for Pg {
    type Target = ThrowawayServer;

    fn deref(&self) -> &ThrowawayServer {
        &self.server
    }
}

type Change = Box<dyn FnOnce(ThrowawayServerBuilder) -> ThrowawayServerBuilder + Send>;

/// Describes a [`Pg`].
#[derive(Default)]
#[must_use]
pub struct PgBuilder {
    major: Option<Major>,
    changes: Vec<Change>,
}

impl fmt::Debug for PgBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgBuilder")
            .field("major", &self.major)
            .finish_non_exhaustive()
    }
}

impl PgBuilder {
    /// Sets the major version. Defaults to `OPS_TESTKIT_PG_MAJOR`, else the newest that is
    /// installed.
    pub fn major(mut self, major: u32) -> Self {
        self.major = Some(Major(major));
        self
    }

    /// Sets a run-time parameter.
    pub fn setting(self, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.with(|server| server.setting(name, value))
    }

    /// Sets whether the server listens on a free loopback port, which
    /// [`Pg::connect_info`] and [`Pg::url`] then name. Defaults to no.
    pub fn tcp(self, tcp: bool) -> Self {
        self.with(move |server| server.tcp(tcp))
    }

    /// Sets anything else that [`ThrowawayServerBuilder`] offers.
    pub fn with<F>(mut self, change: F) -> Self
    where
        F: FnOnce(ThrowawayServerBuilder) -> ThrowawayServerBuilder + Send + 'static,
    {
        self.changes.push(Box::new(change));
        self
    }

    /// Starts the server. None where no such server is installed; see [`fixture::skip`].
    ///
    /// # Panics
    /// Where the server does not start.
    pub async fn start(self) -> Option<Pg> {
        let server = self.server().await?;
        Some(Pg {
            server: expect("starting a server", server.start().await),
        })
    }

    /// Makes a server with an empty data folder, to restore into; see
    /// [`ThrowawayServerBuilder::create_empty`].
    ///
    /// # Panics
    /// Where that fails.
    pub async fn create_empty(self) -> Option<Pg> {
        let server = self.server().await?;
        Some(Pg {
            server: expect("making a server", server.create_empty().await),
        })
    }

    async fn server(self) -> Option<ThrowawayServerBuilder> {
        let servers = servers().await;
        let wanted = self.major.or_else(|| fixture::pg_major().map(Major));
        let best = match wanted {
            Some(major) => servers.iter().find(|it| it.major() == major),
            None => servers.iter().rev().max_by_key(|it| it.major()),
        };
        let Some(best) = best else {
            let major = wanted.map(|major| format!(" {major}")).unwrap_or_default();
            fixture::skip(format_args!("no server of PostgreSQL{major} is installed"));
            return None;
        };
        // Without fsync a synchronous commit costs next to nothing, and what was committed
        // survives a killed server.
        let mut server = ThrowawayServer::builder(best.clone(), fixture::folder())
            .durable(false)
            .setting("synchronous_commit", "on");
        if let Some(user) = fixture::run_as() {
            server = server.run_as(user);
        }
        for change in self.changes {
            server = change(server);
        }
        Some(server)
    }
}

/// The installations that have a server, those with all programs first.
async fn servers() -> Vec<Binaries> {
    let mut servers = Finder::from_env().all().await;
    servers.retain(Binaries::has_server);
    servers.sort_by_key(|it| !it.has("pg_dump"));
    servers
}

#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
fn expect<T>(what: &str, outcome: Result<T>) -> T {
    outcome.unwrap_or_else(|err| panic!("{what}: {}", Report(&err)))
}

/// A part of a URL, percent-encoded.
fn encoded(part: &str) -> String {
    part.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_url_are_percent_encoded() {
        assert_eq!(encoded("/tmp/a b@c:é"), "%2Ftmp%2Fa%20b%40c%3A%C3%A9");
    }
}
