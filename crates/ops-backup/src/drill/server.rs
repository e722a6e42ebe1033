//! The throwaway server of a drill.

use ops_core::Report;
use ops_core::database::ConnectInfo;
use ops_pg::binaries::Major;
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::server::{Shutdown, ThrowawayServer};
use tokio_postgres::Client;

use super::DrillOptions;
use crate::backup::Inner;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Events;
use crate::fingerprint::{Check, Difference, quote_ident, quote_literal};
use crate::repository::SourceInfo;
use crate::restore::apply_globals;

const DATABASE: &str = "ops_drill";

/// Small on purpose: a drill runs beside the service. No setting here changes what a
/// restored copy is.
const SETTINGS: [(&str, &str); 8] = [
    ("shared_buffers", "64MB"),
    ("maintenance_work_mem", "64MB"),
    ("max_locks_per_transaction", "4096"),
    ("max_connections", "20"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("autovacuum", "off"),
];

pub(super) struct DrillServer {
    server: ThrowawayServer,
}

/// Sessions that are not what the backup's roles are set to.
fn session() -> ConnectOptions {
    ConnectOptions::default()
        .with_application_name("ops-drill")
        .with_parameter("default_transaction_read_only", "off")
        .with_parameter("statement_timeout", "0")
}

#[cold]
fn failed(what: &'static str) -> impl Fn(ops_core::Error) -> Error {
    move |err| {
        Error::new(
            ErrorKind::Server,
            "drill",
            format!("{what}: {}", Report(&err)),
        )
        .with_source(err)
    }
}

impl DrillServer {
    pub(super) async fn start(
        inner: &Inner,
        source: &SourceInfo,
        options: &DrillOptions,
    ) -> Result<Self> {
        let binaries = inner
            .settings
            .finder
            .exact(Major(source.server_major))
            .await
            .map_err(|err| {
                let message = format!("no server of PostgreSQL {} was found", source.server_major);
                Error::new(ErrorKind::Server, "drill", message)
                    .with_hint(format!(
                        "install the server programs of PostgreSQL {}",
                        source.server_major
                    ))
                    .with_source(err)
            })?;
        let folder = options
            .folder
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join("ops-drills"));
        let mut builder = ThrowawayServer::builder(binaries, folder)
            .superuser(&source.superuser)
            .durable(false);
        for (name, value) in SETTINGS {
            builder = builder.overriding_setting(name, value);
        }
        for (name, value) in &options.server_settings {
            builder = builder.overriding_setting(name, value);
        }
        let server = builder
            .start()
            .await
            .map_err(failed("the throwaway server did not start"))?;
        Ok(Self { server })
    }

    pub(super) fn major(&self) -> u32 {
        self.server.binaries().major().0
    }

    pub(super) fn version(&self) -> String {
        self.server.binaries().version().to_string()
    }

    pub(super) fn connect_info(&self) -> ConnectInfo {
        self.server.connect_info(DATABASE)
    }

    /// Makes the roles and an empty database like the source's.
    pub(super) async fn prepare(
        &self,
        globals: Option<Vec<u8>>,
        source: &SourceInfo,
        events: &Events,
        warnings: &mut Vec<String>,
    ) -> Result<Check> {
        let options = session();
        let client = connect(&self.server.connect_info("postgres"), &options)
            .await
            .map_err(failed("the throwaway server does not answer"))?;
        let check = match globals {
            None => Check::not_checked("roles", "the backup has no globals"),
            Some(sql) => {
                let failures = apply_globals(&client, &sql).await?;
                let differences = failures
                    .into_iter()
                    .map(|failure| Difference::new("roles", "made", failure))
                    .collect();
                Check::new("roles", 1, differences)
            }
        };
        if let Err(err) = create(
            &client,
            &source.encoding,
            Some((&source.collate, &source.ctype)),
        )
        .await
        {
            let text = format!(
                "the locale {:?} is not on this machine, C stands in: sort order is not proved ({err})",
                source.collate
            );
            events.warn(warnings, text);
            create(&client, &source.encoding, None)
                .await
                .map_err(|err| {
                    failed("the database could not be made")(ops_pg::error::from_driver(err))
                })?;
        }
        Ok(check)
    }

    pub(super) async fn connect(&self) -> Result<Client> {
        let options = session();
        let client = connect(&self.connect_info(), &options)
            .await
            .map_err(failed("the copy does not answer"))?;
        client
            .batch_execute("SELECT 1")
            .await
            .map_err(|err| failed("the copy does not answer")(ops_pg::error::from_driver(err)))?;
        Ok(client)
    }

    /// Stops the server; its folder goes with it.
    pub(super) async fn stop(mut self) {
        if let Err(err) = self.server.stop(Shutdown::Immediate).await {
            tracing::warn!(error = %Report(&err), "the throwaway server did not stop by itself");
        }
    }
}

async fn create(
    client: &Client,
    encoding: &str,
    locale: Option<(&str, &str)>,
) -> Result<(), tokio_postgres::Error> {
    let (collate, ctype) = locale.unwrap_or(("C", "C"));
    client
        .batch_execute(&format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            quote_ident(DATABASE),
            quote_literal(encoding),
            quote_literal(collate),
            quote_literal(ctype),
        ))
        .await
}
