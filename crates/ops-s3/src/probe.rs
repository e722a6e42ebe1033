//! Finding out what a store can really do, by doing it.
//!
//! Many stores take a header without obeying it. So each answer below comes from two
//! requests: one that must succeed, and one that must be refused.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ops_core::{Error, ErrorKind, Result};

use crate::condition::new_write_id;
use crate::digest::of;
use crate::operation::Operation;
use crate::profile::{ChecksumKind, StoreProfile};
use crate::store::Shared;

mod checksums;
mod conditions;
mod parts;
mod requests;
mod scratch;

use checksums::repeated;
use requests::{Condition, Requests};
use scratch::Scratch;

/// What was tried, and how the store answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was tried, such as `PutObject If-None-Match`.
    pub tried: &'static str,
    /// Whether the store does it right.
    pub holds: bool,
    /// What it answered.
    pub answer: String,
}

/// The result of probing a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeReport {
    /// What the store can do.
    pub profile: StoreProfile,
    /// What was tried, in the order in which it was.
    pub findings: Vec<Finding>,
}

/// One line per finding: `yes` or `no`, what was tried, and the answer.
impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let holds = if finding.holds { "yes" } else { "no" };
            write!(f, "{holds:<4}{:<58}{}", finding.tried, finding.answer)?;
        }
        Ok(())
    }
}

/// Probes the store behind `shared`, and removes what that leaves. What needs large parts is
/// tried only where that is asked for.
pub(crate) async fn probe(shared: &Arc<Shared>, part_sizes: bool) -> Result<ProbeReport> {
    let operation = Operation::write(shared.provider.clone(), "object_store.open");
    let scratch = Scratch::new(Arc::clone(shared), operation.clone(), &new_write_id()?);
    let mut probe = Probe {
        requests: Requests::new(Arc::clone(shared), operation),
        scratch,
        report: ProbeReport {
            profile: StoreProfile::unproven(),
            findings: Vec::new(),
        },
    };
    let probed = probe.all(part_sizes).await;
    let cleaned = probe.scratch.remove_all().await;
    probed?;
    cleaned.map_err(|err| {
        let message = format!("scratch objects of the probe are left: {}", err.message());
        Error::new(err.kind(), message)
    })?;
    Ok(probe.report)
}

struct Probe {
    requests: Requests,
    scratch: Scratch,
    report: ProbeReport,
}

/// The content of scratch objects.
const CONTENT: Bytes = Bytes::from_static(b"what a store can do is found by doing it");

impl Probe {
    async fn all(&mut self, part_sizes: bool) -> Result<()> {
        self.checksums().await?;
        self.put_conditions().await?;
        self.get_condition().await?;
        self.copies().await?;
        self.uploads().await?;
        self.max_parts().await?;
        if part_sizes {
            self.part_sizes().await?;
        }
        self.upload_part_copy().await?;
        self.listing().await?;
        self.listing_of_uploads().await?;
        self.delete_many().await?;
        self.bucket_abilities().await
    }

    /// Records an answer, and gives back whether it is the right one.
    ///
    /// # Errors
    /// What says nothing about the ability: a missing bucket, refused credentials, an
    /// outage.
    fn record(
        &mut self,
        tried: &'static str,
        answer: &Result<()>,
        expected: Expected,
    ) -> Result<bool> {
        if let Err(err) = answer
            && says_nothing(err)
        {
            return Err(clone_of(err));
        }
        let holds = match (expected, answer) {
            (Expected::Success, answer) => answer.is_ok(),
            (Expected::Refusal, Ok(())) => false,
            (Expected::Refusal, Err(err)) => err.kind() != ErrorKind::Unsupported,
            (Expected::PreconditionFailed, answer) => {
                matches!(answer, Err(err) if err.status() == Some(412))
            }
        };
        let answer = match answer {
            Ok(()) => "done".to_owned(),
            Err(err) => match (err.status(), err.code()) {
                (Some(status), Some(code)) => format!("{status} {code}"),
                (Some(status), None) => status.to_string(),
                _ => err.message().to_owned(),
            },
        };
        self.report.findings.push(Finding {
            tried,
            holds,
            answer,
        });
        Ok(holds)
    }

    async fn copies(&mut self) -> Result<()> {
        let (from, to) = (self.scratch.key(), self.scratch.key());
        self.requests
            .put(&from, CONTENT, None, Condition::None)
            .await?;
        let plain = self.requests.copy(&from, &to, Condition::None).await;
        let etag = plain.as_ref().ok().cloned().flatten();
        let copies = self.record("CopyObject", &plain.map(drop), Expected::Success)?;
        self.report.profile.copy = copies;
        if !copies {
            return Ok(());
        }
        let over = self.requests.copy(&from, &to, Condition::NoneMatch).await;
        let tried = "CopyObject If-None-Match, object there";
        let refuses = self.record(tried, &over.map(drop), Expected::PreconditionFailed)?;
        let fresh = self.scratch.key();
        let made = self
            .requests
            .copy(&from, &fresh, Condition::NoneMatch)
            .await;
        let tried = "CopyObject If-None-Match, nothing there";
        let makes = self.record(tried, &made.map(drop), Expected::Success)?;
        self.report.profile.copy_if_none_match = refuses && makes;
        let (Some(etag), Some(form)) = (etag, self.report.profile.put_if_match) else {
            return Ok(());
        };
        let same = self
            .requests
            .copy(&from, &to, Condition::Match(&etag, form))
            .await;
        let tried = "CopyObject If-Match, same version";
        let swaps = self.record(tried, &same.map(drop), Expected::Success)?;
        let stale = ops_core::object_store::ETag::new("0123456789abcdef0123456789abcdef");
        let stale = self
            .requests
            .copy(&from, &to, Condition::Match(&stale, form))
            .await;
        let tried = "CopyObject If-Match, another version";
        let refuses = self.record(tried, &stale.map(drop), Expected::PreconditionFailed)?;
        self.report.profile.copy_if_match = swaps && refuses;
        Ok(())
    }

    /// Uploads of one part, which may be small.
    async fn uploads(&mut self) -> Result<()> {
        self.part_checksums().await?;
        let kind = self.report.profile.part_checksum;
        if kind == ChecksumKind::Crc32c {
            let key = self.scratch.key();
            let whole = self
                .requests
                .upload(&key, kind, true, Condition::None)
                .await;
            let repeated = whole.and_then(|made| repeated(made.checksum, of(kind, &CONTENT)));
            let tried = "CompleteMultipartUpload, CRC-32C of the whole";
            let sums = self.record(tried, &repeated, Expected::Success)?;
            self.report.profile.full_object_checksum = sums;
        }
        let whole = self.report.profile.full_object_checksum;
        let key = self.scratch.key();
        let made = self
            .requests
            .upload(&key, kind, whole, Condition::NoneMatch)
            .await;
        let etag = made.as_ref().ok().and_then(|made| made.etag.clone());
        let tried = "CompleteMultipartUpload If-None-Match, nothing there";
        let makes = self.record(tried, &made.map(drop), Expected::Success)?;
        let over = self
            .requests
            .upload(&key, kind, whole, Condition::NoneMatch)
            .await;
        let tried = "CompleteMultipartUpload If-None-Match, object there";
        let refuses = self.record(tried, &over.map(drop), Expected::PreconditionFailed)?;
        self.report.profile.complete_if_none_match = makes && refuses;
        let (Some(etag), Some(form)) = (etag, self.report.profile.put_if_match) else {
            return Ok(());
        };
        let stale = ops_core::object_store::ETag::new("0123456789abcdef0123456789abcdef");
        let condition = Condition::Match(&stale, form);
        let stale = self.requests.upload(&key, kind, whole, condition).await;
        let tried = "CompleteMultipartUpload If-Match, another version";
        let refuses = self.record(tried, &stale.map(drop), Expected::PreconditionFailed)?;
        let condition = Condition::Match(&etag, form);
        let same = self.requests.upload(&key, kind, whole, condition).await;
        let tried = "CompleteMultipartUpload If-Match, same version";
        let swaps = self.record(tried, &same.map(drop), Expected::Success)?;
        // Where a completion over an object was refused for its own sake, neither counts.
        self.report.profile.complete_if_match = swaps && refuses;
        Ok(())
    }

    async fn upload_part_copy(&mut self) -> Result<()> {
        let (from, to) = (self.scratch.key(), self.scratch.key());
        self.requests
            .put(&from, CONTENT, None, Condition::None)
            .await?;
        let answer = self.requests.part_copy(&from, &to).await;
        self.report.profile.upload_part_copy =
            self.record("UploadPartCopy", &answer, Expected::Success)?;
        Ok(())
    }

    /// Some stores say that they encode keys, and do not.
    async fn listing(&mut self) -> Result<()> {
        let awkward = self.scratch.awkward_key();
        let put = self.requests.put(&awkward, CONTENT, None, Condition::None);
        put.await?;
        let answer = self.requests.lists_encoded(&awkward).await;
        self.report.profile.encodes_listings = self.record(
            "ListObjectsV2 encoding-type=url",
            &answer,
            Expected::Success,
        )?;
        Ok(())
    }

    async fn listing_of_uploads(&mut self) -> Result<()> {
        let key = self.scratch.key();
        let answer = self.requests.lists_own_upload(&key).await;
        self.report.profile.list_uploads =
            self.record("ListMultipartUploads", &answer, Expected::Success)?;
        Ok(())
    }

    async fn delete_many(&mut self) -> Result<()> {
        let key = self.scratch.key();
        self.requests
            .put(&key, CONTENT, None, Condition::None)
            .await?;
        let answer = self.requests.delete_objects(&key).await;
        self.report.profile.delete_many =
            self.record("DeleteObjects", &answer, Expected::Success)?;
        Ok(())
    }

    /// Asked for only: a probe does not change the settings of a bucket.
    async fn bucket_abilities(&mut self) -> Result<()> {
        let answer = self.requests.get_versioning().await;
        self.report.profile.versions = self.readable("GetBucketVersioning", &answer)?;
        let answer = self.requests.get_lifecycle().await;
        self.report.profile.lifecycle =
            self.readable("GetBucketLifecycleConfiguration", &answer)?;
        let answer = self.requests.get_object_lock().await;
        self.report.profile.object_lock = self.readable("GetObjectLockConfiguration", &answer)?;
        Ok(())
    }

    /// Refused permission is taken for an ability that others may use.
    fn readable(&mut self, tried: &'static str, answer: &Result<()>) -> Result<bool> {
        let denied = matches!(answer, Err(err) if err.kind() == ErrorKind::PermissionDenied);
        if denied {
            self.report.findings.push(Finding {
                tried,
                holds: true,
                answer: "403, so taken for there".to_owned(),
            });
            return Ok(true);
        }
        self.record(tried, answer, Expected::Success)
    }
}

/// The right answer.
#[derive(Clone, Copy)]
enum Expected {
    Success,
    Refusal,
    PreconditionFailed,
}

/// Whether an error is about something else than what was tried.
fn says_nothing(err: &Error) -> bool {
    matches!(
        err.kind(),
        ErrorKind::InvalidConfig
            | ErrorKind::Unauthenticated
            | ErrorKind::PermissionDenied
            | ErrorKind::RateLimited
            | ErrorKind::Timeout
    ) || err.code() == Some("NoSuchBucket")
        || (err.kind() == ErrorKind::Unavailable && err.status() != Some(500))
}

/// The same error without its source: the report keeps none.
fn clone_of(err: &Error) -> Error {
    let mut same = Error::new(err.kind(), err.message().to_owned())
        .with_attempts(err.attempts())
        .with_retry(err.retry());
    if let Some(status) = err.status() {
        same = same.with_status(status);
    }
    if let Some(code) = err.code() {
        same = same.with_code(code);
    }
    if let Some(id) = err.request_id() {
        same = same.with_request_id(id);
    }
    same
}
