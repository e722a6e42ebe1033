//! What a throwaway server is like.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ops_core::{Error, ErrorKind, Report, Result, Secret};

use super::folder::{self, ServerFolder};
use super::parent::Parent;
use super::port::ReservedPort;
use super::postmaster::StartFailure;
use super::{ThrowawayServer, blocking, config, template};
use crate::binaries::Binaries;
use crate::connect::{ConnectOptions, connect};
use crate::error::from_driver;
use crate::process::User;
use crate::server::postmaster::Postmaster;

/// How often another port is tried when somebody was faster.
const PORT_ATTEMPTS: u32 = 10;

/// What a server is like.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) binaries: Binaries,
    pub(super) superuser: String,
    pub(super) password: Option<Secret>,
    pub(super) user: Option<User>,
    pub(super) tcp: bool,
    pub(super) durable: bool,
    pub(super) encoding: String,
    pub(super) locale: String,
    pub(super) data_checksums: bool,
    pub(super) wal_segment_size_mb: Option<u32>,
    pub(super) settings: Named<String>,
    pub(super) overrides: Named<String>,
    pub(super) hba: Vec<String>,
    pub(super) files: Named<Vec<u8>>,
    pub(super) start_timeout: Duration,
}

/// Values by name, of which `Debug` shows the names alone: a setting can hold the password
/// of a primary, a file a private key.
#[derive(Clone)]
pub(super) struct Named<T>(pub(super) Vec<(String, T)>);

impl<T> fmt::Debug for Named<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// Describes a [`ThrowawayServer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ThrowawayServerBuilder {
    parent: PathBuf,
    run_as: Option<String>,
    data_dir: Option<PathBuf>,
    options: Options,
}

impl ThrowawayServerBuilder {
    pub(super) fn new(binaries: Binaries, parent: PathBuf) -> Self {
        let options = Options {
            binaries,
            superuser: "postgres".to_owned(),
            password: None,
            user: None,
            tcp: false,
            durable: true,
            encoding: "UTF8".to_owned(),
            locale: "C".to_owned(),
            data_checksums: false,
            wal_segment_size_mb: None,
            settings: Named(Vec::new()),
            overrides: Named(Vec::new()),
            hba: Vec::new(),
            files: Named(Vec::new()),
            start_timeout: Duration::from_secs(60),
        };
        Self {
            parent,
            run_as: None,
            data_dir: None,
            options,
        }
    }

    /// Sets the superuser's name. Defaults to `postgres`.
    pub fn superuser(mut self, name: impl Into<String>) -> Self {
        self.options.superuser = name.into();
        self
    }

    /// Sets the superuser's password, which is asked for over TCP (SCRAM-SHA-256).
    /// Defaults to none.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.options.password = Some(password.into());
        self
    }

    /// Sets the system user that the server runs as when we are root. Defaults to
    /// `postgres`, else `nobody`.
    pub fn run_as(mut self, user: impl Into<String>) -> Self {
        self.run_as = Some(user.into());
        self
    }

    /// Sets whether the server also listens on a free port of 127.0.0.1. Defaults to no.
    ///
    /// Without a [`password`](Self::password) every user of the machine can log in there
    /// as the superuser.
    pub fn tcp(mut self, tcp: bool) -> Self {
        self.options.tcp = tcp;
        self
    }

    /// Sets whether committed data survives a crash of the machine. Defaults to yes; where
    /// not, `fsync`, `synchronous_commit` and `full_page_writes` are off.
    pub fn durable(mut self, durable: bool) -> Self {
        self.options.durable = durable;
        self
    }

    /// Sets the encoding. Defaults to `UTF8`.
    pub fn encoding(mut self, encoding: impl Into<String>) -> Self {
        self.options.encoding = encoding.into();
        self
    }

    /// Sets the locale. Defaults to `C`, the only one that every machine has.
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.options.locale = locale.into();
        self
    }

    /// Sets whether pages carry checksums. Defaults to no, also from PostgreSQL 18 on.
    pub fn data_checksums(mut self, checksums: bool) -> Self {
        self.options.data_checksums = checksums;
        self
    }

    /// Sets the size of a segment of the write-ahead log, in MiB, a power of two from 1
    /// to 1024. Defaults to the server's own default, 16.
    pub fn wal_segment_size_mb(mut self, megabytes: u32) -> Self {
        self.options.wal_segment_size_mb = Some(megabytes);
        self
    }

    /// Sets a run-time parameter in the configuration file. The last value of a name
    /// counts; `ALTER SYSTEM` goes over it. `shared_buffers` is 32 MB unless it is set.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.settings.0.push((name.into(), value.into()));
        self
    }

    /// Sets a run-time parameter on the command line, where it goes over everything, also
    /// over the `postgresql.auto.conf` of a restored data folder. Never a secret: every
    /// user of the machine can read it.
    pub fn overriding_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.overrides.0.push((name.into(), value.into()));
        self
    }

    /// Adds a line to the head of `pg_hba.conf`, after those added before it.
    pub fn hba(mut self, line: impl Into<String>) -> Self {
        self.options.hba.push(line.into());
        self
    }

    /// Puts a file into the data folder before the first start, readable by the server
    /// alone: a certificate, its key.
    pub fn data_file(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.options.files.0.push((name.into(), bytes.into()));
        self
    }

    /// Sets how long a start may take until the server answers. Defaults to 60 s; a
    /// server that recovers first may need longer.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.options.start_timeout = timeout;
        self
    }

    /// Sets a data folder that lies elsewhere and stays when the server goes. It must
    /// belong to the user that the server runs as. Only
    /// [`create_empty`](Self::create_empty) takes it, and leaves it as it is.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Makes the server, starts it, and waits until it answers.
    ///
    /// # Errors
    /// As [`create_empty`](Self::create_empty) and [`ThrowawayServer::start`].
    ///
    /// # Cancel safety
    /// What was made is removed.
    pub async fn start(self) -> Result<ThrowawayServer> {
        let (parent, mut server) = self.create(true).await?;
        for attempt in 1.. {
            config::write(&server.folder, &server.options)?;
            let info = server.socket_connect_info("postgres");
            match Postmaster::start(&server.folder, &server.options, &server.port, &info).await {
                Ok(postmaster) => {
                    server.postmaster = Some(postmaster);
                    break;
                }
                Err(StartFailure::PortTaken(_)) if attempt < PORT_ATTEMPTS => {
                    server.port = ReservedPort::free(&parent)?;
                }
                Err(failure) => return Err(failure.into_error()),
            }
        }
        set_password(&server).await?;
        Ok(server)
    }

    /// Makes a server with an empty data folder, and does not start it. Whoever restores a
    /// backup fills [`ThrowawayServer::data_dir`], then calls
    /// [`ThrowawayServer::adopt_data_dir`] and [`ThrowawayServer::start`].
    ///
    /// The server reads no `postgresql.conf` and no `pg_hba.conf` of the data folder.
    ///
    /// # Errors
    /// `InvalidConfig` where the parent folder or the user will not do, or the socket's
    /// path is too long; `NotFound` for a missing user or program; `QuotaExceeded` for a
    /// full disk or where no port is free.
    ///
    /// # Cancel safety
    /// What was made is removed.
    pub async fn create_empty(self) -> Result<ThrowawayServer> {
        self.create(false).await.map(|(_, server)| server)
    }

    async fn create(self, initialized: bool) -> Result<(Parent, ThrowawayServer)> {
        let Self {
            parent,
            run_as,
            data_dir,
            mut options,
        } = self;
        if initialized && data_dir.is_some() {
            let message = "a data folder that lies elsewhere is not initialized";
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        }
        blocking(move || {
            options.user = User::unprivileged(run_as.as_deref())?;
            let user = options.user.as_ref();
            let parent = Parent::open(&parent, user)?;
            if let Err(err) = parent.sweep() {
                tracing::warn!(error = %Report(&err), "left-over servers could not be removed");
            }
            let port = if options.tcp {
                ReservedPort::free(&parent)?
            } else {
                ReservedPort::socket_only()
            };
            let elsewhere = data_dir.as_deref();
            let folder = ServerFolder::create(&parent, user, port.number(), elsewhere)?;
            if initialized {
                template::instantiate(&parent, &options, folder.data_dir())?;
            } else if elsewhere.is_none() {
                folder.create_data_dir(user)?;
            }
            for (name, bytes) in &options.files.0 {
                folder::write(&folder.data_dir().join(name), bytes, user)?;
            }
            Ok((
                parent,
                ThrowawayServer {
                    postmaster: None,
                    folder,
                    port,
                    options,
                },
            ))
        })
        .await
    }
}

/// Sets the superuser's password, as a verifier: the server could log a statement.
async fn set_password(server: &ThrowawayServer) -> Result<()> {
    let Some(password) = &server.options.password else {
        return Ok(());
    };
    let verifier = postgres_protocol::password::scram_sha_256(password.expose().as_bytes());
    let info = server.socket_connect_info("postgres");
    let client = connect(&info, &ConnectOptions::default()).await?;
    let user = super::quoted(&server.options.superuser);
    let sql = format!("ALTER ROLE {user} PASSWORD '{verifier}'");
    client.batch_execute(&sql).await.map_err(from_driver)
}
