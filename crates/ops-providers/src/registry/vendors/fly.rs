//! Fly.io.

use std::sync::Arc;

use ops_core::id::Region;
use ops_core::{Hosting, Result};
use ops_fly::{Fly, FlyBuilder};

use crate::registry::Fields;

pub(super) async fn hosting(mut fields: Fields<'_>) -> Result<Arc<dyn Hosting>> {
    let mut builder = Fly::builder(fields.secret("token", "missing").await);
    if let Some(region) = fields.optional::<String>("region") {
        match Region::new(region) {
            Ok(region) => builder = builder.region(region),
            Err(err) => fields.problem(format!("region: {}", err.message())),
        }
    }
    let builder = fields.set(builder, "organization", |b, slug: String| {
        b.organization(slug)
    });
    let builder = fields.set(builder, "port", FlyBuilder::port);
    let builder = fields.set(builder, "start_timeout", FlyBuilder::start_timeout);
    let builder = fields.set(builder, "interval", FlyBuilder::interval);
    let builder = fields.set(builder, "base_url", |b, url: String| b.base_url(url));
    let builder = fields.set(builder, "platform_url", |b, url: String| {
        b.platform_url(url)
    });
    let builder = fields.set(builder, "allow_http", FlyBuilder::allow_http);
    Ok(Arc::new(fields.finish(builder.build())?))
}
