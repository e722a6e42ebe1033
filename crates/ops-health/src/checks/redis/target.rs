//! Where a server is, and who we are to it.

use std::fmt;
use std::path::PathBuf;

use ops_core::Secret;
use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

pub(super) struct Target {
    pub(super) place: Place,
    pub(super) login: RedisConnectionInfo,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

impl Target {
    /// What is wrong is not said in detail: the URL may hold a password.
    pub(super) fn parse(url: &Secret) -> Result<Self, String> {
        let url = url.expose();
        let (url, tls) = match url.strip_prefix("rediss://") {
            // Connecting is up to us, so the driver need not know of TLS.
            Some(rest) => (format!("redis://{rest}"), true),
            None => (url.to_owned(), false),
        };
        if url.contains('#') {
            return Err("the URL has a fragment: certificates are always verified".to_owned());
        }
        let info = url
            .as_str()
            .into_connection_info()
            .map_err(|_| "the URL is no redis://, rediss:// or redis+unix:// URL".to_owned())?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Place::Tcp {
                host: host.clone(),
                port: *port,
                tls,
            },
            ConnectionAddr::Unix(path) if !tls => Place::Unix(path.clone()),
            _ => return Err("the URL names no server that can be reached".to_owned()),
        };
        Ok(Self {
            place,
            login: info.redis_settings().clone(),
        })
    }
}

/// Without user and password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { host, port, tls } => {
                let scheme = if *tls { "rediss" } else { "redis" };
                write!(f, "{scheme}://{host}:{port}")
            }
            Place::Unix(path) => write!(f, "redis+unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, String> {
        Target::parse(&Secret::from(url))
    }

    #[test]
    fn urls_are_read_and_never_printed_with_what_is_secret() {
        let target = parse("rediss://app:hunt%2Fer2@cache:6380/3").unwrap();
        assert_eq!(format!("{target:?}"), "rediss://cache:6380");
        assert_eq!(target.login.password(), Some("hunt/er2"));
        assert_eq!(
            (target.login.username(), target.login.db()),
            (Some("app"), 3)
        );
        let target = parse("redis+unix:///run/redis.sock?db=2").unwrap();
        assert_eq!(format!("{target:?}"), "redis+unix:///run/redis.sock");
        for url in [
            "",
            "hunter2",
            "http://hunter2@x",
            "rediss://x/#insecure",
            "redis://x/hunter2",
        ] {
            let problem = parse(url).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
