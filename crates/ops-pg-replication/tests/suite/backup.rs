//! Base backups of every major.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream;
use ops_core::{ErrorKind, Result};
use ops_pg_replication::{
    BaseBackupOptions, Failure, Manifest, ReplicationClient, SlotOptions, WalSegmentSize,
};
use ops_testkit::Pg;

use crate::support::{Received, majors, physical, receive, server, slot};
use crate::tar::{files, members, verify};

/// A server with some data, a part of it in a tablespace.
async fn filled(major: u32) -> (Pg, PathBuf) {
    let pg = server(major)
        .setting("wal_level", "replica")
        .start()
        .await
        .unwrap();
    let space = pg.socket_dir().join("space");
    let admin = pg.client("postgres").await;
    let sql = format!(
        "COPY (SELECT) TO PROGRAM 'mkdir {path} && cat > /dev/null';
         CREATE TABLE goods AS SELECT i, md5(i::text) AS name FROM generate_series(1, 20000) i;
         CREATE INDEX ON goods (name);",
        path = space.display()
    );
    admin.batch_execute(&sql).await.unwrap();
    let sql = format!("CREATE TABLESPACE space LOCATION '{}'", space.display());
    admin.batch_execute(&sql).await.unwrap();
    let sql = "CREATE TABLE kept TABLESPACE space AS SELECT * FROM goods";
    admin.batch_execute(sql).await.unwrap();
    (pg, space)
}

async fn back_up(
    client: ReplicationClient,
    options: &BaseBackupOptions,
) -> (Received, ReplicationClient) {
    let mut backup = client.base_backup(options).await.unwrap();
    let received = receive(&mut backup).await.unwrap();
    assert_eq!(backup.next().await.unwrap(), None);
    (received, backup.into_client().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_every_file_of_the_manifest_and_no_other() {
    for major in majors().await {
        let (pg, space) = filled(major).await;
        let client = physical(&pg.connect_info("postgres")).await;
        let options = BaseBackupOptions::default()
            .with_progress(true)
            .with_label("it's");
        let (backup, mut client) = back_up(client, &options).await;
        let files_in_manifest = verify(&backup);
        println!("PostgreSQL {major}: {files_in_manifest} files, equal");

        assert!(backup.start.lsn < backup.end.lsn);
        assert_eq!(backup.end.checksum_failure, None);
        assert_eq!(backup.start.tablespaces.len(), 1);
        assert_eq!(backup.start.tablespaces[0].path, space);
        assert!(backup.start.main_size.unwrap() > 1 << 20);
        assert!(backup.start.tablespaces[0].size.unwrap() > 1 << 16);
        assert_eq!(backup.progress.is_empty(), major < 15);

        let names: Vec<_> = backup.archives.iter().map(|it| it.name.as_str()).collect();
        let oid = backup.start.tablespaces[0].oid;
        assert_eq!(names, [format!("{oid}.tar").as_str(), "base.tar"]);
        assert_order(&backup);
        client.identify_system().await.unwrap();
    }
}

fn assert_order(backup: &Received) {
    let main = members(&backup.archives.last().unwrap().bytes);
    let names: Vec<_> = main.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names[..2], ["backup_label", "tablespace_map"]);
    assert_eq!(names.last(), Some(&"global/pg_control"));
    let label = String::from_utf8(main[0].content.clone()).unwrap();
    assert!(label.contains(&format!("START WAL LOCATION: {}", backup.start.lsn)));
    assert!(label.contains("LABEL: it's\n"), "{label}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_with_its_wal_holds_every_segment_that_it_needs() {
    for major in majors().await {
        let (pg, _) = filled(major).await;
        let mut client = physical(&pg.connect_info("postgres")).await;
        let keep = SlotOptions::default().with_temporary(true);
        client.create_slot(&slot("keep"), keep).await.unwrap();
        let options = BaseBackupOptions::default().with_wal(true);
        let (backup, _) = back_up(client, &options).await;
        verify(&backup);
        let (files, size) = (files(&backup), WalSegmentSize::DEFAULT);
        let timeline = backup.start.timeline;
        let mut segment = backup.start.lsn.segment(timeline, size);
        let last = backup.end.lsn.segment_of_end(timeline, size);
        while segment <= last {
            let path = format!("pg_wal/{}", segment.file_name(size));
            let length = files.get(&path).map(Vec::len);
            assert_eq!(length, usize::try_from(size.bytes()).ok(), "{path}");
            segment = segment.next();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_is_in_the_words_of_each_major() {
    for major in majors().await {
        let pg = server(major).start().await.unwrap();
        let client = physical(&pg.connect_info("postgres")).await;
        let options = BaseBackupOptions::default()
            .with_manifest(Manifest::No)
            .with_tablespace_map(false)
            .with_verify_checksums(false)
            .with_wait_for_archive(true)
            .with_max_rate_kb(1 << 20);
        let (backup, client) = back_up(client, &options).await;
        assert_eq!(backup.manifest, None);
        let main = members(&backup.archives[0].bytes);
        assert!(main.iter().all(|member| member.name != "tablespace_map"));
        let options = BaseBackupOptions::default().with_manifest(Manifest::ForceEncode);
        let (backup, _) = back_up(client, &options).await;
        let manifest = String::from_utf8(backup.manifest.unwrap()).unwrap();
        assert!(manifest.contains("\"Encoded-Path\": "));
    }
}

fn chunks(manifest: &[u8]) -> stream::Iter<std::vec::IntoIter<Result<Bytes>>> {
    let chunks = manifest.chunks(1000).map(Bytes::copy_from_slice).map(Ok);
    stream::iter(chunks.collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_backup_holds_what_has_changed() {
    for major in majors().await {
        let summarize = major >= 17;
        let mut builder = server(major);
        if summarize {
            builder = builder.setting("summarize_wal", "on");
        }
        let pg = builder.start().await.unwrap();
        let client = physical(&pg.connect_info("postgres")).await;
        let admin = pg.client("postgres").await;
        let sql = "CREATE TABLE goods AS SELECT i FROM generate_series(1, 200000) i; CHECKPOINT";
        admin.batch_execute(sql).await.unwrap();
        let (full, mut client) = back_up(client, &BaseBackupOptions::default()).await;
        let manifest = full.manifest.clone().unwrap();
        if !summarize {
            let err = client.upload_manifest(chunks(&manifest)).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Unsupported);
            continue;
        }
        admin
            .batch_execute("UPDATE goods SET i = -1 WHERE i = 100")
            .await
            .unwrap();
        client.upload_manifest(chunks(&manifest)).await.unwrap();
        let options = BaseBackupOptions::default().with_incremental(true);
        let (incremental, _) = back_up(client, &options).await;
        verify(&incremental);
        let changed = files(&incremental);
        assert!(changed.keys().any(|path| path.contains("/INCREMENTAL.")));
        let length = |backup: &Received| -> usize { files(backup).values().map(Vec::len).sum() };
        assert!(length(&incremental) < length(&full) / 4);
        let label = String::from_utf8(changed["backup_label"].clone()).unwrap();
        assert!(
            label.contains(&format!("INCREMENTAL FROM LSN: {}", full.start.lsn)),
            "{label}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_backup_that_cannot_be_taken_says_so() {
    for major in majors().await.into_iter().filter(|major| *major >= 17) {
        let pg = server(major).start().await.unwrap();
        let info = pg.connect_info("postgres");
        let options = BaseBackupOptions::default().with_incremental(true);
        let err = physical(&info)
            .await
            .base_backup(&options)
            .await
            .unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::NoIncremental), "{err:?}");

        let (full, mut client) =
            back_up(physical(&info).await, &BaseBackupOptions::default()).await;
        let err = client
            .upload_manifest(chunks(b"nonsense"))
            .await
            .unwrap_err();
        assert_eq!(Failure::of(&err), Some(Failure::NoIncremental), "{err:?}");
        let broken = stream::iter([Ok(Bytes::from("{")), Err(ops_core::Error::not_found("x"))]);
        let err = client.upload_manifest(broken).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotFound);

        client
            .upload_manifest(chunks(&full.manifest.unwrap()))
            .await
            .unwrap();
        let err = client.base_backup(&options).await.unwrap_err();
        assert_eq!(
            Failure::of(&err),
            Some(Failure::NoIncremental),
            "summaries are off: {err:?}"
        );
        assert_eq!(err.kind(), ErrorKind::Conflict);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_a_wrong_checksum_is_told_when_the_backup_is_complete() {
    for major in majors().await {
        let builder = server(major).with(|server| server.data_checksums(true));
        let pg = builder.start().await.unwrap();
        let admin = pg.client("postgres").await;
        let sql = "CREATE TABLE goods AS SELECT i FROM generate_series(1, 5000) i; CHECKPOINT";
        admin.batch_execute(sql).await.unwrap();
        let row = admin
            .query_one("SELECT pg_relation_filepath('goods')", &[])
            .await
            .unwrap();
        damage(&pg.data_dir().join(row.get::<_, String>(0)));

        let client = physical(&pg.connect_info("postgres")).await;
        let (backup, mut client) = back_up(client, &BaseBackupOptions::default()).await;
        verify(&backup);
        let failure = backup.end.checksum_failure.expect("a page is damaged");
        assert_eq!(failure.failure, Some(Failure::ChecksumFailed));
        assert_eq!(failure.code, "XX001");
        let warned = |notice: &ops_pg_replication::Notice| notice.severity == "WARNING";
        assert!(backup.notices.iter().any(warned), "{:?}", backup.notices);
        client.identify_system().await.unwrap();
    }
}

/// Changes a byte in the middle of the second page.
fn damage(file: &Path) {
    let mut content = std::fs::read(file).unwrap();
    content[8192 + 4000] ^= 0xff;
    std::fs::write(file, content).unwrap();
}
