//! The body of a read: ranges fetched in parallel, handed out in order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream as SdkStream;
use bytes::Bytes;
use futures_util::stream;
use ops_core::object_store::{Checksum, ETag};
use ops_core::{ByteStream, Error, ErrorKind, ObjectKey, Result};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::ranges::RangeReader;
use crate::budget::Share;
use crate::digest::Hasher;
use crate::operation::Operation;
use crate::put::compare;
use crate::store::Shared;

/// Which object is read.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) shared: Arc<Shared>,
    pub(super) operation: Operation,
    pub(super) key: ObjectKey,
    /// The version that every answer must have.
    pub(super) etag: Option<ETag>,
}

/// A range that is fetched ahead.
struct Ahead {
    task: AbortOnDropHandle<Result<(Vec<Bytes>, Share)>>,
    /// Lets the fetch begin without a share of the budget: the reader has come to it.
    go: oneshot::Sender<()>,
}

/// What is handed out at present.
enum Current {
    /// The first answer, as it comes.
    Streaming(Box<RangeReader>),
    /// A range that was fetched ahead, and the share that it holds.
    Fetched(
        std::vec::IntoIter<Bytes>,
        #[expect(dead_code, reason = "held for its drop")] Share,
    ),
}

pub(super) struct Body {
    source: Source,
    current: Current,
    ahead: VecDeque<Ahead>,
    /// What has not been asked for.
    rest: Range<u64>,
    verify: Option<(Checksum, Hasher)>,
}

impl Body {
    /// A body whose first piece comes by an answer that is there.
    pub(super) fn new(
        source: Source,
        answer: SdkStream,
        piece: Range<u64>,
        range: Range<u64>,
        verify: Option<(Checksum, Hasher)>,
    ) -> Self {
        let rest = piece.end..range.end;
        let reader = RangeReader::new(source.clone(), piece, Some(answer));
        Self {
            source,
            current: Current::Streaming(Box::new(reader)),
            ahead: VecDeque::new(),
            rest,
            verify,
        }
    }

    pub(super) fn into_stream(self) -> ByteStream {
        Box::pin(stream::try_unfold(Some(self), |body| async move {
            let Some(mut body) = body else {
                return Ok(None);
            };
            match body.next().await {
                Ok(Some(chunk)) => Ok(Some((chunk, Some(body)))),
                Ok(None) => Ok(None),
                Err(err) => Err(body.source.operation.decorate(err)),
            }
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            self.fetch_ahead();
            let chunk = match &mut self.current {
                Current::Streaming(reader) => reader.next().await?,
                Current::Fetched(chunks, _) => chunks.next(),
            };
            if let Some(chunk) = chunk {
                if let Some((_, hasher)) = &mut self.verify {
                    hasher.update(&chunk);
                }
                return Ok(Some(chunk));
            }
            let Some(next) = self.ahead.pop_front() else {
                return self.end();
            };
            // The share of what was handed out is free before the next one is needed.
            self.current = Current::Fetched(Vec::new().into_iter(), Share::BEYOND);
            let _ = next.go.send(());
            let (chunks, share) = next.task.await.map_err(|source| {
                Error::new(ErrorKind::Internal, "the task of a range ended early")
                    .with_source(source)
            })??;
            self.current = Current::Fetched(chunks.into_iter(), share);
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>> {
        match self.verify.take() {
            Some((expected, hasher)) => compare(&expected, &hasher.finish()).map(|()| None),
            None => Ok(None),
        }
    }

    /// Keeps as many ranges on their way as are allowed, besides the present one.
    fn fetch_ahead(&mut self) {
        let shared = &self.source.shared;
        let part = shared.plan.part_bytes(0).unwrap_or(u64::MAX);
        while !self.rest.is_empty() && self.ahead.len() < shared.concurrency.max(2) - 1 {
            let end = self.rest.end.min(self.rest.start.saturating_add(part));
            let range = self.rest.start..end;
            self.rest.start = end;
            let (go, gone) = oneshot::channel();
            let task = tokio::spawn(fetch(self.source.clone(), range, gone));
            self.ahead.push_back(Ahead {
                task: AbortOnDropHandle::new(task),
                go,
            });
        }
    }
}

async fn fetch(
    source: Source,
    range: Range<u64>,
    go: oneshot::Receiver<()>,
) -> Result<(Vec<Bytes>, Share)> {
    let budget = source.shared.budget.clone();
    let share = tokio::select! {
        share = budget.share(range.end - range.start) => share?,
        _ = go => Share::BEYOND,
    };
    let chunks = RangeReader::new(source, range, None).collect().await?;
    Ok((chunks, share))
}
