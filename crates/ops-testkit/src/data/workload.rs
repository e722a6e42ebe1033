//! A workload of small transactions.

use ops_core::Result;
use ops_pg::error::from_driver;
use tokio_postgres::Client;

/// Runs one small transaction of a write workload over the schema of
/// [`install_schema`](super::install_schema) and, where they exist, the tables of pgbench:
/// inserts, updates, deletes, sequences, now and then a large object, and now and then a
/// rollback. What it does depends on `worker` and `i` only.
///
/// Several workers may run at the same time, each in a session of its own, as the superuser.
/// Rows are locked in one order, so they do not run into deadlocks with each other or with
/// pgbench's own script. No transaction breaks what
/// [`check_consistency`](super::check_consistency) checks.
///
/// The session is left as it was: idle, without prepared statements, temporary objects,
/// locks or changed settings.
///
/// # Errors
/// `NotFound` without the schema, and those of the driver. The session is clean then, too,
/// unless the connection is gone.
///
/// # Cancel safety
/// Nearly every transaction is one message: once it is sent, the server ends it by itself.
/// A step that was dropped may or may not have been committed.
pub async fn workload_step(client: &Client, worker: u64, i: u64) -> Result<()> {
    let seed = mix(worker.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ i);
    let step = Step {
        a: seed % 1_000_003,
        b: (seed >> 20) % 1_000_003,
        c: (seed >> 40) % 1_000_003,
    };
    // Shares of 40. The rare steps come at fixed places, so that a short run has them all.
    let place = i.wrapping_add(worker);
    let sql = match place % 40 {
        3 => step.attach(),
        // Half as often as they are made.
        9 if place % 80 == 9 => Step::detach(),
        14 | 34 => return rolled_back(client, &step.transfer()).await,
        0 | 5 | 10 | 15 | 20 | 25 | 30 | 35 => step.transfer(),
        1 | 11 | 21 | 31 | 16 | 36 => step.order(),
        2 | 12 | 22 | 32 => step.advance_order(),
        7 | 27 => step.delete_order(),
        4 | 24 => step.update_customer(),
        6 | 26 => step.cache(),
        8 | 28 => step.watched(),
        13 | 33 => step.repartition(),
        _ => step.pgbench(),
    };
    // Without BEGIN, one message of several statements is one transaction. It ends with
    // the message, also by an error, so nothing can be left open.
    client.batch_execute(&sql).await.map_err(from_driver)
}

/// A transaction that is begun, does its work and changes its mind.
async fn rolled_back(client: &Client, sql: &str) -> Result<()> {
    let worked = client.batch_execute(&format!("BEGIN; {sql}")).await;
    let ended = client.batch_execute("ROLLBACK").await;
    worked.and(ended).map_err(from_driver)
}

/// The finalizer of `SplitMix64`: spreads neighboring numbers.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Three numbers below a million, from which a step takes its keys and values.
struct Step {
    a: u64,
    b: u64,
    c: u64,
}

impl Step {
    /// Moves an amount from one account to another.
    fn transfer(&self) -> String {
        let (one, other) = (1 + self.a % 100, 1 + (self.a + 1 + self.b % 99) % 100);
        let (first, second) = (one.min(other), one.max(other));
        let amount = 1 + self.c % 50;
        format!(
            "UPDATE shop.account SET balance = balance - {amount}, transfers = transfers + 1 WHERE id = {first};
             UPDATE shop.account SET balance = balance + {amount}, transfers = transfers + 1 WHERE id = {second};
             INSERT INTO shop.transfer (source, target, amount) VALUES ({first}, {second}, {amount})"
        )
    }

    /// An order with its lines: one row in one partitioned table, several in another.
    fn order(&self) -> String {
        let (customer, day, lines) = (1 + self.a % 500, self.b % 400, 1 + self.c % 4);
        let region = match self.b % 4 {
            0 => "eu",
            1 => "us",
            2 => "apac",
            _ => "other",
        };
        let product = 1 + self.c % 290;
        format!(
            "WITH placed AS (
                INSERT INTO shop.\"order\" (placed, region, customer, lines, total)
                VALUES (date '2024-01-01' + {day}, '{region}', {customer}, {lines}, {product} * 1.5)
                RETURNING id, placed, region)
             INSERT INTO shop.order_line (\"order\", placed, region, line, product, quantity)
             SELECT id, placed, region, line, {product} + line, line
             FROM placed, generate_series(1, {lines}) AS line"
        )
    }

    /// Moves an order to its next state.
    fn advance_order(&self) -> String {
        let customer = 1 + self.a % 500;
        format!(
            "UPDATE shop.\"order\" SET state = CASE state WHEN 'new' THEN 'paid' ELSE 'sent' END
             WHERE (id, placed, region) = (
                SELECT id, placed, region FROM shop.\"order\" WHERE customer = {customer}
                ORDER BY placed, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
        )
    }

    /// Moves a row from one partition to another. Not an order: before PostgreSQL 15 that
    /// counts as deleting it, and its lines follow. The lock is there because an update that
    /// waits for a row which then moves away fails.
    fn repartition(&self) -> String {
        let (day, letter) = (
            1 + self.a % 100,
            if self.b.is_multiple_of(2) { 'a' } else { 'z' },
        );
        format!(
            "SELECT pg_advisory_xact_lock(41, {day});
             UPDATE shop.by_range SET code = '{letter}' || substr(code, 2) WHERE day = date '2024-01-01' + {day}"
        )
    }

    /// Deletes an order; its lines follow.
    fn delete_order(&self) -> String {
        let customer = 1 + self.a % 500;
        format!(
            "DELETE FROM shop.\"order\" WHERE (id, placed, region) = (
                SELECT id, placed, region FROM shop.\"order\" WHERE customer = {customer}
                ORDER BY placed DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
        )
    }

    fn update_customer(&self) -> String {
        let (customer, value) = (1 + self.a % 500, self.b);
        format!(
            "UPDATE shop.customer
             SET meta = meta || jsonb_build_object('seen', {value}), tags = tags[1:5] || 'seen {value}'::text
             WHERE id = {customer}"
        )
    }

    /// An unlogged table, and a sequence that nothing owns.
    fn cache(&self) -> String {
        let key = self.a % 200;
        if self.b.is_multiple_of(3) {
            return format!("DELETE FROM shop.session_cache WHERE key = md5('{key}')");
        }
        format!(
            "INSERT INTO shop.session_cache
             VALUES (md5('{key}'), jsonb_build_object('invoice', nextval('\"Sales Region\".\"Invoice Nr\"')))
             ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        )
    }

    /// A table with triggers of every kind.
    fn watched(&self) -> String {
        let (id, value) = (1 + self.a % 49, self.b);
        format!("UPDATE shop.watched SET amount = {value}, body = md5('{value}') WHERE id = {id}")
    }

    fn attach(&self) -> String {
        let (times, seed) = (1 + self.a % 700, self.b);
        let bytes = 32 * times;
        format!(
            "INSERT INTO shop.attachment (name, content, bytes)
             VALUES ('of the workload', lo_from_bytea(0, convert_to(repeat(md5('{seed}'), {times}), 'UTF8')), {bytes})"
        )
    }

    /// Removes the oldest large object that the workload has made.
    fn detach() -> String {
        "DELETE FROM shop.attachment WHERE id = (
            SELECT id FROM shop.attachment WHERE id >= 1000 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING lo_unlink(content)"
            .to_owned()
    }

    /// The transaction of pgbench, or a transfer where its tables are missing.
    fn pgbench(&self) -> String {
        let Self { a, b, c } = self;
        // Both signs, as pgbench does: the balances are 32 bits wide.
        let delta = format!("({} - 5000)", c % 10_001);
        let transfer = self.transfer();
        format!(
            "DO $step$
             DECLARE
                branches bigint;
             BEGIN
                IF to_regclass('public.pgbench_accounts') IS NULL THEN
                    {transfer};
                    RETURN;
                END IF;
                SELECT count(*) INTO branches FROM public.pgbench_branches;
                UPDATE public.pgbench_accounts SET abalance = abalance + {delta} WHERE aid = 1 + {a} % (branches * 100000);
                UPDATE public.pgbench_tellers SET tbalance = tbalance + {delta} WHERE tid = 1 + {b} % (branches * 10);
                UPDATE public.pgbench_branches SET bbalance = bbalance + {delta} WHERE bid = 1 + {b} % branches;
                INSERT INTO public.pgbench_history (tid, bid, aid, delta, mtime)
                VALUES (1 + {b} % (branches * 10), 1 + {b} % branches, 1 + {a} % (branches * 100000), {delta}, clock_timestamp());
             END
             $step$"
        )
    }
}
