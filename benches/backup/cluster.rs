//! The server that all contenders read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use age::secrecy::ExposeSecret;
use ops_core::database::ConnectInfo;
use ops_testkit::pg::PgBuilder;
use ops_testkit::{Pg, data};

use crate::Result;

/// Small tables beside the large ones: four files each.
const SMALL: &str = "
DO $$ BEGIN
    FOR i IN 1..2000 LOOP
        EXECUTE format('CREATE TABLE small_%s (id int PRIMARY KEY, t text, j jsonb)', i);
        EXECUTE format('INSERT INTO small_%s SELECT g, md5(g::text), ''{\"a\": 1}'' FROM generate_series(1, 20) g', i);
    END LOOP;
END $$";

/// Tables of one page, a transaction for each hundred of them.
const RELATIONS: &str = "
CREATE PROCEDURE make_relations(total int) LANGUAGE plpgsql AS $$ BEGIN
    FOR i IN 1..total LOOP
        EXECUTE format('CREATE TABLE relation_%s AS SELECT %s AS i', i, i);
        IF i % 100 = 0 THEN COMMIT; END IF;
    END LOOP;
END $$";

pub(crate) struct Cluster {
    pub(crate) pg: Pg,
    pub(crate) info: ConnectInfo,
    folder: tempfile::TempDir,
    pub(crate) recipient: String,
    pub(crate) identity: String,
}

/// What a cluster holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// About as many bytes, mixed like real data, and 2000 small tables.
    Bytes(u64),
    /// As many tables of one page.
    Relations(u32),
}

impl Cluster {
    pub(crate) async fn start(content: Content) -> Result<Self> {
        Self::start_on(Pg::builder(), content).await
    }

    /// On a server that is more than the usual one.
    pub(crate) async fn start_on(server: PgBuilder, content: Content) -> Result<Self> {
        let server = server
            .setting("shared_buffers", "512MB")
            // The data is in memory, and the WAL beside it.
            .setting("max_wal_size", "2GB")
            .setting("checkpoint_timeout", "1h")
            .setting("autovacuum", "off")
            .setting("archive_mode", "on")
            .setting("archive_command", "true")
            // Of 2000 tables in one transaction.
            .setting("max_locks_per_transaction", "512")
            .with(|server| server.data_checksums(true));
        let Some(pg) = server.start().await else {
            return Err("no PostgreSQL: run cargo xtask setup".into());
        };
        pg.create_database("bench").await;
        let info = pg.connect_info("bench");
        let client = pg.client("bench").await;
        match content {
            Content::Bytes(bytes) => {
                data::load(&info, pg.binaries(), bytes / 3, bytes).await?;
                client.batch_execute(SMALL).await?;
            }
            Content::Relations(count) => {
                client.batch_execute(RELATIONS).await?;
                client
                    .batch_execute(&format!("CALL make_relations({count})"))
                    .await?;
            }
        }
        client.batch_execute("CHECKPOINT").await?;
        // On a disk: what is written is flushed to it.
        let target = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"));
        fs::create_dir_all(target)?;
        let target = target.canonicalize()?;
        let folder = tempfile::Builder::new()
            .prefix("ops-bench-")
            .tempdir_in(target)?;
        let keys = age::x25519::Identity::generate();
        let cluster = Self {
            pg,
            info,
            folder,
            recipient: keys.to_public().to_string(),
            identity: keys.to_string().expose_secret().to_owned(),
        };
        open_to_all(cluster.folder.path())?;
        Ok(cluster)
    }

    /// The folder of everything that is written.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the server, and frees the space of what was written. That is removed with what is
    /// returned: at the end of everything, for the reason that [`discard`](Self::discard) has.
    pub(crate) fn end(self) -> Result<tempfile::TempDir> {
        truncate(self.folder())?;
        Ok(self.folder)
    }

    /// A new folder that the server's user can write to, too.
    pub(crate) fn shared_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::create_dir_all(&path)?;
        if let Some(user) = self.pg.run_as() {
            std::os::unix::fs::chown(&path, Some(user.uid()), Some(user.gid()))?;
        }
        Ok(path)
    }

    /// Puts a folder aside, and frees the space of its files. They are removed when everything
    /// is: a file system without a journal is slow to make files soon after others went.
    pub(crate) fn discard(&self, folder: &Path) -> Result<()> {
        let trash = tempfile::Builder::new()
            .prefix("trash-")
            .tempdir_in(self.folder())?
            .keep();
        fs::rename(folder, trash.join("folder"))?;
        truncate(&trash)
    }

    /// A client program of the server's own major, told where the server is.
    pub(crate) fn program(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.pg.bin(name));
        let env = ops_pg::conninfo::libpq_env(&self.info);
        env.plain().for_each(|(name, value)| {
            command.env(name, value);
        });
        command.args(arguments);
        command
    }

    /// Sets a parameter that needs no restart.
    pub(crate) async fn set(&self, name: &str, value: &str) -> Result<()> {
        let client = self.pg.client("postgres").await;
        let quoted = value.replace('\'', "''");
        client
            .batch_execute(&format!("ALTER SYSTEM SET {name} = '{quoted}'"))
            .await?;
        client.batch_execute("SELECT pg_reload_conf()").await?;
        Ok(())
    }

    /// What stands before each round of each contender.
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        self.pg
            .client("postgres")
            .await
            .batch_execute("CHECKPOINT")
            .await?;
        Ok(())
    }
}

pub(crate) fn open_to_all(folder: &Path) -> Result<()> {
    Ok(fs::set_permissions(
        folder,
        fs::Permissions::from_mode(0o755),
    )?)
}

fn truncate(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            truncate(&entry.path())?;
        } else if kind.is_file() {
            fs::File::options()
                .write(true)
                .truncate(true)
                .open(entry.path())?;
        }
    }
    Ok(())
}

/// How many bytes the files of a folder have, and how many there are.
pub(crate) fn stored(folder: &Path) -> Result<(u64, u64)> {
    let (mut bytes, mut files) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_dir() {
            let (more, count) = stored(&entry.path())?;
            bytes += more;
            files += count;
        } else if meta.is_file() {
            bytes += meta.len();
            files += 1;
        }
    }
    Ok((bytes, files))
}
