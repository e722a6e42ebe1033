//! `global/pg_control`: what a cluster is, and what a server needs to run it.
//!
//! The layout is that of `src/include/catalog/pg_control.h` of PostgreSQL 13 to 18, as a
//! 64-bit machine of little-endian order writes it: version 1300 of 13 to 16, 1700, and 1800.

use ops_pg_replication::SystemId;

use crate::error::{Error, ErrorKind, Result};
use crate::physical::incremental::{BLOCK_BYTES, SEGMENT_BLOCKS};

/// Where it lies in a data folder.
pub(crate) const PATH: &str = "global/pg_control";

/// The version of the layout, and where its checksum is. All fields that are read here are at
/// the same place in all.
const VERSIONS: [(u32, usize); 3] = [(1300, 288), (1700, 288), (1800, 292)];

/// Where the version is. It is there in every version of PostgreSQL.
const VERSION: usize = 8;
const BLOCK_SIZE: usize = 216;
const BLOCKS_PER_SEGMENT: usize = 220;
/// Whether commit times are kept: one byte.
const TRACK_COMMIT_TIMESTAMP: usize = 200;

/// The numbers that must not be lower than they were on the source, or replay stops: the
/// settings' names, and where they are.
const MINIMA: [(&str, usize); 5] = [
    ("max_connections", 180),
    ("max_worker_processes", 184),
    ("max_wal_senders", 188),
    ("max_prepared_transactions", 192),
    ("max_locks_per_transaction", 196),
];

/// What `pg_control` of a cluster says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ControlData {
    pub(crate) system_id: SystemId,
    /// Settings that a server needs at least, to replay this cluster's WAL.
    pub(crate) minima: Vec<(String, String)>,
}

impl ControlData {
    /// Reads the file's content.
    ///
    /// # Errors
    /// `Integrity` where it is damaged, `InvalidInput` where it is of a version that is not
    /// known, or of a server that was built with other sizes.
    pub(crate) fn parse(operation: &'static str, content: &[u8]) -> Result<Self> {
        let damaged = || {
            let message = "pg_control is damaged: its checksum is wrong";
            Error::new(ErrorKind::Integrity, operation, message)
        };
        let other = |message: String| Error::new(ErrorKind::InvalidInput, operation, message);
        let number = |at: usize| {
            let bytes = content.get(at..at + 4).and_then(|it| it.try_into().ok());
            bytes.map(u32::from_le_bytes).ok_or_else(damaged)
        };
        let version = number(VERSION)?;
        let known = VERSIONS.iter().find(|(known, _)| *known == version);
        let &(_, crc_at) = known.ok_or_else(|| {
            other(format!(
                "pg_control is of version {version}, which is not known"
            ))
        })?;
        let covered = content.get(..crc_at).ok_or_else(damaged)?;
        if crc32c::crc32c(covered) != number(crc_at)? {
            return Err(damaged());
        }
        let block_size = u64::from(number(BLOCK_SIZE)?);
        let segment_blocks = number(BLOCKS_PER_SEGMENT)?;
        if (block_size, segment_blocks) != (BLOCK_BYTES, SEGMENT_BLOCKS) {
            return Err(other(format!(
                "the cluster has blocks of {block_size} bytes and {segment_blocks} of them per file, \
                 and only {BLOCK_BYTES} and {SEGMENT_BLOCKS} are read"
            )));
        }
        let mut minima = MINIMA
            .iter()
            .map(|&(name, at)| Ok((name.to_owned(), number(at)?.cast_signed().to_string())))
            .collect::<Result<Vec<_>>>()?;
        let track = content
            .get(TRACK_COMMIT_TIMESTAMP)
            .is_some_and(|&it| it != 0);
        let track = if track { "on" } else { "off" };
        minima.push(("track_commit_timestamp".to_owned(), track.to_owned()));
        let id = content.first_chunk().ok_or_else(damaged)?;
        Ok(Self {
            system_id: SystemId::new(u64::from_le_bytes(*id)),
            minima,
        })
    }
}

/// The system identifier of the cluster in a data folder: the first eight bytes of
/// `pg_control`, of every version. `None` where there is no such file.
pub(crate) fn system_id_of(data_dir: &std::path::Path) -> std::io::Result<Option<SystemId>> {
    use std::io::Read;
    let mut file = match std::fs::File::open(data_dir.join(PATH)) {
        Ok(file) => file,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err),
    };
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes)?;
    Ok(Some(SystemId::new(u64::from_le_bytes(bytes))))
}

#[cfg(test)]
mod tests {
    use ops_testkit::Pg;

    use super::*;

    /// The content of a `pg_control`, with a right checksum.
    fn content(version: u32, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut content = vec![0; 8192];
        let mut put = |at: usize, value: u32| {
            content[at..at + 4].copy_from_slice(&value.to_le_bytes());
        };
        put(0, 77);
        put(VERSION, version);
        put(BLOCK_SIZE, 8192);
        put(BLOCKS_PER_SEGMENT, 131_072);
        put(180, 100);
        change(&mut content);
        let at = VERSIONS
            .iter()
            .find(|it| it.0 == version)
            .map_or(288, |it| it.1);
        let crc = crc32c::crc32c(&content[..at]);
        content[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        content
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_read_is_what_the_server_of_each_major_says() {
        for major in Pg::available_majors().await {
            let pg = Pg::builder()
                .major(major.0)
                .setting("max_connections", "37")
                .setting("max_worker_processes", "9")
                .setting("max_wal_senders", "7")
                .setting("max_prepared_transactions", "5")
                .setting("max_locks_per_transaction", "81")
                .setting("track_commit_timestamp", "on")
                .start()
                .await
                .expect("it is installed");
            let content = std::fs::read(pg.data_dir().join(PATH)).unwrap();
            let control = ControlData::parse("restore", &content).unwrap();
            let client = pg.client("postgres").await;
            let sql = "SELECT system_identifier FROM pg_control_system()";
            let id: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
            assert_eq!(control.system_id.as_u64(), id.cast_unsigned(), "{major}");
            assert_eq!(control.minima.len(), 6);
            for (name, value) in &control.minima {
                let row = client
                    .query_one(&format!("SHOW {name}"), &[])
                    .await
                    .unwrap();
                assert_eq!(row.get::<_, String>(0), *value, "{name} of {major}");
            }
            println!("PostgreSQL {major}: pg_control is understood");
        }
    }

    #[test]
    fn every_version_is_read() {
        for (version, _) in VERSIONS {
            let track = |content: &mut Vec<u8>| content[TRACK_COMMIT_TIMESTAMP] = 1;
            let control = ControlData::parse("restore", &content(version, track)).unwrap();
            assert_eq!(control.system_id.as_u64(), 77);
            let has = |name: &str, value: &str| {
                control
                    .minima
                    .contains(&(name.to_owned(), value.to_owned()))
            };
            assert!(has("max_connections", "100") && has("track_commit_timestamp", "on"));
        }
    }

    #[test]
    fn a_cluster_that_is_built_otherwise_or_damaged_is_refused() {
        let refused = |content: &[u8]| ControlData::parse("restore", content).unwrap_err().kind();
        let blocks = content(1300, |it| it[BLOCK_SIZE + 1] = 64);
        assert_eq!(refused(&blocks), ErrorKind::InvalidInput);
        let segments = content(1800, |it| it[BLOCKS_PER_SEGMENT] = 1);
        assert_eq!(refused(&segments), ErrorKind::InvalidInput);
        assert_eq!(refused(&content(1900, |_| ())), ErrorKind::InvalidInput);
        for at in [0, 180, 291] {
            let mut flipped = content(1300, |_| ());
            flipped[at] ^= 1;
            assert_eq!(refused(&flipped), ErrorKind::Integrity, "{at}");
        }
        for len in [0, 11, 200, 290] {
            assert_eq!(
                refused(&content(1300, |_| ())[..len]),
                ErrorKind::Integrity,
                "{len}"
            );
        }
    }
}
