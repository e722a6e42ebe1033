//! Settings of buckets and tags, which are kept and given back.

use http::StatusCode;
use s3s::dto::{
    DeleteBucketCorsInput, DeleteBucketCorsOutput, DeleteBucketEncryptionInput,
    DeleteBucketEncryptionOutput, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput,
    DeleteBucketPolicyInput, DeleteBucketPolicyOutput, DeleteBucketTaggingInput,
    DeleteBucketTaggingOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput, GetBucketCorsInput,
    GetBucketCorsOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
    GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
    GetBucketPolicyInput, GetBucketPolicyOutput, GetBucketTaggingInput, GetBucketTaggingOutput,
    GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput, GetObjectTaggingInput,
    GetObjectTaggingOutput, GetPublicAccessBlockInput, GetPublicAccessBlockOutput,
    PutBucketCorsInput, PutBucketCorsOutput, PutBucketEncryptionInput, PutBucketEncryptionOutput,
    PutBucketLifecycleConfigurationInput, PutBucketLifecycleConfigurationOutput,
    PutBucketPolicyInput, PutBucketPolicyOutput, PutBucketTaggingInput, PutBucketTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, PutPublicAccessBlockInput,
    PutPublicAccessBlockOutput,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};

use super::Backend;
use super::errors::{custom, malformed_xml};

impl Backend {
    pub(super) fn get_object_lock_configuration(
        &self,
        input: &GetObjectLockConfigurationInput,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        let missing = || {
            s3_error!(
                ObjectLockConfigurationNotFoundError,
                "Object Lock configuration does not exist for this bucket"
            )
        };
        let bucket = &input.bucket;
        let found = self.configuration(bucket, |it| it.object_lock.clone(), missing)?;
        Ok(S3Response::new(GetObjectLockConfigurationOutput {
            object_lock_configuration: Some(found),
        }))
    }

    pub(super) fn put_bucket_lifecycle_configuration(
        &self,
        input: PutBucketLifecycleConfigurationInput,
    ) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
        let minimum = input.transition_default_minimum_object_size;
        let config = input.lifecycle_configuration.ok_or_else(malformed_xml)?;
        self.configure(&input.bucket, |it| it.set_lifecycle(config, minimum))?;
        Ok(S3Response::new(
            PutBucketLifecycleConfigurationOutput::default(),
        ))
    }

    pub(super) fn get_bucket_lifecycle_configuration(
        &self,
        input: &GetBucketLifecycleConfigurationInput,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let missing = || {
            s3_error!(
                NoSuchLifecycleConfiguration,
                "The lifecycle configuration does not exist"
            )
        };
        let bucket = &input.bucket;
        let found = self.configuration(bucket, |it| it.lifecycle.clone(), missing)?;
        let (rules, minimum) = found;
        Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
            rules: Some(rules),
            transition_default_minimum_object_size: minimum,
        }))
    }

    pub(super) fn delete_bucket_lifecycle(
        &self,
        input: &DeleteBucketLifecycleInput,
    ) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
        self.configure(&input.bucket, |it| it.lifecycle = None)?;
        Ok(S3Response::new(DeleteBucketLifecycleOutput::default()))
    }

    pub(super) fn put_bucket_cors(
        &self,
        input: PutBucketCorsInput,
    ) -> S3Result<S3Response<PutBucketCorsOutput>> {
        self.configure(&input.bucket, |it| it.cors = Some(input.cors_configuration))?;
        Ok(S3Response::new(PutBucketCorsOutput::default()))
    }

    pub(super) fn get_bucket_cors(
        &self,
        input: &GetBucketCorsInput,
    ) -> S3Result<S3Response<GetBucketCorsOutput>> {
        let missing = || {
            s3_error!(
                NoSuchCORSConfiguration,
                "The CORS configuration does not exist"
            )
        };
        let bucket = &input.bucket;
        let found = self.configuration(bucket, |it| it.cors.clone(), missing)?;
        Ok(S3Response::new(GetBucketCorsOutput {
            cors_rules: Some(found.cors_rules),
        }))
    }

    pub(super) fn delete_bucket_cors(
        &self,
        input: &DeleteBucketCorsInput,
    ) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
        self.configure(&input.bucket, |it| it.cors = None)?;
        Ok(S3Response::new(DeleteBucketCorsOutput::default()))
    }

    pub(super) fn put_bucket_tagging(
        &self,
        input: PutBucketTaggingInput,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        self.configure(&input.bucket, |it| it.tags = Some(input.tagging.tag_set))?;
        Ok(S3Response::new(PutBucketTaggingOutput::default()))
    }

    pub(super) fn get_bucket_tagging(
        &self,
        input: &GetBucketTaggingInput,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let missing = || s3_error!(NoSuchTagSet, "The TagSet does not exist");
        let bucket = &input.bucket;
        let found = self.configuration(bucket, |it| it.tags.clone(), missing)?;
        Ok(S3Response::new(GetBucketTaggingOutput { tag_set: found }))
    }

    pub(super) fn delete_bucket_tagging(
        &self,
        input: &DeleteBucketTaggingInput,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        self.configure(&input.bucket, |it| it.tags = None)?;
        Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
    }

    pub(super) fn put_bucket_policy(
        &self,
        input: PutBucketPolicyInput,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        self.configure(&input.bucket, |it| it.policy = Some(input.policy))?;
        Ok(S3Response::new(PutBucketPolicyOutput::default()))
    }

    pub(super) fn get_bucket_policy(
        &self,
        input: &GetBucketPolicyInput,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let missing = || s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist");
        let bucket = &input.bucket;
        let found = self.configuration(bucket, |it| it.policy.clone(), missing)?;
        Ok(S3Response::new(GetBucketPolicyOutput {
            policy: Some(found),
        }))
    }

    pub(super) fn delete_bucket_policy(
        &self,
        input: &DeleteBucketPolicyInput,
    ) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
        self.configure(&input.bucket, |it| it.policy = None)?;
        Ok(S3Response::new(DeleteBucketPolicyOutput::default()))
    }

    pub(super) fn put_public_access_block(
        &self,
        input: PutPublicAccessBlockInput,
    ) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        let config = input.public_access_block_configuration;
        self.configure(&input.bucket, |it| it.public_access = Some(config))?;
        Ok(S3Response::new(PutPublicAccessBlockOutput::default()))
    }

    pub(super) fn get_public_access_block(
        &self,
        input: &GetPublicAccessBlockInput,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let missing = no_public_access_block;
        let bucket = &input.bucket;
        let found = self.configuration(bucket, |it| it.public_access.clone(), missing)?;
        Ok(S3Response::new(GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(found),
        }))
    }

    pub(super) fn delete_public_access_block(
        &self,
        input: &DeletePublicAccessBlockInput,
    ) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
        self.configure(&input.bucket, |it| it.public_access = None)?;
        Ok(S3Response::new(DeletePublicAccessBlockOutput::default()))
    }

    pub(super) fn put_bucket_encryption(
        &self,
        input: PutBucketEncryptionInput,
    ) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        let config = input.server_side_encryption_configuration;
        self.configure(&input.bucket, |it| it.encryption = Some(config))?;
        Ok(S3Response::new(PutBucketEncryptionOutput::default()))
    }

    pub(super) fn get_bucket_encryption(
        &self,
        input: &GetBucketEncryptionInput,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let missing = || {
            s3_error!(
                ServerSideEncryptionConfigurationNotFoundError,
                "The server side encryption configuration was not found"
            )
        };
        let bucket = &input.bucket;
        let found = self.configuration(bucket, |it| it.encryption.clone(), missing)?;
        Ok(S3Response::new(GetBucketEncryptionOutput {
            server_side_encryption_configuration: Some(found),
        }))
    }

    pub(super) fn delete_bucket_encryption(
        &self,
        input: &DeleteBucketEncryptionInput,
    ) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
        self.configure(&input.bucket, |it| it.encryption = None)?;
        Ok(S3Response::new(DeleteBucketEncryptionOutput::default()))
    }

    pub(super) fn put_object_tagging(
        &self,
        input: PutObjectTaggingInput,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let (id, tags) = (input.version_id.as_deref(), input.tagging.tag_set);
        let found = self.object_tags(&input.bucket, &input.key, id, Some(tags))?;
        Ok(S3Response::new(PutObjectTaggingOutput {
            version_id: found.version_id,
        }))
    }

    pub(super) fn get_object_tagging(
        &self,
        input: &GetObjectTaggingInput,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let id = input.version_id.as_deref();
        let found = self.object_tags(&input.bucket, &input.key, id, None)?;
        Ok(S3Response::new(found))
    }

    pub(super) fn delete_object_tagging(
        &self,
        input: &DeleteObjectTaggingInput,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let id = input.version_id.as_deref();
        let found = self.object_tags(&input.bucket, &input.key, id, Some(Vec::new()))?;
        Ok(S3Response::new(DeleteObjectTaggingOutput {
            version_id: found.version_id,
        }))
    }
}

fn no_public_access_block() -> S3Error {
    custom(
        StatusCode::NOT_FOUND,
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    )
}
