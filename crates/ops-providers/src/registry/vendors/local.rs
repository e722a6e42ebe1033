//! Folders of the local file system.

use std::path::PathBuf;
use std::sync::Arc;

use ops_core::{ObjectStore, Result};
use ops_local::{Local, LocalBuilder};

use crate::registry::Fields;

#[expect(clippy::unused_async, reason = "an opener is a future")]
pub(super) async fn object_store(mut fields: Fields<'_>) -> Result<Arc<dyn ObjectStore>> {
    let builder = Local::builder(fields.required("path", PathBuf::from("missing")));
    let builder = fields.set(builder, "create", LocalBuilder::create);
    let builder = fields.set(builder, "read_only", LocalBuilder::read_only);
    // Opening makes folders.
    fields.check()?;
    Ok(Arc::new(builder.build()?))
}
