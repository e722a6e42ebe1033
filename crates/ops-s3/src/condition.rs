//! Writes that happen only under a condition.
//!
//! The answer to a conditional write can be lost although the write was applied; repeated,
//! it then loses against itself. So each such write carries a random name in the object's
//! metadata, by which the object that is found afterwards is known as ours or not.

use ops_core::object_store::{ETag, ObjectMeta, PutCondition};
use ops_core::{Error, ErrorKind, ObjectKey, Result, Retry};
use rustls::crypto::ring;

use crate::error::{already_exists, unsupported, version_conflict};
use crate::get;
use crate::operation::Operation;
use crate::profile::{EtagForm, StoreProfile};
use crate::store::Shared;

/// The metadata that holds the name of a write.
pub(crate) const WRITE_ID: &str = "ops-write-id";

/// The headers of a condition.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConditionHeaders {
    pub(crate) if_none_match: Option<String>,
    pub(crate) if_match: Option<String>,
}

/// The request that is to obey a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Put,
    Complete,
    Copy,
}

impl Request {
    const fn name(self) -> &'static str {
        match self {
            Self::Put => "PutObject",
            Self::Complete => "CompleteMultipartUpload",
            Self::Copy => "CopyObject",
        }
    }

    /// Whether the store obeys a condition in this request.
    pub(crate) fn obeys(self, profile: &StoreProfile, condition: &PutCondition) -> bool {
        match (self, condition) {
            (_, PutCondition::Always) => true,
            (Self::Put, PutCondition::IfNoneMatch) => profile.put_if_none_match,
            (Self::Complete, PutCondition::IfNoneMatch) => profile.complete_if_none_match,
            (Self::Copy, PutCondition::IfNoneMatch) => profile.copy_if_none_match,
            (Self::Put, PutCondition::IfMatch(_)) => profile.put_if_match.is_some(),
            (Self::Complete, PutCondition::IfMatch(_)) => profile.complete_if_match,
            (Self::Copy, PutCondition::IfMatch(_)) => profile.copy_if_match,
            _ => false,
        }
    }

    /// The headers of a condition.
    ///
    /// # Errors
    /// `Unsupported` where the store would ignore them.
    pub(crate) fn headers(
        self,
        profile: &StoreProfile,
        condition: &PutCondition,
    ) -> Result<ConditionHeaders> {
        if !self.obeys(profile, condition) {
            let header = match condition {
                PutCondition::IfMatch(_) => "If-Match",
                _ => "If-None-Match",
            };
            let request = self.name();
            return Err(unsupported(format!(
                "the store does not obey {header} in {request}, so the condition cannot be kept"
            )));
        }
        let mut headers = ConditionHeaders::default();
        match condition {
            PutCondition::IfNoneMatch => headers.if_none_match = Some("*".to_owned()),
            PutCondition::IfMatch(etag) => {
                let form = profile.put_if_match.unwrap_or(EtagForm::Quoted);
                headers.if_match = Some(etag_header(etag, form));
            }
            _ => {}
        }
        Ok(headers)
    }
}

pub(crate) fn etag_header(etag: &ETag, form: EtagForm) -> String {
    match form {
        EtagForm::Quoted => format!("\"{}\"", etag.as_str()),
        EtagForm::Bare => etag.as_str().to_owned(),
    }
}

/// A random name for a write.
///
/// # Errors
/// `Internal` where the operating system has no randomness.
pub(crate) fn new_write_id() -> Result<String> {
    let mut bytes = [0; 16];
    let random = ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| {
        Error::new(
            ErrorKind::Internal,
            "the operating system has no randomness",
        )
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// A write that ended with an error.
pub(crate) struct Lost<'a> {
    pub(crate) key: &'a ObjectKey,
    pub(crate) condition: &'a PutCondition,
    pub(crate) write_id: Option<&'a str>,
}

/// Finds out whether a write that ended with an error was applied after all, and says in
/// the terms of its condition why it was not.
pub(crate) async fn settle(
    shared: &Shared,
    operation: &Operation,
    lost: Lost<'_>,
    err: Error,
) -> Result<ObjectMeta> {
    let collided = err.code() == Some("ConditionalRequestConflict");
    let repeated = err.attempts() > 1 && matches!(err.status(), Some(404 | 409 | 412));
    let unsure = err.retry() == Retry::OutcomeUnknown || repeated;
    let mut exists = false;
    if collided || (unsure && lost.write_id.is_some()) {
        let found = get::head(shared, &operation.reading(), lost.key).await;
        exists = found.is_ok();
        if let Ok(found) = found
            && lost.write_id.is_some()
            && found.write_id.as_deref() == lost.write_id
        {
            return Ok(found.meta);
        }
    }
    Err(in_terms_of(lost.condition, err, exists))
}

fn in_terms_of(condition: &PutCondition, err: Error, exists: bool) -> Error {
    let failed = err.status() == Some(412) || err.code() == Some("PreconditionFailed");
    let gone = err.status() == Some(404) && err.code() != Some("NoSuchBucket");
    let ours = match condition {
        PutCondition::IfNoneMatch if failed || (exists && err.status() == Some(409)) => {
            already_exists()
        }
        PutCondition::IfMatch(_) if failed || (gone && err.code() != Some("NoSuchUpload")) => {
            version_conflict()
        }
        _ => return err,
    };
    let ours = ours.with_attempts(err.attempts());
    let ours = match err.status() {
        Some(status) => ours.with_status(status),
        None => ours,
    };
    let ours = match err.code() {
        Some(code) => ours.with_code(code),
        None => ours,
    };
    match err.request_id() {
        Some(id) => ours.with_request_id(id),
        None => ours,
    }
}
