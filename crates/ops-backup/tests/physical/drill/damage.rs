//! What a drill finds that nothing before it could: each check has its damage.

use std::fs;

use ops_backup::{
    CheckOutcome, DrillLevel, Encryption, ErrorKind, ObjectRole, Phase, RestoreTarget,
};
use ops_core::ObjectKey;
use ops_core::object_store::PutOptions;
use ops_testkit::Pg;

use super::failed::failed;
use super::{drilled, outcome};
use crate::restore::source;
use crate::shared::Bench;
use crate::support::{self, backed_up, full};

/// What the seal of a manifest begins with.
const SEAL: &str = ",\n  \"seal\": \"";

/// The server's manifest with another size for one of its files, and a right checksum.
fn forged(text: &str) -> String {
    let (files, _) = text.split_once("\"Manifest-Checksum\"").unwrap();
    let at = files.find("\"PG_VERSION\"").unwrap();
    let size = at + files[at..].find("\"Size\": ").unwrap() + "\"Size\": ".len();
    let files = format!("{}9{}", &files[..size], &files[size + 1..]);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(files.as_bytes());
    let digest: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{files}\"Manifest-Checksum\": \"{}\"}}\n", digest.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_the_server_said_fails_pg_verifybackup() {
    let Some(pg) = source().start().await else {
        return;
    };
    if !pg.binaries().has("pg_verifybackup") {
        ops_testkit::fixture::skip("no pg_verifybackup");
        return;
    }
    let bench = Bench::new();
    let builder = bench.builder(pg.connect_info("postgres"));
    let backup = builder.encryption(Encryption::none()).build().unwrap();
    full(&backup).await;
    let manifest = backup.latest().await.unwrap().unwrap().manifest;
    let role = ObjectRole::BackupManifest;
    let object = manifest.objects_of(role).next().unwrap();
    let text = support::plain(&bench, &manifest, role);
    let text = forged(std::str::from_utf8(&text).unwrap());
    let stored = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let path = bench.folder.path().join("store");
    let catalogued = path.join(format!("manifests/{}.json", manifest.id));
    let catalogued = fs::read_to_string(catalogued).unwrap();
    let was = blake3::hash(&fs::read(path.join(object.key.as_str())).unwrap());
    let catalogued = catalogued
        .replace(
            was.to_hex().as_str(),
            blake3::hash(&stored).to_hex().as_str(),
        )
        .replace(
            &format!("\"size_bytes\": {}", object.size_bytes),
            &format!("\"size_bytes\": {}", stored.len()),
        );
    // Without a key the seal is a plain hash, which anybody can make.
    let (body, _) = catalogued.split_once(SEAL).unwrap();
    let seal = blake3::hash(body.as_bytes()).to_hex();
    let catalogued = format!("{body}{SEAL}blake3:{seal}\"\n}}\n");
    let key = ObjectKey::new(format!("manifests/{}.json", manifest.id)).unwrap();
    for (key, content) in [(key, catalogued.into_bytes()), (object.key.clone(), stored)] {
        let put = bench.store.put(&key, content.into(), PutOptions::default());
        put.await.unwrap();
    }
    let report = drilled(&backup).await;
    let verified = outcome(&report, "pg_verifybackup");
    assert_eq!(verified, CheckOutcome::Failed, "{report:#?}");
    assert!(!report.passed && report.level == DrillLevel::Hashed);
    assert!(
        report
            .differences()
            .any(|it| it.found.contains("PG_VERSION")),
        "{report:#?}"
    );
}

/// What is proven of files that are as the server sent them, and do not recover.
fn written(pg: &Pg) -> DrillLevel {
    if pg.binaries().has("pg_verifybackup") {
        DrillLevel::Restored
    } else {
        DrillLevel::Hashed
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_cannot_boot_fails_the_drill() {
    let Some(pg) = source().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench.backup(pg.connect_info("postgres"));
    // A server reads it when it starts.
    fs::write(pg.data_dir().join("PG_VERSION"), "9.6\n").unwrap();
    full(&backup).await;
    let (kind, last) = failed(&backup, RestoreTarget::Latest).await;
    let failure = last.failure.unwrap();
    assert_eq!((kind, failure.phase), (ErrorKind::Server, Phase::Recover));
    assert!(failure.message.contains("9.6"), "{failure:?}");
    assert_eq!(last.level, written(&pg));
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_that_does_not_reach_its_target_fails_the_drill() {
    let Some(pg) = source().start().await else {
        return;
    };
    let (_bench, backup) = backed_up(&pg).await;
    let (kind, last) = failed(&backup, RestoreTarget::Xid(4_000_000)).await;
    let phase = last.failure.unwrap().phase;
    assert_eq!((kind, phase), (ErrorKind::RecoveryShort, Phase::Recover));
    assert_eq!(last.level, written(&pg));
}
