//! Amazon S3.

use ops_core::{Error, ProviderId, Result};
use ops_s3::{S3Credentials, S3Store, S3StoreBuilder, StoreProfile};

const PROVIDER: ProviderId = ProviderId::from_static("aws");

/// Where buckets of Amazon S3 are opened.
///
/// The store itself is an [`S3Store`], as of every vendor that speaks S3.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AwsS3;

impl AwsS3 {
    /// Configures a store in a bucket of a region, such as `eu-central-1`.
    ///
    /// What Amazon S3 can do is known, so nothing is probed when it is opened.
    pub fn builder(bucket: impl Into<String>, region: impl Into<String>) -> S3StoreBuilder {
        S3Store::builder(bucket)
            .provider(PROVIDER)
            .region(region)
            .profile(StoreProfile::aws())
    }

    /// Configures a store by environment variables.
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `AWS_S3_BUCKET` | the bucket; required |
    /// | `AWS_ACCESS_KEY_ID` | required |
    /// | `AWS_SECRET_ACCESS_KEY` | required |
    /// | `AWS_SESSION_TOKEN` | the token of temporary credentials |
    /// | `AWS_REGION`, else `AWS_DEFAULT_REGION` | required unless an endpoint is given |
    /// | `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL` | another server that speaks S3 |
    ///
    /// With an endpoint, what the store can do is probed when it is opened.
    ///
    /// # Errors
    /// `InvalidConfig` that names every variable that is missing.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one function that reads the environment"
    )]
    pub fn from_env() -> Result<S3StoreBuilder> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with variables from elsewhere.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<S3StoreBuilder> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let endpoint = get("AWS_ENDPOINT_URL_S3").or_else(|| get("AWS_ENDPOINT_URL"));
        let region = get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION"));
        let region = region.or_else(|| endpoint.as_ref().map(|_| "us-east-1".to_owned()));
        let (Some(bucket), Some(id), Some(secret), Some(region)) = (
            get("AWS_S3_BUCKET"),
            get("AWS_ACCESS_KEY_ID"),
            get("AWS_SECRET_ACCESS_KEY"),
            region,
        ) else {
            return Err(missing(&get));
        };
        let mut credentials = S3Credentials::new(id, secret);
        if let Some(token) = get("AWS_SESSION_TOKEN") {
            credentials = credentials.with_session_token(token);
        }
        let builder = match endpoint {
            None => Self::builder(bucket, region),
            Some(endpoint) => S3Store::builder(bucket)
                .provider(PROVIDER)
                .region(region)
                .endpoint(endpoint),
        };
        Ok(builder.credentials(credentials))
    }
}

#[cold]
fn missing(get: &impl Fn(&str) -> Option<String>) -> Error {
    let required = [
        "AWS_S3_BUCKET",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ];
    let region = [
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL",
    ];
    let mut missing: Vec<String> = required
        .iter()
        .filter(|name| get(name).is_none())
        .map(|name| format!("{name} is not set"))
        .collect();
    if region.iter().all(|name| get(name).is_none()) {
        missing.push("AWS_REGION is not set".to_owned());
    }
    Error::invalid_config(missing)
        .with_provider(PROVIDER)
        .with_operation("object_store.open")
}
