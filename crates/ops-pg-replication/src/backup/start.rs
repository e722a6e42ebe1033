//! The tables before and after the data of a base backup.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::FromStr;

use bytes::Bytes;
use ops_core::{Error, Result};

use super::{BackupStart, Tablespace};
use crate::error::protocol;
use crate::lsn::Lsn;
use crate::timeline::Timeline;
use crate::wire::values;

/// A server has fewer tablespaces than this; it keeps what is kept of an answer small.
const MAX_ROWS: usize = 100_000;

/// Rows that have come. The first holds a position in the log, the others tablespaces, of
/// which the main data directory is the last.
#[derive(Debug, Default)]
pub(super) struct Tables {
    rows: Vec<Vec<Option<Bytes>>>,
}

impl Tables {
    pub(super) fn push(&mut self, body: Bytes) -> Result<()> {
        if self.rows.len() >= MAX_ROWS {
            return Err(protocol("the server sends tablespaces without end"));
        }
        self.rows.push(values(body)?);
        Ok(())
    }

    pub(super) fn start(&self) -> Result<BackupStart> {
        let (lsn, timeline) = self.position()?;
        let mut tablespaces: Vec<Tablespace> = Vec::new();
        let mut main_size = None;
        let mut has_main = false;
        for row in self.rows.iter().skip(1) {
            let [oid, path, size, ..] = row.as_slice() else {
                return Err(protocol("a tablespace of the server lacks a column"));
            };
            let size = match size {
                Some(size) => Some(parse::<u64>(size, "size")?.saturating_mul(1024)),
                None => None,
            };
            if has_main {
                return Err(protocol(
                    "the main data directory is not the last in the list",
                ));
            }
            let (Some(oid), Some(path)) = (oid, path) else {
                (main_size, has_main) = (size, true);
                continue;
            };
            let oid = parse(oid, "object id")?;
            if tablespaces.iter().any(|it| it.oid == oid) {
                return Err(protocol("a tablespace of the server is in the list twice"));
            }
            tablespaces.push(Tablespace {
                oid,
                path: PathBuf::from(OsString::from_vec(path.to_vec())),
                size,
            });
        }
        if !has_main {
            return Err(protocol("the main data directory is not in the list"));
        }
        Ok(BackupStart {
            lsn,
            timeline,
            tablespaces,
            main_size,
        })
    }

    pub(super) fn end(&self) -> Result<(Lsn, Timeline)> {
        if self.rows.len() != 1 {
            return Err(protocol(
                "the server does not say where the base backup ends",
            ));
        }
        self.position()
    }

    fn position(&self) -> Result<(Lsn, Timeline)> {
        match self.rows.first().map(Vec::as_slice) {
            Some([Some(lsn), Some(timeline), ..]) => Ok((
                parse(lsn, "position in the log")?,
                parse(timeline, "timeline")?,
            )),
            _ => Err(protocol("the server sent no position in the log")),
        }
    }
}

fn parse<T: FromStr>(value: &[u8], what: &str) -> Result<T, Error> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| protocol(format!("the server's answer has no readable {what}")))
}
