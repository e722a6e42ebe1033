//! Conditional requests.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, header};
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use super::behavior::Condition;
use super::errors::no_such_key;
use super::store::etag;

/// The conditions of a request that reads, each named after its header.
#[expect(clippy::struct_field_names, reason = "the headers are called so")]
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// Why a read is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Failed,
    NotModified,
}

impl Read {
    /// Decides in the order of RFC 9110: a condition on the entity tag outweighs its
    /// neighbor on the date.
    pub(super) fn check(&self, tag: &str, modified: SystemTime) -> Result<(), Refused> {
        let modified = Timestamp::from(modified);
        if let Some(condition) = &self.if_match {
            if !holds(condition, tag) {
                return Err(Refused::Failed);
            }
        } else if self
            .if_unmodified_since
            .as_ref()
            .is_some_and(|since| modified > *since)
        {
            return Err(Refused::Failed);
        }
        if let Some(condition) = &self.if_none_match {
            if holds(condition, tag) {
                return Err(Refused::NotModified);
            }
        } else if self
            .if_modified_since
            .as_ref()
            .is_some_and(|since| modified <= *since)
        {
            return Err(Refused::NotModified);
        }
        Ok(())
    }
}

/// Whether an entity tag is among those of a condition.
fn holds(condition: &ETagCondition, tag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == tag,
    }
}

/// The answer 304, with the headers that it must have.
pub(super) fn not_modified(tag: &str) -> S3Error {
    let mut err = s3_error!(NotModified, "Not Modified");
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        headers.insert(header::ETAG, value);
    }
    err.set_headers(headers);
    err
}

pub(super) fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

/// The conditions of a request that writes, and what the store makes of them.
#[expect(clippy::struct_field_names, reason = "the headers are called so")]
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
    pub(super) on_match: Condition,
    pub(super) on_none_match: Condition,
}

impl Write<'_> {
    /// Decides by the entity tag of the present object.
    ///
    /// # Errors
    /// `PreconditionFailed`; `NoSuchKey` where an object that is to match is not there;
    /// `NotImplemented` for what the store does not know.
    pub(super) fn check(&self, current: Option<&str>) -> S3Result<()> {
        if let Some(condition) = self.if_none_match {
            match self.on_none_match {
                Condition::Honored => none_match(condition, current)?,
                other => weakened(other)?,
            }
        }
        if let Some(condition) = self.if_match {
            match self.on_match {
                Condition::Honored => matches(condition, current)?,
                other => weakened(other)?,
            }
        }
        Ok(())
    }
}

fn weakened(condition: Condition) -> S3Result<()> {
    match condition {
        Condition::Honored | Condition::Ignored => Ok(()),
        Condition::AlwaysFails => Err(precondition_failed()),
        Condition::NotImplemented => Err(not_implemented()),
    }
}

fn none_match(condition: &ETagCondition, current: Option<&str>) -> S3Result<()> {
    match condition {
        // Writes take `*` alone.
        ETagCondition::ETag(_) => Err(not_implemented()),
        ETagCondition::Any if current.is_some() => Err(precondition_failed()),
        ETagCondition::Any => Ok(()),
    }
}

fn matches(condition: &ETagCondition, current: Option<&str>) -> S3Result<()> {
    let Some(current) = current else {
        return Err(no_such_key());
    };
    match condition {
        ETagCondition::Any => Ok(()),
        ETagCondition::ETag(wanted) if ETag::strong_cmp(wanted, &etag(current)) => Ok(()),
        ETagCondition::ETag(_) => Err(precondition_failed()),
    }
}

/// What a store says of a header that it does not know.
fn not_implemented() -> S3Error {
    s3_error!(
        NotImplemented,
        "A header you provided implies functionality that is not implemented"
    )
}
