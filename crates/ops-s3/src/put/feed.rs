//! Cuts what is to be written into parts.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use ops_core::object_store::{Checksum, PutOptions};
use ops_core::{ByteStream, Result};

use super::{Failure, Lease, compare, too_large};
use crate::digest::Hasher;
use crate::plan::Plan;

/// What the buffer of the first part grows by: most streams are short.
const FIRST_BUFFERS: [usize; 2] = [64 << 10, 1 << 20];

/// Content on its way into parts.
pub(crate) struct Feed {
    source: Source,
    plan: Plan,
    index: u64,
    hasher: Option<Hasher>,
}

enum Source {
    /// Parts are slices; nothing is copied.
    Bytes(Bytes),
    Stream {
        stream: Pin<Box<dyn futures_util::Stream<Item = Result<Bytes>> + Send>>,
        /// What the stream gave beyond the last part.
        rest: Bytes,
        /// The part that was read to see whether there is more than one.
        first: Option<Bytes>,
        ended: bool,
        buffers: Lease,
    },
}

impl Feed {
    pub(crate) fn of_bytes(data: Bytes, plan: Plan) -> Self {
        Self {
            source: Source::Bytes(data),
            plan,
            index: 0,
            hasher: None,
        }
    }

    pub(crate) fn of_stream(
        stream: ByteStream,
        plan: Plan,
        hasher: Option<Hasher>,
        buffers: Lease,
    ) -> Self {
        Self {
            source: Source::Stream {
                stream,
                rest: Bytes::new(),
                first: None,
                ended: false,
                buffers,
            },
            plan,
            index: 0,
            hasher,
        }
    }

    /// The size of the part that comes next, if it is full.
    pub(crate) fn next_part_bytes(&self) -> u64 {
        self.plan.part_bytes(self.index).unwrap_or(0)
    }

    /// All of the stream where it fits one part.
    pub(crate) async fn whole_if_short(&mut self) -> Result<Option<Bytes>, Failure> {
        let first = self.fill().await?.unwrap_or_default();
        self.look_ahead().await?;
        let Source::Stream {
            first: kept,
            rest,
            ended,
            ..
        } = &mut self.source
        else {
            return Ok(Some(first));
        };
        if *ended && rest.is_empty() {
            return Ok(Some(first));
        }
        *kept = Some(first);
        Ok(None)
    }

    /// The next part; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let part = match &mut self.source {
            Source::Stream { first, .. } if first.is_some() => first.take(),
            _ => self.fill().await?,
        };
        self.index += u64::from(part.is_some());
        Ok(part)
    }

    /// Takes back the buffer of a part that was sent.
    pub(crate) fn recycle(&mut self, part: Bytes) {
        if let Source::Stream { buffers, .. } = &self.source {
            buffers.give(part);
        }
    }

    pub(crate) fn take_hasher(&mut self) -> Option<Hasher> {
        self.hasher.take()
    }

    /// Fails where all that was read is not what was promised.
    pub(crate) fn verify(&mut self, options: &PutOptions) -> Result<()> {
        let expected: Option<&Checksum> = options.checksum.as_ref();
        match (expected, self.hasher.take()) {
            (Some(expected), Some(hasher)) => compare(expected, &hasher.finish()),
            _ => Ok(()),
        }
    }

    async fn fill(&mut self) -> Result<Option<Bytes>, Failure> {
        let wanted = self.plan.part_bytes(self.index);
        match &mut self.source {
            Source::Bytes(data) => {
                let wanted = usize::try_from(wanted.unwrap_or(0)).unwrap_or(usize::MAX);
                let part = data.split_to(wanted.min(data.len()));
                Ok((!part.is_empty()).then_some(part))
            }
            Source::Stream { .. } => {
                let Some(wanted) = wanted else {
                    return self.expect_end().await.map(|()| None);
                };
                self.fill_from_stream(wanted).await
            }
        }
    }

    async fn fill_from_stream(&mut self, wanted: u64) -> Result<Option<Bytes>, Failure> {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let is_first = self.index == 0;
        let Source::Stream {
            stream,
            rest,
            ended,
            buffers,
            ..
        } = &mut self.source
        else {
            return Ok(None);
        };
        let mut part: Option<BytesMut> = None;
        loop {
            let have = part.as_ref().map_or(0, BytesMut::len);
            if have == 0 && rest.len() >= wanted {
                return Ok(Some(rest.split_to(wanted)));
            }
            if !rest.is_empty() {
                let more = rest.split_to(rest.len().min(wanted - have));
                let size = buffer_bytes(is_first, have + more.len(), wanted);
                let mut buffer = with_room(part.take(), more.len(), size, buffers);
                buffer.extend_from_slice(&more);
                part = Some(buffer);
            }
            if part.as_ref().is_some_and(|part| part.len() >= wanted) || *ended {
                break;
            }
            match stream.next().await {
                Some(Ok(chunk)) => {
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(&chunk);
                    }
                    *rest = chunk;
                }
                Some(Err(err)) => return Err(Failure::Source(err)),
                None => *ended = true,
            }
        }
        Ok(part.map(BytesMut::freeze))
    }

    /// Reads on until there is more, or the end.
    async fn look_ahead(&mut self) -> Result<(), Failure> {
        let Source::Stream {
            stream,
            rest,
            ended,
            ..
        } = &mut self.source
        else {
            return Ok(());
        };
        while rest.is_empty() && !*ended {
            match stream.next().await {
                Some(Ok(chunk)) => {
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(&chunk);
                    }
                    *rest = chunk;
                }
                Some(Err(err)) => return Err(Failure::Source(err)),
                None => *ended = true,
            }
        }
        Ok(())
    }

    /// Every part is used up: there must be nothing more.
    async fn expect_end(&mut self) -> Result<(), Failure> {
        self.look_ahead().await?;
        match &self.source {
            Source::Stream { rest, .. } if !rest.is_empty() => {
                Err(Failure::Store(too_large(self.plan.max_bytes())))
            }
            _ => Ok(()),
        }
    }
}

/// How large a buffer is to be that holds some bytes of a part.
fn buffer_bytes(is_first: bool, bytes: usize, wanted: usize) -> usize {
    let mut sizes = FIRST_BUFFERS.into_iter().filter(|_| is_first);
    let size = sizes.find(|size| bytes <= *size);
    size.unwrap_or(wanted).min(wanted)
}

/// The buffer, or a larger one with its content.
fn with_room(buffer: Option<BytesMut>, more: usize, size: usize, buffers: &Lease) -> BytesMut {
    match buffer {
        Some(buffer) if buffer.capacity() - buffer.len() >= more => buffer,
        Some(small) => {
            let mut large = buffers.take(size);
            large.extend_from_slice(&small);
            large
        }
        None => buffers.take(size),
    }
}
