//! Verifying what is stored, and what damage does to it.

mod second;
mod wal;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_backup::{
    Backup, BackupId, BaseBackupRequest, CheckOutcome, CheckedPart, ClosureEnd, Encryption,
    ErrorKind, Manifest, ObjectRole, PhysicalKind, PhysicalOptions, ProblemKind, Unlock,
    VerifyDepth, VerifyOptions, VerifyReport,
};
use ops_core::ObjectKey;
use ops_core::object_store::PutOptions;
use ops_testkit::Pg;

use crate::restore::{TABLES, source};
use crate::shared::{Bench, Keys, database};
use crate::wal::scene::{Running, flushed, quick, switch, write};

/// A cluster with a dump, a base backup in several packs, and WAL that leads from it.
struct Scene {
    pg: Pg,
    bench: Bench,
    backup: Backup,
    base: Manifest,
}

impl Scene {
    async fn new(pg: Pg, encryption: Option<Encryption>) -> Self {
        let bench = Bench::new();
        let options = PhysicalOptions::new().with_pack_bytes(1 << 20);
        let mut builder = bench.builder(pg.connect_info("postgres")).physical(options);
        if let Some(encryption) = encryption {
            builder = builder.encryption(encryption);
        }
        let backup = builder.build().unwrap();
        let client = pg.client("postgres").await;
        client.batch_execute(TABLES).await.unwrap();
        let running = Running::start(&backup, quick());
        running.streaming().await;
        backup
            .base_backup(BaseBackupRequest::full())
            .finish()
            .await
            .unwrap();
        for _ in 0..4 {
            write(&pg, 1).await;
            switch(&pg).await;
        }
        write(&pg, 1).await;
        running.durable(flushed(&pg).await).await;
        running.stop().await;
        let base = backup.latest().await.unwrap().unwrap().manifest;
        assert!(base.objects_of(ObjectRole::Data).count() > 2);
        Self {
            pg,
            bench,
            backup,
            base,
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.bench.folder.path().join("store").join(key)
    }

    async fn verify(&self, depth: VerifyDepth) -> VerifyReport {
        let options = VerifyOptions::new().with_depth(depth);
        self.backup.verify(options).finish().await.unwrap()
    }

    /// The keys of the objects in a folder of the archive, in their order.
    fn wal(&self, folder: &str) -> Vec<String> {
        let id = self.base.physical.as_ref().unwrap().system_id;
        let root = self.path("");
        let mut keys = Vec::new();
        walk(&self.path(&format!("wal/{id}/{folder}")), &mut keys);
        let text = |path: PathBuf| {
            path.strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        let mut keys: Vec<_> = keys.into_iter().map(text).collect();
        keys.sort();
        keys
    }

    /// Does something to the store, and sees to it that the problem is found, with its
    /// object; then undoes it.
    async fn finds(
        &self,
        depth: VerifyDepth,
        key: &str,
        kind: ProblemKind,
        damage: impl FnOnce(&Path),
    ) {
        let path = self.path(key);
        let whole = fs::read(&path).unwrap();
        damage(&path);
        // Whoever writes through the store has its own checksum on his side.
        if let Ok(damaged) = fs::read(&path) {
            self.put(key, damaged).await;
        }
        let report = self.verify(depth).await;
        assert!(!report.passed, "{key}: {kind:?} was not found");
        let found = |it: &&ops_backup::Problem| {
            it.kind == kind
                && it
                    .object
                    .as_ref()
                    .is_some_and(|object| object.as_str() == key)
        };
        let problem = report.problems.iter().find(found);
        let problem =
            problem.unwrap_or_else(|| panic!("{key}: no {kind:?} in {:#?}", report.problems));
        assert_eq!(report.outcome(problem.part), CheckOutcome::Failed);
        if key.starts_with("backups/") {
            assert_eq!(problem.backup.as_ref(), Some(&self.base.id));
        }
        self.put(key, whole).await;
    }

    async fn put(&self, key: &str, content: Vec<u8>) {
        let key = ObjectKey::new(key).unwrap();
        let put = self
            .bench
            .store
            .put(&key, content.into(), PutOptions::default());
        put.await.unwrap();
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn flip(path: &Path, from_end: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() - from_end;
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sound_passes_at_each_depth_and_what_was_not_checked_is_said() {
    let Some(pg) = source().start().await else {
        return;
    };
    let scene = Scene::new(pg, None).await;
    if scene.pg.binaries().has("pg_dump") {
        scene.backup.dump().finish().await.unwrap();
    }
    let report = scene.verify(VerifyDepth::Opened).await;
    assert!(report.passed, "{report:#?}");
    for check in &report.checks {
        assert_eq!(check.outcome, CheckOutcome::Passed, "{check:?}");
    }
    assert!(report.uncommitted.is_empty());
    assert!(report.bytes_read >= scene.base.bytes_stored);
    let closure = &report.wal[0];
    assert_eq!(
        (&closure.backup, &closure.end),
        (&scene.base.id, &ClosureEnd::Frontier)
    );
    assert!(closure.to > scene.base.physical.as_ref().unwrap().end_lsn);

    let report = scene.verify(VerifyDepth::Listed).await;
    assert!(report.passed, "{report:#?}");
    for part in [
        CheckedPart::Hashes,
        CheckedPart::Authentication,
        CheckedPart::Content,
    ] {
        assert_eq!(report.outcome(part), CheckOutcome::NotChecked, "{part:?}");
    }
    assert_eq!(report.outcome(CheckedPart::Objects), CheckOutcome::Passed);
    let report = scene.verify(VerifyDepth::Hashed).await;
    assert!(report.passed, "{report:#?}");
    assert_eq!(report.outcome(CheckedPart::Hashes), CheckOutcome::Passed);
    assert_eq!(
        report.outcome(CheckedPart::Content),
        CheckOutcome::NotChecked
    );

    // Without a key neither seals nor tags can be looked at, and that is no pass.
    let store = Arc::clone(&scene.bench.store);
    let keyless = || {
        Backup::builder(
            database(scene.pg.connect_info("postgres")),
            Arc::clone(&store),
        )
        .encryption(Encryption::recipients([&scene.bench.keys.recipient]).unwrap())
    };
    let report = keyless()
        .build()
        .unwrap()
        .verify(VerifyOptions::new())
        .finish()
        .await
        .unwrap();
    assert!(!report.passed && report.problems.is_empty(), "{report:#?}");
    for part in [
        CheckedPart::Seals,
        CheckedPart::Authentication,
        CheckedPart::WalObjects,
    ] {
        assert_eq!(report.outcome(part), CheckOutcome::NotChecked, "{part:?}");
    }
    assert_eq!(report.outcome(CheckedPart::Hashes), CheckOutcome::Passed);
    // A key that opens nothing is a problem of its own.
    let other = keyless()
        .unlock(Unlock::identity(Keys::generate().identity))
        .build()
        .unwrap();
    let report = other.verify(VerifyOptions::new()).finish().await.unwrap();
    assert!(
        report
            .problems
            .iter()
            .all(|it| it.kind == ProblemKind::WrongKey),
        "{report:#?}"
    );
    assert!(!report.problems.is_empty());

    let missing: BackupId = "20010909T014640Z-00000000".parse().unwrap();
    let job = scene
        .backup
        .verify(VerifyOptions::new().with_backups([missing]));
    assert_eq!(job.finish().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_damage_to_a_backup_is_found_with_its_object() {
    let Some(pg) = source().start().await else {
        return;
    };
    let scene = Scene::new(pg, None).await;
    let (listed, hashed) = (VerifyDepth::Listed, VerifyDepth::Hashed);
    for object in &scene.base.objects {
        let key = object.key.as_str();
        scene
            .finds(listed, key, ProblemKind::ObjectMissing, remove)
            .await;
        if object.role == ObjectRole::Identity {
            scene
                .finds(listed, key, ProblemKind::IdentityDamaged, |path| {
                    flip(path, 1);
                })
                .await;
            continue;
        }
        scene
            .finds(listed, key, ProblemKind::WrongLength, cut)
            .await;
        scene
            .finds(hashed, key, ProblemKind::WrongHash, |path| flip(path, 7))
            .await;
    }
    // Two packs of one length that changed places.
    let keys: Vec<_> = scene
        .base
        .objects_of(ObjectRole::Data)
        .map(|it| it.key.to_string())
        .collect();
    let other = fs::read(scene.path(&keys[1])).unwrap();
    let replaced = |path: &Path| {
        let length = fs::read(path).unwrap().len();
        let mut bytes = other.clone();
        bytes.resize(length, 0);
        fs::write(path, bytes).unwrap();
    };
    scene
        .finds(hashed, &keys[0], ProblemKind::WrongHash, replaced)
        .await;

    let manifest = format!("manifests/{}.json", scene.base.id);
    let edited = |from: &'static str, to: &'static str| {
        move |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(from));
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        }
    };
    let degraded = edited("\"degraded\": false", "\"degraded\": true");
    scene
        .finds(listed, &manifest, ProblemKind::SealBroken, degraded)
        .await;
    let kind = edited("\"kind\": \"physical\"", "\"kind\": \"dump\"");
    scene
        .finds(listed, &manifest, ProblemKind::ManifestUnreadable, kind)
        .await;
    scene
        .finds(
            listed,
            &manifest,
            ProblemKind::ManifestUnreadable,
            cut_in_half,
        )
        .await;
    let foreign = "manifests/20010909T014640Z-00000000.json";
    fs::copy(scene.path(&manifest), scene.path(foreign)).unwrap();
    scene
        .finds(listed, foreign, ProblemKind::ManifestMisplaced, |_| {})
        .await;
    remove(&scene.path(foreign));
    assert!(
        scene.verify(VerifyDepth::Opened).await.passed,
        "and whole again it is sound"
    );

    // A backup without its manifest is none, and what is left of it is told.
    remove(&scene.path(&manifest));
    let report = scene.verify(listed).await;
    assert_eq!(report.uncommitted, std::slice::from_ref(&scene.base.id));
}

fn cut_in_half(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_its_parent_is_found() {
    for major in Pg::available_majors().await {
        if major.0 < 17 {
            continue;
        }
        let started = source()
            .major(major.0)
            .setting("summarize_wal", "on")
            .start()
            .await;
        let pg = started.expect("it is installed");
        let client = pg.client("postgres").await;
        client.batch_execute(TABLES).await.unwrap();
        let bench = Bench::new();
        let backup = bench.backup(pg.connect_info("postgres"));
        let full = backup
            .base_backup(BaseBackupRequest::full())
            .finish()
            .await
            .unwrap();
        let mut newest = full.id.clone();
        for _ in 0..2 {
            client
                .batch_execute("UPDATE big SET x = x || 'y' WHERE i < 9")
                .await
                .unwrap();
            let taken = backup
                .base_backup(BaseBackupRequest::incremental())
                .finish()
                .await
                .unwrap();
            if !matches!(taken.physical.kind, PhysicalKind::Incremental { .. }) {
                println!("PostgreSQL {major}: {taken:?}");
                return;
            }
            newest = taken.id;
        }
        let verify = async || backup.verify(VerifyOptions::new()).finish().await.unwrap();
        let report = verify().await;
        assert!(report.passed, "PostgreSQL {major}: {report:#?}");
        assert_eq!(report.outcome(CheckedPart::Chains), CheckOutcome::Passed);
        let listing = backup.list().await.unwrap();
        let last = listing
            .backups
            .iter()
            .find(|it| it.name() == newest.as_str())
            .unwrap();
        assert_eq!((last.chain.len(), last.missing.len()), (3, 0));
        assert_eq!(last.chain.first(), Some(&full.id));

        let manifest = bench
            .folder
            .path()
            .join(format!("store/manifests/{}.json", full.id));
        let whole = fs::read(&manifest).unwrap();
        remove(&manifest);
        let report = verify().await;
        let broken: Vec<_> = report
            .problems
            .iter()
            .filter(|it| it.kind == ProblemKind::ParentMissing)
            .collect();
        assert_eq!(broken.len(), 2, "both that build upon it: {report:#?}");
        let listing = backup.list().await.unwrap();
        assert!(
            listing
                .backups
                .iter()
                .all(|it| it.missing == [full.id.clone()])
        );
        assert!(backup.recoverable_windows().await.unwrap().is_empty());
        fs::write(&manifest, whole).unwrap();
        println!("PostgreSQL {major}: a chain");
    }
}
