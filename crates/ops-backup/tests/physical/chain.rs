//! Restoring chains of incremental backups, beside `pg_combinebackup`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use ops_backup::{Backup, BackupId, BaseBackupRequest, PhysicalKind, Recovery, RestoreTarget};
use ops_testkit::Pg;

use crate::judges::dump;
use crate::restore::{self, Place, TABLES, client, ledger, options};
use crate::shared::Bench;
use crate::support::{self, call};

/// Every file under a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// What happens between two backups: blocks change, tables grow, shrink, come and go.
const CHANGES: [&str; 3] = [
    "UPDATE big SET x = x || 'y' WHERE i % 400 = 0;
     DELETE FROM cut WHERE i > 2000;
     CREATE TABLE late AS SELECT i FROM generate_series(1, 30000) i;
     INSERT INTO ledger (i) VALUES (11);",
    "INSERT INTO cut SELECT i, repeat('z', 100) FROM generate_series(1, 9000) i;
     DROP TABLE gone;
     TRUNCATE empty;
     INSERT INTO empty SELECT generate_series(1, 3000);
     UPDATE late SET i = -i WHERE i < 50;
     INSERT INTO ledger (i) VALUES (12);",
    "UPDATE big SET x = x || 'w' WHERE i % 1000 = 1;
     DELETE FROM late;
     INSERT INTO ledger (i) VALUES (13);",
];

/// The same stored backups, unpacked by tar, newest first.
async fn unpacked_chain(bench: &Bench, backup: &Backup, newest: BackupId) -> Vec<PathBuf> {
    let entries = backup.catalogue().await.unwrap();
    let mut chain = Vec::new();
    let mut next = Some(newest);
    while let Some(id) = next {
        let mut found = entries.iter().filter(|entry| entry.manifest.id == id);
        let manifest = &found.next().unwrap().manifest;
        let physical = manifest.physical.as_ref().unwrap();
        next = physical.kind.parent().cloned();
        let name = format!("level-{}", chain.len());
        chain.push(support::unpack(bench, manifest, &name).folder);
    }
    chain
}

/// A server that keeps track of changed blocks, with tables that will change.
async fn summarizing(major: u32) -> Pg {
    let started = restore::source()
        .major(major)
        .setting("summarize_wal", "on")
        .setting("autovacuum", "off")
        .start()
        .await;
    let pg = started.expect("it is installed");
    let source = pg.client("postgres").await;
    source.batch_execute(TABLES).await.unwrap();
    for sql in [
        "CREATE TABLE cut AS SELECT i, repeat('a', 100) AS x FROM generate_series(1, 20000) i",
        "CREATE TABLE gone AS SELECT i FROM generate_series(1, 5000) i",
        "VACUUM big",
    ] {
        source.batch_execute(sql).await.unwrap();
    }
    pg
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_restored_byte_for_byte_as_pg_combinebackup_makes_it() {
    let mut tried = false;
    for major in Pg::available_majors().await {
        if major.0 < 17 {
            continue;
        }
        let pg = summarizing(major.0).await;
        let Ok(combine) = pg.binaries().program("pg_combinebackup") else {
            println!("no pg_combinebackup of PostgreSQL {major}");
            continue;
        };
        let source = pg.client("postgres").await;
        let bench = Bench::new();
        let backup = bench.backup(pg.connect_info("postgres"));
        backup
            .base_backup(BaseBackupRequest::full())
            .finish()
            .await
            .unwrap();
        for changes in CHANGES {
            source.batch_execute(changes).await.unwrap();
            source.batch_execute("VACUUM cut").await.unwrap();
            source.batch_execute("VACUUM late").await.unwrap();
            let request = BaseBackupRequest::incremental();
            let report = backup.base_backup(request).finish().await.unwrap();
            let incremental = matches!(report.physical.kind, PhysicalKind::Incremental { .. });
            assert!(incremental, "{report:?}");
        }
        let expected = dump(&pg).await;
        tried = true;

        let place = Place::new();
        let ours = place.join("ours");
        let prepare = Recovery::Prepare {
            restore_command: "false".to_owned(),
        };
        let job = backup.restore_cluster(
            RestoreTarget::Latest,
            &ours,
            options().with_recovery(prepare),
        );
        let report = job.finish().await.unwrap();

        let chain = unpacked_chain(&bench, &backup, report.backup).await;
        assert_eq!(report.levels, chain.len());
        assert!(chain.len() > 1);
        let theirs = place.join("theirs");
        let arguments = chain.iter().rev().map(|it| it.as_os_str());
        let out = [
            OsStr::new("--no-sync"),
            OsStr::new("-o"),
            theirs.as_os_str(),
        ];
        call(combine, arguments.chain(out));

        let (mut theirs, mut ours_files) = (files(&theirs), files(&ours));
        for own in ["backup_manifest", "postgresql.auto.conf", "recovery.signal"] {
            theirs.remove(own);
            ours_files.remove(own);
        }
        assert_eq!(
            theirs.keys().collect::<Vec<_>>(),
            ours_files.keys().collect::<Vec<_>>()
        );
        for (name, content) in &theirs {
            assert!(
                *content == ours_files[name],
                "{name} differs on PostgreSQL {major}"
            );
        }
        support::verify(&pg, &ours).await;
        println!(
            "PostgreSQL {major}: {} files of {} backups, equal",
            theirs.len(),
            chain.len()
        );

        let folder = place.join("booted");
        let copy = restore::restored(&pg, &backup, RestoreTarget::Latest, &folder, options()).await;
        assert_eq!(dump(&copy).await, expected);
        assert_eq!(
            ledger(&client(&copy).await).await,
            (1..=13).collect::<Vec<_>>()
        );
    }
    if !tried {
        println!("no PostgreSQL that takes incremental backups is installed");
    }
}
