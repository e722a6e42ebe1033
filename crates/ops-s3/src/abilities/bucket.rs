//! Making and removing the bucket itself.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use ops_core::object_store::BucketAdmin;
use ops_core::{Result, async_trait};

use crate::store::S3Store;

/// The region that must not be named when a bucket is made.
const DEFAULT_REGION: &str = "us-east-1";

#[async_trait]
impl BucketAdmin for S3Store {
    async fn create_bucket(&self) -> Result<()> {
        let operation = self.0.writing("object_store.create_bucket");
        let region = (self.0.region != DEFAULT_REGION && self.0.region != "auto").then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(self.0.region.as_str()))
                .build()
        });
        let request = self
            .0
            .client
            .create_bucket()
            .bucket(&self.0.bucket)
            .set_create_bucket_configuration(region);
        let create = self.0.call(&operation, request.send());
        match create.await {
            Err(err) if err.code() != Some("BucketAlreadyOwnedByYou") => Err(err),
            _ => Ok(()),
        }
    }

    async fn delete_bucket(&self) -> Result<()> {
        let operation = self.0.writing("object_store.delete_bucket");
        let request = self.0.client.delete_bucket().bucket(&self.0.bucket);
        let delete = self.0.call(&operation, request.send());
        match delete.await {
            Err(err) if !err.is_not_found() => Err(err),
            _ => Ok(()),
        }
    }
}
