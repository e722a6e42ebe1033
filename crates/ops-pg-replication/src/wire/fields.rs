//! Reading the parts of a message.

use bytes::{Buf, Bytes};
use ops_core::Result;

use crate::error::protocol;

/// Reads the parts of a message's body. Nothing here copies or panics.
#[derive(Debug)]
pub(crate) struct Fields {
    body: Bytes,
}

impl Fields {
    pub(crate) fn new(body: Bytes) -> Self {
        Self { body }
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.body.try_get_u8().map_err(|_| short())
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.body.try_get_u16().map_err(|_| short())
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.body.try_get_u32().map_err(|_| short())
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        self.body.try_get_i32().map_err(|_| short())
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.body.try_get_u64().map_err(|_| short())
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.body.try_get_i64().map_err(|_| short())
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<Bytes> {
        if length > self.body.len() {
            return Err(short());
        }
        Ok(self.body.split_to(length))
    }

    /// The bytes up to a zero byte, which is skipped.
    pub(crate) fn cstr(&mut self) -> Result<Bytes> {
        let end = self.body.iter().position(|byte| *byte == 0);
        let text = self.take(end.ok_or_else(short)?)?;
        self.u8()?;
        Ok(text)
    }

    /// As [`cstr`](Self::cstr), as text.
    pub(crate) fn text(&mut self) -> Result<String> {
        self.cstr()
            .map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    /// What has not been read.
    pub(crate) fn rest(self) -> Bytes {
        self.body
    }

    /// Fails where something has not been read.
    pub(crate) fn end(self) -> Result<()> {
        if self.body.is_empty() {
            return Ok(());
        }
        Err(protocol("a message of the server is too long"))
    }
}

#[cold]
fn short() -> ops_core::Error {
    protocol("a message of the server is cut off")
}
