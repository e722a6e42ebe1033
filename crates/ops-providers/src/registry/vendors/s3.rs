//! What is reached over S3.

use ops_core::Secret;
use ops_s3::{S3Credentials, S3StoreBuilder};

use crate::registry::Fields;

/// An access key. The id is no secret, but stands in the same place as the key.
pub(super) async fn credentials(fields: &mut Fields<'_>) -> S3Credentials {
    let id: Secret = fields.secret("access_key_id", "missing").await;
    S3Credentials::new(id, fields.secret("secret_access_key", "missing").await)
}

/// The settings of every store that is reached over S3.
pub(super) fn tuned(fields: &mut Fields<'_>, builder: S3StoreBuilder) -> S3StoreBuilder {
    let builder = fields.set(builder, "prefix", |b, prefix: String| b.prefix(prefix));
    let builder = fields.set(builder, "allow_http", S3StoreBuilder::allow_http);
    let builder = fields.set(builder, "attempt_timeout", S3StoreBuilder::attempt_timeout);
    let builder = fields.set(builder, "part_bytes", S3StoreBuilder::part_bytes);
    let builder = fields.set(builder, "concurrency", S3StoreBuilder::concurrency);
    fields.set(builder, "byte_budget", S3StoreBuilder::byte_budget)
}
