use std::time::Duration;

use ops_pg::process::{Io, Program};
use ops_testkit::Pg;
use tokio::io::AsyncReadExt;

use super::*;
use crate::settings::PoolSettings;

/// The columns of PgBouncer, as `src/admin.c` and `src/stats.c` of its main branch after
/// 1.25.2 send them: s is text, i integer, N numeric, T a time as text.
fn is_as_in_pgbouncer<R: Row>(names: &str, types: &str) {
    assert_eq!(R::columns().join(" "), names);
    let kinds = R::COLUMNS.iter().map(|column| match column.kind {
        ColumnType::Text => 's',
        ColumnType::Int4 => 'i',
        ColumnType::Int8 => 'q',
        ColumnType::Numeric => 'N',
    });
    assert_eq!(kinds.collect::<String>(), types.replace('T', "s"));
}

#[test]
fn columns_and_types_are_pgbouncers() {
    is_as_in_pgbouncer::<PoolsRow>(
        "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active \
         sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait \
         maxwait_us pool_mode load_balance_hosts",
        "ssiiiiiiiiiiiiiss",
    );
    is_as_in_pgbouncer::<SocketRow>(
        "type user database replication state addr port local_addr local_port connect_time \
         request_time wait wait_us close_needed ptr link remote_pid tls application_name \
         prepared_statements id",
        "ssssssisiTTiiississii",
    );
    is_as_in_pgbouncer::<DatabasesRow>(
        "name host port database force_user pool_size min_pool_size reserve_pool_size \
         server_lifetime pool_mode load_balance_hosts max_connections current_connections \
         max_client_connections current_client_connections paused disabled",
        "ssissiiiissiiiiii",
    );
    is_as_in_pgbouncer::<ListsRow>("list items", "si");
    is_as_in_pgbouncer::<ConfigRow>("key value default changeable", "ssss");
    let counts = "server_assignment_count xact_count query_count received sent xact_time \
                  query_time wait_time client_parse_count server_parse_count bind_count \
                  client_login_count";
    let total = counts.split(' ').map(|it| format!("total_{it}"));
    let average = counts.replace("received", "recv");
    let average = average.split(' ').map(|it| format!("avg_{it}"));
    let columns: Vec<_> = std::iter::once("database".to_owned())
        .chain(total)
        .chain(average)
        .collect();
    is_as_in_pgbouncer::<StatsRow>(&columns.join(" "), &format!("s{}", "N".repeat(24)));
}

#[test]
fn lists_have_pgbouncers_order() {
    let names = "databases users peers pools peer_pools free_clients used_clients login_clients \
                 free_servers used_servers dns_names dns_zones dns_queries dns_pending";
    let counts = ListsCounts {
        databases: 1,
        users: 2,
        pools: 3,
        used_clients: 4,
        used_servers: 5,
    };
    let rows = counts.rows();
    let found: Vec<_> = rows.iter().map(|row| row.list).collect();
    assert_eq!(found.join(" "), names);
    let items: Vec<_> = rows.iter().map(|row| row.items).collect();
    assert_eq!(items, [1, 2, 0, 3, 0, 0, 4, 0, 0, 5, 0, 0, 0, 0]);
}

#[test]
fn averages_are_of_the_period_as_in_pgbouncer() {
    let second = Duration::from_secs(1);
    let then = Counters {
        server_assignment_count: 100,
        xact_count: 1_000,
        query_count: 10_000,
        sent: 500,
        wait_time: second,
        ..Counters::default()
    };
    let now = Counters {
        server_assignment_count: 220,
        xact_count: 1_000,
        query_count: 10_030,
        sent: 6_500,
        query_time: second * 3,
        wait_time: second * 7,
        ..then
    };
    let row = StatsRow::new("shop", &now, [&then, &now], second * 60);
    assert_eq!(
        (
            row.total_server_assignment_count,
            row.avg_server_assignment_count
        ),
        (220, 2)
    );
    // Rounded down.
    assert_eq!((row.avg_query_count, row.avg_sent), (0, 100));
    // For each query, and for each session that was given out.
    assert_eq!((row.avg_query_time, row.avg_wait_time), (100_000, 50_000));
    assert_eq!(row.total_wait_time, 7_000_000);
    // Nothing to divide by.
    assert_eq!(row.avg_xact_time, 0);
    assert_eq!(
        StatsRow::new("shop", &now, [&then, &now], Duration::ZERO).avg_sent,
        0
    );
    // A counter that began anew.
    assert_eq!(
        StatsRow::new("shop", &then, [&now, &then], second).avg_sent,
        0
    );
}

#[test]
fn the_configuration_tells_value_and_default() {
    let settings = PoolSettings::new()
        .with_pool_size(7)
        .with_reserve_pool_timeout(Duration::from_millis(2500))
        .with_server_check_query(None);
    let rows = config(&settings, |key| key == "default_pool_size");
    assert!(rows.is_sorted_by_key(|row| row.key));
    let row = |key| {
        let row = rows.iter().find(|row| row.key == key).unwrap();
        (&*row.value, &*row.default, row.changeable)
    };
    assert_eq!(row("default_pool_size"), ("7", "20", "yes"));
    assert_eq!(row("reserve_pool_timeout"), ("2.5", "5", "no"));
    assert_eq!(row("server_check_query"), ("", "<empty>", "no"));
    assert_eq!(row("server_lifetime"), ("3600", "3600", "no"));
    assert_eq!(row("server_round_robin"), ("0", "0", "no"));
}

#[test]
fn values_that_would_break_the_table_are_made_harmless() {
    let rows = [ConfigRow {
        key: "server_reset_query",
        value: "DISCARD\nALL\u{1b}[2J".to_owned(),
        ..ConfigRow::default()
    }];
    let table = table(&rows);
    assert!(table.contains("| DISCARD ALL [2J |"), "{table}");
    assert_eq!(table.lines().count(), 4);
}

/// What `psql` prints for the same columns and values.
async fn psql<R: Row + Sync>(pg: &Pg, rows: &[R]) -> String {
    let columns: Vec<_> = R::COLUMNS
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let kind = match column.kind {
                ColumnType::Text => "text",
                ColumnType::Int4 => "int4",
                ColumnType::Int8 => "int8",
                ColumnType::Numeric => "numeric",
            };
            format!("column{}::{kind} AS \"{}\"", index + 1, column.name)
        })
        .collect();
    let quoted = |value: Option<Cow<'_, str>>| match value {
        Some(value) => format!("'{}'", value.replace('\'', "''")),
        None => "NULL".to_owned(),
    };
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let values: Vec<_> = row.values().into_iter().map(quoted).collect();
            format!("({})", values.join(", "))
        })
        .collect();
    let (columns, rows) = (columns.join(", "), rows.join(", "));
    let env = ops_pg::conninfo::libpq_env(&pg.connect_info("postgres"));
    let program = env
        .plain()
        .fold(Program::new(pg.bin("psql")), |program, (name, value)| {
            program.env(name, value)
        })
        .env("LC_ALL", "C.UTF-8")
        .args(["--no-psqlrc", "--pset=pager=off", "--command"])
        .arg(format!("SELECT {columns} FROM (VALUES {rows}) AS rows"))
        .stdout(Io::Piped);
    let mut child = program.spawn().unwrap();
    let mut out = String::new();
    let mut stdout = child.take_stdout().unwrap();
    stdout.read_to_string(&mut out).await.unwrap();
    child
        .wait()
        .await
        .unwrap()
        .check(ops_core::ErrorKind::Internal)
        .unwrap();
    out
}

/// As psql prints it, but for the empty line that it adds.
async fn is_as_psql_prints<R: Row + Sync>(pg: &Pg, rows: &[R]) {
    let (ours, psqls) = (table(rows), psql(pg, rows).await);
    assert_eq!(ours, psqls.trim_end_matches('\n').to_owned() + "\n");
}

#[tokio::test]
async fn tables_are_as_psql_prints_them() {
    let Some(pg) = Pg::start().await else { return };
    let pool = PoolsRow {
        database: "shop".to_owned(),
        user: "überlang".to_owned(),
        cl_active: 12_345_678,
        pool_mode: "session",
        ..PoolsRow::default()
    };
    is_as_psql_prints(&pg, std::slice::from_ref(&pool)).await;
    is_as_psql_prints(&pg, &[PoolsRow::default(), pool]).await;
    let time = Timestamp::from_unix_seconds(1_700_000_000).unwrap();
    let socket = SocketRow {
        kind: "C",
        addr: "src/web.rs".to_owned(),
        port: 4711,
        connect_time: Some(time),
        close_needed: true,
        remote_pid: -5,
        ..SocketRow::default()
    };
    is_as_psql_prints(&pg, &[socket, SocketRow::default()]).await;
    let lists = ListsCounts::default().rows();
    is_as_psql_prints(&pg, &lists).await;
    let settings = PoolSettings::new().with_connect_query(Some("SET x = 'y'".to_owned()));
    is_as_psql_prints(&pg, &config(&settings, |_| true)).await;
    let counters = Counters {
        sent: u64::MAX,
        ..Counters::default()
    };
    let stats = StatsRow::new(
        "shop",
        &counters,
        [&Counters::default(), &counters],
        Duration::from_secs(60),
    );
    is_as_psql_prints(&pg, &[stats]).await;
    let database = DatabasesRow {
        name: "shop".to_owned(),
        paused: true,
        ..DatabasesRow::default()
    };
    is_as_psql_prints(&pg, &[database]).await;
}
