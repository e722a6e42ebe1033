//! By which checksums a store verifies what it is sent.

use ops_core::object_store::Checksum;
use ops_core::{Error, ErrorKind, Result};

use super::requests::Condition;
use super::{CONTENT, Expected, Probe};
use crate::digest::of;
use crate::profile::ChecksumKind;

impl Probe {
    pub(super) async fn checksums(&mut self) -> Result<()> {
        // Nothing special: whatever is wrong with it is wrong with the store.
        let key = self.scratch.key();
        self.requests
            .put(&key, CONTENT, None, Condition::None)
            .await?;
        for (kind, right, wrong) in [
            (
                ChecksumKind::Crc32c,
                "PutObject with a CRC-32C, repeated",
                "PutObject with a wrong CRC-32C",
            ),
            (
                ChecksumKind::Sha256,
                "PutObject with a SHA-256, repeated",
                "PutObject with a wrong SHA-256",
            ),
        ] {
            let key = self.scratch.key();
            let sum = of(kind, &CONTENT);
            let answer = self.requests.put(&key, CONTENT, sum, Condition::None).await;
            let repeated = answer.and_then(|put| repeated(put.checksum, sum));
            let repeats = self.record(right, &repeated, Expected::Success)?;
            let sum = of(kind, b"something else");
            let answer = self.requests.put(&key, CONTENT, sum, Condition::None).await;
            let refuses = self.record(wrong, &answer.map(drop), Expected::Refusal)?;
            if repeats && refuses {
                self.report.profile.checksum = kind;
                break;
            }
        }
        self.md5().await
    }

    async fn md5(&mut self) -> Result<()> {
        let key = self.scratch.key();
        let sum = of(ChecksumKind::Md5, &CONTENT);
        let answer = self.requests.put(&key, CONTENT, sum, Condition::None).await;
        let etag_is_md5 = answer.and_then(|put| repeated(put.md5(), sum));
        let is_md5 = self.record("ETag is the MD5", &etag_is_md5, Expected::Success)?;
        self.report.profile.etag_is_md5 = is_md5;
        if self.report.profile.checksum != ChecksumKind::None {
            return Ok(());
        }
        let wrong = Some(Checksum::Md5([7; 16]));
        let answer = self
            .requests
            .put(&key, CONTENT, wrong, Condition::None)
            .await;
        let tried = "PutObject with a wrong Content-MD5";
        let refuses = self.record(tried, &answer.map(drop), Expected::Refusal)?;
        if refuses || is_md5 {
            self.report.profile.checksum = ChecksumKind::Md5;
        }
        Ok(())
    }

    pub(super) async fn part_checksums(&mut self) -> Result<()> {
        for (kind, right, wrong) in [
            (
                ChecksumKind::Crc32c,
                "UploadPart with a CRC-32C, repeated",
                "UploadPart with a wrong CRC-32C",
            ),
            (
                ChecksumKind::Sha256,
                "UploadPart with a SHA-256, repeated",
                "UploadPart with a wrong SHA-256",
            ),
        ] {
            let key = self.scratch.key();
            let sum = of(kind, &CONTENT);
            let sent = self.requests.lone_part(&key, kind, sum).await;
            let sent = sent.and_then(|part| repeated(part.checksum, sum));
            let repeats = self.record(right, &sent, Expected::Success)?;
            let sum = of(kind, b"something else");
            let sent = self.requests.lone_part(&key, kind, sum).await;
            let refuses = self.record(wrong, &sent.map(drop), Expected::Refusal)?;
            if repeats && refuses {
                self.report.profile.part_checksum = kind;
                return Ok(());
            }
        }
        let (key, kind) = (self.scratch.key(), ChecksumKind::Md5);
        let sent = self
            .requests
            .lone_part(&key, kind, of(kind, &CONTENT))
            .await;
        let etag_is_md5 = sent.and_then(|part| repeated(part.md5(), of(kind, &CONTENT)));
        let tried = "ETag of a part is the MD5";
        if self.record(tried, &etag_is_md5, Expected::Success)? && self.report.profile.etag_is_md5 {
            self.report.profile.part_checksum = kind;
        }
        self.signed_parts().await
    }

    async fn signed_parts(&mut self) -> Result<()> {
        let key = self.scratch.key();
        let right = self.requests.signed_part(&key, &CONTENT).await;
        let takes = self.record("UploadPart, signed", &right, Expected::Success)?;
        let key = self.scratch.key();
        let wrong = self.requests.signed_part(&key, b"something else").await;
        let tried = "UploadPart, signed for something else";
        let refuses = self.record(tried, &wrong, Expected::Refusal)?;
        self.report.profile.verifies_signed_parts = takes && refuses;
        Ok(())
    }
}

pub(super) fn repeated(said: Option<Checksum>, sent: Option<Checksum>) -> Result<()> {
    if said == sent {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Decode, "not repeated"))
}
