//! The database that is backed up: a throwaway one with data, or the user's own.

use std::time::Instant;

use ops_core::database::ConnectInfo;
use ops_pg::binaries::{Binaries, Finder, Major};
use ops_pg::conninfo;
use ops_pg::server::{Shutdown, ThrowawayServer};
use ops_testkit::data;

use crate::Result;
use crate::arguments::Arguments;

const DATABASE: &str = "shop";

pub(crate) struct Source {
    pub(crate) info: ConnectInfo,
    /// Whether it is a throwaway server of ours, that may be written to.
    pub(crate) is_ours: bool,
    server: Option<ThrowawayServer>,
}

impl Source {
    pub(crate) async fn prepare(arguments: &Arguments, finder: &Finder) -> Result<Self> {
        if let Some(url) = &arguments.database_url {
            let (info, _) = conninfo::parse_with_options(url)?;
            return Ok(Self {
                info,
                is_ours: false,
                server: None,
            });
        }
        let binaries = newest(finder).await?;
        eprintln!("source: PostgreSQL {}", binaries.version());
        let parent = std::env::temp_dir().join("ops-demo-servers");
        let server = ThrowawayServer::builder(binaries.clone(), parent)
            .durable(false)
            .setting("shared_buffers", "256MB")
            .setting("max_wal_size", "4GB")
            .setting("autovacuum", "off")
            .start()
            .await?;
        server.create_database(DATABASE).await?;
        let info = server.connect_info(DATABASE);
        let (begun, size) = (Instant::now(), arguments.size_bytes);
        let report = data::load(&info, &binaries, size, size + size / 3).await?;
        let (megabytes, seconds) = (
            report.database_bytes / 1_000_000,
            begun.elapsed().as_secs_f64(),
        );
        eprintln!("source: {megabytes} MB loaded in {seconds:.1} s");
        Ok(Self {
            info,
            is_ours: true,
            server: Some(server),
        })
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(server) = &mut self.server {
            // It is thrown away either way.
            let _ = server.stop(Shutdown::Immediate).await;
        }
    }
}

/// The newest installation that can do everything that the demo does.
async fn newest(finder: &Finder) -> Result<Binaries> {
    let programs = ["pgbench", "pg_dump", "pg_dumpall", "pg_restore"];
    let all = finder.all().await;
    all.into_iter()
        .filter(|binaries| binaries.has_server() && programs.iter().all(|name| binaries.has(name)))
        .filter(|binaries| (Major(13)..=Major(18)).contains(&binaries.major()))
        .max_by_key(Binaries::major)
        .ok_or_else(|| {
            "no PostgreSQL 13 to 18 with pgbench was found: run cargo xtask setup".into()
        })
}
