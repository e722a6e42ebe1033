//! Proving a physical backup by restoring, booting and checking it.

mod report;
mod tools;

use std::sync::Arc;

use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::server::ThrowawayServer;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::restore::{
    ControlData, Destination, FilePlan, Prepared, Reached, Recovery, RestoreTarget, START_TIMEOUT,
    Spool, Wishes, no_server, owner, prepare, recovery_settings, server_folder, signal_file,
    stop_server, write_files,
};
use crate::backup::Inner;
use crate::drill::ask;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::fingerprint::{Check, CheckOutcome, Difference};
use crate::report::Stopwatch;
use crate::repository::{BackupId, Repository};

pub use report::{ClusterDrillOptions, ClusterDrillReport, DrillLevel};

const OPERATION: &str = "drill";

/// Runs one drill and stores what it found.
pub(crate) async fn run(
    inner: Arc<Inner>,
    target: RestoreTarget,
    options: ClusterDrillOptions,
    events: Events,
) -> Result<ClusterDrillReport> {
    let cancel = CancellationToken::new();
    let _guard = cancel.clone().drop_guard();
    let mut watch = Stopwatch::start();
    let begun = tokio::time::Instant::now();
    let started_at = inner.settings.clock.now();
    watch.phase(Phase::Preflight);
    events.phase(Phase::Preflight);
    let wishes = Wishes {
        backup: options.backup.clone(),
        timeline: options.timeline,
        exclusive: false,
    };
    let prepared = prepare(&inner, OPERATION, &target, &wishes, &events, cancel).await?;
    let control = prepared.control().await?;
    let mut drill = Drill {
        inner: &inner,
        events: &events,
        options: &options,
        prepared,
        control,
        watch,
        checks: Vec::new(),
        warnings: Vec::new(),
    };
    let mut server = drill.restore().await?;
    let (client, reached) = drill.recover(&mut server).await?;
    let rto_seconds = begun.elapsed().as_secs_f64();
    let server_version = server.binaries().version().to_string();
    drill.watch.phase(Phase::Verify);
    events.phase(Phase::Verify);
    drill.look(&client).await?;
    drop(client);
    drill.assert(&server).await?;
    drill.amcheck(&server).await;
    stop_server(OPERATION, &mut server).await?;
    drill.checksums(&server).await;
    let report = drill.report(&target, started_at, rto_seconds, reached, server_version);
    store(&inner.repository, &report).await?;
    Ok(report)
}

/// A drill while it runs.
struct Drill<'a> {
    inner: &'a Inner,
    events: &'a Events,
    options: &'a ClusterDrillOptions,
    prepared: Prepared,
    control: ControlData,
    watch: Stopwatch,
    checks: Vec<Check>,
    warnings: Vec<String>,
}

impl Drill<'_> {
    /// Writes the cluster into the folder of a throwaway server, and lets the server's own
    /// tool compare it with the manifest.
    async fn restore(&mut self) -> Result<ThrowawayServer> {
        let folder = server_folder(self.options.folder.as_ref());
        let mut builder = ThrowawayServer::builder(self.prepared.binaries()?.clone(), folder)
            .durable(false)
            .start_timeout(START_TIMEOUT);
        if let Some(superuser) = &self.options.superuser {
            builder = builder.superuser(superuser);
        }
        let made = builder.create_empty().await;
        let server = made.map_err(|err| no_server(OPERATION, err))?;
        let beside = server
            .data_dir()
            .parent()
            .map(|folder| folder.join("tablespaces"));
        let to = Destination {
            path: server.data_dir().to_owned(),
            owner: server.run_as().cloned(),
            delta: false,
            tablespaces: Vec::new(),
            other_tablespaces: beside,
        };
        let prepared = &self.prepared;
        let workers = self.inner.settings.workers;
        let plan = FilePlan::make(&prepared.source, prepared.levels.clone(), &to, workers).await?;
        self.watch.phase(Phase::Restore);
        self.events.phase(Phase::Restore);
        let auto_conf = prepared.kept_settings();
        let signal = signal_file(&prepared.choice.aim, &Recovery::Run);
        let source = &prepared.source;
        write_files(self.inner, &plan, source, &auto_conf, signal, self.events)
            .await
            .map_err(|err| err.with_left_behind("nothing: the throwaway server is gone"))?;
        self.watch.phase(Phase::Verify);
        let check = tools::verify_backup(&server, !prepared.info.tablespaces.is_empty()).await;
        self.checks.push(check);
        Ok(server)
    }

    /// Boots it, replays up to the target, and ends recovery there.
    async fn recover(&mut self, server: &mut ThrowawayServer) -> Result<(Client, Reached)> {
        self.watch.phase(Phase::Recover);
        self.events.phase(Phase::Recover);
        let owner = match server.run_as() {
            Some(user) => Some(user.clone()),
            None => owner(None)?,
        };
        let spool = Spool::create(server.data_dir(), owner)?;
        let prepared = &self.prepared;
        let (aim, extra) = (&prepared.choice.aim, &self.options.server_settings);
        let command = spool.command();
        for (name, value) in
            recovery_settings(&self.control, prepared.major(), aim, &command, extra)
        {
            server.set_overriding(name, value);
        }
        let recovery = prepared.recover(self.inner);
        let (client, reached) = recovery.run(server, &spool).await?;
        spool.remove()?;
        let expected = prepared.info.end_lsn;
        let difference = (reached.lsn < expected)
            .then(|| Difference::new("replay", expected.to_string(), reached.lsn.to_string()));
        self.checks
            .push(Check::new("recovery", 1, difference.into_iter().collect()));
        Ok((client, reached))
    }

    /// Looks for what makes a copy on this machine another one than its source.
    async fn look(&mut self, client: &Client) -> Result<()> {
        if !self.prepared.info.data_checksums {
            let text = "the cluster has no page checksums: damage below the server cannot be found";
            self.events.warn(&mut self.warnings, text);
        }
        if self.prepared.info.degraded {
            let text = "the backup is degraded: it holds damaged pages";
            self.events.warn(&mut self.warnings, text);
        }
        if self.prepared.major() < 15 {
            return Ok(());
        }
        let sql = "SELECT datname::text FROM pg_database WHERE datcollversion IS DISTINCT FROM \
                   pg_database_collation_actual_version(oid)";
        let rows = client.query(sql, &[]).await.map_err(|err| {
            let err = ops_pg::error::from_driver(err);
            Error::new(ErrorKind::Server, OPERATION, "the copy cannot be read").with_source(err)
        })?;
        for row in rows {
            let database: String = row.get(0);
            let text = format!(
                "database {database} was made with another version of its collation than this \
                 machine has: text may sort otherwise here"
            );
            self.events.warn(&mut self.warnings, text);
        }
        Ok(())
    }

    /// Asks the caller's questions.
    async fn assert(&mut self, server: &ThrowawayServer) -> Result<()> {
        self.watch.phase(Phase::Assert);
        self.events.phase(Phase::Assert);
        for (database, assertion) in &self.options.assertions {
            let options = ConnectOptions::default()
                .with_application_name("ops-drill")
                .with_parameter("statement_timeout", "0");
            let check = match connect(&server.connect_info(database), &options).await {
                Ok(client) => ask(&client, assertion).await,
                Err(err) => {
                    let name = format!("assertion: {}", assertion.name);
                    let difference = Difference::new(database.clone(), "true", err.to_string());
                    Check::new(name, 1, vec![difference])
                }
            };
            self.checks.push(check);
        }
        Ok(())
    }

    async fn amcheck(&mut self, server: &ThrowawayServer) {
        self.watch.phase(Phase::Verify);
        let finder = &self.inner.settings.finder;
        let check = tools::amcheck(server, self.prepared.major(), finder).await;
        self.checks.push(check);
    }

    async fn checksums(&mut self, server: &ThrowawayServer) {
        if self.prepared.info.data_checksums {
            let check = tools::checksums(server).await;
            self.checks.push(check);
        }
    }

    fn report(
        self,
        target: &RestoreTarget,
        started_at: ops_core::Timestamp,
        rto_seconds: f64,
        reached: Reached,
        server_version: String,
    ) -> ClusterDrillReport {
        let (_, phases) = self.watch.finish();
        let seconds = |phase: Phase| {
            let duration = phases.get(phase.as_str()).copied();
            duration.unwrap_or_default().as_secs_f64()
        };
        let newest = self.prepared.levels.last().map(|level| &level.backup);
        let manifest_blake3 = newest
            .map(|it| it.manifest_blake3.clone())
            .unwrap_or_default();
        let passed = self
            .checks
            .iter()
            .all(|check| check.outcome == CheckOutcome::Passed);
        ClusterDrillReport {
            id: self.prepared.choice.backup.clone(),
            manifest_blake3,
            target: target.clone(),
            started_at,
            completed_at: self.inner.settings.clock.now(),
            passed,
            level: report::level(&self.checks),
            checks: self.checks,
            reached,
            chain: self.prepared.levels.len(),
            rto_seconds,
            restore_seconds: seconds(Phase::Restore),
            recovery_seconds: seconds(Phase::Recover),
            verify_seconds: seconds(Phase::Verify) + seconds(Phase::Assert),
            bytes_out: self.events.counters.read().0,
            server_version,
            warnings: self.warnings,
        }
    }
}

async fn store(repository: &Repository, report: &ClusterDrillReport) -> Result<()> {
    let key = repository.layout.drill(&report.id, report.started_at)?;
    let json = serde_json::to_vec_pretty(report).map_err(|source| {
        Error::new(
            ErrorKind::Internal,
            OPERATION,
            "the result cannot be written",
        )
        .with_source(source)
    })?;
    repository.create(OPERATION, &key, json).await
}

/// The stored results of the drills of a physical backup, oldest first.
pub(crate) async fn stored(
    repository: &Repository,
    id: &BackupId,
) -> Result<Vec<ClusterDrillReport>> {
    crate::drill::read_stored(repository, id).await
}
