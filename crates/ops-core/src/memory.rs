//! Providers that keep everything in memory: the reference for what the traits mean, and
//! real behavior for tests without a server.
//!
//! They know no runtime. What takes time at a vendor advances by one step each time
//! somebody looks at it, so that a loop that waits comes to its end in a known number of
//! looks; what depends on the time of day asks the [`Clock`](crate::Clock) that they were
//! given.
//!
//! [`FaultyObjectStore`] wraps any object store and makes chosen calls fail.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{IdempotencyKey, ProviderId};
use crate::time::Timestamp;
use crate::usage::{Money, Period, UsageItem, UsageQuery, UsageReport};

mod cdn;
mod database;
mod dns;
mod faulty;
mod hosting;
mod items;
mod monitor;
mod notifier;
mod object_store;
mod pipeline;
mod secret_store;

pub use cdn::MemoryCdn;
pub use database::{MemoryAudit, MemoryDatabase, MemoryStats};
pub use dns::MemoryDns;
pub use faulty::{FaultyObjectStore, Operation};
pub use hosting::MemoryHosting;
pub use monitor::{MemoryMonitor, ReceivedBeat, ReceivedStatusUpdate};
pub use notifier::{MemoryNotifier, ReceivedNotification};
pub use object_store::{MemoryObjectStore, MemoryObjectStoreBuilder};
pub use pipeline::MemoryPipeline;
pub use secret_store::MemorySecretStore;

const PROVIDER: ProviderId = ProviderId::from_static("memory");

/// Takes a lock. No code panics between two steps of one change, so that what a panicking
/// thread leaves is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cold]
fn error(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Error {
    Error::new(kind, message.into())
        .with_provider(PROVIDER)
        .with_operation(operation)
}

#[cold]
fn missing(operation: &'static str, resource: impl fmt::Display) -> Error {
    let resource = resource.to_string();
    error(
        ErrorKind::NotFound,
        operation,
        format!("{resource} does not exist"),
    )
    .with_resource(resource)
}

/// What was made under which idempotency key.
#[derive(Debug, Default)]
struct Idempotency(HashMap<IdempotencyKey, Made>);

#[derive(Debug)]
struct Made {
    request: String,
    id: String,
}

impl Idempotency {
    /// What the same request has made already.
    fn find(
        &self,
        operation: &'static str,
        key: Option<&IdempotencyKey>,
        request: &impl fmt::Debug,
    ) -> Result<Option<&str>> {
        let Some(made) = key.and_then(|key| self.0.get(key)) else {
            return Ok(None);
        };
        if made.request == format!("{request:?}") {
            return Ok(Some(&made.id));
        }
        let message = "the idempotency key was used for another request";
        Err(error(ErrorKind::Conflict, operation, message))
    }

    fn remember(&mut self, key: Option<IdempotencyKey>, request: &impl fmt::Debug, id: &str) {
        if let Some(key) = key {
            let made = Made {
                request: format!("{request:?}"),
                id: id.to_owned(),
            };
            self.0.insert(key, made);
        }
    }
}

/// What the items cost, over the query's period or the last 30 days.
fn usage_report(query: &UsageQuery, items: Vec<UsageItem>, now: Timestamp) -> Result<UsageReport> {
    let month = Duration::from_secs(30 * 24 * 60 * 60);
    let period = match query.period {
        Some(period) => period,
        None => Period::new(now.saturating_sub(month), now)?,
    };
    let mut costs = items.iter().filter_map(|item| item.cost);
    let first = costs.next();
    let cost = first.and_then(|first| costs.try_fold(first, Money::checked_add));
    let mut report = UsageReport::new(period, items);
    report.cost = cost;
    report.budget = query.budget;
    Ok(report)
}

/// Numbers for ids.
#[derive(Debug, Default)]
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}
