//! Taking base backups.

mod archive;
mod failures;
mod incremental;
mod kill;
mod late;
pub(crate) mod shapes;
mod standby;
mod stores;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ops_backup::{BaseBackupRequest, Encryption, PageChecks, PhysicalKind, WalMethod};
use ops_testkit::pg::PgBuilder;
use ops_testkit::{Pg, fixture};

use crate::shared::Bench;
use crate::support::{self, call};

/// A server whose pages have checksums and that does nothing by itself.
fn quiet() -> PgBuilder {
    Pg::builder()
        .with(|server| server.data_checksums(true))
        .setting("autovacuum", "off")
        .setting("bgwriter_lru_maxpages", "0")
}

const TABLES: &str = "
CREATE TABLE big AS SELECT i, md5(i::text) || repeat('x', 200) AS x FROM generate_series(1, 20000) i;
CREATE INDEX ON big (x);
CREATE TABLE mood AS SELECT i FROM generate_series(1, 10) i;
CREATE TABLE empty (i int);
CREATE UNLOGGED TABLE scratch AS SELECT i FROM generate_series(1, 1000) i;
CREATE SEQUENCE numbers;
";

/// Every file under a folder, with its content's hash.
fn tree(folder: &Path) -> BTreeMap<String, blake3::Hash> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, blake3::Hash>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                found.insert(format!("{name}/"), blake3::hash(b""));
                walk(root, &path, found);
            } else {
                found.insert(name, blake3::hash(&fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// What must be the same in two backups of a cluster at rest: everything but the files
/// that tell one backup from another.
fn comparable(folder: &Path) -> BTreeMap<String, blake3::Hash> {
    let mut tree = tree(folder);
    tree.retain(|name, _| {
        let own = ["backup_label", "backup_manifest", "global/pg_control"];
        !own.contains(&name.as_str()) && (!name.starts_with("pg_wal/") || name.ends_with('/'))
    });
    tree
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_each_major_unpacks_by_tar_to_what_pg_basebackup_writes() {
    let majors = Pg::available_majors().await;
    if majors.is_empty() {
        fixture::skip("no server of PostgreSQL is installed");
    }
    for major in majors {
        let pg = quiet()
            .major(major.0)
            .start()
            .await
            .expect("it is installed");
        let client = pg.client("postgres").await;
        client.batch_execute(TABLES).await.unwrap();
        let space = tempfile::tempdir().unwrap();
        let place = space.path().join("fast");
        support::folder_for(&pg, &place);
        let sql = format!("CREATE TABLESPACE fast LOCATION '{}'", place.display());
        client.batch_execute(&sql).await.unwrap();
        let sql = "CREATE TABLE moved TABLESPACE fast AS SELECT i FROM generate_series(1, 9999) i";
        client.batch_execute(sql).await.unwrap();
        client.batch_execute("VACUUM big").await.unwrap();
        client.batch_execute("CHECKPOINT").await.unwrap();

        let bench = Bench::new();
        let backup = bench.backup(pg.connect_info("postgres"));
        let report = backup.base_backup(BaseBackupRequest::full()).finish().await;
        let report = report.unwrap_or_else(|err| panic!("PostgreSQL {major}: {err:?}"));
        let physical = &report.physical;
        assert_eq!(physical.kind, PhysicalKind::Full);
        assert_eq!(
            (physical.wal, physical.from_standby),
            (WalMethod::Included, false)
        );
        assert_eq!(physical.server_version_num / 10_000, major.0);
        assert!(physical.start_lsn < physical.end_lsn);
        assert!(report.is_everywhere() && !physical.degraded);
        let PageChecks::Checked { good, bad, .. } = physical.pages else {
            panic!("{:?}", physical.pages)
        };
        assert!(good > 500 && bad == 0, "{:?}", physical.pages);

        let latest = backup.latest().await.unwrap().unwrap();
        assert_eq!(latest.manifest.physical.as_ref(), Some(physical));
        let unpacked = support::unpack(&bench, &latest.manifest, "ours");
        support::verify(&pg, &unpacked.folder).await;
        assert_eq!(
            tree(&unpacked.folder)
                .keys()
                .filter(|it| !it.ends_with('/'))
                .count() as u64,
            physical.files + 1,
            "and the server's manifest"
        );
        crate::shared::assert_only_committed(&backup, &*bench.store).await;

        if let Ok(program) = pg.binaries().program("pg_basebackup") {
            let theirs = bench.folder.path().join("theirs");
            let moved = bench.folder.path().join("theirs-fast");
            let arguments = [
                "--no-sync".to_owned(),
                "--checkpoint=fast".to_owned(),
                "--wal-method=fetch".to_owned(),
                format!(
                    "--tablespace-mapping={}={}",
                    place.display(),
                    moved.display()
                ),
                format!("--dbname={}", pg.url("postgres")),
                format!("--pgdata={}", theirs.display()),
            ];
            call(program, arguments);
            assert_eq!(comparable(&unpacked.folder), comparable(&theirs), "{major}");
        }
        println!(
            "PostgreSQL {}: {} files in {} packs, {:?}",
            report.source.server_version,
            physical.files,
            physical.packs.len(),
            physical.pages
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_encryption_is_plain_zstd() {
    let Some(pg) = quiet().start().await else {
        return;
    };
    let bench = Bench::new();
    let backup = bench
        .builder(pg.connect_info("postgres"))
        .encryption(Encryption::none())
        .build()
        .unwrap();
    let report = backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    assert!(
        report
            .warnings
            .iter()
            .any(|it| it.contains("NOT ENCRYPTED"))
    );
    let latest = backup.latest().await.unwrap().unwrap();
    let unpacked = support::unpack(&bench, &latest.manifest, "ours");
    support::verify(&pg, &unpacked.folder).await;
}
