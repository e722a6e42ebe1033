//! Proving a backup by restoring it.

mod copy;
mod failure;
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ops_core::Timestamp;

use crate::backup::Inner;
use crate::client::Clients;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Events, Phase};
use crate::fingerprint::{
    Check, CheckOutcome, Fingerprint, compare_definitions, compare_fingerprints,
};
use crate::report::Stopwatch;
use crate::repository::{BackupId, CatalogueEntry, ObjectRole, OpenBackup, Repository};
use crate::restore::{LoadOptions, check_objects, load};
pub(crate) use copy::assert as ask;
pub use failure::DrillFailure;
pub(crate) use failure::{store, store_failure};
use server::DrillServer;

/// A question that a restored copy must answer with true.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assertion {
    /// What it stands for.
    pub name: String,
    /// A query that gives one row with one boolean, such as
    /// `SELECT count(*) > 0 FROM orders`.
    pub sql: String,
}

impl Assertion {
    /// A question by its name.
    pub fn new(name: impl Into<String>, sql: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            sql: sql.into(),
        }
    }
}

/// How to drill.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DrillOptions {
    /// What the caller asks of the copy.
    pub assertions: Vec<Assertion>,
    /// Under which folder the throwaway server is made. Defaults to `ops-drills` in the
    /// system's folder for temporary files. It needs about as much space as the database.
    pub folder: Option<PathBuf>,
    /// Settings of the throwaway server, such as `shared_buffers`, over the defaults.
    pub server_settings: Vec<(String, String)>,
}

impl DrillOptions {
    /// The defaults: no assertions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a question that the copy must answer with true.
    #[must_use]
    pub fn with_assertion(mut self, assertion: Assertion) -> Self {
        self.assertions.push(assertion);
        self
    }

    /// Sets the folder under which the throwaway server is made.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Adds a setting of the throwaway server.
    #[must_use]
    pub fn with_server_setting(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.server_settings.push((name.into(), value.into()));
        self
    }
}

/// What a drill found. Stored beside the backup.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct DrillReport {
    /// The backup.
    pub id: BackupId,
    /// The BLAKE3 of the manifest that was drilled, in hex.
    pub manifest_blake3: String,
    /// When the drill began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
    /// Whether the copy equals the backup and answered every question with true. A check
    /// that could not be made is not a pass.
    pub passed: bool,
    /// What was checked.
    pub checks: Vec<Check>,
    /// The recovery time that was measured, in seconds: from nothing until the restored
    /// copy answered its first query.
    pub rto_seconds: f64,
    /// How long the throwaway server took to start, in seconds.
    pub server_seconds: f64,
    /// How long loading took, in seconds.
    pub restore_seconds: f64,
    /// How long the checks took, in seconds.
    pub verify_seconds: f64,
    /// Plain bytes that were loaded.
    pub bytes_out: u64,
    /// How many tables were compared row by row.
    pub tables: u64,
    /// How many rows those have.
    pub rows: u64,
    /// The version of the throwaway server.
    pub server_version: String,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// Why the drill did not come to its end; `None` where it did. What was not measured by
    /// then is zero or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<DrillFailure>,
}

impl DrillReport {
    /// The first differences of all checks, at most 20 of each.
    pub fn differences(&self) -> impl Iterator<Item = &crate::fingerprint::Difference> {
        self.checks.iter().flat_map(|check| &check.differences)
    }
}

/// Runs one drill and stores what it found, or that it failed.
pub(crate) async fn run(
    inner: Arc<Inner>,
    id: BackupId,
    options: DrillOptions,
    events: Events,
) -> Result<DrillReport> {
    let started_at = inner.settings.clock.now();
    let repository = &inner.repository;
    match attempt(&inner, &id, &options, &events, started_at).await {
        Ok(report) => {
            store(repository, &id, started_at, &report).await?;
            Ok(report)
        }
        Err(err) => {
            let blamed = |entry: &CatalogueEntry| {
                entry.manifest.id == id && entry.manifest.physical.is_none()
            };
            let report = |entry: &CatalogueEntry, err: &Error| DrillReport {
                id: id.clone(),
                manifest_blake3: entry.manifest_blake3.clone(),
                started_at,
                completed_at: inner.settings.clock.now(),
                passed: false,
                checks: Vec::new(),
                rto_seconds: 0.0,
                server_seconds: 0.0,
                restore_seconds: 0.0,
                verify_seconds: 0.0,
                bytes_out: events.counters.read().0,
                tables: 0,
                rows: 0,
                server_version: String::new(),
                warnings: Vec::new(),
                failure: Some(DrillFailure::new(&events, err)),
            };
            Err(store_failure(repository, started_at, err, blamed, report).await)
        }
    }
}

async fn attempt(
    inner: &Inner,
    id: &BackupId,
    options: &DrillOptions,
    events: &Events,
    started_at: Timestamp,
) -> Result<DrillReport> {
    let mut watch = Stopwatch::start();
    let begun = tokio::time::Instant::now();
    watch.phase(Phase::Preflight);
    events.phase(Phase::Preflight);
    let unlock = &inner.settings.unlock;
    let backup = inner.repository.open("drill", id, unlock).await?;
    backup.manifest.require_dump("drill")?;
    check_objects("drill", inner, &backup).await?;
    let expected = expected(inner, &backup).await?;
    let mut drill = Drill {
        inner,
        events,
        watch,
        backup,
        expected,
        checks: Vec::new(),
        warnings: Vec::new(),
    };
    let (server, clients) = drill.restore(options).await?;
    let client = server.connect().await?;
    let rto_seconds = begun.elapsed().as_secs_f64();
    drill.examine(&server, &clients, &client).await?;
    drop(client);
    drill.ask(&server, &options.assertions).await?;
    let server_version = server.version();
    server.stop().await;
    Ok(drill.report(started_at, rto_seconds, server_version))
}

/// A drill while it runs.
struct Drill<'a> {
    inner: &'a Inner,
    events: &'a Events,
    watch: Stopwatch,
    backup: OpenBackup,
    expected: Fingerprint,
    checks: Vec<Check>,
    warnings: Vec<String>,
}

impl Drill<'_> {
    fn phase(&mut self, phase: Phase) {
        self.watch.phase(phase);
        self.events.phase(phase);
    }

    /// Makes a server, and loads the backup into it.
    async fn restore(&mut self, options: &DrillOptions) -> Result<(DrillServer, Clients)> {
        let repository = &self.inner.repository;
        let globals = repository
            .read_sealed("drill", &self.backup, ObjectRole::Globals)
            .await?;
        self.phase(Phase::Server);
        let source = &self.backup.manifest.source;
        let server = DrillServer::start(self.inner, source, options).await?;
        let roles = server
            .prepare(globals, source, self.events, &mut self.warnings)
            .await?;
        self.checks.push(roles);
        // Loading tells of the phase by itself.
        self.watch.phase(Phase::Restore);
        let finder = &self.inner.settings.finder;
        let clients = Clients::for_restore(finder, server.major(), source, "drill").await?;
        load_copy(self.inner, &self.backup, &clients, &server, self.events).await?;
        Ok((server, clients))
    }

    /// Compares the copy with what the backup says.
    async fn examine(
        &mut self,
        server: &DrillServer,
        clients: &Clients,
        client: &tokio_postgres::Client,
    ) -> Result<()> {
        self.phase(Phase::Verify);
        let (expected, encoding) = (&self.expected, &self.backup.manifest.source.encoding);
        let found = copy::fingerprint(client, expected, encoding).await?;
        self.checks.extend(compare_fingerprints(expected, &found));
        let definitions = copy::definitions(clients, &server.connect_info()).await?;
        let definitions = compare_definitions(&expected.definitions, &definitions);
        self.checks.push(definitions);
        if expected.objects.is_none() {
            let text = "only a part of the database was dumped: its objects were not counted";
            self.events.warn(&mut self.warnings, text);
        }
        Ok(())
    }

    /// Asks the caller's questions, in a session of its own: comparing changes the
    /// settings of its.
    async fn ask(&mut self, server: &DrillServer, assertions: &[Assertion]) -> Result<()> {
        self.phase(Phase::Assert);
        let client = server.connect().await?;
        for assertion in assertions {
            self.checks.push(copy::assert(&client, assertion).await);
        }
        Ok(())
    }

    fn report(
        self,
        started_at: Timestamp,
        rto_seconds: f64,
        server_version: String,
    ) -> DrillReport {
        let (_, phases) = self.watch.finish();
        let seconds = |phase: Phase| {
            let duration = phases.get(phase.as_str()).copied();
            duration.unwrap_or(Duration::ZERO).as_secs_f64()
        };
        let passed = |check: &Check| check.outcome == CheckOutcome::Passed;
        DrillReport {
            id: self.backup.manifest.id,
            manifest_blake3: self.backup.manifest_blake3,
            started_at,
            completed_at: self.inner.settings.clock.now(),
            passed: self.checks.iter().all(passed),
            rto_seconds,
            server_seconds: seconds(Phase::Server),
            restore_seconds: seconds(Phase::Restore),
            verify_seconds: seconds(Phase::Verify) + seconds(Phase::Assert),
            bytes_out: self.events.counters.read().0,
            tables: self.expected.tables.len() as u64,
            rows: self.expected.rows(),
            server_version,
            checks: self.checks,
            warnings: self.warnings,
            failure: None,
        }
    }
}

async fn expected(inner: &Inner, backup: &OpenBackup) -> Result<Fingerprint> {
    let json = inner
        .repository
        .read_sealed("drill", backup, ObjectRole::Fingerprint)
        .await?
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Integrity,
                "drill",
                "the backup has no fingerprint",
            )
        })?;
    serde_json::from_slice(&json).map_err(|source| {
        Error::new(
            ErrorKind::Integrity,
            "drill",
            "the fingerprint cannot be read",
        )
        .with_source(source)
    })
}

async fn load_copy(
    inner: &Inner,
    backup: &OpenBackup,
    clients: &Clients,
    server: &DrillServer,
    events: &Events,
) -> Result<()> {
    let options = LoadOptions {
        operation: "drill",
        single_transaction: true,
        no_owner: false,
        no_privileges: false,
        no_tablespaces: true,
        writable_session: true,
    };
    load(
        inner,
        backup,
        clients,
        &server.connect_info(),
        &options,
        events,
    )
    .await
    .map_err(|err| err.with_left_behind("nothing: the throwaway server is gone"))
}

/// The stored results of a backup's drills, oldest first.
pub(crate) async fn stored(repository: &Repository, id: &BackupId) -> Result<Vec<DrillReport>> {
    read_stored(repository, id).await
}

/// The stored results of a backup's drills, oldest first, of whichever kind they are.
pub(crate) async fn read_stored<T: serde::de::DeserializeOwned>(
    repository: &Repository,
    id: &BackupId,
) -> Result<Vec<T>> {
    let prefix = format!("{}drills/", repository.layout.folder(id));
    let mut reports = Vec::new();
    for meta in repository.list("catalogue", prefix).await? {
        let json = repository.read("catalogue", &meta.key, 64 << 20).await?;
        reports.push(serde_json::from_slice(&json).map_err(|source| {
            Error::new(
                ErrorKind::Integrity,
                "catalogue",
                format!("{} cannot be read", meta.key),
            )
            .with_source(source)
        })?);
    }
    Ok(reports)
}
