//! Bytes in bulk.

use std::time::{Duration, Instant};

use ops_core::Result;
use ops_core::database::ConnectInfo;
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::error::from_driver;
use tokio_postgres::Client;

/// What one unit of pgbench's scale takes, in bytes: 100 000 accounts of 134 bytes on the
/// page and their index. Measured on PostgreSQL 15 at scales 1 to 20.
const PGBENCH_BYTES_PER_SCALE: u64 = 15_690_000;

/// What [`install_bulk`] did.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BulkReport {
    /// What the database takes now, in bytes, as `pg_database_size` tells it.
    pub database_bytes: u64,
    /// By how much the database grew, in bytes.
    pub added_bytes: u64,
    /// How many rows were added.
    pub added_rows: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl BulkReport {
    /// The speed, in megabytes (10^6 bytes) of database per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a speed to look at")]
    pub fn megabytes_per_second(&self) -> f64 {
        self.added_bytes as f64 / 1e6 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// The scale (`pgbench -i -s`) at which the tables of pgbench take about so many bytes:
/// 15.7 MB each, at least 1.
///
/// Such data compresses fortyfold. For sizes and speeds that mean something, use
/// [`install_bulk`].
#[must_use]
pub fn pgbench_scale_for(bytes: u64) -> u32 {
    let scale = (bytes + PGBENCH_BYTES_PER_SCALE / 2) / PGBENCH_BYTES_PER_SCALE;
    u32::try_from(scale).unwrap_or(u32::MAX).max(1)
}

/// Fills the database up to about `target_bytes`, as `pg_database_size` tells it.
///
/// The schema `bulk` gets documents (60 % of what is added: words, `jsonb`, four indexes),
/// events (30 %: small columns, a partition for each month, three indexes) and bytes that
/// nothing compresses (10 %). Their order and content depend on their number only. A
/// database that is larger already stays as it is; one that was filled before grows on.
///
/// The server makes the rows, three sessions at a time. The schema of
/// [`install_schema`](super::install_schema) is not needed.
///
/// # Errors
/// `QuotaExceeded` for a full disk, `PermissionDenied` where the user may not create a
/// schema, and those of connecting.
///
/// # Cancel safety
/// Rows come in transactions of a few megabytes each; those that were made stay.
pub async fn install_bulk(info: &ConnectInfo, target_bytes: u64) -> Result<BulkReport> {
    let started = Instant::now();
    let client = session(info).await?;
    client
        .batch_execute(include_str!("bulk/schema.sql"))
        .await
        .map_err(from_driver)?;
    let before = database_bytes(&client).await?;
    let mut filled = 0;
    for filler in &FILLERS {
        filled += filler.bytes(&client).await?;
    }
    let room = target_bytes.saturating_sub(before.saturating_sub(filled));

    let [documents, events, blobs] = &FILLERS;
    let (documents, events, blobs) = tokio::try_join!(
        documents.fill(info, room),
        events.fill(info, room),
        blobs.fill(info, room),
    )?;
    let after = database_bytes(&client).await?;
    Ok(BulkReport {
        database_bytes: after,
        added_bytes: after.saturating_sub(before),
        added_rows: documents + events + blobs,
        elapsed: started.elapsed(),
    })
}

/// A table of the filler.
struct Filler {
    table: &'static str,
    /// Its share of the whole, in percent.
    percent: u64,
    /// What the rows alone take of that, in percent: the rest is for their indexes.
    rows_percent: u64,
    /// Adds the rows from `$1` to `$2`.
    insert: &'static str,
    indexes: &'static str,
    /// What a row takes with its indexes, in bytes, about. It sizes the first transaction.
    row_bytes: u64,
}

const FILLERS: [Filler; 3] = [
    Filler {
        table: "bulk.document",
        percent: 60,
        rows_percent: 78,
        insert: include_str!("bulk/document.sql"),
        indexes: include_str!("bulk/document_indexes.sql"),
        row_bytes: 1150,
    },
    Filler {
        table: "bulk.event",
        percent: 30,
        rows_percent: 60,
        insert: include_str!("bulk/event.sql"),
        indexes: include_str!("bulk/event_indexes.sql"),
        row_bytes: 170,
    },
    Filler {
        table: "bulk.blob",
        percent: 10,
        rows_percent: 95,
        insert: include_str!("bulk/blob.sql"),
        indexes: include_str!("bulk/blob_indexes.sql"),
        row_bytes: 3600,
    },
];

/// The most that one transaction adds, in bytes.
const CHUNK_BYTES: u64 = 16 << 20;

impl Filler {
    /// Grows the table to its share of the room. Tells how many rows it added.
    async fn fill(&self, info: &ConnectInfo, room: u64) -> Result<u64> {
        let client = session(info).await?;
        let goal = room * self.percent / 100;
        let mut added = 0;
        if !self.is_indexed(&client).await? {
            // Rows first, then indexes: several times as fast.
            let rows = goal * self.rows_percent / 100;
            added += self.grow(&client, rows).await?;
            client
                .batch_execute(self.indexes)
                .await
                .map_err(from_driver)?;
        }
        added += self.grow(&client, goal).await?;
        let analyze = format!("ANALYZE {}", self.table);
        client.batch_execute(&analyze).await.map_err(from_driver)?;
        Ok(added)
    }

    async fn grow(&self, client: &Client, goal: u64) -> Result<u64> {
        let insert = client.prepare(self.insert).await.map_err(from_driver)?;
        let start = self.last_id(client).await?;
        let mut last = start;
        loop {
            let bytes = self.bytes(client).await?;
            let row_bytes = match last {
                0 => self.row_bytes,
                rows => (bytes / rows).max(1),
            };
            let rows = goal.saturating_sub(bytes).min(CHUNK_BYTES) / row_bytes;
            // The last few pages are not worth a transaction.
            if rows * row_bytes < 64 << 10 {
                return Ok(last - start);
            }
            let (from, to) = (signed(last + 1), signed(last + rows));
            client
                .execute(&insert, &[&from, &to])
                .await
                .map_err(from_driver)?;
            last += rows;
        }
    }

    /// What the table, its partitions and their indexes take, in bytes.
    async fn bytes(&self, client: &Client) -> Result<u64> {
        let query = format!(
            "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
             WHERE oid = '{0}'::regclass
             OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = '{0}'::regclass)",
            self.table
        );
        number(client, &query).await
    }

    async fn last_id(&self, client: &Client) -> Result<u64> {
        let query = format!("SELECT coalesce(max(id), 0) FROM {}", self.table);
        number(client, &query).await
    }

    async fn is_indexed(&self, client: &Client) -> Result<bool> {
        let query = format!(
            "SELECT count(*) FROM pg_index WHERE indrelid = '{}'::regclass",
            self.table
        );
        Ok(number(client, &query).await? > 0)
    }
}

/// A session that makes rows fast. What a crash may take from it can be made again.
async fn session(info: &ConnectInfo) -> Result<Client> {
    let options = ConnectOptions::default()
        .with_application_name("ops-testkit")
        .with_parameter("statement_timeout", "0")
        .with_parameter("synchronous_commit", "off")
        .with_parameter("maintenance_work_mem", "128MB")
        .with_parameter("max_parallel_maintenance_workers", "0")
        .with_parameter("jit", "off")
        .with_parameter("timezone", "UTC");
    connect(info, &options).await
}

async fn database_bytes(client: &Client) -> Result<u64> {
    number(client, "SELECT pg_database_size(current_database())").await
}

async fn number(client: &Client, query: &str) -> Result<u64> {
    let row = client.query_one(query, &[]).await.map_err(from_driver)?;
    let number: i64 = row.get(0);
    Ok(u64::try_from(number).unwrap_or(0))
}

/// A row number, which a table's size keeps far below the largest `bigint`.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
