//! The receiving side of a stream.

use bytes::Bytes;
use ops_core::{Error, ErrorKind, Result};

use super::message::StreamMessage;
use super::{NextTimeline, Phase, STEP, WalEvent, WalStream, unfinished};
use crate::connection::LAST_WORDS;
use crate::error::{error, protocol, silent};
use crate::failure::Failure;
use crate::lsn::Lsn;
use crate::wire::{Frame, Message, values};

impl WalStream {
    pub(super) async fn advance(&mut self) -> Result<WalEvent> {
        loop {
            if let Some(notice) = self.connection.notices.pop_front() {
                return Ok(WalEvent::Notice(notice));
            }
            match self.phase {
                Phase::Streaming => {
                    if let Some(event) = self.stream().await? {
                        return Ok(event);
                    }
                }
                Phase::Closing { .. } => {
                    if let Some(next) = self.close().await? {
                        return Ok(WalEvent::TimelineEnded(next));
                    }
                }
                Phase::Over | Phase::Dead => return Err(unfinished()),
            }
        }
    }

    async fn stream(&mut self) -> Result<Option<WalEvent>> {
        let frame = self.frame().await?;
        self.has_asked = false;
        match self.connection.understand(frame)? {
            None => Ok(None),
            Some(Message::CopyData(body)) => self.data(body),
            Some(Message::CopyDone) => {
                self.end_reports();
                self.phase = Phase::Closing { server_done: true };
                Ok(None)
            }
            Some(Message::CommandComplete) => {
                self.phase = Phase::Dead;
                self.reports = None;
                Ok(Some(WalEvent::ServerStopped))
            }
            Some(Message::Error(notice)) => Err(notice.into_error()),
            Some(other) => Err(other.unexpected(STEP)),
        }
    }

    /// The next message. A server that has nothing to send says nothing, either, as long
    /// as we report: it is asked for a sign of life after half of the time that it may be
    /// silent.
    async fn frame(&mut self) -> Result<Frame> {
        let limit = self.connection.silence_timeout;
        loop {
            let Some(reports) = &mut self.reports else {
                return self.remaining_frame().await;
            };
            let until = if self.has_asked { limit } else { limit / 2 };
            tokio::select! {
                biased;
                frame = self.connection.reader.next_until(until, STEP) => match frame? {
                    Some(frame) => return Ok(frame),
                    None if self.has_asked => return Err(silent(limit, STEP)),
                    None => {
                        self.has_asked = true;
                        reports.ask();
                    }
                },
                outcome = reports.finished() => {
                    self.reports = None;
                    self.report_failure = outcome.err();
                    self.connection.reader.wait_afresh();
                }
            }
        }
    }

    /// What the server sent before it closed its end: reports cannot be sent any more, but
    /// WAL, the word that it is shutting down, or an error may have come before.
    async fn remaining_frame(&mut self) -> Result<Frame> {
        let limit = LAST_WORDS.min(self.connection.silence_timeout);
        match self.connection.reader.next_until(limit, STEP).await? {
            Some(frame) => Ok(frame),
            None => Err(self.report_failure.take().unwrap_or_else(unfinished)),
        }
    }

    fn data(&mut self, body: Bytes) -> Result<Option<WalEvent>> {
        match StreamMessage::read(body)? {
            StreamMessage::Wal {
                start,
                server_end,
                sent_at,
                data,
            } => {
                let Some(data) = self.in_sequence(start, data)? else {
                    return Ok(None);
                };
                let start = self.position;
                self.position = self.end_of(&data)?;
                if let Some(reports) = &self.reports {
                    reports.received(self.position);
                }
                Ok(Some(WalEvent::Wal {
                    start,
                    server_end,
                    sent_at,
                    data,
                }))
            }
            StreamMessage::Keepalive {
                server_end,
                sent_at,
                wants_reply,
            } => {
                if let (true, Some(reports)) = (wants_reply, &self.reports) {
                    reports.answer();
                }
                Ok(Some(WalEvent::Keepalive {
                    server_end,
                    sent_at,
                    wants_reply,
                }))
            }
        }
    }

    /// What is new in a piece of WAL; `None` where nothing is.
    fn in_sequence(&self, start: Lsn, mut data: Bytes) -> Result<Option<Bytes>> {
        let Some(known) = self.position.distance_from(start) else {
            return Err(self.gap(start));
        };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        if data.is_empty() || known >= data.len() {
            return Ok(None);
        }
        Ok(Some(data.split_off(known)))
    }

    fn end_of(&self, data: &Bytes) -> Result<Lsn> {
        u64::try_from(data.len())
            .ok()
            .and_then(|length| self.position.checked_add(length))
            .ok_or_else(|| protocol("the WAL goes past the largest position"))
    }

    #[cold]
    fn gap(&self, start: Lsn) -> Error {
        let message = format!(
            "WAL from {} on is due, and the server sent {start}",
            self.position
        );
        error(ErrorKind::Integrity, message).with_source(Failure::OutOfSequence)
    }

    /// Reads on towards the end of a stream that one side has ended. Returns where the log
    /// goes on once the end has come and the server has said so.
    pub(super) async fn close(&mut self) -> Result<Option<NextTimeline>> {
        self.take_back_writer().await?;
        let limit = self.connection.silence_timeout;
        let message = self.connection.message(limit, STEP).await?;
        let Phase::Closing { server_done } = self.phase else {
            return Err(unfinished());
        };
        match message {
            // It was on its way when we ended the stream.
            Message::CopyData(_) if !server_done => {}
            Message::CopyDone if !server_done => {
                self.phase = Phase::Closing { server_done: true };
            }
            Message::Columns(_) | Message::CommandComplete if server_done => {}
            Message::Row(body) if server_done => self.next = Some(next_timeline(body)?),
            Message::Ready if server_done => {
                self.phase = Phase::Over;
                return Ok(self.next);
            }
            Message::Error(notice) => return Err(notice.into_error()),
            other => return Err(other.unexpected(STEP)),
        }
        Ok(None)
    }

    /// Takes the sending end back from the task that reports, which was told to end.
    pub(super) async fn take_back_writer(&mut self) -> Result<()> {
        let Some(reports) = &mut self.reports else {
            return Ok(());
        };
        let outcome = reports.finished().await;
        self.reports = None;
        match outcome {
            Ok(writer) => {
                self.connection.writer = Some(writer);
                Ok(())
            }
            Err(err) => Err(self.connection.last_words(STEP).await.unwrap_or(err)),
        }
    }
}

/// The row after the end of a timeline: a number and a position, as text.
fn next_timeline(body: Bytes) -> Result<NextTimeline> {
    let unreadable = || protocol("the server does not say where the log goes on");
    let values = values(body)?;
    let text =
        |index: usize| -> Option<&str> { std::str::from_utf8(values.get(index)?.as_deref()?).ok() };
    let timeline = text(0).and_then(|text| text.parse().ok());
    let switch = text(1).and_then(|text| text.parse().ok());
    Ok(NextTimeline {
        timeline: timeline.ok_or_else(unreadable)?,
        switch: switch.ok_or_else(unreadable)?,
    })
}
