//! Any PostgreSQL server.

use std::sync::Arc;

use ops_core::{Database, Result};
use ops_postgres::Postgres;

use crate::registry::Fields;

pub(super) async fn database(mut fields: Fields<'_>) -> Result<Arc<dyn Database>> {
    let url = fields.secret("url", "postgres://missing/").await;
    let timeout = fields.optional("timeout");
    let built = Postgres::url_builder(url.expose()).and_then(|builder| match timeout {
        Some(timeout) => builder.timeout(timeout).build(),
        None => builder.build(),
    });
    Ok(Arc::new(fields.finish(built)?))
}
