//! Neon.

use std::sync::Arc;

use ops_core::{Database, Result};
use ops_neon::{Neon, NeonBuilder};

use crate::registry::Fields;

pub(super) async fn database(mut fields: Fields<'_>) -> Result<Arc<dyn Database>> {
    let api_key = fields.secret("api_key", "missing").await;
    let builder = Neon::builder(api_key, fields.required("project", "missing".to_owned()));
    let builder = fields.set(builder, "branch", |b, name: String| b.branch(name));
    let builder = fields.set(builder, "database", |b, name: String| b.database(name));
    let builder = fields.set(builder, "role", |b, name: String| b.role(name));
    let builder = fields.set(builder, "organization", |b, id: String| b.organization(id));
    let builder = fields.set(builder, "pooled", NeonBuilder::pooled);
    let builder = fields.set(builder, "ping_timeout", NeonBuilder::ping_timeout);
    let builder = fields.set(builder, "base_url", |b, url: String| b.base_url(url));
    let builder = fields.set(builder, "allow_http", NeonBuilder::allow_http);
    Ok(Arc::new(fields.finish(builder.build())?))
}
