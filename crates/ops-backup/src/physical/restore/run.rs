//! One restore of a cluster, from the question to the answer.

use std::path::PathBuf;
use std::sync::Arc;

use ops_pg::binaries::{Binaries, Major};
use ops_pg::process::User;
use ops_pg::server::ThrowawayServer;
use ops_pg_replication::{SystemId, TimelineHistory};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::chain::{self, Level};
use super::control::{self, ControlData};
use super::files::{Destination, FilePlan, FilesDone};
use super::options::{ClusterRestoreOptions, ClusterRestoreReport, Reached, Recovery};
use super::ranged::Source;
use super::reach::{Choice, Stock, Wishes};
use super::recover::{self, Recover};
use super::settings;
use super::spool::Spool;
use super::target::RestoreTarget;
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::physical::format::PhysicalInfo;
use crate::report::Stopwatch;
use crate::repository::Manifest;
use crate::wal::{Coverage, WalArchive};

/// What was found out before anything is written.
pub(crate) struct Prepared {
    pub(crate) operation: &'static str,
    pub(crate) source: Source,
    pub(crate) choice: Choice,
    pub(crate) levels: Vec<Level>,
    pub(crate) info: PhysicalInfo,
    pub(crate) archive: Option<WalArchive>,
    pub(crate) history: TimelineHistory,
    /// The server programs of the cluster's major, where they are installed.
    pub(crate) binaries: Result<Binaries, ops_core::Error>,
}

/// Finds out from what and how a target is recovered.
pub(crate) async fn prepare(
    inner: &Inner,
    operation: &'static str,
    target: &RestoreTarget,
    wishes: &Wishes,
    events: &Events,
    cancel: CancellationToken,
) -> Result<Prepared> {
    let entries = inner.repository.catalogue().await?;
    let mut backups: Vec<&Manifest> = entries.iter().map(|entry| &entry.manifest).collect();
    backups.retain(|manifest| manifest.physical.is_some());
    let system_id = system_id(&backups, target, wishes)?;
    let store = Arc::clone(&inner.repository.store);
    let prefix = inner.repository.layout.prefix();
    let unlock = inner.settings.unlock.clone();
    let archive = WalArchive::open(store, prefix, Some(system_id), unlock).await?;
    backups.retain(|manifest| {
        manifest
            .physical
            .as_ref()
            .is_some_and(|it| it.system_id == system_id)
    });
    let infos = backups
        .iter()
        .filter_map(|manifest| manifest.physical.as_ref());
    let first = infos.map(|info| info.start_lsn).min();
    let (coverage, points) = match &archive {
        None => (Coverage::default(), Vec::new()),
        Some(archive) => (
            archive.coverage(first).await?,
            archive.restore_points().await?,
        ),
    };
    let stock = Stock {
        backups,
        coverage: &coverage,
        points: &points,
        now: inner.settings.clock.now(),
    };
    let choice = stock.choose(target, wishes)?;
    let history = stock.history(choice.aim.timeline)?;
    let source = Source {
        operation,
        store: Arc::clone(&inner.repository.store),
        counters: Arc::clone(&events.counters),
        cancel,
        runtime: Handle::current(),
    };
    let levels = chain::open(inner, &choice.backup, &source).await?;
    let info = match levels.last() {
        Some(level) => level.info()?.clone(),
        None => {
            return Err(Error::new(
                ErrorKind::Internal,
                operation,
                "a chain has no backup",
            ));
        }
    };
    let major = Major(info.server_version_num / 10_000);
    let binaries = inner.settings.finder.exact(major).await;
    Ok(Prepared {
        operation,
        source,
        choice,
        levels,
        archive: archive.map(|archive| archive.beside(&info)),
        info,
        history,
        binaries,
    })
}

/// The cluster that is meant: that of the backup that was named, else of the newest.
fn system_id(backups: &[&Manifest], target: &RestoreTarget, wishes: &Wishes) -> Result<SystemId> {
    let named = match target {
        RestoreTarget::Immediate { backup } => Some(backup),
        _ => wishes.backup.as_ref(),
    };
    let meant = match named {
        Some(id) => backups.iter().find(|manifest| manifest.id == *id),
        None => backups.last(),
    };
    let meant = meant.and_then(|manifest| manifest.physical.as_ref());
    meant.map(|info| info.system_id).ok_or_else(|| {
        let message = match named {
            Some(id) => format!("there is no physical backup {id}"),
            None => "there is no physical backup".to_owned(),
        };
        Error::new(ErrorKind::NotFound, "restore", message)
            .with_hint("the catalogue lists the committed ones")
    })
}

impl Prepared {
    pub(crate) fn major(&self) -> u32 {
        self.info.server_version_num / 10_000
    }

    pub(crate) fn binaries(&self) -> Result<&Binaries> {
        self.binaries.as_ref().map_err(|err| {
            let major = self.major();
            let message = format!(
                "no server of PostgreSQL {major} was found: {}",
                ops_core::Report(err)
            );
            Error::new(ErrorKind::Server, self.operation, message)
                .with_hint(format!("install the server programs of PostgreSQL {major}"))
        })
    }

    /// What the backup's `pg_control` says. It is read from the store: nothing has to be
    /// restored for it.
    pub(crate) async fn control(&self) -> Result<ControlData> {
        let level = self.levels.last().ok_or_else(|| {
            Error::new(ErrorKind::Internal, self.operation, "a chain has no backup")
        })?;
        let content = chain::read_file(&self.source, level, control::PATH).await?;
        let control = ControlData::parse(self.operation, &content)?;
        if control.system_id != self.info.system_id {
            let message = format!(
                "the backup says to be of cluster {}, and its pg_control is of cluster {}",
                self.info.system_id, control.system_id
            );
            return Err(Error::new(ErrorKind::Integrity, self.operation, message));
        }
        Ok(control)
    }

    /// Settings that the copy keeps: by none of them does it act for its source.
    pub(crate) fn kept_settings(&self) -> String {
        let major = self.major();
        let harmless = settings::INHERITED
            .iter()
            .copied()
            .filter(|(name, _)| recover::exists(name, major));
        settings::lines(harmless)
    }

    pub(crate) fn recover<'a>(&'a self, inner: &Inner) -> Recover<'a> {
        Recover {
            operation: self.operation,
            aim: &self.choice.aim,
            reach: &self.choice.reach,
            backup_end: self.info.end_lsn,
            archive: self.archive.as_ref(),
            history: &self.history,
            stall: inner.settings.stall_timeout,
        }
    }
}

/// A private server that cannot be made.
#[cold]
pub(crate) fn no_server(operation: &'static str, err: ops_core::Error) -> Error {
    let message = format!(
        "the private server cannot be made: {}",
        ops_core::Report(&err)
    );
    Error::new(ErrorKind::Server, operation, message).with_source(err)
}

/// The user who owns the files of a cluster.
pub(crate) fn owner(name: Option<&str>) -> Result<Option<User>> {
    User::unprivileged(name).map_err(|err| {
        let message = format!(
            "the owner of the files cannot be found: {}",
            ops_core::Report(&err)
        );
        Error::new(ErrorKind::InvalidConfig, "restore", message).with_source(err)
    })
}

/// The folder of private servers, unless the caller chose one.
pub(crate) fn server_folder(chosen: Option<&PathBuf>) -> PathBuf {
    chosen
        .cloned()
        .unwrap_or_else(|| std::env::temp_dir().join("ops-drills"))
}

/// Ends the private servers of restores that were killed: one may run in the very folder that
/// is restored into, and nobody else ends it.
async fn end_leftovers(options: &ClusterRestoreOptions) {
    let folder = server_folder(options.server_folder.as_ref());
    if let Err(err) = ops_pg::server::sweep(folder).await {
        tracing::warn!(error = %ops_core::Report(&err), "servers of dead processes were not looked for");
    }
}

/// Writes the files, and tells how far it is.
pub(crate) async fn write_files(
    inner: &Inner,
    plan: &FilePlan,
    source: &Source,
    auto_conf: &str,
    signal: &str,
    events: &Events,
) -> Result<FilesDone> {
    let stall = inner.settings.stall_timeout;
    tokio::select! {
        written = plan.write(source, auto_conf, signal) => written,
        () = events.watch(Phase::Restore, Some(plan.bytes()), stall) => Err(Error::new(
            ErrorKind::Timeout,
            source.operation,
            format!("no byte moved for {} seconds", stall.as_secs()),
        )),
    }
}

/// Runs one restore.
pub(crate) async fn run(
    inner: Arc<Inner>,
    target: RestoreTarget,
    directory: PathBuf,
    options: ClusterRestoreOptions,
    events: Events,
) -> Result<ClusterRestoreReport> {
    let cancel = CancellationToken::new();
    let _guard = cancel.clone().drop_guard();
    let mut watch = Stopwatch::start();
    let mut warnings = Vec::new();
    watch.phase(Phase::Preflight);
    events.phase(Phase::Preflight);
    let wishes = Wishes {
        backup: options.backup.clone(),
        timeline: options.timeline,
        exclusive: options.exclusive,
    };
    let prepared = prepare(&inner, "restore", &target, &wishes, &events, cancel).await?;
    let owner = owner(options.owner.as_deref())?;
    let to = Destination {
        path: directory.clone(),
        owner: owner.clone(),
        delta: options.delta,
        tablespaces: options.tablespaces.clone(),
        other_tablespaces: None,
    };
    // Whatever the private server needs is there before anything is touched.
    let control = match &options.recovery {
        Recovery::Run => {
            prepared.binaries()?;
            Some(prepared.control().await?)
        }
        Recovery::Prepare { .. } => None,
    };
    end_leftovers(&options).await;
    let workers = options.workers.unwrap_or(inner.settings.workers);
    let plan = FilePlan::make(&prepared.source, prepared.levels.clone(), &to, workers).await?;
    watch.phase(Phase::Restore);
    events.phase(Phase::Restore);
    let auto_conf = auto_conf(&prepared, &options.recovery);
    let signal = recover::signal_file(&prepared.choice.aim, &options.recovery);
    let unfinished =
        "the folder holds a part of the cluster, without pg_control: no server can start there";
    let done = write_files(&inner, &plan, &prepared.source, &auto_conf, signal, &events)
        .await
        .map_err(|err| err.with_left_behind(unfinished))?;
    if !done.dropped.is_empty() {
        let text = format!("settings that were not kept: {}", done.dropped.join(", "));
        events.warn(&mut warnings, text);
    }
    events.warn(
        &mut warnings,
        "the copy archives nothing: postgresql.auto.conf turns it off",
    );
    watch.phase(Phase::Recover);
    let reached = match control {
        None => None,
        Some(control) => {
            events.phase(Phase::Recover);
            let run = replay(&inner, &prepared, &control, owner, &directory, &options).await;
            let unrecovered = "the files are in place, and the cluster was not promoted";
            Some(run.map_err(|err| err.with_left_behind(unrecovered))?)
        }
    };
    let (bytes_out, bytes_read) = events.counters.read();
    let (duration, phases) = watch.finish();
    let phase = |phase: Phase| phases.get(phase.as_str()).copied().unwrap_or_default();
    Ok(ClusterRestoreReport {
        backup: prepared.choice.backup.clone(),
        system_id: prepared.info.system_id,
        target,
        directory,
        reached,
        levels: plan.levels.len(),
        files_written: done.written,
        files_kept: done.kept,
        removed: done.removed,
        bytes_out,
        bytes_read,
        duration,
        restore_duration: phase(Phase::Restore),
        recovery_duration: phase(Phase::Recover),
        warnings,
    })
}

/// What is added to `postgresql.auto.conf`.
fn auto_conf(prepared: &Prepared, recovery: &Recovery) -> String {
    let mut text = prepared.kept_settings();
    if let Recovery::Prepare { restore_command } = recovery {
        let mut settings = prepared.choice.aim.settings();
        settings.retain(|(_, value)| !value.is_empty());
        settings.push(("restore_command", restore_command.clone()));
        let aim = &prepared.choice.aim;
        text += &settings::lines(recover::read_ahead(aim, prepared.major()));
        text += &settings::lines(settings.iter().map(|(name, value)| (*name, value.as_str())));
    }
    text
}

/// Recovers the cluster in a folder of the caller, promotes it, and stops it.
async fn replay(
    inner: &Inner,
    prepared: &Prepared,
    control: &ControlData,
    owner: Option<User>,
    directory: &std::path::Path,
    options: &ClusterRestoreOptions,
) -> Result<Reached> {
    let spool = Spool::create(directory, owner.clone())?;
    let folder = server_folder(options.server_folder.as_ref());
    let mut builder =
        ThrowawayServer::builder(prepared.binaries()?.clone(), folder).data_dir(directory);
    if let Some(owner) = &options.owner {
        builder = builder.run_as(owner);
    }
    if let Some(superuser) = &options.superuser {
        builder = builder.superuser(superuser);
    }
    let (aim, extra) = (&prepared.choice.aim, &options.server_settings);
    for (name, value) in recover::settings(control, prepared.major(), aim, &spool.command(), extra)
    {
        builder = builder.overriding_setting(name, value);
    }
    let mut server = builder
        .start_timeout(recover::START_TIMEOUT)
        .create_empty()
        .await
        .map_err(|err| no_server("restore", err))?;
    let recovery = prepared.recover(inner);
    let (client, reached) = recovery.run(&mut server, &spool).await?;
    drop(client);
    recover::stop("restore", &mut server).await?;
    spool.remove()?;
    Ok(reached)
}
