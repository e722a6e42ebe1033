//! Write-once retention.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use ops_core::object_store::{ObjectLock, Retention, RetentionMode};
use ops_core::{Error, ErrorKind, ObjectKey, Result, async_trait};

use crate::error::decode;
use crate::get::timestamp;
use crate::store::S3Store;

#[async_trait]
impl ObjectLock for S3Store {
    async fn retention(&self, key: &ObjectKey) -> Result<Option<Retention>> {
        let operation = self.0.reading("object_store.retention").on(key);
        let request = self
            .0
            .client
            .get_object_retention()
            .bucket(&self.0.bucket)
            .key(self.0.full_key(key));
        let get = self.0.call(&operation, request.send());
        let answer = match get.await {
            Ok((answer, _)) => answer,
            Err(err) if err.code() == Some("NoSuchObjectLockConfiguration") => return Ok(None),
            Err(err) => return Err(err),
        };
        let Some(retention) = answer.retention() else {
            return Ok(None);
        };
        let until = timestamp(retention.retain_until_date());
        let mode = match retention.mode() {
            Some(ObjectLockRetentionMode::Compliance) => Ok(RetentionMode::Compliance),
            Some(ObjectLockRetentionMode::Governance) => Ok(RetentionMode::Governance),
            _ => Err(decode("the `Mode` of the retention is unknown")),
        };
        let retention = until.and_then(|until| Ok(Retention { mode: mode?, until }));
        retention.map(Some).map_err(|err| operation.decorate(err))
    }

    async fn set_retention(&self, key: &ObjectKey, retention: Retention) -> Result<()> {
        let operation = self.0.writing("object_store.set_retention").on(key);
        // Asked for first: the store says of a shorter one only that access is denied.
        if let Some(present) = self.retention(key).await?
            && present.until > retention.until
        {
            let message = "a retention cannot be made shorter";
            return Err(operation.decorate(Error::new(ErrorKind::Conflict, message)));
        }
        let mode = match retention.mode {
            RetentionMode::Governance => ObjectLockRetentionMode::Governance,
            RetentionMode::Compliance => ObjectLockRetentionMode::Compliance,
        };
        let until = DateTime::from_millis(retention.until.unix_millis());
        let request = self
            .0
            .client
            .put_object_retention()
            .bucket(&self.0.bucket)
            .key(self.0.full_key(key))
            .retention(
                ObjectLockRetention::builder()
                    .mode(mode)
                    .retain_until_date(until)
                    .build(),
            );
        let put = self.0.checked(&operation, request.send());
        put.await.map(|_| ())
    }
}
