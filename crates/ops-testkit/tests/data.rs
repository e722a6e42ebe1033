//! The data set, against the real PostgreSQL and its own tools.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use ops_core::ErrorKind;
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::conninfo::libpq_env;
use ops_pg::process::{Io, Program};
use ops_testkit::{Pg, data};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::Client;

/// A client program of the server's own installation, connected to one of its databases.
fn program(pg: &Pg, name: &str, database: &str) -> Program {
    let env = libpq_env(&pg.connect_info(database));
    let mut program = Program::new(pg.bin(name));
    for (name, value) in env.plain() {
        program = program.env(name, value);
    }
    for (name, value) in env.secret() {
        program = program.secret_env(name, value.clone());
    }
    program
}

/// Runs a program that must succeed, with this standard input, through pipes.
async fn run(program: Program, input: Vec<u8>) -> Vec<u8> {
    let mut child = program.stdin(Io::Piped).stdout(Io::Piped).spawn().unwrap();
    let mut stdin = child.take_stdin().unwrap();
    let writer = tokio::spawn(async move { stdin.write_all(&input).await });
    let mut output = Vec::new();
    let mut stdout = child.take_stdout().unwrap();
    stdout.read_to_end(&mut output).await.unwrap();
    let exit = child.wait().await.unwrap();
    assert!(exit.success(), "{exit}: {}", exit.stderr_tail());
    writer.await.unwrap().unwrap();
    output
}

/// A dump as text, without the random token of newer minors.
async fn text_dump(pg: &Pg, name: &str, database: &str, args: &[&str]) -> String {
    let help = run(program(pg, name, database).arg("--help"), Vec::new()).await;
    let fixed = String::from_utf8(help).unwrap().contains("--restrict-key");
    let dump = program(pg, name, database)
        .args(fixed.then_some("--restrict-key=fixed"))
        .args(args);
    String::from_utf8(run(dump, Vec::new()).await).unwrap()
}

/// Takes a database over into another server, as a backup does: globals, then the archive
/// from a pipe.
async fn transfer(source: &Pg, target: &Pg, database: &str) {
    let globals = run(
        program(source, "pg_dumpall", database).arg("--globals-only"),
        Vec::new(),
    )
    .await;
    // The superuser exists already. What else goes wrong here, fails below.
    run(
        program(target, "psql", "postgres").arg("--no-psqlrc"),
        globals,
    )
    .await;
    let archive = program(source, "pg_dump", database).args(["--format=custom", "--compress=0"]);
    let archive = run(archive, Vec::new()).await;
    let restore = program(target, "pg_restore", "postgres").args([
        "--exit-on-error",
        "--create",
        "--dbname=postgres",
    ]);
    run(restore, archive).await;
}

/// Fails at the first line that differs, and shows it.
#[track_caller]
fn assert_same_text(before: &str, after: &str) {
    for (n, (before, after)) in before.lines().zip(after.lines()).enumerate() {
        let cut = |line: &str| line.chars().take(300).collect::<String>();
        assert!(
            before == after,
            "line {n}:\n{}\n{}",
            cut(before),
            cut(after)
        );
    }
    assert_eq!(before.len(), after.len());
}

async fn count(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn the_data_set_comes_back_byte_for_byte() {
    let Some(source) = Pg::start().await else {
        return;
    };
    let Some(target) = Pg::start().await else {
        return;
    };
    source.create_database("shop \"1\"").await;
    data::install_schema(&source.connect_info("shop \"1\""))
        .await
        .unwrap();

    transfer(&source, &target, "shop \"1\"").await;

    let args = ["--create", "--exclude-table-data", data::REPARTITIONED];
    let before = text_dump(&source, "pg_dump", "shop \"1\"", &args).await;
    let after = text_dump(&target, "pg_dump", "shop \"1\"", &args).await;
    assert!(before.len() > 20_000_000, "{} bytes", before.len());
    assert_same_text(&before, &after);
    let args = ["--globals-only"];
    let before = text_dump(&source, "pg_dumpall", "postgres", &args).await;
    let after = text_dump(&target, "pg_dumpall", "postgres", &args).await;
    assert_same_text(&before, &after);

    let votes = "SELECT string_agg(mood || ' ' || voter, ',' ORDER BY voter, mood) FROM shop.vote";
    let (source, target) = (
        source.client("shop \"1\"").await,
        target.client("shop \"1\"").await,
    );
    let before: String = source.query_one(votes, &[]).await.unwrap().get(0);
    let after: String = target.query_one(votes, &[]).await.unwrap().get(0);
    assert_eq!(before, after);
    data::check_consistency(&target).await.unwrap();
}

#[tokio::test]
async fn two_databases_of_a_cluster_can_be_filled_at_the_same_time_but_each_only_once() {
    let Some(pg) = Pg::start().await else { return };
    pg.create_database("one").await;
    pg.create_database("two").await;
    let (one, two) = (pg.connect_info("one"), pg.connect_info("two"));

    tokio::try_join!(data::install_schema(&one), data::install_schema(&two)).unwrap();
    let err = data::install_schema(&one).await.unwrap_err();

    assert_eq!(err.kind(), ErrorKind::AlreadyExists, "{err}");
    let (one, two) = (pg.client("one").await, pg.client("two").await);
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace > 16000";
    assert_eq!(count(&one, tables).await, count(&two, tables).await);
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let Some(pg) = Pg::start().await else { return };
    let client = pg.client("postgres").await;
    client
        .batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        .await
        .unwrap();

    let err = data::install_schema(&pg.connect_info("latin"))
        .await
        .unwrap_err();

    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert!(err.to_string().contains("LATIN1"), "{err}");
}

#[tokio::test]
async fn bulk_data_reaches_its_size_and_grows_on_from_there() {
    let Some(pg) = Pg::start().await else { return };
    pg.create_database("bulk").await;
    let info = pg.connect_info("bulk");

    let first = data::install_bulk(&info, 60_000_000).await.unwrap();
    let again = data::install_bulk(&info, 60_000_000).await.unwrap();
    let grown = data::install_bulk(&info, 90_000_000).await.unwrap();

    assert!(
        (57_000_000..63_000_000).contains(&first.database_bytes),
        "{first:?}"
    );
    assert!(again.added_rows < first.added_rows / 50, "{again:?}");
    assert!(
        (86_000_000..94_000_000).contains(&grown.database_bytes),
        "{grown:?}"
    );
    let client = pg.client("bulk").await;
    let rows = "SELECT (SELECT count(*) FROM bulk.document) + (SELECT count(*) FROM bulk.event)
        + (SELECT count(*) FROM bulk.blob)";
    let added = first.added_rows + again.added_rows + grown.added_rows;
    assert_eq!(count(&client, rows).await, i64::try_from(added).unwrap());
}

#[tokio::test]
async fn the_workload_leaves_sessions_clean_and_the_data_consistent() {
    let Some(pg) = Pg::start().await else { return };
    pg.create_database("shop").await;
    data::install_schema(&pg.connect_info("shop"))
        .await
        .unwrap();
    let pgbench = program(&pg, "pgbench", "shop").args(["--initialize", "--quiet"]);
    run(pgbench, Vec::new()).await;

    let workers = (0..4).map(|worker| {
        let connecting = pg.connect_info("shop");
        tokio::spawn(async move {
            let client = connect(&connecting, &ConnectOptions::default())
                .await
                .unwrap();
            let before = session_state(&client).await;
            for i in 0..200 {
                data::workload_step(&client, worker, i).await.unwrap();
                assert_eq!(
                    session_state(&client).await,
                    before,
                    "worker {worker}, step {i}"
                );
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }

    let client = pg.client("shop").await;
    data::check_consistency(&client).await.unwrap();
    for (written, at_least) in [
        ("SELECT count(*) FROM shop.transfer", 150),
        ("SELECT count(*) FROM public.pgbench_history", 150),
        ("SELECT count(*) FROM shop.\"order\" WHERE id > 1230", 80),
        ("SELECT count(*) FROM shop.attachment WHERE id >= 1000", 1),
        ("SELECT count(*) FROM shop.audit", 40),
    ] {
        assert!(count(&client, written).await >= at_least, "{written}");
    }
}

/// What a session would carry over to its next user.
async fn session_state(client: &Client) -> String {
    let query = "SELECT concat_ws(' | ',
        (SELECT count(*) FROM pg_prepared_statements WHERE statement NOT LIKE '%session%'),
        (SELECT count(*) FROM pg_cursors WHERE name <> '' AND statement NOT LIKE '%session%'),
        (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
        (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
        (SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings WHERE source = 'session'),
        now() = statement_timestamp())";
    let messages = client.simple_query(query).await.unwrap();
    let row = messages.into_iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.unwrap().get(0).unwrap().to_owned()
}

#[tokio::test]
async fn each_inconsistency_is_found_and_named() {
    let Some(pg) = Pg::start().await else { return };
    pg.create_database("shop").await;
    data::install_schema(&pg.connect_info("shop"))
        .await
        .unwrap();
    let pgbench = program(&pg, "pgbench", "shop").args(["--initialize", "--quiet"]);
    run(pgbench, Vec::new()).await;
    let client = pg.client("shop").await;
    data::check_consistency(&client).await.unwrap();

    for (damage, named) in [
        (
            "UPDATE shop.account SET balance = balance + 1 WHERE id = 1",
            "balances of shop.account",
        ),
        (
            "INSERT INTO shop.transfer (source, target, amount) VALUES (1, 2, 3)",
            "counted at both",
        ),
        (
            "DELETE FROM shop.order_line WHERE line = 3 AND \"order\" = 3",
            "as many lines",
        ),
        (
            "SET session_replication_role = replica; DELETE FROM shop.\"order\" WHERE id = 3",
            "belongs to an order",
        ),
        ("SELECT lo_put(4100002, 3000, 'x')", "has its large object"),
        ("SELECT lo_unlink(4100003)", "has its large object"),
        ("SELECT lo_create(0)", "has an attachment"),
        (
            "UPDATE pgbench_tellers SET tbalance = 1 WHERE tid = 1",
            "pgbench_history",
        ),
    ] {
        client
            .batch_execute(&format!("BEGIN; {damage}"))
            .await
            .unwrap();
        let err = data::check_consistency(&client).await.unwrap_err();
        client.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(err.kind(), ErrorKind::Integrity);
        assert!(err.to_string().contains(named), "{damage}: {err}");
    }
    data::check_consistency(&client).await.unwrap();
}

#[tokio::test]
async fn a_dump_under_the_workload_is_of_one_moment() {
    let Some(source) = Pg::start().await else {
        return;
    };
    let Some(target) = Pg::start().await else {
        return;
    };
    source.create_database("shop").await;
    data::install_schema(&source.connect_info("shop"))
        .await
        .unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let workers: Vec<_> = (0..3)
        .map(|worker| {
            let (info, stopped) = (source.connect_info("shop"), stopped.clone());
            tokio::spawn(async move {
                let client = connect(&info, &ConnectOptions::default()).await.unwrap();
                let mut steps = 0;
                while !*stopped.borrow() {
                    data::workload_step(&client, worker, steps).await.unwrap();
                    steps += 1;
                }
                steps
            })
        })
        .collect();

    transfer(&source, &target, "shop").await;
    stop.send(true).unwrap();
    for worker in workers {
        assert!(worker.await.unwrap() > 40);
    }

    data::check_consistency(&target.client("shop").await)
        .await
        .unwrap();
    data::check_consistency(&source.client("shop").await)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_tables_of_pgbench_take_what_their_scale_says() {
    let Some(pg) = Pg::start().await else { return };
    pg.create_database("bench").await;
    let client = pg.client("bench").await;
    let size = "SELECT pg_database_size('bench')";
    let before = count(&client, size).await;

    let scale = data::pgbench_scale_for(48_000_000);
    let pgbench = program(&pg, "pgbench", "bench").args([
        "--initialize",
        "--quiet",
        &format!("--scale={scale}"),
    ]);
    run(pgbench, Vec::new()).await;

    let added = count(&client, size).await - before;
    assert!(
        (45_000_000..51_000_000).contains(&added),
        "scale {scale}: {added}"
    );
}
