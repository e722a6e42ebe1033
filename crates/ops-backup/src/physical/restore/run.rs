//! One restore of a cluster, from the question to the answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_pg::binaries::Binaries;
use ops_pg::process::User;
use ops_pg::server::ThrowawayServer;
use ops_pg_replication::TimelineHistory;
use tokio_util::sync::CancellationToken;

use super::chain::{self, Level};
use super::choose::{Chosen, choose, no_level};
use super::control::{self, ControlData};
use super::files::{Destination, FilePlan, FilesDone};
use super::options::{ClusterRestoreOptions, ClusterRestoreReport, Reached, Recovery};
use super::ranged::Source;
use super::reach::{Choice, Wishes};
use super::recover::{self, Recover};
use super::settings;
use super::spool::Spool;
use super::target::RestoreTarget;
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::physical::format::PhysicalInfo;
use crate::report::Stopwatch;
use crate::wal::{Pin, WalArchive};

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
        let newest = self.levels.last();
        let level = newest.ok_or_else(|| no_level(self.operation))?;
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
    let mut restore = Restore {
        inner: &inner,
        target: &target,
        directory: &directory,
        options: &options,
        events: &events,
        watch: Stopwatch::start(),
        warnings: Vec::new(),
    };
    restore.phase(Phase::Preflight);
    let wishes = Wishes {
        backup: options.backup.clone(),
        timeline: options.timeline,
        exclusive: options.exclusive,
    };
    let chosen = choose(&inner, &target, &wishes).await?;
    let pin = chosen.pin().await;
    let pin = pin.unwrap_or_else(|text| {
        restore.warn(text);
        None
    });
    Pin::hold(pin, Box::pin(restore.run(chosen))).await
}

/// A restore while it runs.
struct Restore<'a> {
    inner: &'a Inner,
    target: &'a RestoreTarget,
    directory: &'a Path,
    options: &'a ClusterRestoreOptions,
    events: &'a Events,
    watch: Stopwatch,
    warnings: Vec<String>,
}

impl Restore<'_> {
    fn phase(&mut self, phase: Phase) {
        self.watch.phase(phase);
        self.events.phase(phase);
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.events.warn(&mut self.warnings, text);
    }

    async fn run(mut self, chosen: Chosen) -> Result<ClusterRestoreReport> {
        let cancel = CancellationToken::new();
        let _guard = cancel.clone().drop_guard();
        let opened = chosen.open(self.inner, "restore", self.events, cancel);
        let prepared = opened.await?;
        let owner = owner(self.options.owner.as_deref())?;
        // Whatever the private server needs is there before anything is touched.
        let control = match &self.options.recovery {
            Recovery::Run => {
                prepared.binaries()?;
                Some(prepared.control().await?)
            }
            Recovery::Prepare { .. } => None,
        };
        end_leftovers(self.options).await;
        let (plan, done) = self.write(&prepared, owner.clone()).await?;
        let reached = match control {
            None => None,
            Some(control) => {
                self.phase(Phase::Recover);
                let (directory, options) = (self.directory, self.options);
                let run = replay(self.inner, &prepared, &control, owner, directory, options);
                let unrecovered = "the files are in place, and the cluster was not promoted";
                let run = run.await;
                Some(run.map_err(|err| err.with_left_behind(unrecovered))?)
            }
        };
        Ok(self.report(&prepared, &plan, &done, reached))
    }

    /// Writes the files of the cluster.
    async fn write(
        &mut self,
        prepared: &Prepared,
        owner: Option<User>,
    ) -> Result<(FilePlan, FilesDone)> {
        let (inner, options) = (self.inner, self.options);
        let to = Destination {
            path: self.directory.to_owned(),
            owner,
            delta: options.delta,
            tablespaces: options.tablespaces.clone(),
            other_tablespaces: None,
        };
        let workers = options.workers.unwrap_or(inner.settings.workers);
        let source = &prepared.source;
        let plan = FilePlan::make(source, prepared.levels.clone(), &to, workers).await?;
        self.phase(Phase::Restore);
        let auto_conf = auto_conf(prepared, &options.recovery);
        let signal = recover::signal_file(&prepared.choice.aim, &options.recovery);
        let unfinished =
            "the folder holds a part of the cluster, without pg_control: no server can start there";
        let done = write_files(inner, &plan, source, &auto_conf, signal, self.events)
            .await
            .map_err(|err| err.with_left_behind(unfinished))?;
        if !done.dropped.is_empty() {
            let dropped = done.dropped.join(", ");
            self.warn(format!("settings that were not kept: {dropped}"));
        }
        self.warn("the copy archives nothing: postgresql.auto.conf turns it off");
        Ok((plan, done))
    }

    fn report(
        self,
        prepared: &Prepared,
        plan: &FilePlan,
        done: &FilesDone,
        reached: Option<Reached>,
    ) -> ClusterRestoreReport {
        let (bytes_out, bytes_read) = self.events.counters.read();
        let (duration, phases) = self.watch.finish();
        let phase = |phase: Phase| phases.get(phase.as_str()).copied().unwrap_or_default();
        ClusterRestoreReport {
            backup: prepared.choice.backup.clone(),
            system_id: prepared.info.system_id,
            target: self.target.clone(),
            directory: self.directory.to_owned(),
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
            warnings: self.warnings,
        }
    }
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
    directory: &Path,
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
