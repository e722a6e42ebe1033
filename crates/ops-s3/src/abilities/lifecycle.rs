//! Rules by which the store removes objects.

use std::collections::BTreeSet;

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus,
    LifecycleExpiration, LifecycleRule as WireRule, LifecycleRuleFilter,
};
use ops_core::object_store::{Lifecycle, LifecycleRule};
use ops_core::{Error, ErrorKind, Result, async_trait};

use crate::operation::Operation;
use crate::store::S3Store;

/// Rules that do more than [`LifecycleRule`] says, such as moving objects to another
/// storage class, are shown without that, and lost when rules are replaced.
#[async_trait]
impl Lifecycle for S3Store {
    async fn lifecycle_rules(&self) -> Result<Vec<LifecycleRule>> {
        let operation = self.0.reading("object_store.lifecycle_rules");
        let request = self
            .0
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(&self.0.bucket);
        let get = self.0.call(&operation, request.send());
        match get.await {
            Ok((answer, _)) => Ok(answer
                .rules()
                .iter()
                .filter(|rule| *rule.status() == ExpirationStatus::Enabled)
                .map(from_wire)
                .collect()),
            Err(err) if err.code() == Some("NoSuchLifecycleConfiguration") => Ok(Vec::new()),
            Err(err) => Err(err),
        }
    }

    async fn set_lifecycle_rules(&self, rules: Vec<LifecycleRule>) -> Result<()> {
        let operation = self.0.writing("object_store.set_lifecycle_rules");
        let names: BTreeSet<_> = rules.iter().map(|rule| &rule.id).collect();
        if names.len() < rules.len() {
            let err = Error::new(ErrorKind::InvalidInput, "two rules have one name");
            return Err(operation.decorate(err));
        }
        if rules.is_empty() {
            return self.remove_rules(&operation).await;
        }
        let rules = rules.iter().map(to_wire).collect::<Result<Vec<_>>>();
        let configuration = rules.and_then(|rules| {
            let builder = BucketLifecycleConfiguration::builder().set_rules(Some(rules));
            builder.build().map_err(unusable)
        });
        let configuration = configuration.map_err(|err| operation.decorate(err))?;
        let request = self
            .0
            .client
            .put_bucket_lifecycle_configuration()
            .bucket(&self.0.bucket)
            .lifecycle_configuration(configuration);
        let put = self.0.checked(&operation, request.send());
        put.await.map(|_| ())
    }
}

impl S3Store {
    async fn remove_rules(&self, operation: &Operation) -> Result<()> {
        let request = self
            .0
            .client
            .delete_bucket_lifecycle()
            .bucket(&self.0.bucket);
        let delete = self.0.call(operation, request.send());
        delete.await.map(|_| ())
    }
}

fn from_wire(rule: &WireRule) -> LifecycleRule {
    #[expect(deprecated, reason = "old rules have their prefix there")]
    let old_prefix = rule.prefix();
    let prefix = rule
        .filter()
        .and_then(|filter| {
            let both = filter.and().and_then(|both| both.prefix());
            filter.prefix().or(both)
        })
        .or(old_prefix);
    let days = |days: Option<i32>| days.and_then(|days| u32::try_from(days).ok());
    let mut ours = LifecycleRule::new(rule.id().unwrap_or_default(), prefix.unwrap_or_default());
    ours.expire_after_days = days(rule.expiration().and_then(LifecycleExpiration::days));
    ours.abort_uploads_after_days = days(
        rule.abort_incomplete_multipart_upload()
            .and_then(AbortIncompleteMultipartUpload::days_after_initiation),
    );
    ours
}

fn to_wire(rule: &LifecycleRule) -> Result<WireRule> {
    let days = |days: u32| {
        i32::try_from(days)
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "a rule has too many days"))
    };
    let expire = rule.expire_after_days.map(days).transpose()?;
    let abort = rule.abort_uploads_after_days.map(days).transpose()?;
    WireRule::builder()
        .id(&rule.id)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(&rule.prefix).build())
        .set_expiration(expire.map(|days| LifecycleExpiration::builder().days(days).build()))
        .set_abort_incomplete_multipart_upload(abort.map(|days| {
            AbortIncompleteMultipartUpload::builder()
                .days_after_initiation(days)
                .build()
        }))
        .build()
        .map_err(unusable)
}

fn unusable(source: aws_sdk_s3::error::BuildError) -> Error {
    Error::new(ErrorKind::InvalidInput, "a rule cannot be written").with_source(source)
}
