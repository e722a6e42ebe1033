//! Buckets of R2.

use std::sync::Arc;

use ops_cloudflare::r2::Jurisdiction;
use ops_cloudflare::{Cloudflare, R2, R2Builder};
use ops_core::{ObjectStore, Result};

use super::super::s3::{credentials, tuned};
use crate::registry::Fields;

const JURISDICTIONS: &[(&str, Jurisdiction)] = &[
    ("eu", Jurisdiction::Eu),
    ("us", Jurisdiction::Us),
    ("fedramp", Jurisdiction::FedRamp),
    ("fedramp-high", Jurisdiction::FedRampHigh),
];

/// Opening sends nothing: what R2 can do is known.
pub(in crate::registry::vendors) async fn object_store(
    mut fields: Fields<'_>,
) -> Result<Arc<dyn ObjectStore>> {
    let account = fields.required("account", "missing".to_owned());
    let bucket = fields.required("bucket", "missing".to_owned());
    let credentials = credentials(&mut fields).await;
    let builder = R2::builder(account, bucket, credentials);
    let builder = fields.set(builder, "endpoint", |b, url: String| b.endpoint(url));
    let mut builder = builder.store(|store| tuned(&mut fields, store));
    if let Some(jurisdiction) = fields.choice("jurisdiction", JURISDICTIONS) {
        builder = builder.jurisdiction(jurisdiction);
    }
    let builder = administered(&mut fields, builder).await;
    Ok(Arc::new(fields.finish(builder.open().await)?))
}

/// With a token of the REST API, the bucket itself can be administered.
async fn administered(fields: &mut Fields<'_>, builder: R2Builder) -> R2Builder {
    let token = fields.secret_opt("api_token").await;
    let base_url = fields.optional::<String>("base_url");
    let Some(token) = token else {
        return builder;
    };
    let mut account = Cloudflare::builder(token);
    if let Some(url) = base_url {
        let allow = fields.optional("allow_http").unwrap_or(false);
        account = account.base_url(url).allow_http(allow);
    }
    match account.build() {
        Ok(cloudflare) => builder.admin(cloudflare),
        Err(err) => {
            fields.problem(err.message().to_owned());
            builder
        }
    }
}
