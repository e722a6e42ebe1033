//! The data set on which backups prove themselves.
//!
//! - [`install_schema`] makes a small database with everything that breaks naive backups;
//!   each trap has a comment in the SQL files beside this module.
//! - [`install_bulk`] adds as many bytes as are wanted, mixed like real data.
//! - [`workload_step`] is one transaction of a workload to run while a backup is taken, and
//!   [`check_consistency`] tells whether a restored database is of one single moment.
//!
//! ```no_run
//! use ops_testkit::{Pg, data};
//!
//! # async fn test() -> ops_core::Result<()> {
//! let Some(pg) = Pg::start().await else { return Ok(()) };
//! pg.create_database("shop").await;
//! let info = pg.connect_info("shop");
//!
//! data::install_schema(&info).await?;
//! let report = data::install_bulk(&info, 300_000_000).await?;
//! println!("{} bytes, {:.0} MB/s", report.database_bytes, report.megabytes_per_second());
//!
//! let client = pg.client("shop").await;
//! for i in 0..1000 {
//!     data::workload_step(&client, 0, i).await?;
//! }
//! data::check_consistency(&client).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What to know when two databases are compared
//!
//! A dump, restored with the cluster's globals and `pg_restore --create`, gives the same
//! text when it is dumped again, byte for byte, with these exceptions, which are
//! PostgreSQL's own:
//!
//! - The rows of [`REPARTITIONED`] move between partitions.
//! - Without `--create`, and under another name, the settings, the comment and the
//!   privileges of the database itself are not restored. Some of these settings change how
//!   a session prints values, so a comparison as text must set them itself.
//! - Minors since August 2025 print a random `\restrict` token unless
//!   `--restrict-key` names one.
//! - `pg_dump` lists the roles of a policy in the order in which the roles were created.
//!
//! Counting the rows of every relation fails on purpose: `shop.unpopulated` and, where
//! `postgres_fdw` is installed, `shop.elsewhere` cannot be read.

mod bulk;
mod consistency;
mod load;
mod workload;

pub use bulk::{BulkReport, install_bulk, pgbench_scale_for};
pub use consistency::check_consistency;
pub use load::load;
pub use workload::workload_step;

use ops_core::database::ConnectInfo;
use ops_core::{Error, ErrorKind, Result};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::error::from_driver;
use tokio_postgres::Client;

/// A role of the data set that can log in. A restore must bring its password back.
pub const APP_ROLE: &str = "shop_app";

/// The password of [`APP_ROLE`], where the server asks for one. It protects nothing.
pub const APP_PASSWORD: &str = "correct horse battery staple";

/// The tables whose rows move between partitions in a restore, as a pattern for
/// `pg_dump --exclude-table-data`: they are partitioned by the hash of an enum, whose labels
/// get other OIDs. As a whole, `shop.vote` has the same rows before and after.
pub const REPARTITIONED: &str = "shop.vote*";

/// The parts of the schema, in the order in which they build on each other.
const PARTS: [(&str, &str); 12] = [
    ("roles", include_str!("data/roles.sql")),
    ("types", include_str!("data/types.sql")),
    ("values", include_str!("data/values.sql")),
    ("names", include_str!("data/names.sql")),
    ("tables", include_str!("data/tables.sql")),
    ("partitions", include_str!("data/partitions.sql")),
    ("code", include_str!("data/code.sql")),
    ("views", include_str!("data/views.sql")),
    ("security", include_str!("data/security.sql")),
    ("large objects", include_str!("data/large_objects.sql")),
    ("optional", include_str!("data/optional.sql")),
    ("settings", include_str!("data/settings.sql")),
];

/// Makes the schema and its rows (26 MB) in a database that has neither yet.
///
/// Works on PostgreSQL 13 to 18. What needs an extension (`pg_trgm`, `pgcrypto`, `hstore`,
/// `btree_gist`, `postgres_fdw`), ICU or libxml is left out where the server lacks it. The
/// roles belong to the whole cluster; they are made by the first database that needs them.
/// Settings of the database take effect in new sessions.
///
/// The same server always makes the same rows in the same order.
///
/// # Errors
/// `InvalidInput` where the encoding of the database is not UTF-8, `PermissionDenied`
/// where the user is not a superuser, `AlreadyExists` where the schema is there already,
/// and those of connecting. The resource of the error is the part of the schema.
///
/// # Cancel safety
/// Each part is a transaction. After an error or a dropped future, drop the database.
pub async fn install_schema(info: &ConnectInfo) -> Result<()> {
    let client = session(info).await?;
    require_utf8(&client).await?;
    if exists(&client).await? {
        let message = "the database has a schema called shop already";
        return Err(Error::new(ErrorKind::AlreadyExists, message));
    }
    for (part, sql) in PARTS {
        // One message without BEGIN is one transaction. It cannot be one for all parts: the
        // labels that were added to an enum can be used by later transactions only.
        client
            .batch_execute(sql)
            .await
            .map_err(|err| from_driver(err).with_resource(part))?;
    }
    Ok(())
}

/// A session whose settings do not depend on the database's own.
async fn session(info: &ConnectInfo) -> Result<Client> {
    let options = ConnectOptions::default()
        .with_application_name("ops-testkit")
        .with_parameter("statement_timeout", "0")
        .with_parameter("timezone", "UTC")
        .with_parameter("datestyle", "ISO")
        .with_parameter("search_path", "public");
    connect(info, &options).await
}

async fn exists(client: &Client) -> Result<bool> {
    let query = "SELECT to_regnamespace('shop') IS NOT NULL";
    let row = client.query_one(query, &[]).await.map_err(from_driver)?;
    Ok(row.get(0))
}

async fn require_utf8(client: &Client) -> Result<()> {
    let row = client
        .query_one("SELECT current_setting('server_encoding')", &[])
        .await
        .map_err(from_driver)?;
    let encoding: &str = row.get(0);
    if encoding == "UTF8" {
        return Ok(());
    }
    let message = format!("the data set needs a database in UTF8, this one is in {encoding}");
    Err(Error::new(ErrorKind::InvalidInput, message))
}
