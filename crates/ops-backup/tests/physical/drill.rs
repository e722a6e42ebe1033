//! Drills of physical backups, and what damage does to them.

mod damage;
mod failed;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_backup::{
    Assertion, Backup, CheckOutcome, ClusterDrillOptions, ClusterDrillReport, DrillLevel,
    ErrorKind, Manifest, ObjectRole, PagePolicy, PhysicalOptions, RestoreTarget, Unlock,
};
use ops_pg::binaries::{Binaries, Finder};
use ops_pg::server::Shutdown;
use ops_testkit::{Pg, fixture};

use crate::majors::on_each_major;
use crate::restore::{Place, TABLES, options, source};
use crate::shared::{Bench, Keys};
use crate::support::{backed_up, execute, full};

fn drill_options() -> ClusterDrillOptions {
    ClusterDrillOptions::new().with_folder(fixture::folder())
}

/// The report of a drill up to the end of the archive.
async fn drilled(backup: &Backup) -> ClusterDrillReport {
    let job = backup.drill_cluster(RestoreTarget::Latest, drill_options());
    job.finish().await.unwrap()
}

fn outcome(report: &ClusterDrillReport, name: &str) -> CheckOutcome {
    let found = report.checks.iter().find(|check| check.name == name);
    found
        .unwrap_or_else(|| panic!("no {name}: {report:#?}"))
        .outcome
}

on_each_major!(a_sound_backup_passes_every_check_that_is_installed);

async fn a_sound_backup_passes_every_check_that_is_installed(major: u32) {
    let pg = source().major(major).start().await;
    let pg = pg.expect("it is installed");
    execute(&pg, TABLES).await;
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    let taken = full(&backup).await;
    let ten = Assertion::new("ten rows", "SELECT count(*) = 10 FROM ledger");
    let options = drill_options().with_assertion("postgres", ten);
    let report = backup
        .drill_cluster(RestoreTarget::Latest, options)
        .finish()
        .await
        .unwrap();
    // What is not installed has checked nothing, and proves nothing.
    let expected = |tool: &str, there: bool| {
        let expected = if there {
            CheckOutcome::Passed
        } else {
            CheckOutcome::NotChecked
        };
        assert_eq!(outcome(&report, tool), expected, "{report:#?}");
        there
    };
    let own = pg.binaries();
    let amcheck = major >= 14 && (own.has("pg_amcheck") || newer_clients(own).await);
    let verified = expected("pg_verifybackup", own.has("pg_verifybackup"));
    let checked = [
        expected("pg_amcheck", amcheck),
        expected("pg_checksums", own.has("pg_checksums")),
    ];
    for name in ["recovery", "assertion: ten rows"] {
        assert_eq!(outcome(&report, name), CheckOutcome::Passed, "{name}");
    }
    let level = match (verified, checked) {
        (false, _) => DrillLevel::Hashed,
        (true, [true, true]) => DrillLevel::Asserted,
        (true, _) => DrillLevel::Booted,
    };
    assert_eq!(report.level, level, "{report:#?}");
    assert_eq!(report.passed, level == DrillLevel::Asserted);
    assert!(report.rto_seconds > 0.0 && report.rto_seconds >= report.restore_seconds);
    assert!(report.reached.as_ref().unwrap().lsn >= taken.physical.end_lsn);
    assert_eq!(
        backup.cluster_drills(&taken.id).await.unwrap(),
        std::slice::from_ref(&report)
    );
    println!(
        "PostgreSQL {}: {:?}, RTO {:.2} s (files {:.2} s, recovery {:.2} s, checks {:.2} s)",
        report.server_version,
        report.level,
        report.rto_seconds,
        report.restore_seconds,
        report.recovery_seconds,
        report.verify_seconds
    );
}

/// Whether there are client programs of a newer major, by which a server can be looked at.
async fn newer_clients(own: &Binaries) -> bool {
    Finder::from_env().at_least(own.major()).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_answered_with_no_fails_the_drill() {
    let Some(pg) = source().start().await else {
        return;
    };
    execute(&pg, TABLES).await;
    let (_bench, backup) = backed_up(&pg).await;
    let options = drill_options()
        .with_assertion(
            "postgres",
            Assertion::new("eleven", "SELECT count(*) = 11 FROM ledger"),
        )
        .with_assertion("nowhere", Assertion::new("there", "SELECT true"));
    let report = backup
        .drill_cluster(RestoreTarget::Latest, options)
        .finish()
        .await
        .unwrap();
    assert!(!report.passed);
    assert_eq!(report.level, DrillLevel::Checked);
    assert_eq!(outcome(&report, "assertion: eleven"), CheckOutcome::Failed);
    assert_eq!(outcome(&report, "assertion: there"), CheckOutcome::Failed);
}

/// The file of a relation of a stopped server.
async fn file_of(pg: &Pg, relation: &str) -> PathBuf {
    let client = pg.client("postgres").await;
    client.batch_execute("CHECKPOINT").await.unwrap();
    let sql = format!("SELECT pg_relation_filepath('{relation}')");
    let path: String = client.query_one(&sql, &[]).await.unwrap().get(0);
    pg.data_dir().join(path)
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_contradicts_its_table_fails_the_drill() {
    // Without page checksums only looking at the content finds it.
    let Some(mut pg) = Pg::builder().start().await else {
        return;
    };
    execute(&pg, TABLES).await;
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE TABLE other AS SELECT i FROM generate_series(1, 3000) i; CREATE INDEX wrong ON other (i)")
        .await
        .unwrap();
    drop(client);
    let (wrong, right) = (
        file_of(&pg, "wrong").await,
        file_of(&pg, "ledger_pkey").await,
    );
    pg.stop(Shutdown::Fast).await;
    // An index that is sound by itself, and of another table.
    fs::copy(right, wrong).unwrap();
    pg.start_again().await;
    let (_bench, backup) = backed_up(&pg).await;
    let report = drilled(&backup).await;
    assert_eq!(
        outcome(&report, "pg_amcheck"),
        CheckOutcome::Failed,
        "{report:#?}"
    );
    assert!(!report.passed && report.level == DrillLevel::Booted);
    assert!(
        report.differences().any(|it| it.found.contains("wrong")),
        "{report:#?}"
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|it| it.contains("no page checksums"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_damaged_on_the_source_fails_the_drill() {
    let Some(mut pg) = source().start().await else {
        return;
    };
    execute(&pg, TABLES).await;
    let path = file_of(&pg, "big").await;
    pg.stop(Shutdown::Fast).await;
    overwrite(&path, 5 * 8192 + 4000, b"damage");
    pg.start_again().await;
    let bench = Bench::new();
    let backup = bench
        .builder(pg.connect_info("postgres"))
        .physical(PhysicalOptions::new().with_page_policy(PagePolicy::Degrade))
        .build()
        .unwrap();
    full(&backup).await;
    let report = drilled(&backup).await;
    assert_eq!(
        outcome(&report, "pg_checksums"),
        CheckOutcome::Failed,
        "{report:#?}"
    );
    assert!(!report.passed);
    assert!(report.warnings.iter().any(|it| it.contains("degraded")));
}

/// Rows that cannot be compressed.
pub(crate) const NOISE: &str = "CREATE TABLE noise AS SELECT i, (SELECT string_agg(sha256((i || '.' || k)::bytea), '') \
             FROM generate_series(1, 32) k) AS x FROM generate_series(1, 4000) i";

/// A backup in many packs.
async fn packed(pg: &Pg, bench: &Bench) -> (Backup, Manifest) {
    execute(pg, NOISE).await;
    let backup = bench
        .builder(pg.connect_info("postgres"))
        .physical(PhysicalOptions::new().with_pack_bytes(1 << 20))
        .build()
        .unwrap();
    full(&backup).await;
    let manifest = backup.latest().await.unwrap().unwrap().manifest;
    assert!(manifest.objects_of(ObjectRole::Data).count() > 2);
    (backup, manifest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_was_flipped_in_any_object_is_found_and_no_cluster_can_start() {
    let Some(pg) = source().start().await else {
        return;
    };
    let bench = Bench::new();
    let (backup, manifest) = packed(&pg, &bench).await;
    let place = Place::new();
    let mut keys: Vec<_> = manifest
        .objects
        .iter()
        .map(|it| it.key.to_string())
        .collect();
    keys.push(format!("manifests/{}.json", manifest.id));
    for (index, key) in keys.iter().enumerate() {
        let path = bench.folder.path().join("store").join(key);
        let good = fs::read(&path).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let folder = place.join(&format!("{index}-{at}"));
            let outcome = backup
                .restore_cluster(RestoreTarget::Latest, &folder, options())
                .finish()
                .await;
            let err = match outcome {
                // The wrapped identity may be stored again, and is proved by the seal.
                Ok(_) if key.ends_with("identity.age") => continue,
                Ok(report) => panic!("{key} at {at}: {report:?}"),
                Err(err) => err,
            };
            let kinds = [
                ErrorKind::Integrity,
                ErrorKind::WrongKey,
                ErrorKind::UnknownFormat,
            ];
            assert!(kinds.contains(&err.kind()), "{key} at {at}: {err:?}");
            assert!(!folder.join("global/pg_control").exists(), "{key} at {at}");
        }
        fs::write(&path, good).unwrap();
    }
    let report = drilled(&backup).await;
    assert!(report.passed, "and whole again it is sound: {report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_cut_or_gone_is_found_before_anything_is_written() {
    let Some(pg) = source().start().await else {
        return;
    };
    let bench = Bench::new();
    let (backup, manifest) = packed(&pg, &bench).await;
    let place = Place::new();
    let folder = place.join("data");
    for object in &manifest.objects {
        let path = bench.folder.path().join("store").join(object.key.as_str());
        let good = fs::read(&path).unwrap();
        for cut in [Some(good.len() / 2), None] {
            match cut {
                Some(len) => fs::write(&path, &good[..len]).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let job = backup.restore_cluster(RestoreTarget::Latest, &folder, options());
            let err = job.finish().await.unwrap_err();
            let kinds = [
                ErrorKind::Integrity,
                ErrorKind::WrongKey,
                ErrorKind::NotFound,
            ];
            assert!(kinds.contains(&err.kind()), "{}: {err:?}", object.key);
            assert!(!folder.exists(), "{}: {err}", object.key);
            let drill = backup.drill_cluster(RestoreTarget::Latest, drill_options());
            drill.finish().await.unwrap_err();
        }
        fs::write(&path, good).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_no_key_are_told_apart_from_damage() {
    let Some(pg) = source().start().await else {
        return;
    };
    let (bench, _) = backed_up(&pg).await;
    let place = Place::new();
    let folder = place.join("data");
    let encryption = || ops_backup::Encryption::recipients([&bench.keys.recipient]).unwrap();
    let builder = || {
        let store = Arc::clone(&bench.store);
        Backup::builder(crate::shared::database(pg.connect_info("postgres")), store)
            .encryption(encryption())
            .finder(Finder::from_env())
    };
    let wrong = builder().unlock(Unlock::identity(Keys::generate().identity));
    for backup in [wrong.build().unwrap(), builder().build().unwrap()] {
        let job = backup.restore_cluster(RestoreTarget::Latest, &folder, options());
        let err = job.finish().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::WrongKey, "{err}");
        let drill = backup.drill_cluster(RestoreTarget::Latest, drill_options());
        assert_eq!(
            drill.finish().await.unwrap_err().kind(),
            ErrorKind::WrongKey
        );
        assert!(!folder.exists());
    }
}
