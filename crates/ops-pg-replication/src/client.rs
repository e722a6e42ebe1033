//! One connection to a server.

mod command;
mod row;
mod upload;

use bytes::Bytes;
use futures_core::Stream;
use ops_core::database::ConnectInfo;
use ops_core::{Error, ErrorKind, Result, Retry};

use crate::backup::{BaseBackup, BaseBackupOptions};
use crate::connection::Connection;
use crate::error::{error, invalid_input, nothing_applied, protocol};
use crate::failure::Failure;
use crate::lsn::Lsn;
use crate::notice::Notice;
use crate::options::ReplicationOptions;
use crate::slot::{SlotName, SlotOptions, SlotPosition};
use crate::stream::{StartReplication, WalStream};
use crate::system::SystemId;
use crate::timeline::{Timeline, TimelineHistory};

pub(crate) use command::quote;
pub use row::Row;

/// One connection to a server that speaks the replication protocol.
///
/// Commands run one after the other. A command that fails by an error of the server leaves
/// the connection usable, unless the server ended it.
///
/// # Cancel safety
/// Dropping the future of a command leaves its answer unread, and every later command on
/// this connection fails with `Conflict`: open another one. What the command does may be
/// done or not.
#[derive(Debug)]
pub struct ReplicationClient {
    pub(crate) connection: Connection,
}

/// What `IDENTIFY_SYSTEM` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemIdentity {
    /// Which cluster it is.
    pub system_id: SystemId,
    /// Its current timeline.
    pub timeline: Timeline,
    /// Up to where its WAL is flushed; on a standby, received or replayed.
    pub flushed: Lsn,
    /// The database of the connection, which [`Mode::Physical`](crate::Mode) has none of.
    pub database: Option<String>,
}

impl SystemIdentity {
    /// Fails where it is another cluster.
    ///
    /// # Errors
    /// `Conflict` with [`Failure::WrongSystem`].
    pub fn expect(&self, system_id: SystemId) -> Result<()> {
        if self.system_id == system_id {
            return Ok(());
        }
        let message = format!(
            "the server is the cluster {}, and {system_id} was expected",
            self.system_id
        );
        Err(error(ErrorKind::Conflict, message)
            .with_retry(Retry::Never)
            .with_source(Failure::WrongSystem))
    }
}

impl ReplicationClient {
    /// Connects and logs in, over TLS as `info` says. Passwords are proven by SCRAM, with
    /// channel binding over TLS, or by MD5; in clear text they are sent over TLS and
    /// Unix-domain sockets only.
    ///
    /// # Errors
    /// As [`ops_pg::connect::connect`], with [`Failure::RefusedByHba`],
    /// [`Failure::NotPermitted`], [`Failure::TooManySenders`] and
    /// [`Failure::ReplicationOff`] told apart; `InvalidConfig` without a user,
    /// `Unsupported` for a server before PostgreSQL 13. Nothing has happened on the server.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect(info: &ConnectInfo, options: &ReplicationOptions) -> Result<Self> {
        let connection = Connection::open(info, options).await?;
        Ok(Self { connection })
    }

    /// The version of the server, such as 150018.
    pub fn server_version_num(&self) -> u32 {
        self.connection.server_version_num
    }

    /// The major version of the server, such as 15.
    pub fn server_major(&self) -> u32 {
        self.connection.server_version_num / 10_000
    }

    /// Takes what the server has said beside its answers, the oldest first. At most 100
    /// notices are kept.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.connection.notices.drain(..).collect()
    }

    /// Asks which cluster it is, and where it stands (`IDENTIFY_SYSTEM`).
    ///
    /// # Errors
    /// `Unavailable` where the connection broke, `Timeout` after the command timeout,
    /// `Decode` for an answer that is not understood. It may be repeated.
    ///
    /// # Cancel safety
    /// The connection becomes unusable.
    pub async fn identify_system(&mut self) -> Result<SystemIdentity> {
        let rows = self
            .read("IDENTIFY_SYSTEM", "identifying the system")
            .await?;
        let row = only(&rows)?;
        Ok(SystemIdentity {
            system_id: row.required(0, "system identifier")?,
            timeline: row.required(1, "timeline")?,
            flushed: row.required(2, "position in the log")?,
            database: row.optional(3, "name of a database")?,
        })
    }

    /// The value of a setting, as text with its unit (`SHOW`).
    ///
    /// # Errors
    /// As [`identify_system`](Self::identify_system); `NotFound` for a setting that the
    /// server does not know, `InvalidInput` for what is no name of one.
    ///
    /// # Cancel safety
    /// The connection becomes unusable.
    pub async fn show(&mut self, setting: &str) -> Result<String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
        if setting.is_empty() || !setting.bytes().all(plain) {
            return Err(invalid_input("this is no name of a setting"));
        }
        let command = format!("SHOW {setting}");
        let rows = self.read(&command, "reading a setting").await?;
        only(&rows)?.required(0, "setting")
    }

    /// Runs a command, or SQL where the connection has a database
    /// ([`Mode::Database`](crate::Mode)). The rows of all its statements come in one list.
    ///
    /// # Errors
    /// As [`ops_pg::error::from_driver`]. Where the connection broke or the answer took too
    /// long, whether it was applied is not known. `Unsupported` for a command that begins a
    /// stream.
    ///
    /// # Cancel safety
    /// The connection becomes unusable.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.run(sql, "running a query").await
    }

    /// Creates a physical slot. A slot that reserves WAL holds it back from about now on;
    /// where that is, [`read_slot`](Self::read_slot) tells.
    ///
    /// # Errors
    /// `AlreadyExists` with [`Failure::SlotExists`], `QuotaExceeded` with
    /// [`Failure::TooManySlots`]. Where the connection broke, whether the slot was created
    /// is not known: read it.
    ///
    /// # Cancel safety
    /// The slot may have been created, and the connection becomes unusable.
    pub async fn create_slot(&mut self, slot: &SlotName, options: SlotOptions) -> Result<()> {
        // Without parentheses the options are taken by every major.
        let temporary = if options.temporary { " TEMPORARY" } else { "" };
        let reserve = if options.reserve_wal {
            " RESERVE_WAL"
        } else {
            ""
        };
        let command = format!("CREATE_REPLICATION_SLOT \"{slot}\"{temporary} PHYSICAL{reserve}");
        self.run(&command, "creating a slot").await.map(drop)
    }

    /// Where a physical slot stands; `None` where there is no slot of that name.
    ///
    /// # Errors
    /// As [`identify_system`](Self::identify_system); `Unsupported` before PostgreSQL 15 on
    /// a connection without a database, which has no way to ask.
    ///
    /// # Cancel safety
    /// The connection becomes unusable.
    pub async fn read_slot(&mut self, slot: &SlotName) -> Result<Option<SlotPosition>> {
        const STEP: &str = "reading a slot";
        if self.server_major() >= 15 {
            let command = format!("READ_REPLICATION_SLOT \"{slot}\"");
            let rows = self.read(&command, STEP).await?;
            let row = only(&rows)?;
            if row.value(0).is_none() {
                return Ok(None);
            }
            return Ok(Some(SlotPosition {
                restart_lsn: row.optional(1, "position of the slot")?,
                restart_timeline: row.optional(2, "timeline of the slot")?,
            }));
        }
        // The name holds neither quotes nor backslashes.
        let command = format!(
            "SELECT restart_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = '{slot}'"
        );
        let rows = self.read(&command, STEP).await.map_err(needs_database)?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(SlotPosition {
            restart_lsn: row.optional(0, "position of the slot")?,
            restart_timeline: None,
        }))
    }

    /// Drops a slot. Where another connection uses it, this waits for that to end if `wait`
    /// is set, up to the command timeout.
    ///
    /// # Errors
    /// `NotFound` with [`Failure::SlotMissing`], `Conflict` with [`Failure::SlotActive`].
    /// Where the connection broke, whether the slot was dropped is not known: read it.
    ///
    /// # Cancel safety
    /// The slot may have been dropped, and the connection becomes unusable.
    pub async fn drop_slot(&mut self, slot: &SlotName, wait: bool) -> Result<()> {
        let wait = if wait { " WAIT" } else { "" };
        let command = format!("DROP_REPLICATION_SLOT \"{slot}\"{wait}");
        self.run(&command, "dropping a slot").await.map(drop)
    }

    /// The history of a timeline. That of timeline 1, which has no file, is
    /// [`TimelineHistory::initial`] without asking.
    ///
    /// # Errors
    /// `NotFound` with [`Failure::HistoryMissing`]; otherwise as
    /// [`identify_system`](Self::identify_system).
    ///
    /// # Cancel safety
    /// The connection becomes unusable.
    pub async fn timeline_history(&mut self, timeline: Timeline) -> Result<TimelineHistory> {
        if timeline == Timeline::FIRST {
            return Ok(TimelineHistory::initial());
        }
        let command = format!("TIMELINE_HISTORY {timeline}");
        let rows = self
            .read(&command, "reading the history of a timeline")
            .await?;
        let row = only(&rows)?;
        let name = timeline.history_file_name();
        if row.value(0).is_none_or(|found| found != name.as_bytes()) {
            return Err(protocol("the server sent the history of another timeline"));
        }
        // The content is bytes, whatever type the server says it has. The slice keeps a
        // read buffer alive, which is larger.
        let content = row
            .value(1)
            .ok_or_else(|| protocol("the server sent no content of a history"))?;
        TimelineHistory::parse(timeline, Bytes::copy_from_slice(content))
    }

    /// Sends the manifest of the previous backup, which the next
    /// [`base_backup`](Self::base_backup) with `incremental` builds on (PostgreSQL 17).
    ///
    /// # Errors
    /// What the stream fails with; the server then forgets what was sent. `Unsupported`
    /// before PostgreSQL 17. The server looks at the manifest when it has all of it, and
    /// refuses one that is malformed or of another cluster.
    ///
    /// # Cancel safety
    /// The connection becomes unusable.
    pub async fn upload_manifest<S>(&mut self, manifest: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes>> + Send,
    {
        if self.server_major() < 17 {
            return Err(error(
                ErrorKind::Unsupported,
                "incremental backups need PostgreSQL 17",
            ));
        }
        upload::upload(&mut self.connection, manifest).await
    }

    /// Begins a base backup. Returns once the server has taken a checkpoint and begun to
    /// send, with [`BaseBackup::start`] known.
    ///
    /// # Errors
    /// `InvalidInput` for options that no server takes, `Unsupported` for those that this
    /// one does not take. `Conflict` with [`Failure::NoIncremental`] where a full backup
    /// can be taken, and with [`Failure::PromotedDuringBackup`]; `PermissionDenied` with
    /// [`Failure::NotPermitted`]; `Timeout` with [`Failure::Silent`]. The connection is
    /// closed.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection, and the server gives the backup up.
    pub async fn base_backup(self, options: &BaseBackupOptions) -> Result<BaseBackup> {
        BaseBackup::begin(self, options).await
    }

    /// Begins to stream WAL.
    ///
    /// It begins exactly at the position, which should be the beginning of a segment for
    /// segments to come whole.
    ///
    /// # Errors
    /// `NotFound` with [`Failure::SlotMissing`] or [`Failure::WalRemoved`], which may also
    /// come from [`WalStream::next`]; `Conflict` with [`Failure::SlotActive`],
    /// [`Failure::SlotLost`], [`Failure::NotInHistory`] or [`Failure::AheadOfServer`]. The
    /// connection is closed.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn start_replication(self, start: StartReplication) -> Result<WalStream> {
        WalStream::begin(self, start).await
    }

    /// Ends the connection.
    pub async fn close(mut self) {
        if let Some(writer) = &mut self.connection.writer {
            writer.terminate().await;
        }
    }

    async fn run(&mut self, command: &str, step: &str) -> Result<Vec<Row>> {
        command::run(&mut self.connection, command, step).await
    }

    /// As [`run`](Self::run), for what changes nothing.
    async fn read(&mut self, command: &str, step: &str) -> Result<Vec<Row>> {
        self.run(command, step).await.map_err(nothing_applied)
    }
}

fn only(rows: &[Row]) -> Result<&Row> {
    match rows {
        [row] => Ok(row),
        _ => Err(protocol(
            "the server answered with another number of rows than one",
        )),
    }
}

/// SQL is a syntax error to a connection without a database, or "cannot execute SQL
/// commands in WAL sender for physical replication".
#[cold]
fn needs_database(err: Error) -> Error {
    match err.code() {
        Some("0A000" | "42601" | "XX000") => error(
            ErrorKind::Unsupported,
            "before PostgreSQL 15 reading a slot needs a connection with a database",
        )
        .with_source(err),
        _ => err,
    }
}
