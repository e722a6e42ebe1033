//! One range of an object, resumed where a connection breaks.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream as SdkStream;
use bytes::Bytes;
use ops_core::Result;

use super::body::Source;
use crate::error::{broken_body, decode, version_conflict};
use crate::get::Wanted;

/// How often a range is asked for again without much progress in between.
const MAX_RESUMES: u32 = 3;

/// So much must have come for a resume not to count.
const PROGRESS: u64 = 1024 * 1024;

/// The bytes of a range, in order.
pub(super) struct RangeReader {
    source: Source,
    left: Range<u64>,
    body: Option<SdkStream>,
    resumes: u32,
    resumed_at: u64,
}

impl RangeReader {
    /// Reads a range; `body` is an answer that begins with it.
    pub(super) fn new(source: Source, range: Range<u64>, body: Option<SdkStream>) -> Self {
        Self {
            source,
            resumed_at: range.start,
            left: range,
            body,
            resumes: 0,
        }
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.left.is_empty() {
            let body = if let Some(body) = &mut self.body {
                body
            } else {
                let body = self.ask().await?;
                self.body.insert(body)
            };
            match body.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(mut chunk)) => {
                    let wanted = self.left.end - self.left.start;
                    chunk.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
                    self.left.start += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                Some(Err(err)) => self.resume(broken_body(&err)).await?,
                None => {
                    let err = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                    self.resume(broken_body(&err)).await?;
                }
            }
        }
        self.body = None;
        Ok(None)
    }

    /// All of the range.
    pub(super) async fn collect(mut self) -> Result<Vec<Bytes>> {
        let mut chunks = Vec::new();
        while let Some(chunk) = self.next().await? {
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    /// Prepares to ask for the rest, or fails with `err`.
    async fn resume(&mut self, err: ops_core::Error) -> Result<()> {
        if self.left.start - self.resumed_at >= PROGRESS {
            self.resumes = 0;
        }
        let pinned = self.source.etag.is_some();
        if !pinned || self.resumes >= MAX_RESUMES {
            return Err(err.with_attempts(self.resumes + 1));
        }
        tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(self.resumes)).await;
        self.resumes += 1;
        self.resumed_at = self.left.start;
        self.body = None;
        Ok(())
    }

    /// Asks for what is left, at the same version.
    async fn ask(&self) -> Result<SdkStream> {
        let wanted = Wanted::Bounded {
            first: self.left.start,
            last: self.left.end - 1,
        };
        let answer = self.source.request(Some(wanted.header())).await?;
        if answer.etag() != self.source.etag {
            return Err(version_conflict());
        }
        let start = format!("bytes {}-", self.left.start);
        match answer.content_range() {
            Some(range) if range.starts_with(&start) => Ok(answer.into_body()),
            _ => Err(decode(
                "`Content-Range` is another range than was asked for",
            )),
        }
    }
}
