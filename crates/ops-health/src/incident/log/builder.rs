//! The description of a log.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, RwLock};

use ops_core::{Clock, Result, Secret, SystemClock};
use tokio::sync::Mutex;

use super::{IncidentLog, Inner, replay, write};
use crate::incident::{IncidentRecord, IncidentStore, MemoryIncidents};

/// Describes a log. Made by [`IncidentLog::builder`].
#[must_use]
pub struct IncidentLogBuilder {
    clock: Arc<dyn Clock>,
    store: Box<dyn IncidentStore>,
    known_secrets: Vec<Secret>,
}

impl IncidentLogBuilder {
    pub(super) fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            store: Box::new(MemoryIncidents),
            known_secrets: Vec::new(),
        }
    }

    /// Sets the wall clock. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where timelines are kept. Defaults to [`MemoryIncidents`].
    pub fn store(mut self, store: impl IncidentStore) -> Self {
        self.store = Box::new(store);
        self
    }

    /// Hides a secret wherever it stands in a text. May be called again.
    pub fn redact(mut self, secret: impl Into<Secret>) -> Self {
        self.known_secrets.push(secret.into());
        self
    }

    /// Reads what the store has, and makes the log.
    ///
    /// # Errors
    /// Where the store cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn open(self) -> Result<IncidentLog> {
        let records = self.store.load().await?;
        let log = self.empty();
        let mut incidents = VecDeque::new();
        let mut writer = log.0.writer.lock().await;
        writer.stored = records.len();
        // Names go on where those of an earlier process ended.
        writer.sequence = u64::try_from(records.len()).unwrap_or_default();
        for IncidentRecord { incident, entry } in records {
            replay(&mut incidents, incident, entry);
        }
        *write(&log.0) = incidents;
        drop(writer);
        Ok(log)
    }

    pub(super) fn empty(self) -> IncidentLog {
        let Self {
            clock,
            store,
            known_secrets,
        } = self;
        IncidentLog(Arc::new(Inner {
            clock,
            store,
            known_secrets,
            incidents: RwLock::default(),
            writer: Mutex::default(),
        }))
    }
}

impl fmt::Debug for IncidentLogBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncidentLogBuilder")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
