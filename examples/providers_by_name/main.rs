//! Opens the providers that a file of settings names, and says what they can do.
//!
//! ```text
//! providers_by_name [FILE]     a file of yours, else the ops.toml beside this program's source
//! ```
//!
//! The service below knows traits alone. Which vendor stands behind them is said by the file.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]

use std::process::ExitCode;
use std::sync::Arc;

use ops_core::{Database, Error, Hosting, Monitor, ObjectStore, Report};
use ops_providers::registry::{Registry, Settings};

const SAMPLE: &str = include_str!("ops.toml");

/// The file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Stack {
    hosting: Entry,
    database: Entry,
    object_store: Entry,
    monitor: Entry,
}

#[derive(serde::Deserialize)]
struct Entry {
    provider: String,
    #[serde(flatten)]
    settings: Settings,
}

/// What the service works with.
struct Service {
    hosting: Arc<dyn Hosting>,
    database: Arc<dyn Database>,
    object_store: Arc<dyn ObjectStore>,
    monitor: Arc<dyn Monitor>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Vec<String>> {
    let text = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read_to_string(path).map_err(|err| vec![err.to_string()])?,
        None => SAMPLE.to_owned(),
    };
    let stack: Stack = toml::from_str(&text).map_err(|err| vec![wrong(&text, &err)])?;
    let service = open(&Registry::from_env(), &stack).await?;
    println!("hosting: {}", service.hosting.provider());
    println!("database: {}", service.database.provider());
    println!("object store: {}", service.object_store.provider());
    println!("monitor: {}", service.monitor.provider());
    if service.hosting.as_rollback().is_some() {
        println!("a deployment can be rolled back");
    }
    Ok(())
}

/// What is wrong with the file, and where. The line itself is not shown: somebody may have
/// written a secret there.
fn wrong(text: &str, err: &toml::de::Error) -> String {
    let before = err.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {}", before.split('\n').count(), err.message()),
        None => err.message().to_owned(),
    }
}

/// Opens everything, and tells of everything that cannot be opened.
async fn open(registry: &Registry, stack: &Stack) -> Result<Service, Vec<String>> {
    let Stack {
        hosting,
        database,
        object_store,
        monitor,
    } = stack;
    let hosting = registry.open_hosting(&hosting.provider, &hosting.settings);
    let database = registry.open_database(&database.provider, &database.settings);
    let object_store = registry.open_object_store(&object_store.provider, &object_store.settings);
    let monitor = registry.open_monitor(&monitor.provider, &monitor.settings);
    match tokio::join!(hosting, database, object_store, monitor) {
        (Ok(hosting), Ok(database), Ok(object_store), Ok(monitor)) => Ok(Service {
            hosting,
            database,
            object_store,
            monitor,
        }),
        (hosting, database, object_store, monitor) => {
            let failed: [(&str, Option<Error>); 4] = [
                ("hosting", hosting.err()),
                ("database", database.err()),
                ("object_store", object_store.err()),
                ("monitor", monitor.err()),
            ];
            let failed = failed
                .into_iter()
                .filter_map(|(table, err)| err.map(|err| format!("[{table}] {}", Report(&err))));
            Err(failed.collect())
        }
    }
}
