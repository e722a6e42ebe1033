//! Ports for servers that listen on loopback.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use ops_core::{Error, ErrorKind, Result};

use super::parent::{self, Parent};

/// Below 32768, where the ephemeral range of Linux starts: no outgoing connection can
/// take the port while the server is down.
const RANGE: std::ops::Range<u16> = 20_000..32_768;

/// The port in the socket's name of a server that does not listen on loopback.
const SOCKET_ONLY: u16 = 5432;

/// A port that no other server below the same parent uses, until this is dropped.
#[derive(Debug)]
pub(super) struct ReservedPort {
    number: u16,
    _lock: Option<File>,
}

impl ReservedPort {
    /// The port of a server that listens on its socket alone.
    pub(super) fn socket_only() -> Self {
        Self {
            number: SOCKET_ONLY,
            _lock: None,
        }
    }

    /// A free port. PostgreSQL cannot choose one by itself.
    pub(super) fn free(parent: &Parent) -> Result<Self> {
        let folder = parent.subfolder("ports")?;
        let count = u64::from(RANGE.end - RANGE.start);
        let first = RandomState::new().hash_one(()) % count;
        for step in 0..count {
            let offset = u16::try_from((first + step) % count).unwrap_or_default();
            let number = RANGE.start + offset;
            let Some(lock) = parent::try_lock(&folder.join(number.to_string()))? else {
                continue;
            };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _lock: Some(lock),
                });
            }
        }
        Err(Error::new(
            ErrorKind::QuotaExceeded,
            format!("no port from {} to {} is free", RANGE.start, RANGE.end - 1),
        ))
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }
}
