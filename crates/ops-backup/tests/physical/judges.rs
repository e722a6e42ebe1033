//! Programs of PostgreSQL that judge a restored cluster: of its own major where they are
//! installed, else the newest, as far as that can read what is older.

use std::path::{Path, PathBuf};

use ops_pg::binaries::{Binaries, Finder};
use ops_pg::server::ThrowawayServer;
use ops_testkit::fixture;

use crate::restore::client;
use crate::support::call;

/// A program, and whether it is of the server's own major. Says so where there is none.
async fn program(own: &Binaries, name: &str) -> Option<(PathBuf, bool)> {
    if let Ok(program) = own.program(name) {
        return Some((program, true));
    }
    let all = Finder::from_env().all().await;
    let newer = all
        .iter()
        .filter(|it| it.major() > own.major() && it.has(name));
    let newest = newer.max_by_key(|it| it.major());
    if newest.is_none() {
        fixture::inapplicable(format_args!("no {name} for PostgreSQL {}", own.major()));
    }
    newest.map(|it| (it.folder().join(name), false))
}

/// Whether a cluster can be judged wholly: there is a `pg_dump` that can read it.
pub(crate) async fn are_there(own: &Binaries) -> bool {
    program(own, "pg_dump").await.is_some()
}

/// `pg_dump` of everything in a database, without what differs from run to run.
pub(crate) async fn dump(server: &ThrowawayServer) -> String {
    let (program, _) = program(server.binaries(), "pg_dump").await.unwrap();
    let socket = server.socket_dir().display().to_string();
    let port = server.port().to_string();
    let arguments = [
        "--host",
        &socket,
        "--port",
        &port,
        "--username=postgres",
        "--no-unlogged-table-data",
        "postgres",
    ];
    let text = call(program, arguments);
    let random = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    text.lines().filter(random).collect::<Vec<_>>().join("\n")
}

/// `pg_verifybackup` of a folder in which no server has run yet. One of another major reads
/// neither the WAL nor, of 17 and newer, `pg_control`.
pub(crate) async fn verify(server: &ThrowawayServer, folder: &Path) {
    let own = server.binaries();
    let Some((program, is_own)) = program(own, "pg_verifybackup").await else {
        return;
    };
    let mut arguments = Vec::new();
    if !is_own {
        arguments.push("--no-parse-wal".into());
        if own.major().0 >= 17 {
            arguments.push("--ignore=global/pg_control".into());
        }
    }
    arguments.push(folder.as_os_str().to_owned());
    let text = call(program, arguments);
    assert!(text.contains("backup successfully verified"), "{text}");
}

/// Looks at every table and index of a running server, each index against its table: by
/// `pg_amcheck`, which reads 14 and newer, else by what it would ask. Leaves nothing behind in
/// the database `postgres`.
pub(crate) async fn amcheck(server: &ThrowawayServer) {
    let own = server.binaries();
    let client = client(server).await;
    if own.major().0 < 14 {
        let sql = "CREATE EXTENSION amcheck; \
                   SELECT bt_index_parent_check(i.indexrelid, true, true) FROM pg_index i \
                   JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam \
                   WHERE a.amname = 'btree' AND c.relpersistence = 'p' AND i.indisvalid; \
                   DROP EXTENSION amcheck";
        return client.batch_execute(sql).await.unwrap();
    }
    let Some((program, _)) = program(own, "pg_amcheck").await else {
        return;
    };
    let socket = server.socket_dir().display().to_string();
    let port = server.port().to_string();
    let arguments = [
        "--all",
        "--install-missing",
        "--heapallindexed",
        "--parent-check",
        "--host",
        &socket,
        "--port",
        &port,
        "--username=postgres",
    ];
    call(program, arguments);
    let sql = "DROP EXTENSION IF EXISTS amcheck";
    client.batch_execute(sql).await.unwrap();
}
