//! What the tests share.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::TryStreamExt;
use ops_backup::{Backup, BackupBuilder, DrillOptions, Encryption, Unlock};
use ops_core::ObjectStore;
use ops_core::database::{ConnectInfo, Database};
use ops_core::object_store::ListOptions;
use ops_local::{Durability, Local};
use ops_pg::binaries::Finder;
use ops_postgres::Postgres;
use ops_testkit::{Pg, fixture};

/// A database at an address.
pub(crate) fn database(info: ConnectInfo) -> Arc<dyn Database> {
    Arc::new(Postgres::builder(info).build().unwrap())
}

/// A key pair of age, made for one test.
pub(crate) struct Keys {
    pub(crate) recipient: String,
    pub(crate) identity: String,
}

impl Keys {
    pub(crate) fn generate() -> Self {
        use age::secrecy::ExposeSecret;
        let identity = age::x25519::Identity::generate();
        Self {
            recipient: identity.to_public().to_string(),
            identity: identity.to_string().expose_secret().to_owned(),
        }
    }
}

/// A store in a folder of its own, and what is needed to back up into it.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) keys: Keys,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Local::builder(folder.path().join("store"))
            .create(true)
            .durability(Durability::None)
            .build()
            .unwrap();
        Self {
            folder,
            store: Arc::new(store),
            keys: Keys::generate(),
        }
    }

    /// An engine with everything chosen that a test seldom cares about.
    pub(crate) fn builder(&self, source: ConnectInfo) -> BackupBuilder {
        self.builder_in(Arc::clone(&self.store), source)
    }

    /// The same in another store.
    pub(crate) fn builder_in(
        &self,
        store: Arc<dyn ObjectStore>,
        source: ConnectInfo,
    ) -> BackupBuilder {
        Backup::builder(database(source), store)
            .encryption(Encryption::recipients([&self.keys.recipient]).unwrap())
            .unlock(Unlock::identity(self.keys.identity.as_str()))
            .finder(Finder::from_env())
    }

    pub(crate) fn backup(&self, source: ConnectInfo) -> Backup {
        self.builder(source).build().unwrap()
    }
}

/// Drills whose server is made where those of the tests are.
pub(crate) fn drill_options() -> DrillOptions {
    DrillOptions::new().with_folder(fixture::folder())
}

/// Starts a server with a small database of several kinds of things.
pub(crate) async fn small_database() -> Option<Pg> {
    let pg = Pg::start().await?;
    fill_small(&pg).await;
    Some(pg)
}

/// Makes that database.
pub(crate) async fn fill_small(pg: &Pg) {
    pg.create_database("shop").await;
    let client = pg.client("shop").await;
    client.batch_execute(SMALL).await.unwrap();
}

const SMALL: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, mood mood, photo bytea);
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, total numeric(10, 2), at timestamptz);
CREATE TABLE "Empty Table" ("select" int);
INSERT INTO customers (name, mood, photo)
    SELECT 'customer ' || i, (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, decode(md5(i::text), 'hex')
    FROM generate_series(1, 5000) i;
INSERT INTO orders (customer, total, at)
    SELECT 1 + i % 5000, i / 100.0, '2026-01-01 00:00:00+00'::timestamptz + i * interval '1 minute'
    FROM generate_series(1, 20000) i;
INSERT INTO customers (name) VALUES (E'tab\there\\. newline\nand \\N');
SELECT lo_from_bytea(0, decode(repeat('c0ffee', 100000), 'hex'));
CREATE VIEW rich AS SELECT customer, sum(total) FROM orders GROUP BY customer;
CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT a + b; -- ; ''quoted''';
"#;

/// Sees to it that a store holds the objects of the committed backups and nothing else, each
/// with its size.
pub(crate) async fn assert_only_committed(backup: &Backup, store: &dyn ObjectStore) {
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    let found: BTreeSet<_> = listed
        .into_iter()
        .filter(|meta| !meta.key.as_str().starts_with("manifests/"))
        .map(|meta| (meta.key.to_string(), meta.size_bytes))
        .collect();
    let entries = backup.catalogue().await.unwrap();
    let expected: BTreeSet<_> = entries
        .iter()
        .flat_map(|entry| &entry.manifest.objects)
        .map(|object| (object.key.to_string(), object.size_bytes))
        .collect();
    let differences: Vec<_> = found.symmetric_difference(&expected).collect();
    assert!(
        differences.is_empty(),
        "only stored, or only listed: {differences:?}"
    );
}

/// The keys in a store that are of backups: no manifests, and no tombstones in their place.
pub(crate) async fn pieces(store: &dyn ObjectStore) -> Vec<String> {
    let mut keys = keys(store).await;
    keys.retain(|key| !key.starts_with("manifests/"));
    keys
}

/// All keys in a store.
pub(crate) async fn keys(store: &dyn ObjectStore) -> Vec<String> {
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    listed
        .into_iter()
        .map(|meta| meta.key.to_string())
        .collect()
}

/// A small file system in memory, unmounted on drop.
pub(crate) struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None` where we may not mount, after saying so.
    pub(crate) fn mount(size_bytes: u64) -> Option<Self> {
        use rustix::mount::{MountFlags, mount};
        let folder = tempfile::tempdir().unwrap();
        let size = std::ffi::CString::new(format!("size={size_bytes}")).unwrap();
        match mount(
            "tmpfs",
            folder.path(),
            "tmpfs",
            MountFlags::empty(),
            size.as_c_str(),
        ) {
            Ok(()) => Some(Self(folder)),
            Err(err) => {
                fixture::skip(format_args!("a tmpfs cannot be mounted: {err}"));
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(crate) fn remount_read_only(&self) {
        use rustix::mount::{MountFlags, mount_remount};
        mount_remount(self.path(), MountFlags::RDONLY, "").unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.path(), rustix::mount::UnmountFlags::DETACH);
    }
}
