//! Base backups.
//!
//! Facts: PostgreSQL's manual, section "Streaming Replication Protocol", `BASE_BACKUP`; of
//! 14 for the stream before 15, in which each archive and the manifest is a copy of its own
//! and archives lack their last two blocks, which the client adds (`pg_basebackup.c` of 14).

mod command;
mod event;
mod options;
mod start;
mod stream;

use std::time::Duration;

use ops_core::{Error, ErrorKind, Result};

pub use event::{BackupEnd, BackupEvent, BackupStart, Tablespace};
pub use options::{BaseBackupOptions, Checkpoint, Manifest, ManifestChecksums};

use crate::client::ReplicationClient;
use crate::connection::Connection;
use crate::error::{error, invalid_input, nothing_applied, protocol};
use crate::failure::Failure;
use crate::wire::{Frame, Message};
use start::Tables;
use stream::{Demux, Piece};

const STEP: &str = "receiving a base backup";

/// A base backup that is being received.
///
/// Dropping it closes the connection, and the server gives the backup up.
#[derive(Debug)]
pub struct BaseBackup {
    connection: Connection,
    start: BackupStart,
    demux: Demux,
    tables: Tables,
    /// How long the server may be silent.
    limit: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Archives and the manifest come, or what is between them.
    Streaming,
    /// The server has told where the backup ends, and maybe what is wrong with it.
    Ending(BackupEnd),
    Done,
    Failed,
}

impl BaseBackup {
    pub(crate) async fn begin(
        client: ReplicationClient,
        options: &BaseBackupOptions,
    ) -> Result<Self> {
        const STEP: &str = "beginning a base backup";
        let major = client.server_major();
        let mut connection = client.connection;
        let command = command::command(options, major)?;
        let sent = connection.command(&command, STEP).await;
        sent.map_err(nothing_applied)?;
        let limit = options.start_timeout;
        let mut tables = Tables::default();
        loop {
            let message = connection.message(limit, STEP).await;
            match message.map_err(nothing_applied)? {
                Message::Columns(_) | Message::CommandComplete => {}
                Message::Row(body) => tables.push(body)?,
                Message::CopyOut => break,
                Message::Error(mut notice) => {
                    // What it lacks to begin, it would not lack for a full backup.
                    let not_ready = options.incremental && notice.code == "55000";
                    if not_ready && notice.failure.is_none() {
                        notice.failure = Some(Failure::NoIncremental);
                    }
                    return Err(nothing_applied(notice.into_error()));
                }
                other => return Err(other.unexpected(STEP)),
            }
        }
        let start = tables.start()?;
        let demux = Demux::new(major, &start, options.manifest != Manifest::No);
        let limit = if options.wait_for_archive {
            options.end_timeout.max(connection.silence_timeout)
        } else {
            connection.silence_timeout
        };
        let mut backup = Self {
            connection,
            start,
            demux,
            tables: Tables::default(),
            limit,
            state: State::Streaming,
        };
        backup.demux.copy_begins()?;
        Ok(backup)
    }

    /// How the backup began.
    pub fn start(&self) -> &BackupStart {
        &self.start
    }

    /// The next piece; `None` after [`BackupEvent::End`].
    ///
    /// Data comes as slices of a read buffer of 512 KiB, at most 32 KiB each: whoever keeps
    /// one for long keeps its whole buffer.
    ///
    /// # Errors
    /// `Timeout` with [`Failure::Silent`], `Unavailable` where the connection broke,
    /// `Decode` with [`Failure::Protocol`] for a stream that is not what the protocol says,
    /// and what the server says, such as [`Failure::PromotedDuringBackup`], also after all
    /// of the data. Nothing of the backup is valid then; a backup may be taken again.
    ///
    /// # Cancel safety
    /// Nothing is lost where the future is dropped.
    pub async fn next(&mut self) -> Result<Option<BackupEvent>> {
        let outcome = self.advance().await;
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome.map_err(nothing_applied)
    }

    /// The next piece, where it has been read from the connection already. `None` where it has
    /// not, and after [`BackupEvent::End`].
    ///
    /// # Errors
    /// Those of [`next`](Self::next), save for those of the connection.
    pub fn buffered(&mut self) -> Result<Option<BackupEvent>> {
        if !matches!(self.state, State::Streaming | State::Ending(_)) {
            return Ok(None);
        }
        let outcome = self.take_buffered();
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome.map_err(nothing_applied)
    }

    /// Gives the connection back after [`BackupEvent::End`].
    ///
    /// # Errors
    /// `InvalidInput` before it.
    pub fn into_client(self) -> Result<ReplicationClient> {
        match self.state {
            State::Done => Ok(ReplicationClient {
                connection: self.connection,
            }),
            _ => Err(invalid_input("the base backup has not come to its end")),
        }
    }

    async fn advance(&mut self) -> Result<Option<BackupEvent>> {
        match self.state {
            State::Done => return Ok(None),
            State::Failed => return Err(invalid_input("the base backup has failed")),
            State::Streaming | State::Ending(_) => {}
        }
        loop {
            if let Some(event) = self.take_buffered()? {
                return Ok(Some(event));
            }
            let frame = self.connection.reader.next(self.limit, STEP).await?;
            if let Some(event) = self.take_frame(frame)? {
                return Ok(Some(event));
            }
        }
    }

    fn take_buffered(&mut self) -> Result<Option<BackupEvent>> {
        loop {
            if let Some(notice) = self.connection.notices.pop_front() {
                return Ok(Some(BackupEvent::Notice(notice)));
            }
            if let Some(event) = self.demux.pending() {
                return Ok(Some(event));
            }
            let Some(frame) = self.connection.reader.buffered()? else {
                return Ok(None);
            };
            if let Some(event) = self.take_frame(frame)? {
                return Ok(Some(event));
            }
        }
    }

    fn take_frame(&mut self, frame: Frame) -> Result<Option<BackupEvent>> {
        match self.connection.understand(frame)? {
            Some(message) => self.take(message),
            None => Ok(None),
        }
    }

    fn take(&mut self, message: Message) -> Result<Option<BackupEvent>> {
        match message {
            Message::CopyData(body) => match self.demux.data(body)? {
                Piece::Event(event) => return Ok(Some(event)),
                Piece::Nothing => {}
            },
            Message::CopyDone => self.demux.copy_ends()?,
            Message::CopyOut => self.demux.copy_begins()?,
            Message::Columns(_) => self.demux.check_complete()?,
            Message::Row(body) => {
                self.demux.check_complete()?;
                self.tables.push(body)?;
            }
            Message::CommandComplete => self.command_complete()?,
            Message::Error(notice) => {
                let (State::Ending(end), Some(Failure::ChecksumFailed)) =
                    (&mut self.state, notice.failure)
                else {
                    return Err(notice.into_error());
                };
                end.checksum_failure = Some(notice);
            }
            Message::Ready => return self.ready().map(Some),
            other => return Err(other.unexpected(STEP)),
        }
        Ok(None)
    }

    /// After the row with the end of the backup one `CommandComplete` comes, and after that
    /// either another one or an error about checksums.
    fn command_complete(&mut self) -> Result<()> {
        if let State::Streaming = self.state {
            self.demux.check_complete()?;
            let (lsn, timeline) = self.tables.end()?;
            if lsn < self.start.lsn {
                return Err(protocol("the base backup ends before it begins"));
            }
            self.state = State::Ending(BackupEnd {
                lsn,
                timeline,
                checksum_failure: None,
            });
        }
        Ok(())
    }

    fn ready(&mut self) -> Result<BackupEvent> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Ending(end) => Ok(BackupEvent::End(end)),
            _ => Err(incomplete()),
        }
    }
}

#[cold]
fn incomplete() -> Error {
    error(
        ErrorKind::Decode,
        "the server ended the base backup without saying where it ends",
    )
    .with_source(Failure::Protocol)
}
