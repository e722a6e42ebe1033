//! How many parts an upload may have, and of which sizes.

use bytes::Bytes;
use ops_core::{Error, ErrorKind, Result};

use super::{CONTENT, Expected, Probe};
use crate::profile::ChecksumKind;

impl Probe {
    /// The greatest number that a part may have: Amazon's, or the other one that stores use.
    pub(super) async fn max_parts(&mut self) -> Result<()> {
        for (number, tried) in [
            (10_000, "UploadPart, number 10000"),
            (1_000, "UploadPart, number 1000"),
        ] {
            let key = self.scratch.key();
            let id = self.requests.begin(&key, ChecksumKind::None, false).await?;
            let part = self.requests.part(&key, &id, (number, CONTENT), None).await;
            self.requests.abort(&key, &id).await;
            if self.record(tried, &part.map(drop), Expected::Success)? {
                self.report.profile.max_parts = number.unsigned_abs();
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether an upload may have parts that differ in size. Smaller ones would be refused
    /// for that, so this sends twice the least size of a part.
    pub(super) async fn part_sizes(&mut self) -> Result<()> {
        let least = usize::try_from(self.report.profile.min_part_bytes).unwrap_or(usize::MAX);
        let data = Bytes::from(vec![0; least.saturating_add(1)]);
        let key = self.scratch.key();
        let id = self.requests.begin(&key, ChecksumKind::None, false).await?;
        let made = self.unequal(&key, &id, &data).await;
        if made.is_err() {
            self.requests.abort(&key, &id).await;
        }
        let tried = "CompleteMultipartUpload, parts of unequal sizes";
        self.report.profile.equal_parts = !self.record(tried, &made, Expected::Success)?;
        Ok(())
    }

    async fn unequal(&self, key: &str, id: &str, data: &Bytes) -> Result<()> {
        let mut etags = Vec::new();
        let sizes = [data.len() - 1, data.len(), 1];
        for (number, size) in (1..).zip(sizes) {
            let part = (number, data.slice(..size));
            let written = self.requests.part(key, id, part, None).await?;
            let etag = written.etag;
            etags.push(etag.ok_or_else(|| Error::new(ErrorKind::Decode, "no ETag"))?);
        }
        self.requests.complete(key, id, etags).await
    }
}
