//! A [`ConnectInfo`] as a connection URL.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

use ops_core::database::{ConnectInfo, Engine, Host, TlsMode, TlsRoots, TlsVersion};
use ops_core::{Error, ErrorKind, Result, Secret};

/// The connection URL of a database, password included, which is why it is a [`Secret`].
///
/// [`parse`](super::parse) reads it back as the same settings, except for those that
/// mean nothing: TLS over a Unix-domain socket, and roots with `sslmode=require`.
///
/// ```
/// use ops_pg::conninfo::{parse, to_url};
///
/// let info = parse("postgres://app:p%40ss@[::1]/shop")?;
/// assert_eq!(to_url(&info)?.expose(), "postgres://app:p%40ss@[::1]:5432/shop?sslmode=disable");
/// # Ok::<(), ops_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` for another engine than PostgreSQL.
pub fn to_url(info: &ConnectInfo) -> Result<Secret> {
    if info.engine != Engine::Postgres {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "the database is not PostgreSQL",
        ));
    }
    let mut url = String::from("postgres://");
    let user = info.user.as_deref().unwrap_or_default();
    let password = info.password.as_ref().map_or("", Secret::expose);
    encode(&mut url, user.as_bytes());
    if !password.is_empty() {
        url.push(':');
        encode(&mut url, password.as_bytes());
    }
    if !(user.is_empty() && password.is_empty()) {
        url.push('@');
    }
    let over_tcp = match &info.host {
        Host::Unix(folder) => {
            encode(&mut url, folder.as_os_str().as_bytes());
            false
        }
        Host::Tcp(host) if host.contains(':') => {
            url.push('[');
            url.push_str(&host.replace('%', "%25"));
            url.push(']');
            true
        }
        host => {
            encode(&mut url, host.to_string().as_bytes());
            true
        }
    };
    // Writing to a String cannot fail.
    let _ = write!(url, ":{}/", info.port);
    encode(
        &mut url,
        info.database.as_deref().unwrap_or_default().as_bytes(),
    );
    if over_tcp {
        push_tls(&mut url, info);
    }
    Ok(Secret::new(url))
}

fn push_tls(url: &mut String, info: &ConnectInfo) {
    let tls = &info.tls;
    url.push_str("?sslmode=");
    url.push_str(tls.mode.as_sslmode());
    if let (TlsRoots::File(file), false) = (&tls.roots, tls.mode == TlsMode::Require) {
        url.push_str("&sslrootcert=");
        encode(url, file.as_os_str().as_bytes());
    }
    if let Some(client) = &tls.client {
        url.push_str("&sslcert=");
        encode(url, client.certificate.as_os_str().as_bytes());
        url.push_str("&sslkey=");
        encode(url, client.key.as_os_str().as_bytes());
    }
    if tls.min_version == TlsVersion::V1_2 {
        url.push_str("&ssl_min_protocol_version=TLSv1.2");
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn encode(url: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}
