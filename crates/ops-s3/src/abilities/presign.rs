//! Signed URLs.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use ops_core::object_store::{Presign, PresignedUrl};
use ops_core::{Error, ErrorKind, ObjectKey, Result, async_trait};

use crate::operation::Operation;
use crate::store::S3Store;

/// The longest time that version 4 of the signature allows.
const MAX_VALID: Duration = Duration::from_hours(7 * 24);

fn config(valid_for: Duration) -> Result<PresigningConfig> {
    if valid_for.is_zero() || valid_for > MAX_VALID {
        let message = "a signed URL is valid for at least a second and at most 7 days";
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    PresigningConfig::expires_in(valid_for).map_err(|source| {
        Error::new(ErrorKind::InvalidInput, "so long a time cannot be signed").with_source(source)
    })
}

impl S3Store {
    /// Signing sends nothing; it fails only where there are no credentials.
    fn signed<T, E>(
        &self,
        operation: &Operation,
        signed: Result<T, E>,
        url: impl FnOnce(T) -> String,
        valid_for: Duration,
    ) -> Result<PresignedUrl> {
        let expires_at = self.0.clock.now().saturating_add(valid_for);
        match signed {
            Ok(signed) => Ok(PresignedUrl::new(url(signed), expires_at)),
            Err(_) => Err(operation.decorate(Error::new(
                ErrorKind::Unauthenticated,
                "the URL cannot be signed: no credentials",
            ))),
        }
    }
}

#[async_trait]
impl Presign for S3Store {
    async fn presign_get(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl> {
        let operation = self.0.reading("object_store.presign_get").on(key);
        let config = config(valid_for).map_err(|err| operation.decorate(err))?;
        let request = self.0.client.get_object().bucket(&self.0.bucket);
        let signed = quiet(request.key(self.0.full_key(key)).presigned(config)).await;
        let url = |signed: aws_sdk_s3::presigning::PresignedRequest| signed.uri().to_owned();
        self.signed(&operation, signed, url, valid_for)
    }

    async fn presign_put(&self, key: &ObjectKey, valid_for: Duration) -> Result<PresignedUrl> {
        let operation = self.0.reading("object_store.presign_put").on(key);
        let config = config(valid_for).map_err(|err| operation.decorate(err))?;
        let request = self.0.client.put_object().bucket(&self.0.bucket);
        let signed = quiet(request.key(self.0.full_key(key)).presigned(config)).await;
        let url = |signed: aws_sdk_s3::presigning::PresignedRequest| signed.uri().to_owned();
        self.signed(&operation, signed, url, valid_for)
    }
}

/// Keeps the SDK's events from subscribers: they hold the signature.
fn quiet<F: Future + Send>(work: F) -> impl Future<Output = F::Output> + Send {
    use tracing::instrument::WithSubscriber;
    Box::pin(work).with_subscriber(tracing::Dispatch::none())
}
