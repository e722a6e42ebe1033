//! Buckets and their settings.

use s3s::dto::{
    Bucket as ListedBucket, BucketLocationConstraint, BucketVersioningStatus, CreateBucketInput,
    CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput, GetBucketLocationOutput,
    GetBucketVersioningOutput, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectAttributesParts, GetObjectTaggingOutput, HeadBucketOutput, ListBucketsInput,
    ListBucketsOutput, ObjectAttributes, ObjectLockConfiguration, ObjectLockEnabled, ObjectPart,
    Owner, PutBucketVersioningInput, PutBucketVersioningOutput, PutObjectLockConfigurationInput,
    PutObjectLockConfigurationOutput, StorageClass, Tag,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};

use super::Backend;
use super::errors::no_such_key;
use super::objects::shown;
use super::read::find;
use super::store::{Bucket, Configurations, Versioning, etag, size, timestamp};

impl Backend {
    pub(super) fn make_bucket(
        &self,
        input: CreateBucketInput,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let now = self.now();
        let mut store = self.store();
        if store.buckets.contains_key(&input.bucket) {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        let config = input.create_bucket_configuration;
        let region = config
            .and_then(|config| config.location_constraint)
            .map(|region| region.as_str().to_owned());
        let mut bucket = Bucket::new(now, region);
        if input.object_lock_enabled_for_bucket == Some(true) {
            bucket.versioning = Versioning::Enabled;
            bucket.config.object_lock = Some(ObjectLockConfiguration {
                object_lock_enabled: Some(ObjectLockEnabled::from_static(
                    ObjectLockEnabled::ENABLED,
                )),
                rule: None,
            });
        }
        let location = format!("/{}", input.bucket);
        store.buckets.insert(input.bucket, bucket);
        Ok(S3Response::new(CreateBucketOutput {
            location: Some(location),
        }))
    }

    pub(super) fn remove_bucket(
        &self,
        input: &DeleteBucketInput,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let mut store = self.store();
        if !store.bucket(&input.bucket)?.is_empty() {
            return Err(s3_error!(
                BucketNotEmpty,
                "The bucket you tried to delete is not empty"
            ));
        }
        store.buckets.remove(&input.bucket);
        Ok(S3Response::new(DeleteBucketOutput {}))
    }

    pub(super) fn bucket_head(&self, name: &str) -> S3Result<S3Response<HeadBucketOutput>> {
        let store = self.store();
        let bucket = store.bucket(name)?;
        let region = bucket
            .region
            .clone()
            .unwrap_or_else(|| super::REGION.to_owned());
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(region),
            ..HeadBucketOutput::default()
        }))
    }

    pub(super) fn bucket_location(
        &self,
        name: &str,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let store = self.store();
        let region = store.bucket(name)?.region.clone();
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint: region.map(BucketLocationConstraint::from),
        }))
    }

    pub(super) fn buckets(&self, input: ListBucketsInput) -> S3Response<ListBucketsOutput> {
        let store = self.store();
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.unwrap_or_default();
        let max = usize::try_from(input.max_buckets.unwrap_or(10_000)).unwrap_or_default();
        let mut all = store
            .buckets
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix) && **name > after);
        let buckets: Vec<_> = all
            .by_ref()
            .take(max)
            .map(|(name, bucket)| ListedBucket {
                name: Some(name.clone()),
                creation_date: Some(timestamp(bucket.created)),
                bucket_region: bucket.region.clone(),
            })
            .collect();
        let last = buckets.last().and_then(|bucket| bucket.name.clone());
        S3Response::new(ListBucketsOutput {
            continuation_token: all.next().and(last),
            buckets: Some(buckets),
            owner: Some(Owner::default()),
            prefix: input.prefix,
        })
    }

    pub(super) fn set_versioning(
        &self,
        input: &PutBucketVersioningInput,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let mut store = self.store();
        let bucket = store.bucket_mut(&input.bucket)?;
        let status = input.versioning_configuration.status.as_ref();
        let enabled = status.is_some_and(|it| it.as_str() == BucketVersioningStatus::ENABLED);
        if !enabled && bucket.config.object_lock.is_some() {
            return Err(s3_error!(
                InvalidBucketState,
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
            ));
        }
        bucket.versioning = if enabled {
            Versioning::Enabled
        } else {
            Versioning::Suspended
        };
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    pub(super) fn versioning(
        &self,
        bucket: &str,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let store = self.store();
        let status = match store.bucket(bucket)?.versioning {
            Versioning::Never => None,
            Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
        };
        Ok(S3Response::new(GetBucketVersioningOutput {
            status: status.map(BucketVersioningStatus::from_static),
            ..GetBucketVersioningOutput::default()
        }))
    }

    pub(super) fn set_object_lock(
        &self,
        input: PutObjectLockConfigurationInput,
    ) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
        let mut store = self.store();
        let bucket = store.bucket_mut(&input.bucket)?;
        if bucket.versioning != Versioning::Enabled {
            return Err(s3_error!(
                InvalidBucketState,
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            ));
        }
        bucket.config.object_lock = input.object_lock_configuration;
        Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
    }

    /// Changes the settings of a bucket.
    pub(super) fn configure<T>(
        &self,
        bucket: &str,
        change: impl FnOnce(&mut Configurations) -> T,
    ) -> S3Result<T> {
        let mut store = self.store();
        Ok(change(&mut store.bucket_mut(bucket)?.config))
    }

    /// Reads a setting of a bucket, or fails as its absence does.
    pub(super) fn configuration<T>(
        &self,
        bucket: &str,
        read: impl FnOnce(&Configurations) -> Option<T>,
        missing: impl FnOnce() -> S3Error,
    ) -> S3Result<T> {
        read(&self.store().bucket(bucket)?.config).ok_or_else(missing)
    }

    /// Reads or changes the tags of a version of an object.
    pub(super) fn object_tags(
        &self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
        set: Option<Vec<Tag>>,
    ) -> S3Result<GetObjectTaggingOutput> {
        let missing = no_such_key;
        let mut store = self.store();
        let bucket = store.bucket_mut(bucket)?;
        let version = bucket.version_mut(key, id).ok_or_else(missing)?;
        let version_id = shown(version);
        let object = version.object.as_mut().ok_or_else(missing)?;
        if let Some(tags) = set {
            if tags.len() > 10 {
                return Err(s3_error!(
                    InvalidTag,
                    "Object tags cannot be greater than 10"
                ));
            }
            object.attributes.tags = tags;
        }
        Ok(GetObjectTaggingOutput {
            tag_set: object.attributes.tags.clone(),
            version_id,
        })
    }

    pub(super) fn object_attributes(
        &self,
        input: &GetObjectAttributesInput,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let store = self.store();
        let bucket = store.bucket(&input.bucket)?;
        let (version, object) = find(bucket, &input.key, input.version_id.as_deref())?;
        // The header holds a list, which the layer below takes for one name.
        let wants = |name: &str| {
            let mut lists = input.object_attributes.iter();
            lists.any(|list| list.as_str().split(',').any(|it| it.trim() == name))
        };
        let mut output = GetObjectAttributesOutput {
            last_modified: Some(timestamp(version.modified)),
            version_id: shown(version),
            ..GetObjectAttributesOutput::default()
        };
        if wants(ObjectAttributes::ETAG) {
            output.e_tag = Some(etag(&object.etag));
        }
        if wants(ObjectAttributes::CHECKSUM) && self.behavior().returns_checksums {
            output.checksum = Some(object.checksum.clone());
        }
        if wants(ObjectAttributes::OBJECT_SIZE) {
            output.object_size = Some(size(object.data.len()));
        }
        if wants(ObjectAttributes::STORAGE_CLASS) {
            let class = object.attributes.storage_class.clone();
            let standard = || StorageClass::from_static(StorageClass::STANDARD);
            output.storage_class = Some(class.unwrap_or_else(standard));
        }
        if wants(ObjectAttributes::OBJECT_PARTS) && !object.parts.is_empty() {
            output.object_parts = Some(parts(&object.parts));
        }
        Ok(S3Response::new(output))
    }
}

fn parts(sizes: &[u64]) -> GetObjectAttributesParts {
    let count = i32::try_from(sizes.len()).unwrap_or(i32::MAX);
    let listed = sizes.iter().zip(1..).map(|(bytes, number)| ObjectPart {
        part_number: Some(number),
        size: Some(size(*bytes)),
        ..ObjectPart::default()
    });
    GetObjectAttributesParts {
        parts: Some(listed.collect()),
        total_parts_count: Some(count),
        is_truncated: Some(false),
        ..GetObjectAttributesParts::default()
    }
}
