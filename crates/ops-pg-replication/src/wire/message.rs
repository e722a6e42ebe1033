//! Messages that a server sends.

use bytes::{Bytes, BytesMut};
use ops_core::{Error, Result};

use crate::error::protocol;
use crate::notice::Notice;

/// The first bytes of messages.
pub(crate) mod tag {
    pub(crate) const AUTHENTICATION: u8 = b'R';
    pub(crate) const BACKEND_KEY: u8 = b'K';
    pub(crate) const COMMAND_COMPLETE: u8 = b'C';
    pub(crate) const COPY_BOTH: u8 = b'W';
    pub(crate) const COPY_DATA: u8 = b'd';
    pub(crate) const COPY_DONE: u8 = b'c';
    pub(crate) const COPY_IN: u8 = b'G';
    pub(crate) const COPY_OUT: u8 = b'H';
    pub(crate) const DATA_ROW: u8 = b'D';
    pub(crate) const EMPTY_QUERY: u8 = b'I';
    pub(crate) const ERROR: u8 = b'E';
    pub(crate) const NEGOTIATE: u8 = b'v';
    pub(crate) const NOTICE: u8 = b'N';
    pub(crate) const NOTIFICATION: u8 = b'A';
    pub(crate) const PARAMETER: u8 = b'S';
    pub(crate) const READY: u8 = b'Z';
    pub(crate) const ROW_DESCRIPTION: u8 = b'T';
}

/// A tag and a length.
const HEADER: usize = 5;

/// The longest message of a stream: the server sends at most 128 KiB of WAL and a header.
const MAX_COPY_DATA: usize = 1 << 20;

/// The longest message of any other kind. A row with the history of a timeline is the
/// longest that there is.
const MAX_OTHER: usize = 32 << 20;

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Bytes,
}

impl Frame {
    /// Takes the first message out of a buffer: a slice of it, without a copy. `None` where
    /// it is not whole.
    ///
    /// What no server sends is refused as soon as its header is there, so that a length
    /// out of nonsense is not waited for.
    pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Self>> {
        let Some(&[tag, length @ ..]) = buffer.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let total = total(tag, u32::from_be_bytes(length))?;
        if buffer.len() < total {
            return Ok(None);
        }
        let mut body = buffer.split_to(total).freeze();
        let _ = body.split_to(HEADER);
        Ok(Some(Self { tag, body }))
    }

    /// How many bytes the first message of a buffer still lacks, so far as that shows.
    pub(crate) fn missing(buffer: &BytesMut) -> usize {
        match buffer.first_chunk::<HEADER>() {
            None => HEADER - buffer.len(),
            Some(&[tag, length @ ..]) => total(tag, u32::from_be_bytes(length))
                .unwrap_or(0)
                .saturating_sub(buffer.len()),
        }
    }
}

fn total(tag: u8, length: u32) -> Result<usize> {
    let max = match tag {
        tag::COPY_DATA => MAX_COPY_DATA,
        tag::AUTHENTICATION
        | tag::BACKEND_KEY
        | tag::COMMAND_COMPLETE
        | tag::COPY_BOTH
        | tag::COPY_DONE
        | tag::COPY_IN
        | tag::COPY_OUT
        | tag::DATA_ROW
        | tag::EMPTY_QUERY
        | tag::ERROR
        | tag::NEGOTIATE
        | tag::NOTICE
        | tag::NOTIFICATION
        | tag::PARAMETER
        | tag::READY
        | tag::ROW_DESCRIPTION => MAX_OTHER,
        _ => return Err(nonsense()),
    };
    // The length counts itself.
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(4..=max).contains(&length) {
        return Err(nonsense());
    }
    Ok(1 + length)
}

#[cold]
fn nonsense() -> Error {
    protocol("the peer does not speak the PostgreSQL protocol")
}

/// A message that means something to whoever runs a command.
#[derive(Debug)]
pub(crate) enum Message {
    Authentication(Bytes),
    CommandComplete,
    CopyBoth,
    CopyData(Bytes),
    CopyDone,
    CopyIn,
    CopyOut,
    Row(Bytes),
    Error(Notice),
    Ready,
    Columns(Bytes),
}

impl Message {
    /// What it is called where it comes at the wrong time.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Authentication(_) => "a demand to log in",
            Self::CommandComplete => "the end of a command",
            Self::CopyBoth => "the begin of a stream both ways",
            Self::CopyData(_) => "data of a stream",
            Self::CopyDone => "the end of a stream",
            Self::CopyIn => "a demand for data",
            Self::CopyOut => "the begin of a stream",
            Self::Row(_) => "a row",
            Self::Error(_) => "an error",
            Self::Ready => "the end of the answer",
            Self::Columns(_) => "the begin of a table",
        }
    }

    /// The error for a message that may not come now.
    #[cold]
    pub(crate) fn unexpected(&self, step: &str) -> Error {
        protocol(format!("the server sent {} while {step}", self.name()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_taken_when_it_is_whole_and_not_copied() {
        let whole = b"Z\0\0\0\x05Id\0\0\0\x06xy";
        let mut buffer = BytesMut::new();
        for length in 0..6 {
            buffer.clear();
            buffer.extend_from_slice(&whole[..length]);
            assert!(Frame::take(&mut buffer).unwrap().is_none(), "{length}");
            assert_eq!(
                Frame::missing(&buffer),
                if length < 5 { 5 - length } else { 1 }
            );
        }
        buffer.clear();
        buffer.extend_from_slice(whole);
        let at = buffer.as_ptr();
        let frame = Frame::take(&mut buffer).unwrap().unwrap();
        assert_eq!((frame.tag, &frame.body[..]), (b'Z', &b"I"[..]));
        assert_eq!(frame.body.as_ptr(), at.wrapping_add(5));
        assert_eq!(Frame::take(&mut buffer).unwrap().unwrap().body, "xy");
        assert!(Frame::take(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn a_length_out_of_nonsense_is_refused_at_once() {
        for header in [
            b"HTTP/",
            b"Z\0\0\0\x03",
            b"d\x7f\xff\xff\xff",
            b"D\xff\xff\xff\xff",
            b"\0\0\0\0\x08",
            b"D\x04\0\0\0",
        ] {
            let mut buffer = BytesMut::from(&header[..]);
            let err = Frame::take(&mut buffer).unwrap_err();
            assert_eq!(err.kind(), ops_core::ErrorKind::Decode, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            let _ = Frame::missing(&buffer);
            while let Ok(Some(_)) = Frame::take(&mut buffer) {}
        }
    }
}
