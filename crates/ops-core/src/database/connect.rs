//! How to reach a database.

use std::fmt;
use std::path::PathBuf;

use super::Engine;
use crate::secret::Secret;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Host {
    /// A host name or address.
    Tcp(String),
    /// A folder that holds a Unix-domain socket.
    Unix(PathBuf),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => f.write_str(host),
            Self::Unix(folder) => write!(f, "{}", folder.display()),
        }
    }
}

/// How a connection is protected. Named as `sslmode` of libpq.
///
/// `prefer` and `allow` are absent on purpose: they fall back to plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsMode {
    /// Plain text.
    Disable,
    /// Encrypted; the server is not identified.
    Require,
    /// Encrypted; the certificate comes from a trusted root, for whatever host name.
    VerifyCa,
    /// Encrypted; the certificate comes from a trusted root and names the host.
    VerifyFull,
}

impl TlsMode {
    /// The value of libpq's `sslmode`.
    #[must_use]
    pub const fn as_sslmode(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// The oldest TLS that a connection accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, for servers that have nothing newer.
    V1_2,
    /// TLS 1.3, the default.
    #[default]
    V1_3,
}

/// Which roots identify a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsRoots {
    /// The operating system's.
    #[default]
    System,
    /// Those of a PEM file, and no others.
    File(PathBuf),
}

/// A certificate by which we identify ourselves, as files: client programs of
/// PostgreSQL read them by themselves, so that the key is never copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// A PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// A PEM file with the private key, readable by its owner alone.
    pub key: PathBuf,
}

/// How a connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSettings {
    /// How far the server is identified.
    pub mode: TlsMode,
    /// By which roots. Defaults to the operating system's.
    pub roots: TlsRoots,
    /// How we identify ourselves. Defaults to not at all.
    pub client: Option<ClientCertificate>,
    /// The oldest TLS that is accepted. Defaults to 1.3.
    pub min_version: TlsVersion,
}

impl TlsSettings {
    /// A mode, with system roots, no client certificate and TLS 1.3.
    #[must_use]
    pub fn new(mode: TlsMode) -> Self {
        Self {
            mode,
            roots: TlsRoots::System,
            client: None,
            min_version: TlsVersion::V1_3,
        }
    }

    /// Sets the roots.
    #[must_use]
    pub fn with_roots(mut self, roots: TlsRoots) -> Self {
        self.roots = roots;
        self
    }

    /// Sets how we identify ourselves.
    #[must_use]
    pub fn with_client(mut self, client: ClientCertificate) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets the oldest TLS that is accepted.
    #[must_use]
    pub fn with_min_version(mut self, min_version: TlsVersion) -> Self {
        self.min_version = min_version;
        self
    }
}

/// How to reach a database.
///
/// `Debug` and `Display` never show the password; `Display` is safe for a log line.
///
/// ```
/// use ops_core::database::{ConnectInfo, Engine, Host, TlsMode, TlsSettings};
///
/// let info = ConnectInfo::new(Engine::Postgres, Host::Tcp("db.internal".into()), 5432)
///     .with_user("app")
///     .with_database("shop")
///     .with_password("hunter2")
///     .with_tls(TlsSettings::new(TlsMode::VerifyFull));
/// assert_eq!(info.to_string(), "postgres://app@db.internal:5432/shop");
/// assert!(!format!("{info:?}").contains("hunter2"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// What kind of database.
    pub engine: Engine,
    /// Where it listens.
    pub host: Host,
    /// Its port; for a Unix-domain socket the number in the socket's name.
    pub port: u16,
    /// The user to log in as.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The database to use.
    pub database: Option<String>,
    /// How the connection is protected.
    pub tls: TlsSettings,
}

impl ConnectInfo {
    /// A server without user, database or TLS.
    #[must_use]
    pub fn new(engine: Engine, host: Host, port: u16) -> Self {
        Self {
            engine,
            host,
            port,
            user: None,
            password: None,
            database: None,
            tls: TlsSettings::new(TlsMode::Disable),
        }
    }

    /// Sets the user.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the password.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sets the database.
    #[must_use]
    pub fn with_database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// Sets the protection.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsSettings) -> Self {
        self.tls = tls;
        self
    }
}

impl fmt::Display for ConnectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match &self.engine {
            Engine::Postgres => "postgres",
            Engine::Redis => "redis",
            Engine::Vector => "vector",
            Engine::Other(name) => name,
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match &self.host {
            Host::Tcp(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port)?,
            host => write!(f, "{host}:{}", self.port)?,
        }
        if let Some(database) = &self.database {
            write!(f, "/{database}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_printed_so_that_the_port_can_be_told() {
        let info = |host| ConnectInfo::new(Engine::Redis, host, 6379).to_string();
        assert_eq!(info(Host::Tcp("::1".into())), "redis://[::1]:6379");
        assert_eq!(
            info(Host::Tcp("127.0.0.1".into())),
            "redis://127.0.0.1:6379"
        );
        assert_eq!(
            info(Host::Unix("/run/redis".into())),
            "redis:///run/redis:6379"
        );
    }

    #[test]
    fn protection_defaults_to_the_strictest() {
        let tls = TlsSettings::new(TlsMode::VerifyFull);
        assert_eq!(tls.min_version, TlsVersion::V1_3);
        assert_eq!(tls.roots, TlsRoots::System);
        assert!(TlsVersion::V1_2 < TlsVersion::V1_3);
    }
}
