//! The server that is backed up.

use ops_core::database::{ConnectInfo, Engine};
use ops_core::{Error as CoreError, ErrorKind as CoreKind};
use ops_pg::connect::ConnectOptions;
use ops_pg_replication::{
    BaseBackup, BaseBackupOptions, Checkpoint, Failure, ReplicationClient, ReplicationOptions,
    SlotName, SlotOptions, SystemIdentity, WalSegmentSize,
};

use super::cutter::SEGMENT_PAGES;
use super::thread::ConnectionThread;
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::physical::format::WalMethod;
use crate::physical::options::BaseBackupRequest;
use crate::physical::pages::PAGE;
use crate::repository::{BackupId, SourceInfo};

const OPERATION: &str = "base_backup";

/// What is known of the server.
#[derive(Clone, Debug)]
pub(super) struct ServerInfo {
    pub(super) source: SourceInfo,
    pub(super) version_num: u32,
    pub(super) identity: SystemIdentity,
    pub(super) wal_segment_size: WalSegmentSize,
    pub(super) data_checksums: bool,
    pub(super) summarizes_wal: bool,
    /// The size of a page, in bytes.
    page_bytes: u64,
    /// How many pages a file of a relation has.
    segment_pages: u32,
}

impl ServerInfo {
    /// How many pages a file of a relation has, where its pages can be looked at; else why
    /// they cannot.
    pub(super) fn checkable_pages(&self) -> Result<u32, &'static str> {
        if !self.data_checksums {
            return Err("the cluster has no page checksums");
        }
        if self.page_bytes != PAGE as u64 {
            return Err("the server's pages are not of 8 KiB");
        }
        Ok(self.segment_pages)
    }
}

/// A connection to the server.
pub(super) struct Source {
    pub(super) client: ReplicationClient,
    pub(super) route: Route,
    pub(super) server: ServerInfo,
}

/// How to reach the server.
pub(super) struct Route {
    info: ConnectInfo,
    options: ReplicationOptions,
    thread: ConnectionThread,
}

impl Source {
    pub(super) async fn connect(inner: &Inner) -> Result<Self> {
        let unusable = |err| Error::source_database(OPERATION, err);
        let info = inner.replication.connect_info().await.map_err(unusable)?;
        if info.engine != Engine::Postgres {
            let message = "the database is not PostgreSQL";
            return Err(Error::new(ErrorKind::InvalidConfig, OPERATION, message));
        }
        let connect = ConnectOptions::default().with_application_name("ops-backup");
        let options = ReplicationOptions::default()
            .with_connect(connect)
            .with_silence_timeout(inner.settings.stall_timeout)
            .with_clock(std::sync::Arc::clone(&inner.settings.clock));
        let thread = ConnectionThread::start()?;
        let route = Route {
            info,
            options,
            thread,
        };
        let mut client = route.connect().await?;
        let server = describe(&mut client).await;
        let server = server.map_err(|err| failed(err, Moment::Connecting))?;
        Ok(Self {
            client,
            route,
            server,
        })
    }
}

impl Route {
    async fn connect(&self) -> Result<ReplicationClient> {
        let (info, options) = (self.info.clone(), self.options.clone());
        let connecting = async move { ReplicationClient::connect(&info, &options).await };
        let client = self.thread.run(connecting).await?;
        client.map_err(|err| failed(err, Moment::Connecting))
    }

    /// The thread on which the connections live.
    pub(super) fn into_thread(self) -> ConnectionThread {
        self.thread
    }

    /// Another connection to the same cluster: what failed on the last one has ended it.
    pub(super) async fn connect_again(&self, server: &ServerInfo) -> Result<ReplicationClient> {
        let unusable = |err| failed(err, Moment::Connecting);
        let mut client = self.connect().await?;
        let identity = client.identify_system().await.map_err(unusable)?;
        let same = identity.expect(server.identity.system_id);
        same.map_err(unusable).map(|()| client)
    }
}

async fn describe(client: &mut ReplicationClient) -> ops_core::Result<ServerInfo> {
    let version_num = client.server_version_num();
    let identity = client.identify_system().await?;
    let server_version = client.show("server_version").await?;
    let wal_segment_size = client.show("wal_segment_size").await?;
    let data_checksums = client.show("data_checksums").await? == "on";
    let page_bytes = client.show("block_size").await?.parse().unwrap_or_default();
    let segment_size = client.show("segment_size").await?;
    let segment_pages =
        size_bytes(&segment_size).and_then(|bytes| u32::try_from(bytes / PAGE as u64).ok());
    let summarizes_wal = version_num >= 170_000 && client.show("summarize_wal").await? == "on";
    Ok(ServerInfo {
        source: SourceInfo {
            server_version,
            server_major: version_num / 10_000,
            database: String::new(),
            encoding: String::new(),
            collate: String::new(),
            ctype: String::new(),
            superuser: String::new(),
            client_version: String::new(),
        },
        version_num,
        identity,
        wal_segment_size: WalSegmentSize::from_setting(&wal_segment_size)?,
        data_checksums,
        summarizes_wal,
        page_bytes,
        segment_pages: segment_pages.unwrap_or(SEGMENT_PAGES),
    })
}

/// A size as the server prints it, such as `1GB`.
fn size_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text.strip_prefix(digits)? {
        "B" => 0,
        "kB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Holds back the WAL that a backup is to include, for as long as the connection lives.
/// `false` where the server has no slot left: the WAL is not held back then, and the backup
/// fails where the server removes some.
pub(super) async fn hold_wal(client: &mut ReplicationClient, id: &BackupId) -> Result<bool> {
    let (_, random) = id.as_str().split_once('-').unwrap_or_default();
    let slot = SlotName::new(format!("ops_backup_{random}"));
    let slot = slot.map_err(|err| failed(err, Moment::Asking))?;
    let options = SlotOptions::default()
        .with_temporary(true)
        .with_reserve_wal(true);
    match client.create_slot(&slot, options).await {
        Ok(()) => Ok(true),
        Err(err) if Failure::of(&err) == Some(Failure::TooManySlots) => Ok(false),
        Err(err) => Err(failed(err, Moment::Asking)),
    }
}

/// Begins a base backup.
pub(super) async fn begin(
    client: ReplicationClient,
    inner: &Inner,
    request: &BaseBackupRequest,
    label: &str,
    incremental: bool,
) -> ops_core::Result<BaseBackup> {
    let checkpoint = if request.spread_checkpoint {
        Checkpoint::Spread
    } else {
        Checkpoint::Fast
    };
    let mut options = BaseBackupOptions::default()
        .with_label(label)
        .with_checkpoint(checkpoint)
        .with_wal(request.wal == WalMethod::Included)
        // The links themselves are sent instead: what is restored elsewhere has other links
        // then, and every file is still as the server's manifest says.
        .with_tablespace_map(false)
        .with_incremental(incremental)
        .with_start_timeout(inner.settings.physical.start_timeout)
        .with_end_timeout(inner.settings.stall_timeout);
    if let Some(bytes) = request.max_bytes_per_second {
        let kilobytes = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        options = options.with_max_rate_kb(kilobytes.clamp(32, 1 << 20));
    }
    client.base_backup(&options).await
}

/// When something failed: a connection that cannot be had is another thing than one that
/// was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Connecting,
    Asking,
    Receiving,
}

/// What a failure of the server, or of the way to it, means for a backup.
#[cold]
pub(super) fn failed(err: CoreError, moment: Moment) -> Error {
    let (kind, message, hint) = match Failure::of(&err) {
        Some(Failure::RefusedByHba) => (
            ErrorKind::PermissionDenied,
            "pg_hba.conf does not admit the role to replication from here",
            Some("add a line for the database replication to pg_hba.conf"),
        ),
        Some(Failure::NotPermitted) => (
            ErrorKind::PermissionDenied,
            "the role may not replicate",
            Some("ALTER ROLE ... REPLICATION"),
        ),
        Some(Failure::TooManySenders) => (
            ErrorKind::SourceBusy,
            "all WAL senders of the server are in use",
            Some("raise max_wal_senders, or find out who uses them in pg_stat_replication"),
        ),
        Some(Failure::ReplicationOff | Failure::WalLevelMinimal) => (
            ErrorKind::SourceSettings,
            "the server is not set up for replication",
            Some("set wal_level = replica and max_wal_senders = 10, and restart the server"),
        ),
        Some(Failure::PromotedDuringBackup) => (
            ErrorKind::SourceChanged,
            "the standby was promoted while it was backed up",
            Some("run the backup again"),
        ),
        Some(Failure::WrongSystem) => (
            ErrorKind::SourceChanged,
            "the server is another cluster than before",
            None,
        ),
        Some(Failure::WalRemoved | Failure::SlotLost) => (
            ErrorKind::WalMissing,
            "the server has removed WAL that the backup needs",
            Some("raise wal_keep_size and max_slot_wal_keep_size"),
        ),
        Some(Failure::ChecksumFailed) => (
            ErrorKind::DamagedPages,
            "the server has found damaged pages",
            None,
        ),
        Some(Failure::Protocol) => (
            ErrorKind::Archive,
            "what the server sent is not a base backup",
            None,
        ),
        _ => return by_kind(err, moment),
    };
    let err = Error::new(kind, OPERATION, message).with_source(err);
    match hint {
        Some(hint) => err.with_hint(hint),
        None => err,
    }
}

#[cold]
fn by_kind(err: CoreError, moment: Moment) -> Error {
    if moment == Moment::Connecting {
        return Error::source_database(OPERATION, err);
    }
    let (kind, message) = match err.kind() {
        CoreKind::Timeout => (ErrorKind::Timeout, "the server was silent for too long"),
        CoreKind::Unavailable => (
            ErrorKind::SourceLost,
            "the connection to the server was lost",
        ),
        CoreKind::PermissionDenied => {
            (ErrorKind::PermissionDenied, "the server refused the backup")
        }
        CoreKind::InvalidInput => (ErrorKind::InvalidInput, "the server refused the request"),
        // A standby whose primary runs without them; the name survives translation.
        _ if ops_core::Report(&err)
            .to_string()
            .contains("full_page_writes") =>
        {
            let message = "a standby cannot be backed up without full_page_writes on its primary";
            return Error::new(ErrorKind::SourceSettings, OPERATION, message)
                .with_hint("set full_page_writes = on and run CHECKPOINT on the primary")
                .with_source(err);
        }
        _ if moment == Moment::Asking => (
            ErrorKind::SourceUnavailable,
            "the server refused the backup",
        ),
        _ => (ErrorKind::SourceLost, "the server gave the backup up"),
    };
    Error::new(kind, OPERATION, message).with_source(err)
}
