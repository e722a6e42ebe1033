//! A connection: what is sent and received on it, whatever it is used for.

mod login;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ops_core::time::Clock;
use ops_core::{ErrorKind, Result};
use ops_pg::connect::Stream;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncWriteExt, WriteHalf};

use crate::error::{closed, error, protocol, silent};
use crate::notice::Notice;
use crate::wire::{Fields, Frame, Message, Reader, tag};

/// So many notices are kept until somebody asks for them; older ones give way.
const MAX_NOTICES: usize = 100;

/// How long to look for what a server said before its connection broke.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection that is logged in.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) reader: Reader,
    /// `None` while somebody else writes.
    pub(crate) writer: Option<Writer>,
    pub(crate) server_version_num: u32,
    pub(crate) notices: VecDeque<Notice>,
    pub(crate) command_timeout: Duration,
    pub(crate) silence_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether an answer has not been read to its end.
    busy: bool,
}

/// The sending end of a connection.
#[derive(Debug)]
pub(crate) struct Writer {
    half: WriteHalf<Stream>,
    timeout: Duration,
}

impl Writer {
    pub(crate) async fn send(&mut self, bytes: &[u8], step: &str) -> Result<()> {
        let write = async {
            self.half.write_all(bytes).await?;
            self.half.flush().await
        };
        match tokio::time::timeout(self.timeout, write).await {
            Ok(outcome) => outcome.map_err(|source| closed(step, Some(source))),
            Err(_) => Err(silent(self.timeout, step)),
        }
    }

    /// Says goodbye, and does not wait for long.
    pub(crate) async fn terminate(&mut self) {
        let mut buffer = BytesMut::new();
        frontend::terminate(&mut buffer);
        let goodbye = async {
            let _ = self.half.write_all(&buffer).await;
            let _ = self.half.shutdown().await;
        };
        let _ = tokio::time::timeout(Duration::from_secs(1).min(self.timeout), goodbye).await;
    }
}

impl Connection {
    /// Sends a command. Until its answer has been read to the end no other can be sent.
    pub(crate) async fn command(&mut self, command: &str, step: &str) -> Result<()> {
        if self.busy {
            return Err(error(
                ErrorKind::Conflict,
                "the connection has an answer that was not read to its end; open another one",
            ));
        }
        let mut buffer = BytesMut::new();
        frontend::query(command, &mut buffer)
            .map_err(|_| crate::error::invalid_input("a command holds a zero byte"))?;
        self.busy = true;
        self.send(&buffer, step).await
    }

    /// Sends bytes. Where that fails and the server has said why, its word is the error.
    pub(crate) async fn send(&mut self, bytes: &[u8], step: &str) -> Result<()> {
        let Some(writer) = &mut self.writer else {
            return Err(error(ErrorKind::Internal, "somebody else writes"));
        };
        let Err(err) = writer.send(bytes, step).await else {
            return Ok(());
        };
        Err(self.last_words(step).await.unwrap_or(err))
    }

    /// The error that the server sent before the connection broke, if there is one.
    pub(crate) async fn last_words(&mut self, step: &str) -> Option<ops_core::Error> {
        let limit = LAST_WORDS.min(self.silence_timeout);
        self.reader.wait_afresh();
        let search = async {
            loop {
                if let Message::Error(notice) = self.message(limit, step).await.ok()? {
                    return Some(notice.into_error());
                }
            }
        };
        tokio::time::timeout(limit, search).await.ok()?
    }

    /// The next message that means something to a command. What the server tells beside
    /// is kept.
    pub(crate) async fn message(&mut self, limit: Duration, step: &str) -> Result<Message> {
        loop {
            let frame = self.reader.next(limit, step).await?;
            if let Some(message) = self.understand(frame)? {
                return Ok(message);
            }
        }
    }

    /// As [`message`](Self::message), where an error of the server is an error. With it the
    /// answer is not over: `Ready` follows, unless the connection ends.
    pub(crate) async fn expect(&mut self, limit: Duration, step: &str) -> Result<Message> {
        match self.message(limit, step).await? {
            Message::Error(notice) => Err(notice.into_error()),
            message => Ok(message),
        }
    }

    /// Reads what follows an error up to the end of the answer, and returns the error.
    pub(crate) async fn fail(&mut self, notice: Notice, step: &str) -> ops_core::Error {
        let ends_connection = notice.is_fatal();
        let err = notice.into_error();
        let limit = self.command_timeout;
        if !ends_connection {
            while !matches!(self.message(limit, step).await, Ok(Message::Ready) | Err(_)) {}
        }
        err
    }

    /// Tells what a message is; `None` for one that is dealt with.
    pub(crate) fn understand(&mut self, frame: Frame) -> Result<Option<Message>> {
        let Frame { tag, body } = frame;
        Ok(Some(match tag {
            tag::COPY_DATA => Message::CopyData(body),
            tag::AUTHENTICATION => Message::Authentication(body),
            tag::COMMAND_COMPLETE | tag::EMPTY_QUERY => Message::CommandComplete,
            tag::COPY_BOTH => Message::CopyBoth,
            tag::COPY_DONE => Message::CopyDone,
            tag::COPY_IN => Message::CopyIn,
            tag::COPY_OUT => Message::CopyOut,
            tag::DATA_ROW => Message::Row(body),
            tag::ROW_DESCRIPTION => Message::Columns(body),
            tag::ERROR => Message::Error(Notice::read(body)?),
            tag::READY => {
                self.busy = false;
                Message::Ready
            }
            tag::NOTICE => {
                self.keep(Notice::read(body)?);
                return Ok(None);
            }
            tag::PARAMETER => {
                self.parameter(body)?;
                return Ok(None);
            }
            // A key to cancel by, which closing the connection does as well; and LISTEN.
            tag::BACKEND_KEY | tag::NOTIFICATION => return Ok(None),
            _ => return Err(protocol("the server sent a message that has no place here")),
        }))
    }

    fn keep(&mut self, notice: Notice) {
        if self.notices.len() >= MAX_NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }

    fn parameter(&mut self, body: Bytes) -> Result<()> {
        let mut fields = Fields::new(body);
        let (name, value) = (fields.text()?, fields.text()?);
        if name == "server_version" {
            self.server_version_num = version_num(&value)?;
        }
        Ok(())
    }
}

/// Reads a version such as `15.18 (Debian 15.18-1)` or `19beta1`, as a number such as
/// 150018.
fn version_num(text: &str) -> Result<u32> {
    let digits = |text: &str| -> Option<u32> {
        let end = text.bytes().position(|byte| !byte.is_ascii_digit());
        text.get(..end.unwrap_or(text.len()))?.parse().ok()
    };
    let parse = || {
        let major = digits(text).filter(|major| (10..1000).contains(major))?;
        let minor = text.split_once('.').and_then(|(_, minor)| digits(minor));
        Some(major * 10_000 + minor.filter(|minor| *minor < 10_000).unwrap_or(0))
    };
    parse().ok_or_else(|| protocol("the server's version is not understood"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_server_version_num() {
        for (text, number) in [
            ("15.18 (Debian 15.18-1.pgdg)", 150_018),
            ("18.4", 180_004),
            ("19beta1", 190_000),
            ("19devel", 190_000),
            ("13.23", 130_023),
        ] {
            assert_eq!(version_num(text).unwrap(), number, "{text}");
        }
        for text in ["", "9.6.24", "x", "-1", "99999999999.1"] {
            assert!(version_num(text).is_err(), "{text}");
        }
    }
}
