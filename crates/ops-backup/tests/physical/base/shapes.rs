//! Clusters of odd shapes.

use std::fs;
use std::path::PathBuf;

use ops_backup::{BaseBackupRequest, Event, FileKind, ObjectRole, PageChecks};
use ops_pg::server::Shutdown;
use ops_testkit::Pg;

use super::quiet;
use crate::shared::Bench;
use crate::support::{self, index, unpack, verify};

/// The path of a relation's first file, relative to the data folder.
pub(crate) async fn file_of(pg: &Pg, relation: &str) -> PathBuf {
    let client = pg.client("postgres").await;
    let sql = format!("SELECT pg_relation_filepath('{relation}')");
    let row = client.query_one(&sql, &[]).await.unwrap();
    PathBuf::from(row.get::<_, String>(0))
}

fn bad_pages(pages: &PageChecks) -> (u64, bool, Vec<(String, u32)>) {
    let PageChecks::Checked {
        bad,
        bad_pages,
        server_found_bad,
        ..
    } = pages
    else {
        panic!("{pages:?}")
    };
    let named = bad_pages.iter().map(|page| (page.path.clone(), page.block));
    (*bad, *server_found_bad, named.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_fails_the_backup_or_marks_it_as_the_policy_says() {
    use ops_backup::{ErrorKind, PagePolicy};
    for major in Pg::available_majors().await {
        let mut pg = quiet().major(major.0).start().await.unwrap();
        let sql = "CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 5000) i";
        pg.client("postgres")
            .await
            .batch_execute(sql)
            .await
            .unwrap();
        let file = file_of(&pg, "t").await;
        pg.stop(Shutdown::Fast).await;
        let path = pg.data_dir().join(&file);
        let mut content = fs::read(&path).unwrap();
        for page in [3, 170] {
            content[page * 8192 + 5000] ^= 0x40;
        }
        fs::write(&path, content).unwrap();
        pg.start_again().await;
        let bench = Bench::new();
        let backup = bench.backup(pg.connect_info("postgres"));

        let failed = backup.base_backup(BaseBackupRequest::full()).finish().await;
        let err = failed.expect_err("the default is to fail");
        assert_eq!(err.kind(), ErrorKind::DamagedPages, "{major}: {err:?}");
        assert!(err.to_string().contains("block 170 of base/"), "{err}");
        assert!(backup.catalogue().await.unwrap().is_empty());

        let request = BaseBackupRequest::full().with_page_policy(PagePolicy::Degrade);
        let report = backup.base_backup(request).finish().await.unwrap();
        assert!(report.physical.degraded);
        let name = file.display().to_string();
        let expected = (2, true, vec![(name.clone(), 3), (name, 170)]);
        assert_eq!(bad_pages(&report.physical.pages), expected, "{major}");
        assert!(report.warnings.iter().any(|it| it.contains("degraded")));
        // What came is what the server read, damage and all.
        let latest = backup.latest().await.unwrap().unwrap();
        assert!(latest.manifest.physical.as_ref().unwrap().degraded);
        let unpacked = unpack(&bench, &latest.manifest, "ours");
        verify(&pg, &unpacked.folder).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_checksums_is_said_not_to_be_checked() {
    let Some(pg) = Pg::start().await else { return };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let report = backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    let pages = &report.physical.pages;
    assert!(matches!(pages, PageChecks::NotChecked { reason } if reason.contains("checksums")));
    assert!(!report.physical.data_checksums && !report.physical.degraded);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_change_during_the_backup_are_not_taken_for_damaged() {
    let Some(pg) = Pg::builder()
        .with(|server| server.data_checksums(true))
        .start()
        .await
    else {
        return;
    };
    let client = pg.client("postgres").await;
    let sql =
        "CREATE TABLE t AS SELECT i, 0 AS n, repeat('x', 300) FROM generate_series(1, 30000) i";
    client.batch_execute(sql).await.unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone();
    let writing = tokio::spawn(async move {
        while !stopped.is_cancelled() {
            let sql = "UPDATE t SET n = n + 1 WHERE i % 7 = 0; CHECKPOINT";
            client.batch_execute(sql).await.unwrap();
        }
    });
    let request = BaseBackupRequest::full().with_max_bytes_per_second(20 << 20);
    let report = backup.base_backup(request).finish().await;
    stop.cancel();
    writing.await.unwrap();
    let report = report.unwrap();
    let PageChecks::Checked { recent, bad, .. } = report.physical.pages else {
        panic!("{:?}", report.physical.pages)
    };
    assert!(recent > 0 && bad == 0, "{:?}", report.physical.pages);
    let latest = backup.latest().await.unwrap().unwrap();
    let unpacked = unpack(&bench, &latest.manifest, "ours");
    verify(&pg, &unpacked.folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unlogged_and_temporary_relations_are_left_to_the_server() {
    let Some(pg) = quiet().start().await else {
        return;
    };
    let client = pg.client("postgres").await;
    let sql = "CREATE UNLOGGED TABLE u AS SELECT i FROM generate_series(1, 10000) i; \
               CREATE TEMPORARY TABLE t AS SELECT i FROM generate_series(1, 10000) i; CHECKPOINT";
    client.batch_execute(sql).await.unwrap();
    let (unlogged, temporary) = (file_of(&pg, "u").await, {
        let row = client
            .query_one("SELECT pg_relation_filepath('t')", &[])
            .await
            .unwrap();
        row.get::<_, String>(0)
    });
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    let latest = backup.latest().await.unwrap().unwrap();
    let entries = index(&bench, &latest.manifest);
    let has = |path: &str| entries.iter().any(|entry| entry.path == path.as_bytes());
    let unlogged = unlogged.display().to_string();
    assert!(has(&format!("{unlogged}_init")) && !has(&unlogged));
    assert!(temporary.contains("/t") && !has(&temporary));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tablespace_that_is_made_in_the_middle_does_not_disturb_the_backup() {
    let Some(pg) = quiet().start().await else {
        return;
    };
    let space = tempfile::tempdir().unwrap();
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let request = BaseBackupRequest::full().with_max_bytes_per_second(6 << 20);
    let mut job = backup.base_backup(request);
    while let Some(event) = job.next_event().await {
        if matches!(event, Event::Progress(progress) if progress.bytes_in > 1_000_000) {
            break;
        }
    }
    let place = space.path().join("late");
    support::folder_for(&pg, &place);
    let client = pg.client("postgres").await;
    let sql = format!("CREATE TABLESPACE late LOCATION '{}'", place.display());
    client.batch_execute(&sql).await.unwrap();
    client
        .batch_execute("CREATE TABLE moved TABLESPACE late AS SELECT 1")
        .await
        .unwrap();
    let report = job.finish().await.unwrap();
    assert!(report.physical.tablespaces.is_empty());
    let latest = backup.latest().await.unwrap().unwrap();
    let unpacked = unpack(&bench, &latest.manifest, "ours");
    // Its link may have come, and leads to the server's own folder: nobody may follow it.
    for entry in &unpacked.index {
        if entry.kind == FileKind::Symlink {
            let path = std::str::from_utf8(&entry.path).unwrap();
            fs::remove_file(unpacked.folder.join(path)).unwrap();
        }
    }
    verify(&pg, &unpacked.folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pg_wal_that_is_a_link_comes_as_a_folder() {
    let Some(mut pg) = quiet().start().await else {
        return;
    };
    pg.stop(Shutdown::Fast).await;
    let (wal, moved) = (
        pg.data_dir().join("pg_wal"),
        pg.data_dir().with_file_name("wal"),
    );
    fs::rename(&wal, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &wal).unwrap();
    pg.start_again().await;
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    let latest = backup.latest().await.unwrap().unwrap();
    let unpacked = unpack(&bench, &latest.manifest, "ours");
    let entry = unpacked.index.iter().find(|entry| entry.path == b"pg_wal");
    assert_eq!(entry.unwrap().kind, FileKind::Dir);
    verify(&pg, &unpacked.folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relation_of_more_than_a_segment_is_cut_into_whole_frames_and_its_pages_are_numbered_on()
{
    let Some(mut pg) = quiet().start().await else {
        return;
    };
    let client = pg.client("postgres").await;
    let sql = "CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 1000) i";
    client.batch_execute(sql).await.unwrap();
    let file = file_of(&pg, "t").await;
    pg.stop(Shutdown::Fast).await;
    // A file with a hole takes no place.
    let path = pg.data_dir().join(&file);
    let first = fs::OpenOptions::new().write(true).open(&path).unwrap();
    first.set_len(1 << 30).unwrap();
    let second = path.with_file_name(format!("{}.1", path.file_name().unwrap().display()));
    let mut content = fs::read(&path).unwrap();
    content.truncate(8 * 8192);
    // Pages of the first segment have the numbers of the first: all of them are damaged here.
    fs::write(&second, content).unwrap();
    pg.start_again().await;

    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let request = BaseBackupRequest::full();
    let request = request.with_page_policy(ops_backup::PagePolicy::Degrade);
    let report = backup.base_backup(request).finish().await.unwrap();
    let (bad, server_found_bad, named) = bad_pages(&report.physical.pages);
    assert_eq!((bad, server_found_bad), (8, true));
    let name = format!("{}.1", file.display());
    let numbered: Vec<_> = (0..8).map(|page| (name.clone(), 131_072 + page)).collect();
    assert_eq!(named, numbered);
    assert!(report.bytes_in > 1 << 30);

    let latest = backup.latest().await.unwrap().unwrap();
    let entries = index(&bench, &latest.manifest);
    let path = file.display().to_string();
    let large = entries
        .iter()
        .find(|it| it.path == path.as_bytes())
        .unwrap();
    assert_eq!(large.size, 1 << 30);
    // It begins with a frame of its own, and 1024 frames are nothing else.
    let frames = support::frames(&bench, &latest.manifest);
    let mut at = 0;
    let starts: Vec<u64> = frames
        .iter()
        .flatten()
        .map(|(plain, _)| {
            at += u64::from(*plain);
            at - u64::from(*plain)
        })
        .collect();
    let begin = starts
        .iter()
        .position(|start| *start == large.offset)
        .unwrap();
    assert_eq!(starts[begin + 1024], large.offset + (1 << 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_small_relations_are_bundled_and_none_is_split() {
    let Some(pg) = quiet().start().await else {
        return;
    };
    let client = pg.client("postgres").await;
    let sql = "DO $$ BEGIN FOR i IN 1..2000 LOOP \
               EXECUTE format('CREATE TABLE t%s (i int PRIMARY KEY, x text)', i); \
               EXECUTE format('INSERT INTO t%s VALUES (1, ''x'')', i); \
               IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$";
    client.batch_execute(sql).await.unwrap();
    client.batch_execute("CHECKPOINT").await.unwrap();
    let bench = Bench::new();
    let options = ops_backup::PhysicalOptions::new().with_pack_bytes(1 << 20);
    let backup = bench.builder(pg.connect_info("postgres")).physical(options);
    let backup = backup.build().unwrap();
    let report = backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    assert!(report.physical.files > 8000, "{}", report.physical.files);
    let packs = report.physical.packs.len();
    assert!((3..40).contains(&packs), "{packs}");
    let latest = backup.latest().await.unwrap().unwrap();
    let sizes = latest
        .manifest
        .objects_of(ObjectRole::Data)
        .map(|it| it.size_bytes);
    assert!(sizes.max().unwrap() < (1 << 20) + 4096, "packs are capped");
    let unpacked = unpack(&bench, &latest.manifest, "ours");
    verify(&pg, &unpacked.folder).await;
    let frames = support::frames(&bench, &latest.manifest);
    let (mut at, mut ends) = (0, Vec::new());
    for (plain, _) in frames.iter().flatten() {
        at += u64::from(*plain);
        ends.push(at);
    }
    for entry in unpacked.index.iter().filter(|entry| entry.size < 1_000_000) {
        let (from, to) = (entry.offset - 512, entry.offset + entry.size);
        assert!(
            !ends.iter().any(|end| from < *end && *end < to),
            "{entry:?}"
        );
    }
}
