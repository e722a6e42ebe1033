//! Throwaway servers: made in a moment, used, and gone.
//!
//! A [`ThrowawayServer`] is a real PostgreSQL server in a folder of its own. Restore
//! drills restore into one; tests run against one. It listens on a Unix-domain socket in
//! a folder that only its user can enter, and on a loopback port only when asked.
//!
//! ```no_run
//! use ops_pg::binaries::{Finder, Major};
//! use ops_pg::connect::{ConnectOptions, connect};
//! use ops_pg::server::{Shutdown, ThrowawayServer};
//!
//! # async fn run() -> ops_core::Result<()> {
//! let binaries = Finder::from_env().exact(Major(15)).await?;
//! let mut server = ThrowawayServer::builder(binaries, "/var/tmp/drills")
//!     .setting("shared_buffers", "32MB")
//!     .durable(false)
//!     .start()
//!     .await?;
//! server.create_database("shop").await?;
//! let client = connect(&server.connect_info("shop"), &ConnectOptions::default()).await?;
//! # drop(client);
//! server.stop(Shutdown::Fast).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is left behind
//!
//! Nothing: dropping the server ends it and removes its folder. A process that is killed
//! cannot do that, so each folder holds an `owner` file, locked for as long as its
//! process lives. [`sweep`], and every start below the same parent, removes the folders
//! whose owner file nobody holds, and ends the servers that still run in them.
//!
//! # The parent folder
//!
//! Servers are made below a parent folder, which is made where it does not exist. It must
//! belong to us, and nobody else may write to it. Its `templates` folder keeps one
//! initialized data folder per kind of server: copying one takes a tenth of a second,
//! `initdb` seconds.

mod builder;
mod config;
mod folder;
mod leftover;
mod parent;
mod port;
mod postmaster;
mod template;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ops_core::database::{ConnectInfo, Engine, Host};
use ops_core::{Error, ErrorKind, Result};
use rustix::process::Signal;

use crate::binaries::Binaries;
use crate::connect::{ConnectOptions, connect};
use crate::error::from_driver;
use crate::process::User;

pub use builder::ThrowawayServerBuilder;

use builder::Options;
use folder::ServerFolder;
use parent::Parent;
use port::ReservedPort;
use postmaster::{Postmaster, StartFailure};

/// How long a stop may take before it is an error.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Waits until every client has gone.
    Smart,
    /// Rolls back what runs, and disconnects everybody.
    Fast,
    /// Stops at once; the next start recovers from the write-ahead log.
    Immediate,
}

impl Shutdown {
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::TERM,
            Self::Fast => Signal::INT,
            Self::Immediate => Signal::QUIT,
        }
    }
}

/// A server that is gone, with its folder, when this is dropped.
#[derive(Debug)]
pub struct ThrowawayServer {
    // Dropped in this order: the server ends before its folder goes.
    postmaster: Option<Postmaster>,
    folder: ServerFolder,
    port: ReservedPort,
    options: Options,
}

impl ThrowawayServer {
    /// Describes a server of the given installation, below a parent folder.
    pub fn builder(binaries: Binaries, parent: impl Into<PathBuf>) -> ThrowawayServerBuilder {
        ThrowawayServerBuilder::new(binaries, parent.into())
    }

    /// Starts the server, after [`stop`](Self::stop), [`kill9`](Self::kill9) or
    /// [`ThrowawayServerBuilder::create_empty`], and waits until it answers. Its folder and
    /// its port stay the same. Does nothing where it runs.
    ///
    /// # Errors
    /// `InvalidConfig` for settings that the server refuses, `QuotaExceeded` for a full
    /// disk, `Timeout` where it does not answer in time, else `Unavailable`. The end of
    /// the server's log is the error's source. It does not run then.
    ///
    /// # Cancel safety
    /// The server does not run then.
    pub async fn start(&mut self) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        self.postmaster = None;
        config::write(&self.folder, &self.options)?;
        let info = self.socket_connect_info("postgres");
        let started = Postmaster::start(&self.folder, &self.options, &self.port, &info).await;
        self.postmaster = Some(started.map_err(StartFailure::into_error)?);
        Ok(())
    }

    /// Hands everything in the data folder over to the user that the server runs as.
    /// Whoever has filled it as root calls this before [`start`](Self::start); otherwise
    /// nothing is to be done.
    ///
    /// # Errors
    /// `PermissionDenied` and `Internal` as the file system says.
    ///
    /// # Cancel safety
    /// It goes on in the background.
    pub async fn adopt_data_dir(&self) -> Result<()> {
        let Some(user) = self.options.user.clone() else {
            return Ok(());
        };
        let data = self.data_dir().to_owned();
        blocking(move || folder::give_all(&data, &user)).await
    }

    /// Stops the server. Does nothing where it does not run.
    ///
    /// # Errors
    /// `Timeout` where the server has not ended within 60 s; it may still do so.
    ///
    /// # Cancel safety
    /// The server was told to stop; only the waiting is cancelled.
    pub async fn stop(&mut self, how: Shutdown) -> Result<()> {
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        postmaster.end(how.signal(), STOP_TIMEOUT).await?;
        self.postmaster = None;
        Ok(())
    }

    /// Kills the server and all its processes with SIGKILL, as a crash would. Does
    /// nothing where it does not run.
    ///
    /// # Errors
    /// `Timeout` where the operating system does not end it within 60 s.
    ///
    /// # Cancel safety
    /// The server was killed; only the waiting is cancelled.
    pub async fn kill9(&mut self) -> Result<()> {
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        postmaster.kill(STOP_TIMEOUT).await?;
        self.postmaster = None;
        Ok(())
    }

    /// Whether the server's main process lives.
    pub fn is_running(&mut self) -> bool {
        self.postmaster.as_mut().is_some_and(Postmaster::is_running)
    }

    /// How to reach a database of the server as its superuser: over TCP where that was
    /// asked for, else over the Unix-domain socket.
    #[must_use]
    pub fn connect_info(&self, database: &str) -> ConnectInfo {
        if !self.options.tcp {
            return self.socket_connect_info(database);
        }
        let info = ConnectInfo::new(Engine::Postgres, Host::Tcp("127.0.0.1".into()), self.port())
            .with_user(&self.options.superuser)
            .with_database(database);
        match &self.options.password {
            Some(password) => info.with_password(password.clone()),
            None => info,
        }
    }

    /// How to reach a database of the server as its superuser over the Unix-domain socket.
    #[must_use]
    pub fn socket_connect_info(&self, database: &str) -> ConnectInfo {
        ConnectInfo::new(
            Engine::Postgres,
            Host::Unix(self.socket_dir().into()),
            self.port(),
        )
        .with_user(&self.options.superuser)
        .with_database(database)
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// `AlreadyExists`, and as for connecting.
    ///
    /// # Cancel safety
    /// The database may be created.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        self.run(&format!("CREATE DATABASE {}", quoted(name))).await
    }

    /// Creates a database as a copy of another, to which nobody may be connected.
    ///
    /// # Errors
    /// As for [`create_database`](Self::create_database).
    ///
    /// # Cancel safety
    /// The database may be created.
    pub async fn create_database_from(&self, name: &str, template: &str) -> Result<()> {
        self.run(&format!(
            "CREATE DATABASE {} TEMPLATE {}",
            quoted(name),
            quoted(template)
        ))
        .await
    }

    async fn run(&self, sql: &str) -> Result<()> {
        let info = self.socket_connect_info("postgres");
        let client = connect(&info, &ConnectOptions::default()).await?;
        client.batch_execute(sql).await.map_err(from_driver)
    }

    /// Sets a run-time parameter in the configuration file, from the next start on.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.options.settings.0.push((name.into(), value.into()));
    }

    /// Sets a run-time parameter on the command line, from the next start on, as
    /// [`ThrowawayServerBuilder::overriding_setting`] does.
    pub fn set_overriding(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let overrides = &mut self.options.overrides.0;
        overrides.push((name.into(), value.into()));
    }

    /// The folder that holds the socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.folder.socket_dir()
    }

    /// The port: on loopback, and in the socket's name.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The process id of the postmaster, where the server runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Postmaster::pid)
    }

    /// The data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.data_dir()
    }

    /// The system user that the server runs as, where that is not the one that we are.
    #[must_use]
    pub fn run_as(&self) -> Option<&User> {
        self.options.user.as_ref()
    }

    /// The installation that the server runs from.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.options.binaries
    }

    /// The last 16 KiB of the server's log. Empty where there is none.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.folder.log_tail(0)
    }
}

/// Removes the folders of servers whose process is gone, and ends the servers that still
/// run in them. Returns how many were removed. A parent that does not exist is fine.
///
/// # Errors
/// `InvalidConfig` where the parent belongs to somebody else, `PermissionDenied` and
/// `Internal` as the file system says.
///
/// # Cancel safety
/// The sweep goes on in the background.
pub async fn sweep(parent: impl Into<PathBuf>) -> Result<usize> {
    let parent = parent.into();
    blocking(move || {
        if parent.exists() {
            Parent::open(&parent, None)?.sweep()
        } else {
            Ok(0)
        }
    })
    .await
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|source| {
            Err(Error::new(ErrorKind::Internal, "a blocking task failed").with_source(source))
        })
}

/// An identifier, quoted.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An error of the file system.
#[cold]
fn file_error(what: &str, path: &Path, source: std::io::Error) -> Error {
    let kind = match source.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::PermissionDenied
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            ErrorKind::QuotaExceeded
        }
        _ => ErrorKind::Internal,
    };
    Error::new(kind, format!("{what} {} failed", path.display())).with_source(source)
}
