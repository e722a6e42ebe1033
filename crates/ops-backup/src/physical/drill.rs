//! Proving a physical backup by restoring, booting and checking it.

mod progress;
mod report;
mod tools;

use std::sync::Arc;

use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::server::ThrowawayServer;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::restore::{
    Chosen, ControlData, Destination, FilePlan, Prepared, Reached, Recovery, RestoreTarget,
    START_TIMEOUT, Spool, Wishes, choose, no_server, owner, recovery_settings, server_folder,
    signal_file, stop_server, write_files,
};
use crate::backup::Inner;
use crate::drill::{ask, store, store_failure};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::fingerprint::{Check, Difference};
use crate::repository::{BackupId, CatalogueEntry, Repository};
use crate::wal::Pin;
use progress::{Done, Progress};

pub use report::{ClusterDrillOptions, ClusterDrillReport, DrillLevel};

const OPERATION: &str = "drill";

/// Runs one drill and stores what it found, or that it failed.
pub(crate) async fn run(
    inner: Arc<Inner>,
    target: RestoreTarget,
    options: ClusterDrillOptions,
    events: Events,
) -> Result<ClusterDrillReport> {
    let mut progress = Progress::begin(&inner, &target, &events);
    let (repository, started_at) = (&inner.repository, progress.started_at);
    let err = match attempt(&options, &mut progress).await {
        Ok(done) => {
            let report = progress.report(done);
            store(repository, &report.id, started_at, &report).await?;
            return Ok(report);
        }
        Err(err) => err,
    };
    let named = match &target {
        RestoreTarget::Immediate { backup } => Some(backup.clone()),
        _ => progress.backup.clone().or(options.backup),
    };
    // Where none was chosen, the newest could not be, either.
    let blamed = |entry: &CatalogueEntry| {
        let chosen = named.as_ref().is_none_or(|id| *id == entry.manifest.id);
        chosen && entry.manifest.physical.is_some()
    };
    let report = |entry: &CatalogueEntry, err: &Error| progress.failed(entry, err);
    Err(store_failure(repository, started_at, err, blamed, report).await)
}

async fn attempt(options: &ClusterDrillOptions, progress: &mut Progress<'_>) -> Result<Done> {
    progress.phase(Phase::Preflight);
    let wishes = Wishes {
        backup: options.backup.clone(),
        timeline: options.timeline,
        exclusive: false,
    };
    let chosen = choose(progress.inner, progress.target, &wishes).await?;
    progress.backup = Some(chosen.choice.backup.clone());
    let pin = chosen.pin().await;
    let pin = pin.unwrap_or_else(|text| {
        progress.warn(text);
        None
    });
    Pin::hold(pin, Box::pin(prove(chosen, options, progress))).await
}

/// Makes the copy and looks at it.
async fn prove(
    chosen: Chosen,
    options: &ClusterDrillOptions,
    progress: &mut Progress<'_>,
) -> Result<Done> {
    let cancel = CancellationToken::new();
    let _guard = cancel.clone().drop_guard();
    let opened = chosen.open(progress.inner, OPERATION, progress.events, cancel);
    let prepared = opened.await?;
    progress.opened(&prepared);
    let control = prepared.control().await?;
    let mut drill = Drill {
        progress,
        options,
        prepared,
        control,
    };
    let mut server = drill.restore().await?;
    let (client, reached) = drill.recover(&mut server).await?;
    let rto_seconds = drill.progress.elapsed().as_secs_f64();
    let server_version = server.binaries().version().to_string();
    drill.progress.phase(Phase::Verify);
    drill.look(&client).await?;
    drop(client);
    drill.assert(&server).await?;
    drill.amcheck(&server).await;
    stop_server(OPERATION, &mut server).await?;
    drill.checksums(&server).await;
    let prepared = drill.prepared;
    let newest = prepared.levels.last();
    Ok(Done {
        id: prepared.choice.backup,
        manifest_blake3: newest
            .map(|it| it.backup.manifest_blake3.clone())
            .unwrap_or_default(),
        reached,
        rto_seconds,
        server_version,
    })
}

/// A drill while it runs.
struct Drill<'a, 'b> {
    progress: &'a mut Progress<'b>,
    options: &'a ClusterDrillOptions,
    prepared: Prepared,
    control: ControlData,
}

impl Drill<'_, '_> {
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
        let workers = self.progress.inner.settings.workers;
        let plan = FilePlan::make(&prepared.source, prepared.levels.clone(), &to, workers).await?;
        self.progress.phase(Phase::Restore);
        let auto_conf = prepared.kept_settings();
        let signal = signal_file(&prepared.choice.aim, &Recovery::Run);
        let source = &prepared.source;
        let (inner, events) = (self.progress.inner, self.progress.events);
        write_files(inner, &plan, source, &auto_conf, signal, events)
            .await
            .map_err(|err| err.with_left_behind("nothing: the throwaway server is gone"))?;
        self.progress.proven = DrillLevel::Hashed;
        self.progress.phase(Phase::Verify);
        let check = tools::verify_backup(&server, !prepared.info.tablespaces.is_empty()).await;
        self.progress.checks.push(check);
        Ok(server)
    }

    /// Boots it, replays up to the target, and ends recovery there.
    async fn recover(&mut self, server: &mut ThrowawayServer) -> Result<(Client, Reached)> {
        self.progress.phase(Phase::Recover);
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
        let recovery = prepared.recover(self.progress.inner);
        let (client, reached) = recovery.run(server, &spool).await?;
        spool.remove()?;
        let expected = prepared.info.end_lsn;
        let difference = (reached.lsn < expected)
            .then(|| Difference::new("replay", expected.to_string(), reached.lsn.to_string()));
        self.progress.checks.push(Check::new(
            report::RECOVERY,
            1,
            difference.into_iter().collect(),
        ));
        Ok((client, reached))
    }

    /// Looks for what makes a copy on this machine another one than its source.
    async fn look(&mut self, client: &Client) -> Result<()> {
        if !self.prepared.info.data_checksums {
            let text = "the cluster has no page checksums: damage below the server cannot be found";
            self.progress.warn(text);
        }
        if self.prepared.info.degraded {
            let text = "the backup is degraded: it holds damaged pages";
            self.progress.warn(text);
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
            self.progress.warn(text);
        }
        Ok(())
    }

    /// Asks the caller's questions.
    async fn assert(&mut self, server: &ThrowawayServer) -> Result<()> {
        self.progress.phase(Phase::Assert);
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
            self.progress.checks.push(check);
        }
        Ok(())
    }

    async fn amcheck(&mut self, server: &ThrowawayServer) {
        self.progress.phase(Phase::Verify);
        let finder = &self.progress.inner.settings.finder;
        let check = tools::amcheck(server, self.prepared.major(), finder).await;
        self.progress.checks.push(check);
    }

    async fn checksums(&mut self, server: &ThrowawayServer) {
        if self.prepared.info.data_checksums {
            let check = tools::checksums(server).await;
            self.progress.checks.push(check);
        }
    }
}

/// The stored results of the drills of a physical backup, oldest first.
pub(crate) async fn stored(
    repository: &Repository,
    id: &BackupId,
) -> Result<Vec<ClusterDrillReport>> {
    crate::drill::read_stored(repository, id).await
}
