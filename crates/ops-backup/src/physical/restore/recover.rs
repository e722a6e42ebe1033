//! Replaying WAL in a private server, and seeing to it that the target is reached.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ops_core::{Report, Timestamp};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::server::{Shutdown, ThrowawayServer};
use ops_pg_replication::{Lsn, Timeline, TimelineHistory};
use tokio_postgres::Client;

use super::control::ControlData;
use super::directory::free_bytes;
use super::end::at_end;
use super::options::{Reached, Recovery};
use super::reach::Reach;
use super::settings::INHERITED;
use super::spool::{Served, Spool, serve};
use super::target::{Aim, RestoreTarget};
use crate::error::{Error, ErrorKind, Result};
use crate::wal::WalArchive;

/// How often the server is asked how far it is.
const POLL: Duration = Duration::from_millis(50);
/// How long a server may take until it answers: replay to consistency comes first.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often a server that does not answer is given the time to end.
const ENDING_POLLS: u32 = 100;
/// How long the promotion may take.
const PROMOTE_TIMEOUT: Duration = Duration::from_secs(600);

/// What the system says where a disk is full.
const DISK_FULL: &str = "No space left on device";
/// Less room than a segment of WAL takes, as a rule.
const LITTLE_ROOM: u64 = 16 << 20;

/// The settings of a server that recovers beside a service. None changes what is recovered.
const SETTINGS: [(&str, &str); 18] = [
    ("shared_buffers", "64MB"),
    ("max_wal_size", "4GB"),
    ("autovacuum", "off"),
    ("hot_standby", "on"),
    ("hot_standby_feedback", "off"),
    ("wal_level", "replica"),
    ("max_standby_archive_delay", "-1"),
    ("shared_preload_libraries", ""),
    ("session_preload_libraries", ""),
    ("local_preload_libraries", ""),
    ("ssl", "off"),
    ("huge_pages", "off"),
    ("external_pid_file", ""),
    ("default_transaction_read_only", "off"),
    ("statement_timeout", "0"),
    ("wal_retrieve_retry_interval", "100ms"),
    ("synchronous_commit", "on"),
    // One that crashes, as on a full disk, would begin again for ever.
    ("restart_after_crash", "off"),
];

/// The settings, on the command line, of a server that recovers this cluster: what it needs
/// at least, what it must not inherit, where it is to go.
pub(crate) fn settings(
    control: &ControlData,
    major: u32,
    aim: &Aim,
    command: &str,
    extra: &[(String, String)],
) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut all: Vec<_> = SETTINGS.iter().map(own).collect();
    all.extend(
        INHERITED
            .iter()
            .filter(|(name, _)| exists(name, major))
            .map(own),
    );
    all.extend(control.minima.iter().cloned());
    all.extend(extra.iter().cloned());
    all.extend(
        aim.settings()
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    all.extend(read_ahead(aim, major).as_ref().map(own));
    all.push(own(&("restore_command", command)));
    // Where the target is reached the server waits, and is looked at.
    all.push(own(&("recovery_target_action", "pause")));
    all
}

/// Keeps the server from asking for WAL behind the target, where there may be a hole. Since
/// 15 it reads ahead, and a file that is lost is fatal to it whether or not it comes to it.
pub(crate) fn read_ahead(aim: &Aim, major: u32) -> Option<(&'static str, &'static str)> {
    let reads_ahead = major >= 15 && aim.target != RestoreTarget::Latest;
    reads_ahead.then_some(("recovery_prefetch", "off"))
}

/// Whether a major has a setting: the server does not start with one that it does not know.
pub(crate) fn exists(name: &str, major: u32) -> bool {
    match name {
        "archive_library" => major >= 15,
        "promote_trigger_file" => (12..16).contains(&major),
        "synchronized_standby_slots" => major >= 17,
        "trigger_file" => false,
        _ => true,
    }
}

/// A recovery.
#[derive(Debug)]
pub(crate) struct Recover<'a> {
    pub(crate) operation: &'static str,
    pub(crate) aim: &'a Aim,
    pub(crate) reach: &'a Reach,
    /// Where the backup is consistent.
    pub(crate) backup_end: Lsn,
    pub(crate) archive: Option<&'a WalArchive>,
    pub(crate) history: &'a TimelineHistory,
    /// How long replay may stand still.
    pub(crate) stall: Duration,
}

/// The name of the file by which a server recovers: as a standby, which never ends recovery
/// by itself, where the target is the end of the archive.
pub(crate) fn signal_file(aim: &Aim, recovery: &Recovery) -> &'static str {
    match (&aim.target, recovery) {
        (RestoreTarget::Latest, Recovery::Run) => "standby.signal",
        _ => "recovery.signal",
    }
}

impl Recover<'_> {
    /// Starts the server, waits until it has reached the target, and ends recovery there: the
    /// cluster is on a timeline of its own then.
    pub(crate) async fn run(
        &self,
        server: &mut ThrowawayServer,
        spool: &Spool,
    ) -> Result<(Client, Reached)> {
        let tally = Mutex::new(Served::default());
        let recovery = async {
            tokio::select! {
                started = server.start() => started.map_err(|err| self.not_started(err))?,
                name = stuck(&tally) => {
                    let what = format!("{name} is missing, and the cluster is not consistent before it");
                    return Err(self.short(&what));
                }
            }
            let client = match self.connect(server).await {
                Ok(client) => client,
                Err(err) => return Err(self.gone(server, err).await),
            };
            let (client, mut reached) = self.wait(server, client).await?;
            // Which timelines there are already is asked of the archive.
            reached.timeline = self.promote(&client).await?;
            Ok::<_, Error>((client, reached))
        };
        let outcome = tokio::select! {
            biased;
            // What went wrong with the WAL is the cause of what goes wrong with the server.
            err = serve(spool, self.archive, self.history, &tally) => return Err(err),
            outcome = recovery => outcome,
        };
        let (client, mut reached) = outcome.map_err(|err| self.explain(err, server))?;
        reached.segments = tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .segments;
        Ok((client, reached))
    }

    async fn connect(&self, server: &ThrowawayServer) -> ops_core::Result<Client> {
        let options = ConnectOptions::default()
            .with_application_name("ops-restore")
            .with_parameter("statement_timeout", "0");
        connect(&server.connect_info("postgres"), &options).await
    }

    /// Why a server that was up does not answer: mostly it is about to end, and says why.
    #[cold]
    async fn gone(&self, server: &mut ThrowawayServer, err: ops_core::Error) -> Error {
        for _ in 0..ENDING_POLLS {
            if !server.is_running() {
                return self.ended(server);
            }
            tokio::time::sleep(POLL).await;
        }
        let message = format!("the recovering server does not answer: {}", Report(&err));
        Error::new(ErrorKind::Server, self.operation, message).with_source(err)
    }

    #[cold]
    fn ended(&self, server: &ThrowawayServer) -> Error {
        let tail = server.log_tail();
        let line = tail.lines().rev().find(|line| line.contains("FATAL"));
        self.short(line.unwrap_or("the server ended"))
    }

    /// Why the server did not come up: it says so itself where it ran out of WAL.
    #[cold]
    fn not_started(&self, err: ops_core::Error) -> Error {
        let text = Report(&err).to_string();
        if text.contains("before configured recovery target was reached")
            || text.contains("before consistent recovery point")
            || text.contains("requested timeline")
        {
            return self.short("the server ran out of WAL").with_source(err);
        }
        let message = format!("the server did not recover: {text}");
        Error::new(ErrorKind::Server, self.operation, message).with_source(err)
    }

    /// A full disk shows in many ways, and only the server's log names it. Some of its
    /// messages name another error, which came after it.
    #[cold]
    fn explain(&self, err: Error, server: &ThrowawayServer) -> Error {
        let tail = server.log_tail();
        let line = tail.lines().rev().find(|line| line.contains(DISK_FULL));
        let message = match (line, free_bytes(server.data_dir())) {
            (Some(line), _) => format!("recovery found the disk full: {}", line.trim()),
            (None, Ok((_, free))) if err.kind() == ErrorKind::Server && free < LITTLE_ROOM => {
                format!("recovery has {free} bytes of the disk left, and the server ended")
            }
            _ => return err,
        };
        Error::new(ErrorKind::TargetFull, self.operation, message)
            .with_hint("recovery needs room for WAL beside the files: make room, and repeat it")
            .with_source(err)
    }

    #[cold]
    fn short(&self, what: &str) -> Error {
        let message = format!("recovery did not reach {}: {what}", self.aim.target);
        Error::new(ErrorKind::RecoveryShort, self.operation, message).with_hint(
            "restore to a point that was recoverable, or find out what the archive lacks",
        )
    }

    /// Waits for the target. The server has it reached where it pauses, or, for the end of
    /// the archive, where no whole record is left.
    async fn wait(
        &self,
        server: &mut ThrowawayServer,
        client: Client,
    ) -> Result<(Client, Reached)> {
        let mut last = Lsn::INVALID;
        let mut moved = tokio::time::Instant::now();
        loop {
            if !server.is_running() {
                return Err(self.ended(server));
            }
            let state = match State::read(&client).await {
                Ok(state) => state,
                Err(err) => return Err(self.gone(server, err).await),
            };
            if !state.in_recovery {
                return Err(self.short("the server promoted itself"));
            }
            if self.is_reached(&state, server).await? {
                let reached = self.examine(&state, server)?;
                return Ok((client, reached));
            }
            if state.replayed != last {
                (last, moved) = (state.replayed, tokio::time::Instant::now());
            } else if moved.elapsed() > self.stall {
                let text = format!(
                    "replay has stood still at {last} for {} seconds",
                    self.stall.as_secs()
                );
                return Err(self.short(&text));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn is_reached(&self, state: &State, server: &ThrowawayServer) -> Result<bool> {
        if self.aim.target != RestoreTarget::Latest {
            return Ok(state.paused);
        }
        if state.replayed >= self.reach.end {
            return Ok(true);
        }
        // Without an archive there is nothing after the backup.
        let Some(archive) = self.archive else {
            return Ok(state.replayed >= self.backup_end);
        };
        at_end(
            archive,
            self.history,
            server.data_dir(),
            state.replayed,
            self.reach.end,
        )
        .await
    }

    /// Asserts that the server is where it was told to go.
    fn examine(&self, state: &State, server: &ThrowawayServer) -> Result<Reached> {
        let replayed = state.replayed;
        if self.aim.target != RestoreTarget::Latest
            && server
                .log_tail()
                .contains("insufficient parameter settings")
        {
            let message = "recovery stopped because a setting of the private server is too low";
            return Err(
                Error::new(ErrorKind::RecoveryShort, self.operation, message)
                    .with_hint("the server's log names it: give it as a setting of the server"),
            );
        }
        if replayed < self.backup_end {
            return Err(self.short(&format!(
                "it is at {replayed}, before the end of the backup"
            )));
        }
        let fits = match &self.aim.target {
            RestoreTarget::Lsn(lsn) => !self.aim.inclusive || replayed >= *lsn,
            RestoreTarget::Time(at) => state.last_commit.is_none_or(|last| last <= *at),
            _ => true,
        };
        if !fits {
            let commit = state
                .last_commit
                .map_or_else(|| "none".to_owned(), |it| it.to_string());
            return Err(self.short(&format!("it is at {replayed}, the last commit {commit}")));
        }
        Ok(Reached {
            lsn: replayed,
            last_commit: state.last_commit,
            timeline: self.aim.timeline,
            segments: 0,
        })
    }

    /// Ends recovery: the cluster goes on along a timeline of its own, which this gives.
    async fn promote(&self, client: &Client) -> Result<Timeline> {
        let failed = |err: tokio_postgres::Error| {
            let err = ops_pg::error::from_driver(err);
            let message = format!("the cluster cannot be promoted: {}", Report(&err));
            Error::new(ErrorKind::Server, self.operation, message).with_source(err)
        };
        let seconds = i32::try_from(PROMOTE_TIMEOUT.as_secs()).unwrap_or(i32::MAX);
        let row = client
            .query_one("SELECT pg_promote(true, $1)", &[&seconds])
            .await
            .map_err(failed)?;
        if !row.get::<_, bool>(0) {
            let message = "the cluster was not promoted in time";
            return Err(Error::new(ErrorKind::Timeout, self.operation, message));
        }
        client.batch_execute("CHECKPOINT").await.map_err(failed)?;
        let row = client
            .query_one("SELECT timeline_id FROM pg_control_checkpoint()", &[])
            .await
            .map_err(failed)?;
        let timeline = u32::try_from(row.get::<_, i32>(0)).ok();
        timeline
            .and_then(|it| Timeline::new(it).ok())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Server,
                    self.operation,
                    "the cluster has no timeline",
                )
            })
    }
}

/// Comes back where a standby asks for a file again and again that is not there.
async fn stuck(tally: &Mutex<Served>) -> String {
    loop {
        if let Some(name) = Served::stuck_at(tally) {
            return name;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What a recovering server says.
#[derive(Debug)]
struct State {
    in_recovery: bool,
    paused: bool,
    replayed: Lsn,
    last_commit: Option<Timestamp>,
}

impl State {
    async fn read(client: &Client) -> ops_core::Result<Self> {
        // What it says about replay is an error once it is not in recovery any more.
        let sql = "SELECT r, CASE WHEN r THEN pg_is_wal_replay_paused() ELSE false END, \
                   pg_last_wal_replay_lsn()::text, \
                   (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint \
                   FROM pg_is_in_recovery() r";
        let row = client
            .query_one(sql, &[])
            .await
            .map_err(ops_pg::error::from_driver)?;
        let lsn: Option<String> = row.get(2);
        let micros: Option<i64> = row.get(3);
        Ok(Self {
            in_recovery: row.get(0),
            paused: row.get(1),
            replayed: lsn.and_then(|it| it.parse().ok()).unwrap_or(Lsn::INVALID),
            last_commit: micros.map(from_micros),
        })
    }
}

fn from_micros(micros: i64) -> Timestamp {
    let span = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 {
        Timestamp::UNIX_EPOCH.saturating_sub(span)
    } else {
        Timestamp::UNIX_EPOCH.saturating_add(span)
    }
}

/// Stops a server in order, so that its cluster needs no recovery.
pub(crate) async fn stop(operation: &'static str, server: &mut ThrowawayServer) -> Result<()> {
    server.stop(Shutdown::Fast).await.map_err(|err| {
        Error::new(
            ErrorKind::Server,
            operation,
            "the private server did not stop",
        )
        .with_source(err)
    })
}
