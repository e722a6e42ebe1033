//! Connection URLs, and what client programs of PostgreSQL are told.
//!
//! A URL is read as libpq reads it: `postgres://[user[:password]@][host][:port][/database][?name=value&...]`,
//! every part percent-decoded, with parameters that override the parts before the `?`.
//!
//! | parameter | meaning |
//! | --- | --- |
//! | `host`, `port`, `user`, `password`, `dbname` | as the parts of the URL; a host that begins with `/` is the folder of a Unix-domain socket |
//! | `sslmode` | `disable`, `require`, `verify-ca` or `verify-full`; `ssl=true` means `require` |
//! | `sslrootcert` | a PEM file, or `system` |
//! | `sslcert`, `sslkey` | PEM files, always both |
//! | `ssl_min_protocol_version` | `TLSv1.2` or `TLSv1.3` |
//! | `application_name`, `connect_timeout` (seconds), `options` (`-c name=value`, `--name=value`), `channel_binding` | settings of the session: [`parse_with_options`] |
//!
//! Where libpq and this module differ:
//!
//! - `sslmode=prefer` and `allow` are refused: both fall back to plain text.
//! - Without `sslmode`, a Unix-domain socket and a loopback host use plain text, and
//!   every other host `verify-full`; so does a URL that names any other TLS parameter.
//! - TLS 1.3 is the default minimum.
//! - A host must be named: libpq's default depends on how it was compiled.
//! - Several hosts, parameters that are not in the table, an unescaped `@` in the name of
//!   the database, and `connect_timeout=0` (for ever) are refused.
//!
//! As in libpq, `sslmode` means nothing for a Unix-domain socket, `require` together with
//! a root file means `verify-ca`, and `sslrootcert=system` wants `verify-full`.
//!
//! No error holds any value out of a URL: a malformed URL may have its password anywhere.

mod libpq;
mod settings;
mod text;
mod url;

use ops_core::database::ConnectInfo;
use ops_core::{Error, ErrorKind, Result};

pub use libpq::{LibpqEnv, libpq_env};
pub use text::to_url;

use crate::connect::ConnectOptions;

/// The port of PostgreSQL.
pub const DEFAULT_PORT: u16 = 5432;

/// Reads a connection URL that tells where the database is and nothing else.
///
/// Settings of the session are refused by name, since [`ConnectInfo`] cannot keep them;
/// [`parse_with_options`] takes them.
///
/// ```
/// use ops_pg::conninfo::parse;
///
/// let info = parse("postgres://app:p%40ss@db.internal/shop?sslrootcert=/etc/ca.pem")?;
/// assert_eq!(info.to_string(), "postgres://app@db.internal:5432/shop");
/// assert_eq!(info.tls.mode.as_sslmode(), "verify-full");
/// # Ok::<(), ops_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidConfig` with what is wrong, and no value out of the URL.
pub fn parse(url: &str) -> Result<ConnectInfo> {
    let settings = settings::Settings::read(url)?;
    if let Some(name) = settings.session_setting() {
        return Err(invalid(format!(
            "{name} is a setting of the session, which cannot be kept here; take it out of the URL"
        )));
    }
    settings.finish().map(|(info, _)| info)
}

/// Reads a connection URL together with its settings of the session.
///
/// What the URL does not say has the default of [`ConnectOptions`].
///
/// ```
/// use std::time::Duration;
///
/// use ops_pg::conninfo::parse_with_options;
///
/// let (info, options) = parse_with_options("postgres://localhost/shop?connect_timeout=3")?;
/// assert_eq!(info.port, 5432);
/// assert_eq!(options.connect_timeout, Duration::from_secs(3));
/// # Ok::<(), ops_core::Error>(())
/// ```
///
/// # Errors
/// As [`parse`].
pub fn parse_with_options(url: &str) -> Result<(ConnectInfo, ConnectOptions)> {
    settings::Settings::read(url)?.finish()
}

#[cold]
fn invalid(problem: impl AsRef<str>) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        format!("connection URL: {}", problem.as_ref()),
    )
    .with_provider("postgres")
}
