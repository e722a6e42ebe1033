//! Frames in, stored objects out.

use std::collections::VecDeque;
use std::io::Write;

use ops_core::ObjectKey;

use super::objects::{Acknowledgement, ObjectSink, StoredObject, Uploaders};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::BackupIdentity;

/// Writes frames into numbered objects of a capped size. For blocking threads only.
pub(crate) struct Sealer {
    uploaders: Uploaders,
    identity: Option<BackupIdentity>,
    /// The key of the object with a number.
    name: Box<dyn Fn(usize) -> Result<ObjectKey> + Send>,
    max_object_bytes: u64,
    /// How many objects may wait for their acknowledgement while the next is written.
    max_unacknowledged: usize,
    current: Option<Current>,
    unacknowledged: VecDeque<(StoredObject, Acknowledgement)>,
    stored: Vec<StoredObject>,
}

struct Current {
    writer: Writer,
    acknowledgement: Acknowledgement,
    payload_bytes: u64,
}

enum Writer {
    Plain(Box<ObjectSink>),
    Age(Box<age::stream::StreamWriter<ObjectSink>>),
}

impl Sealer {
    pub(crate) fn new(
        uploaders: Uploaders,
        identity: Option<BackupIdentity>,
        max_object_bytes: u64,
        name: impl Fn(usize) -> Result<ObjectKey> + Send + 'static,
    ) -> Self {
        Self {
            uploaders,
            identity,
            name: Box::new(name),
            max_object_bytes,
            max_unacknowledged: 0,
            current: None,
            unacknowledged: VecDeque::new(),
            stored: Vec::new(),
        }
    }

    /// Sets how many objects may wait for their acknowledgement while the next is written.
    pub(crate) fn max_unacknowledged(mut self, objects: usize) -> Self {
        self.max_unacknowledged = objects;
        self
    }

    /// Writes one frame; tells the number of the object that it is in. A new object is begun
    /// where the cap would be passed; a frame is never cut.
    pub(crate) fn write_frame(&mut self, frame: &[u8]) -> Result<usize> {
        let frame_bytes = frame.len() as u64;
        let full = self
            .current
            .as_ref()
            .is_some_and(|current| current.payload_bytes + frame_bytes > self.max_object_bytes);
        if full {
            self.end_object()?;
        }
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.begin_object()?,
        };
        let written = match &mut current.writer {
            Writer::Plain(sink) => sink.write_all(frame),
            Writer::Age(writer) => writer.write_all(frame),
        };
        current.payload_bytes += frame_bytes;
        if written.is_err() {
            drop(current.writer);
            return Err(current.acknowledgement.failure());
        }
        self.current = Some(current);
        Ok(self.ended())
    }

    /// How many objects have ended.
    fn ended(&self) -> usize {
        self.stored.len() + self.unacknowledged.len()
    }

    fn begin_object(&self) -> Result<Current> {
        let key = (self.name)(self.ended())?;
        let (sink, acknowledgement) = ObjectSink::create(&self.uploaders, key)?;
        let writer = match &self.identity {
            None => Writer::Plain(Box::new(sink)),
            Some(identity) => Writer::Age(Box::new(identity.encrypt(sink).map_err(|source| {
                Error::new(ErrorKind::Internal, "dump", "encryption cannot start")
                    .with_source(source)
            })?)),
        };
        Ok(Current {
            writer,
            acknowledgement,
            payload_bytes: 0,
        })
    }

    /// Ends the object that is being written; the next frame begins another.
    pub(crate) fn end_object(&mut self) -> Result<()> {
        let Some(Current {
            writer,
            acknowledgement,
            ..
        }) = self.current.take()
        else {
            return Ok(());
        };
        let finished = match writer {
            Writer::Plain(sink) => sink.finish(),
            Writer::Age(writer) => writer.finish().and_then(ObjectSink::finish),
        };
        match finished {
            Err(_) => Err(acknowledgement.failure()),
            Ok(object) => {
                self.unacknowledged.push_back((object, acknowledgement));
                self.settle(self.max_unacknowledged)
            }
        }
    }

    /// Waits for the oldest acknowledgements, until no more than so many are missing.
    fn settle(&mut self, most: usize) -> Result<()> {
        while self.unacknowledged.len() > most {
            let Some((object, acknowledgement)) = self.unacknowledged.pop_front() else {
                break;
            };
            acknowledgement.wait()?;
            self.stored.push(object);
        }
        Ok(())
    }

    /// Ends the last object; answers all of them, acknowledged by the store.
    pub(crate) fn finish(mut self) -> Result<Vec<StoredObject>> {
        self.end_object()?;
        self.settle(0)?;
        Ok(self.stored)
    }
}

/// Compresses and encrypts something small, in memory.
pub(crate) fn seal_small(
    content: &[u8],
    level: i32,
    identity: Option<&BackupIdentity>,
) -> Result<Vec<u8>> {
    let failed = |source: std::io::Error| {
        Error::new(
            ErrorKind::Internal,
            "dump",
            "a small object cannot be sealed",
        )
        .with_source(source)
    };
    let mut compressor = zstd::bulk::Compressor::new(level).map_err(failed)?;
    compressor.include_checksum(true).map_err(failed)?;
    let frame = compressor.compress(content).map_err(failed)?;
    let Some(identity) = identity else {
        return Ok(frame);
    };
    let mut sealed = Vec::with_capacity(frame.len() + 512);
    let mut writer = identity.encrypt(&mut sealed).map_err(failed)?;
    writer.write_all(&frame).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(sealed)
}
