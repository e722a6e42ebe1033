//! What the tests of throwaway servers have in common.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ops_pg::binaries::{Binaries, Finder};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::server::{ThrowawayServer, ThrowawayServerBuilder};
use ops_testkit::fixture;
use tempfile::TempDir;
use tokio_postgres::Client;

pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn installed() -> Option<Binaries> {
    let all = Finder::from_env().all().await;
    let server = all.into_iter().find(Binaries::has_server);
    if server.is_none() {
        fixture::skip("no PostgreSQL server is installed");
    }
    server
}

/// A server below the folder that tests share, with its template made already.
pub(crate) async fn shared() -> Option<ThrowawayServerBuilder> {
    Some(ThrowawayServer::builder(installed().await?, fixture::folder()).durable(false))
}

pub(crate) async fn client(server: &ThrowawayServer) -> Client {
    connect(&server.connect_info("postgres"), &ConnectOptions::default())
        .await
        .unwrap()
}

pub(crate) async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// An empty folder where servers are made fast.
pub(crate) fn new_folder() -> TempDir {
    fs::create_dir_all(fixture::folder()).unwrap();
    tempfile::tempdir_in(fixture::folder()).unwrap()
}

pub(crate) fn servers_below(parent: &Path) -> usize {
    let entries = fs::read_dir(parent)
        .unwrap()
        .map(|it| it.unwrap().file_name());
    entries
        .filter(|name| name.to_string_lossy().starts_with("pg-"))
        .count()
}
