//! Amazon S3.

use std::sync::Arc;

use ops_aws::{AwsS3, S3Store, StoreProfile};
use ops_core::{ObjectStore, Result};

use super::s3::{credentials, tuned};
use crate::registry::Fields;

pub(super) async fn object_store(mut fields: Fields<'_>) -> Result<Arc<dyn ObjectStore>> {
    let bucket = fields.required("bucket", "missing".to_owned());
    let region = fields.required("region", "missing".to_owned());
    let builder = match fields.optional::<String>("endpoint") {
        None => AwsS3::builder(bucket, region),
        // What another server can do is not known: opening tries it.
        Some(endpoint) => S3Store::builder(bucket)
            .provider("aws")
            .region(region)
            .endpoint(endpoint),
    };
    let mut credentials = credentials(&mut fields).await;
    if let Some(token) = fields.secret_opt("session_token").await {
        credentials = credentials.with_session_token(token);
    }
    let mut builder = tuned(&mut fields, builder.credentials(credentials));
    if fields.has_problems() {
        // Nothing is sent then, and the builder says what else is wrong.
        builder = builder.profile(StoreProfile::aws());
    }
    Ok(Arc::new(fields.finish(builder.open().await)?))
}
