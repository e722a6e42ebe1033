//! Where the examples of the pool find a database.

use std::error::Error;

use ops_core::database::ConnectInfo;
use ops_pg::connect::ConnectOptions;
use ops_pg::conninfo;

/// Reads `DATABASE_URL`, such as `postgresql://app:secret@db.internal/shop`.
#[expect(
    clippy::disallowed_methods,
    reason = "a program takes its settings from the environment"
)]
pub(crate) fn database_url() -> Result<(ConnectInfo, ConnectOptions), Box<dyn Error>> {
    let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    Ok(conninfo::parse_with_options(&url)?)
}
