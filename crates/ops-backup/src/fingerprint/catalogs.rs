//! What the system catalogs say.

use std::collections::{BTreeMap, BTreeSet};

use ops_core::Result;
use ops_pg::error::from_driver;
use tokio_postgres::Client;

/// Counts objects by kind, without those of the system and of extensions.
///
/// Every row is `(kind, count)`. Internal triggers and constraints' indexes are counted
/// with what made them.
const COUNT_OBJECTS: &str = r"
WITH user_schema AS (
    SELECT oid FROM pg_catalog.pg_namespace
    WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
), member AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), relation AS (
    SELECT c.* FROM pg_catalog.pg_class c JOIN user_schema s ON s.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
)
SELECT 'relation ' || relkind::text AS kind, count(*) FROM relation GROUP BY 1
UNION ALL SELECT 'materialized view with data', count(*) FROM relation
    WHERE relkind = 'm' AND relispopulated
UNION ALL SELECT 'column', count(*) FROM pg_catalog.pg_attribute a JOIN relation r ON r.oid = a.attrelid
    WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'default', count(*) FROM pg_catalog.pg_attrdef d JOIN relation r ON r.oid = d.adrelid
UNION ALL SELECT 'constraint ' || con.contype::text, count(*) FROM pg_catalog.pg_constraint con
    JOIN user_schema s ON s.oid = con.connamespace
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = con.conrelid)
    GROUP BY 1
UNION ALL SELECT 'trigger', count(*) FROM pg_catalog.pg_trigger t JOIN relation r ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal
UNION ALL SELECT 'rule', count(*) FROM pg_catalog.pg_rewrite w JOIN relation r ON r.oid = w.ev_class
UNION ALL SELECT 'policy', count(*) FROM pg_catalog.pg_policy p JOIN relation r ON r.oid = p.polrelid
UNION ALL SELECT 'function ' || p.prokind::text, count(*) FROM pg_catalog.pg_proc p
    JOIN user_schema s ON s.oid = p.pronamespace
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
    GROUP BY 1
UNION ALL SELECT 'type ' || t.typtype::text, count(*) FROM pg_catalog.pg_type t
    JOIN user_schema s ON s.oid = t.typnamespace
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
    GROUP BY 1
UNION ALL SELECT 'enum label', count(*) FROM pg_catalog.pg_enum
UNION ALL SELECT 'operator', count(*) FROM pg_catalog.pg_operator o
    JOIN user_schema s ON s.oid = o.oprnamespace
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_operator'::regclass AND m.objid = o.oid)
UNION ALL SELECT 'collation', count(*) FROM pg_catalog.pg_collation c
    JOIN user_schema s ON s.oid = c.collnamespace
UNION ALL SELECT 'statistics', count(*) FROM pg_catalog.pg_statistic_ext e
    JOIN user_schema s ON s.oid = e.stxnamespace
UNION ALL SELECT 'text search configuration', count(*) FROM pg_catalog.pg_ts_config c
    JOIN user_schema s ON s.oid = c.cfgnamespace
UNION ALL SELECT 'schema', count(*) FROM user_schema
UNION ALL SELECT 'extension', count(*) FROM pg_catalog.pg_extension
UNION ALL SELECT 'event trigger', count(*) FROM pg_catalog.pg_event_trigger
UNION ALL SELECT 'publication', count(*) FROM pg_catalog.pg_publication
UNION ALL SELECT 'foreign server', count(*) FROM pg_catalog.pg_foreign_server
UNION ALL SELECT 'default privileges', count(*) FROM pg_catalog.pg_default_acl
UNION ALL SELECT 'large object', count(*) FROM pg_catalog.pg_largeobject_metadata
";

pub(crate) async fn count_objects(client: &Client) -> Result<BTreeMap<String, i64>> {
    let rows = client
        .query(COUNT_OBJECTS, &[])
        .await
        .map_err(from_driver)?;
    rows.iter()
        .map(|row| {
            let kind: String = row.try_get(0).map_err(from_driver)?;
            Ok((kind, row.try_get(1).map_err(from_driver)?))
        })
        .filter(|entry| !matches!(entry, Ok((_, 0))))
        .collect()
}

/// The tables that belong to extensions, by schema and name.
pub(crate) async fn extension_tables(client: &Client) -> Result<BTreeSet<(String, String)>> {
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
             AND d.objid = c.oid AND d.deptype = 'e'",
            &[],
        )
        .await
        .map_err(from_driver)?;
    rows.iter()
        .map(|row| {
            let schema = row.try_get(0).map_err(from_driver)?;
            Ok((schema, row.try_get(1).map_err(from_driver)?))
        })
        .collect()
}

/// A sequence's `last_value` and `is_called`.
pub(crate) async fn sequence_state(
    client: &Client,
    schema: &str,
    name: &str,
) -> Result<(i64, bool)> {
    let from = format!(
        "{}.{}",
        super::quote_ident(schema),
        super::quote_ident(name)
    );
    let row = client
        .query_one(&format!("SELECT last_value, is_called FROM {from}"), &[])
        .await
        .map_err(from_driver)?;
    let last_value = row.try_get(0).map_err(from_driver)?;
    Ok((last_value, row.try_get(1).map_err(from_driver)?))
}
