//! The settings of PgBouncer's file.

mod assemble;
mod auth_file;
mod ini;
mod known;
mod pairs;
mod quoted;
mod values;

use std::fmt;
use std::io;

use ops_core::database::{ConnectInfo, TlsSettings};
use ops_core::{Result, Secret};
use ops_pg::connect::ConnectOptions;

use super::PoolSettings;
use crate::builder::SessionPoolBuilder;
use crate::pool::SessionPool;

/// Reads a `pgbouncer.ini` and makes of one of its databases what a pool needs.
///
/// The file is read as PgBouncer reads it: `;` and `#` begin a comment at the begin of a
/// line only; a line of `[databases]` and `[users]` is `name = key=value key='it''s'`; names
/// with other characters than letters, digits, `_`, `.` and `-` stand in double quotes; `*`
/// is the database that stands for all others; times are seconds with a fraction; whole
/// numbers may be `0x10` or `020`; a second `[pgbouncer]` begins again from the defaults.
///
/// A setting of the user's line counts before one of the database's line, and that before
/// one of `[pgbouncer]`.
///
/// What a proxy alone can have is not applied and comes back in
/// [`ignored`](PgBouncerPool::ignored), each with the reason. Whatever PgBouncer itself would
/// refuse is refused: an unknown key, a value that is not one.
///
/// # What differs
/// - `pool_size = 0` and `host` lists are refused, and so is a `target_session_attrs` other
///   than `any`: a pool connects to one server and has a limit.
/// - `max_client_conn`, where the file names it, bounds the queue: the callers that hold a
///   session and those that wait are together at most so many.
/// - Without `server_tls_sslmode`, which means `prefer` to PgBouncer, a Unix-domain socket
///   and a loopback host use plain text and every other host `verify-full`. `prefer` and
///   `allow` fall back to plain text and are refused; [`tls`](Self::tls) says what counts
///   instead. TLS 1.3 is the oldest unless `server_tls_protocols` names an older one.
/// - A password comes from the line, from [`password`](Self::password), or from `auth_file`,
///   where it is no hash and [`include_with`](Self::include_with) can read the file.
///
/// ```
/// use std::time::Duration;
///
/// use ops_pool::PgBouncerIni;
///
/// let text = "
/// [databases]
/// shop = host=127.0.0.1 user=app password='it''s secret' pool_size=8
///
/// [pgbouncer]
/// listen_port = 6432
/// pool_mode = session
/// query_wait_timeout = 2.5
/// ";
/// let pool = PgBouncerIni::new(text).read("shop")?;
/// assert_eq!(pool.connect_info.to_string(), "postgres://app@127.0.0.1:5432/shop");
/// assert_eq!(pool.settings.pool_size, 8);
/// assert_eq!(pool.settings.query_wait_timeout, Duration::from_millis(2500));
/// assert_eq!(
///     pool.ignored[0].to_string(),
///     "pgbouncer.ini:6: listen_port: callers are in the same process: the pool accepts no \
///      connections",
/// );
/// # Ok::<(), ops_core::Error>(())
/// ```
#[must_use = "this reads nothing until it is told which database"]
pub struct PgBouncerIni<'a> {
    text: &'a str,
    file_name: String,
    include: Option<Box<ini::Include<'a>>>,
    user: Option<String>,
    password: Option<Secret>,
    tls: Option<TlsSettings>,
}

impl fmt::Debug for PgBouncerIni<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text holds passwords.
        f.debug_struct("PgBouncerIni")
            .field("file_name", &self.file_name)
            .field("user", &self.user)
            .field("password", &self.password)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl<'a> PgBouncerIni<'a> {
    /// Takes the text of a file.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            file_name: "pgbouncer.ini".to_owned(),
            include: None,
            user: None,
            password: None,
            tls: None,
        }
    }

    /// Sets the name of the file in problems and in what is ignored. Defaults to
    /// `pgbouncer.ini`.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = name.into();
        self
    }

    /// Sets how to read the files that `%include` and `auth_file` name. Defaults to not at
    /// all: an `%include` is then refused, and no password is looked up.
    ///
    /// PgBouncer takes a relative name as relative to its own working directory.
    ///
    /// ```
    /// use ops_pool::PgBouncerIni;
    ///
    /// let ini = PgBouncerIni::new("%include /etc/pgbouncer/databases.ini")
    ///     .include_with(|path| std::fs::read_to_string(path));
    /// ```
    pub fn include_with(mut self, load: impl Fn(&str) -> io::Result<String> + 'a) -> Self {
        self.include = Some(Box::new(load));
        self
    }

    /// Sets the user for a database whose line names none. PgBouncer takes the client's own.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the password for a database whose line names none.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sets how connections are protected, whatever `server_tls_sslmode` and its likes say.
    pub fn tls(mut self, tls: TlsSettings) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Makes of a database in the file what a pool needs.
    ///
    /// # Errors
    /// `InvalidConfig` with every problem of the file and its line. It never holds a value.
    pub fn read(self, database: &str) -> Result<PgBouncerPool> {
        assemble::assemble(&self, database)
    }
}

/// What a `pgbouncer.ini` says about one database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PgBouncerPool {
    /// The server, the database and the user.
    pub connect_info: ConnectInfo,
    /// `application_name`, `datestyle`, `timezone` and TCP keepalive.
    pub connect_options: ConnectOptions,
    /// Everything else.
    pub settings: PoolSettings,
    /// What has no effect here, in the order of the file.
    pub ignored: Vec<Ignored>,
}

impl PgBouncerPool {
    /// Describes the pool.
    pub fn builder(self) -> SessionPoolBuilder {
        SessionPool::builder(self.connect_info)
            .connect_options(self.connect_options)
            .settings(self.settings)
    }
}

/// A setting that has no effect, or not the one that PgBouncer gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// The setting's name.
    pub name: String,
    /// The file and the line.
    pub place: String,
    /// Why it has no effect, and what has it instead.
    pub reason: &'static str,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.name, self.reason)
    }
}

#[cfg(test)]
mod tests;
