//! Cuts what is to be written into parts.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use ops_core::object_store::{Checksum, PutOptions};
use ops_core::{ByteStream, Result};

use super::{Failure, compare, too_large};
use crate::digest::Hasher;
use crate::plan::Plan;

/// The first buffer grows from here: most streams are short.
const FIRST_BUFFER: usize = 64 * 1024;

/// Buffers that are kept to be filled again.
const SPARE: usize = 8;

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
        spare: Vec<BytesMut>,
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

    pub(crate) fn of_stream(stream: ByteStream, plan: Plan, hasher: Option<Hasher>) -> Self {
        Self {
            source: Source::Stream {
                stream,
                rest: Bytes::new(),
                first: None,
                ended: false,
                spare: Vec::new(),
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
        if let Source::Stream { spare, .. } = &mut self.source
            && spare.len() < SPARE
            && let Ok(mut buffer) = part.try_into_mut()
        {
            buffer.clear();
            spare.push(buffer);
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
        let buffer_bytes = if self.index == 0 {
            wanted.min(FIRST_BUFFER)
        } else {
            wanted
        };
        let Source::Stream {
            stream,
            rest,
            ended,
            spare,
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
                let buffer = part.get_or_insert_with(|| take_buffer(spare, buffer_bytes));
                buffer.extend_from_slice(&rest.split_to(rest.len().min(wanted - have)));
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

fn take_buffer(spare: &mut Vec<BytesMut>, wanted: usize) -> BytesMut {
    match spare.pop() {
        Some(buffer) if buffer.capacity() >= wanted => buffer,
        _ => BytesMut::with_capacity(wanted),
    }
}
