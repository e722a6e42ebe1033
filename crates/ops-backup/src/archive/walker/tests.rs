use ops_pg::process::{Io, Program};
use ops_testkit::Pg;
use tokio::io::AsyncReadExt;

use super::Walker;
use crate::archive::{Archive, ArchiveError};

/// What a real `pg_dump` of every version here writes.
async fn real_archive() -> Option<Vec<u8>> {
    let pg = Pg::start().await?;
    pg.create_database("source").await;
    pg.client("source")
        .await
        .batch_execute(
            "CREATE TABLE a (x int, y text); \
             INSERT INTO a SELECT i, repeat(i::text, i % 40) FROM generate_series(1, 300) i; \
             CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; \
             CREATE TABLE empty (x int); CREATE SEQUENCE s START 7; \
             SELECT lo_from_bytea(4711, 'first'); SELECT lo_from_bytea(4712, ''); \
             SELECT lo_from_bytea(0, decode(repeat('00ff', 5000), 'hex'));",
        )
        .await
        .unwrap();
    let info = pg.connect_info("source");
    let env = ops_pg::conninfo::libpq_env(&info);
    let program = env
        .plain()
        .fold(Program::new(pg.bin("pg_dump")), |program, (name, value)| {
            program.env(name, value)
        })
        .args(["--format=custom", "--compress=0"])
        .stdout(Io::Piped);
    let mut child = program.spawn().unwrap();
    let mut archive = Vec::new();
    child
        .take_stdout()
        .unwrap()
        .read_to_end(&mut archive)
        .await
        .unwrap();
    assert!(child.wait().await.unwrap().success());
    Some(archive)
}

fn walk(pieces: &[&[u8]]) -> Result<Archive, ArchiveError> {
    let mut walker = Walker::new();
    for piece in pieces {
        walker.feed(piece)?;
    }
    walker.finish()
}

fn rows_of(archive: &Archive, table: &str) -> u64 {
    let entry = archive
        .toc
        .iter()
        .find(|entry| entry.desc == "TABLE DATA" && entry.tag == table)
        .unwrap_or_else(|| panic!("no data of {table}"));
    archive.rows[&entry.dump_id].rows
}

#[tokio::test]
async fn a_real_archive_is_followed_wherever_it_is_cut_into_pieces() {
    let Some(bytes) = real_archive().await else {
        return;
    };
    let whole = walk(&[bytes.as_slice()]).unwrap();
    assert_eq!(rows_of(&whole, "a"), 300);
    assert_eq!(rows_of(&whole, "empty"), 0);
    assert_eq!(whole.large_objects.rows, 3);
    for size in [1, 2, 3, 7, 64, 1000, 4096] {
        let pieces = walk(&bytes.chunks(size).collect::<Vec<_>>()).unwrap();
        assert_eq!(pieces.rows, whole.rows, "in pieces of {size}");
        assert_eq!(
            pieces.large_objects, whole.large_objects,
            "in pieces of {size}"
        );
        assert_eq!(pieces.toc, whole.toc, "in pieces of {size}");
    }
}

#[tokio::test]
async fn an_archive_that_ends_early_is_never_taken_for_whole() {
    let Some(bytes) = real_archive().await else {
        return;
    };
    // Every place near the blocks' borders, and many in between.
    let step = (bytes.len() / 3000).max(1);
    for end in (0..bytes.len())
        .step_by(step)
        .chain(bytes.len().saturating_sub(200)..bytes.len())
    {
        assert!(
            walk(&[&bytes[..end]]).is_err(),
            "cut at {end} of {}",
            bytes.len()
        );
    }
}

#[tokio::test]
async fn the_rows_hash_is_that_of_copy_and_changes_with_any_byte() {
    let Some(bytes) = real_archive().await else {
        return;
    };
    let whole = walk(&[bytes.as_slice()]).unwrap();
    let at = memchr::memmem::find(&bytes, b"\t100100").unwrap();
    let mut changed = bytes.clone();
    changed[at + 1] ^= 1;
    let changed = walk(&[changed.as_slice()]).unwrap();
    assert_ne!(changed.rows, whole.rows);
}

#[test]
fn what_is_not_an_archive_is_refused_at_once() {
    assert!(matches!(
        walk(&[b"PGDMX".as_slice()]),
        Err(ArchiveError::Magic)
    ));
    assert!(matches!(
        walk(&[b"--\n-- PostgreSQL database dump".as_slice()]),
        Err(ArchiveError::Magic)
    ));
    let future = b"PGDMP\x01\x63\x00\x04\x08\x01";
    assert!(matches!(
        walk(&[future.as_slice()]),
        Err(ArchiveError::Version(1, 0x63))
    ));
    let tar = b"PGDMP\x01\x0e\x00\x04\x08\x03";
    assert!(matches!(walk(&[tar.as_slice()]), Err(ArchiveError::Format)));
    assert!(matches!(walk(&[]), Err(ArchiveError::TruncatedToc)));
}

#[test]
fn an_archive_of_the_last_format_that_is_compressed_is_refused() {
    let mut bytes = b"PGDMP\x01\x10\x00\x04\x08\x01".to_vec();
    bytes.push(1); // gzip
    for _ in 0..7 {
        bytes.extend([0, 0, 0, 0, 0]);
    }
    for _ in 0..3 {
        bytes.extend([0, 0, 0, 0, 0]);
    }
    bytes.extend([0, 0, 0, 0, 0]);
    assert!(matches!(
        walk(&[bytes.as_slice()]),
        Err(ArchiveError::Compressed)
    ));
}
