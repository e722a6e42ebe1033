//! Loading a backup into a database.

mod globals;
mod load;
mod loader;
mod target;

use std::sync::Arc;
use std::time::Duration;

use ops_core::Timestamp;
use ops_core::database::ConnectInfo;

use crate::backup::Inner;
use crate::client::Clients;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::report::{Stopwatch, seconds};
use crate::repository::{BackupId, ObjectRole, OpenBackup};

pub(crate) use globals::apply as apply_globals;
pub(crate) use load::{LoadOptions, load};
use target::Target;

/// How to restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, set by name"
)]
pub struct RestoreOptions {
    /// Restores also into a database that holds something. Defaults to refusing it.
    pub allow_non_empty: bool,
    /// Makes the backup's roles first. Needs a role that may; roles that are there stay as
    /// they are in every other respect than the backup says. Defaults to not: the roles
    /// that own things must be there already.
    pub roles: bool,
    /// Leaves everything to the role that restores (`--no-owner`). Defaults to restoring owners.
    pub no_owner: bool,
    /// Leaves out `GRANT` and `REVOKE` (`--no-privileges`). Defaults to restoring them.
    pub no_privileges: bool,
    /// Loads without one transaction around everything: a failure then leaves a part
    /// behind. Defaults to one transaction, which takes a lock per object: a database with
    /// very many needs a higher `max_locks_per_transaction`.
    pub not_atomic: bool,
}

impl RestoreOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Restores also into a database that holds something.
    #[must_use]
    pub fn with_allow_non_empty(mut self, allow: bool) -> Self {
        self.allow_non_empty = allow;
        self
    }

    /// Makes the backup's roles first.
    #[must_use]
    pub fn with_roles(mut self, roles: bool) -> Self {
        self.roles = roles;
        self
    }

    /// Leaves everything to the role that restores.
    #[must_use]
    pub fn with_no_owner(mut self, no_owner: bool) -> Self {
        self.no_owner = no_owner;
        self
    }

    /// Leaves out `GRANT` and `REVOKE`.
    #[must_use]
    pub fn with_no_privileges(mut self, no_privileges: bool) -> Self {
        self.no_privileges = no_privileges;
        self
    }

    /// Loads without one transaction around everything.
    #[must_use]
    pub fn with_not_atomic(mut self, not_atomic: bool) -> Self {
        self.not_atomic = not_atomic;
        self
    }
}

/// What a restore came to.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The backup.
    pub id: BackupId,
    /// Where it was restored to, without any secret.
    pub target: String,
    /// The moment that the copy stands for.
    pub snapshot_at: Timestamp,
    /// How long it took, in seconds.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// Plain bytes that were given to `pg_restore`.
    pub bytes_out: u64,
    /// Stored bytes that were read.
    pub bytes_read: u64,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

/// Runs one restore into a database of the caller.
pub(crate) async fn run(
    inner: Arc<Inner>,
    id: BackupId,
    target: ConnectInfo,
    options: RestoreOptions,
    events: Events,
) -> Result<RestoreReport> {
    let mut watch = Stopwatch::start();
    watch.phase(Phase::Preflight);
    events.phase(Phase::Preflight);
    let settings = &inner.settings;
    let backup = inner
        .repository
        .open("restore", &id, &settings.unlock)
        .await?;
    backup.manifest.require_dump("restore")?;
    check_objects("restore", &inner, &backup).await?;
    let shown = target.to_string();
    let target = Target::connect(target).await?;
    if !options.allow_non_empty {
        target.require_empty().await?;
    }
    let mut warnings = Vec::new();
    let source = &backup.manifest.source;
    if target.major < source.server_major {
        let text = format!(
            "the target is PostgreSQL {}, older than the source's {}: not everything may load",
            target.major, source.server_major
        );
        events.warn(&mut warnings, text);
    }
    let clients = Clients::for_restore(&settings.finder, target.major, source, "restore").await?;
    if options.roles
        && let Some(sql) = inner
            .repository
            .read_sealed("restore", &backup, ObjectRole::Globals)
            .await?
    {
        for failure in apply_globals(&target.client, &sql).await? {
            events.warn(&mut warnings, format!("roles: {failure}"));
        }
    }
    let info = target.close();
    watch.phase(Phase::Restore);
    let load_options = LoadOptions {
        operation: "restore",
        single_transaction: !options.not_atomic,
        no_owner: options.no_owner,
        no_privileges: options.no_privileges,
        no_tablespaces: false,
        writable_session: false,
    };
    load(&inner, &backup, &clients, &info, &load_options, &events).await?;
    let (bytes_out, bytes_read) = events.counters.read();
    let (duration, _) = watch.finish();
    Ok(RestoreReport {
        id,
        target: shown,
        snapshot_at: backup.manifest.snapshot_at,
        duration,
        bytes_out,
        bytes_read,
        warnings,
    })
}

/// Looks at every object before anything is written: all there, with their sizes, and with
/// their hashes where the store keeps BLAKE3.
///
/// The identity is left out. It has been opened, and the seal has proved it to be the
/// right one; it may be stored again for other recipients.
pub(crate) async fn check_objects(
    operation: &'static str,
    inner: &Inner,
    backup: &OpenBackup,
) -> Result<()> {
    let objects = backup.manifest.objects.iter();
    for object in objects.filter(|object| object.role != ObjectRole::Identity) {
        let meta = match inner.repository.store.head(&object.key).await {
            Ok(meta) => meta,
            Err(err) if err.is_not_found() => {
                let message = format!("{} is missing", object.key);
                return Err(Error::new(ErrorKind::Integrity, operation, message).with_source(err));
            }
            Err(err) => return Err(Error::store(operation, err)),
        };
        let hash = match meta.checksum {
            Some(ops_core::object_store::Checksum::Blake3(bytes)) => {
                blake3::Hash::from_bytes(bytes)
            }
            // Compared while it is read.
            _ => object.hash(operation)?,
        };
        object.check(operation, meta.size_bytes, hash)?;
    }
    Ok(())
}
