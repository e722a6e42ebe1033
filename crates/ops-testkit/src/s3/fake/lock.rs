//! Object lock: retention and legal holds.

use std::time::{Duration, SystemTime};

use s3s::dto::{
    GetObjectLegalHoldInput, GetObjectLegalHoldOutput, GetObjectRetentionInput,
    GetObjectRetentionOutput, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockMode,
    ObjectLockRetention, ObjectLockRetentionMode, PutObjectLegalHoldInput,
    PutObjectLegalHoldOutput, PutObjectRetentionInput, PutObjectRetentionOutput, Timestamp,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};

use super::Backend;
use super::errors::no_such_key;
use super::store::{Bucket, Configurations, Object};

const DAY: Duration = Duration::from_hours(24);

/// The retention that the headers of a request ask for.
pub(super) fn retention(
    mode: Option<&ObjectLockMode>,
    until: Option<Timestamp>,
) -> Option<ObjectLockRetention> {
    Some(ObjectLockRetention {
        mode: Some(ObjectLockRetentionMode::from(mode?.as_str().to_owned())),
        retain_until_date: Some(until?),
    })
}

/// Gives an object the retention that its bucket has for those without one.
pub(super) fn apply_default(config: &Configurations, object: &mut Object, now: SystemTime) {
    let rule = config.object_lock.as_ref().and_then(|it| it.rule.as_ref());
    let Some(default) = rule.and_then(|rule| rule.default_retention.as_ref()) else {
        return;
    };
    if object.retention.is_some() {
        return;
    }
    let years = default.years.and_then(|years| u32::try_from(years).ok());
    let days = default.days.and_then(|days| u32::try_from(days).ok());
    let days = days.unwrap_or_default() + years.unwrap_or_default() * 365;
    object.retention = Some(ObjectLockRetention {
        mode: default.mode.clone(),
        retain_until_date: Some(Timestamp::from(now + DAY * days)),
    });
}

/// Whether a version may be removed.
///
/// # Errors
/// `AccessDenied` where it is held or retained.
pub(super) fn check_removal(object: &Object, bypass: bool, now: SystemTime) -> S3Result<()> {
    let denied = || {
        s3_error!(
            AccessDenied,
            "Access Denied because object protected by object lock."
        )
    };
    if object.legal_hold {
        return Err(denied());
    }
    match &object.retention {
        Some(retention) if retained(retention, bypass, now) => Err(denied()),
        _ => Ok(()),
    }
}

fn retained(retention: &ObjectLockRetention, bypass: bool, now: SystemTime) -> bool {
    let governed = retention
        .mode
        .as_ref()
        .is_some_and(|mode| mode.as_str() == ObjectLockRetentionMode::GOVERNANCE);
    let still = retention
        .retain_until_date
        .as_ref()
        .is_some_and(|until| *until > Timestamp::from(now));
    still && !(governed && bypass)
}

fn locked(bucket: &Bucket) -> S3Result<()> {
    if bucket.config.object_lock.is_some() {
        return Ok(());
    }
    Err(s3_error!(
        InvalidRequest,
        "Bucket is missing Object Lock Configuration"
    ))
}

fn object_mut<'a>(bucket: &'a mut Bucket, key: &str, id: Option<&str>) -> S3Result<&'a mut Object> {
    locked(bucket)?;
    let version = bucket.version_mut(key, id).ok_or_else(no_such_key)?;
    version.object.as_mut().ok_or_else(no_such_key)
}

impl Backend {
    pub(super) fn put_retention(
        &self,
        input: PutObjectRetentionInput,
    ) -> S3Result<S3Response<PutObjectRetentionOutput>> {
        let now = self.now();
        let mut store = self.store();
        let bucket = store.bucket_mut(&input.bucket)?;
        let object = object_mut(bucket, &input.key, input.version_id.as_deref())?;
        let longer = match (&object.retention, &input.retention) {
            (Some(old), Some(new)) => new.retain_until_date >= old.retain_until_date,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let bypass = input.bypass_governance_retention.unwrap_or_default();
        if let Some(old) = &object.retention
            && !longer
            && retained(old, bypass, now)
        {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        object.retention = input.retention;
        Ok(S3Response::new(PutObjectRetentionOutput::default()))
    }

    pub(super) fn get_retention(
        &self,
        input: &GetObjectRetentionInput,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        let mut store = self.store();
        let bucket = store.bucket_mut(&input.bucket)?;
        let object = object_mut(bucket, &input.key, input.version_id.as_deref())?;
        let retention = object.retention.clone().ok_or_else(no_lock)?;
        Ok(S3Response::new(GetObjectRetentionOutput {
            retention: Some(retention),
        }))
    }

    pub(super) fn put_legal_hold(
        &self,
        input: &PutObjectLegalHoldInput,
    ) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
        let mut store = self.store();
        let bucket = store.bucket_mut(&input.bucket)?;
        let object = object_mut(bucket, &input.key, input.version_id.as_deref())?;
        let status = input.legal_hold.as_ref().and_then(|it| it.status.as_ref());
        object.legal_hold = status.is_some_and(|it| it.as_str() == ObjectLockLegalHoldStatus::ON);
        Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
    }

    pub(super) fn get_legal_hold(
        &self,
        input: &GetObjectLegalHoldInput,
    ) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        let mut store = self.store();
        let bucket = store.bucket_mut(&input.bucket)?;
        let object = object_mut(bucket, &input.key, input.version_id.as_deref())?;
        let status = if object.legal_hold {
            ObjectLockLegalHoldStatus::ON
        } else {
            ObjectLockLegalHoldStatus::OFF
        };
        Ok(S3Response::new(GetObjectLegalHoldOutput {
            legal_hold: Some(ObjectLockLegalHold {
                status: Some(ObjectLockLegalHoldStatus::from_static(status)),
            }),
        }))
    }
}

fn no_lock() -> S3Error {
    s3_error!(
        NoSuchObjectLockConfiguration,
        "The specified object does not have a ObjectLock configuration"
    )
}
