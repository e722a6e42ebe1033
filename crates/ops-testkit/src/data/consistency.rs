//! Whether a database is of one single moment.

use ops_core::{Error, ErrorKind, Result};
use ops_pg::error::from_driver;
use tokio_postgres::Client;

/// What holds after every transaction of the workload, each as a query that gives a row
/// where it does not hold.
const INVARIANTS: [(&str, &str); 6] = [
    (
        "the balances of shop.account add up to 1000000",
        "SELECT FROM shop.account HAVING sum(balance) IS DISTINCT FROM 1000000",
    ),
    (
        "each row of shop.transfer is counted at both accounts",
        "SELECT FROM shop.account
         HAVING sum(transfers) <> (SELECT 2 * count(*) FROM shop.transfer)",
    ),
    (
        "each order has as many lines as it says",
        "SELECT FROM (SELECT * FROM shop.\"order\") AS o
         WHERE o.lines <> (
            SELECT count(*) FROM shop.order_line AS l
            WHERE (l.\"order\", l.placed, l.region) = (o.id, o.placed, o.region))",
    ),
    (
        "each line belongs to an order",
        "SELECT FROM shop.order_line AS l
         WHERE NOT EXISTS (
            SELECT FROM shop.\"order\" AS o
            WHERE (o.id, o.placed, o.region) = (l.\"order\", l.placed, l.region))",
    ),
    (
        "each attachment has its large object, of the size that it says",
        "SELECT FROM shop.attachment AS a
         WHERE CASE WHEN EXISTS (SELECT FROM pg_largeobject_metadata AS m WHERE m.oid = a.content)
            THEN length(lo_get(a.content)) <> a.bytes ELSE true END",
    ),
    (
        "each large object that the workload made has an attachment",
        "SELECT FROM pg_largeobject_metadata AS m
         WHERE m.oid <> 4100005
         AND NOT EXISTS (SELECT FROM shop.attachment AS a WHERE a.content = m.oid)",
    ),
];

/// The invariant of pgbench, where its tables exist.
const PGBENCH: (&str, &str) = (
    "the balances of accounts, tellers and branches are those of pgbench_history",
    "SELECT FROM (SELECT
        (SELECT coalesce(sum(abalance), 0) FROM public.pgbench_accounts) AS accounts,
        (SELECT coalesce(sum(tbalance), 0) FROM public.pgbench_tellers) AS tellers,
        (SELECT coalesce(sum(bbalance), 0) FROM public.pgbench_branches) AS branches,
        (SELECT coalesce(sum(delta), 0) FROM public.pgbench_history) AS history) AS sums
     WHERE (accounts, tellers, branches) <> (history, history, history)",
);

/// Checks what holds between the tables of the data set after every transaction of
/// [`workload_step`](super::workload_step), and of pgbench where its tables exist. A
/// backup that mixes two moments breaks it.
///
/// # Errors
/// `Integrity` with everything that does not hold, `NotFound` without the schema, and
/// those of the driver.
///
/// # Cancel safety
/// Reading changes nothing.
pub async fn check_consistency(client: &Client) -> Result<()> {
    let pgbench = client
        .query_one(
            "SELECT to_regclass('public.pgbench_history') IS NOT NULL",
            &[],
        )
        .await
        .map_err(from_driver)?
        .get(0);
    let mut broken = Vec::new();
    for (what, query) in INVARIANTS
        .into_iter()
        .chain(Some(PGBENCH).filter(|_| pgbench))
    {
        let query = format!("SELECT EXISTS ({query})");
        let row = client.query_one(&query, &[]).await.map_err(from_driver)?;
        if row.get(0) {
            broken.push(what);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let message = format!("this does not hold: {}", broken.join("; "));
    Err(Error::new(ErrorKind::Integrity, message))
}
