//! What the tests share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ops_backup::{Backup, BackupBuilder, DrillOptions, Encryption, Unlock};
use ops_core::database::{
    ConnectInfo, Database, DatabaseDescription, DatabaseState, Engine, Ping, Role,
};
use ops_core::object_store::{
    DeleteOutcome, GetOptions, GetResult, ListOptions, ObjectMeta, PutCondition, PutOptions,
};
use ops_core::{ByteStream, ItemStream, ObjectKey, ObjectStore, ProviderId, Result, async_trait};
use ops_local::{Durability, Local};
use ops_pg::binaries::Finder;
use ops_testkit::Pg;

/// A database that is where it is said to be.
#[derive(Debug)]
pub struct At(pub ConnectInfo);

#[async_trait]
impl Database for At {
    fn provider(&self) -> ProviderId {
        "test".into()
    }

    async fn describe(&self) -> Result<DatabaseDescription> {
        Ok(DatabaseDescription::new(
            Engine::Postgres,
            "",
            DatabaseState::Available,
        ))
    }

    async fn connect_info(&self) -> Result<ConnectInfo> {
        Ok(self.0.clone())
    }

    async fn ping(&self) -> Result<Ping> {
        Ok(Ping::new(Duration::ZERO, Role::Unknown))
    }
}

/// A key pair of age, made for one test.
pub struct Keys {
    pub recipient: String,
    pub identity: String,
}

impl Keys {
    pub fn generate() -> Self {
        use age::secrecy::ExposeSecret;
        let identity = age::x25519::Identity::generate();
        Self {
            recipient: identity.to_public().to_string(),
            identity: identity.to_string().expose_secret().to_owned(),
        }
    }
}

/// A store in a folder of its own, and what is needed to back up into it.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub store: Arc<dyn ObjectStore>,
    pub keys: Keys,
}

impl Bench {
    pub fn new() -> Self {
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
    pub fn builder(&self, source: ConnectInfo) -> BackupBuilder {
        Backup::builder(Arc::new(At(source)), Arc::clone(&self.store))
            .encryption(Encryption::recipients([&self.keys.recipient]).unwrap())
            .unlock(Unlock::identity(self.keys.identity.as_str()))
            .finder(Finder::from_env())
    }

    pub fn backup(&self, source: ConnectInfo) -> Backup {
        self.builder(source).build().unwrap()
    }

    pub fn drill_options(&self) -> DrillOptions {
        DrillOptions::new()
    }
}

/// Starts a server with a small database of several kinds of things.
pub async fn small_database() -> Option<Pg> {
    let pg = Pg::start().await?;
    pg.create_database("shop").await;
    let client = pg.client("shop").await;
    client.batch_execute(SMALL).await.unwrap();
    Some(pg)
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

/// All keys in a store.
pub async fn keys(store: &dyn ObjectStore) -> Vec<String> {
    use futures_util::TryStreamExt;
    let listed: Vec<_> = store.list(Default::default()).try_collect().await.unwrap();
    listed
        .into_iter()
        .map(|meta| meta.key.to_string())
        .collect()
}

/// The child process of a name that connects to a port: other tests have children too.
pub fn child_pid(name: &str, port: u16) -> Option<rustix::process::Pid> {
    let ours = rustix::process::getpid().as_raw_nonzero().get().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .find_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let (pid, rest) = stat.split_once(" (")?;
            let (comm, rest) = rest.rsplit_once(") ")?;
            let mut fields = rest.split(' ');
            let (state, parent) = (fields.next()?, fields.next()?);
            let environ = std::fs::read(entry.path().join("environ")).ok()?;
            let pgport = format!("PGPORT={port}");
            let connects = environ
                .split(|byte| *byte == 0)
                .any(|var| var == pgport.as_bytes());
            let found = comm == name && parent == ours && state != "Z" && connects;
            found.then(|| rustix::process::Pid::from_raw(pid.parse().ok()?))?
        })
}

/// Kills the child of a name, which must be there.
pub fn kill_child(name: &str, port: u16, signal: rustix::process::Signal) {
    let pid = child_pid(name, port).unwrap_or_else(|| panic!("no {name} runs"));
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A small file system in memory, unmounted on drop.
pub struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None` where we may not mount, after saying so.
    pub fn mount(size_bytes: u64) -> Option<Self> {
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
                ops_testkit::fixture::skip(format_args!("a tmpfs cannot be mounted: {err}"));
                None
            }
        }
    }

    pub fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub fn remount_read_only(&self) {
        use rustix::mount::{MountFlags, mount_remount};
        mount_remount(self.path(), MountFlags::RDONLY, "").unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

/// A store that keeps no checksums.
#[derive(Debug)]
pub struct Forgetful(pub Arc<dyn ObjectStore>);

#[async_trait]
impl ObjectStore for Forgetful {
    fn provider(&self) -> ProviderId {
        self.0.provider()
    }

    fn limits(&self) -> ops_core::object_store::ObjectStoreLimits {
        self.0.limits()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.0.put(key, data, options).await
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        self.0.put_stream(key, data, options).await
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        self.0.get(key, options).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        let mut meta = self.0.head(key).await?;
        meta.checksum = None;
        Ok(meta)
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        self.0.list(options)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        self.0.delete(key).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        self.0.delete_many(keys).await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        self.0.copy(from, to, condition).await
    }
}
