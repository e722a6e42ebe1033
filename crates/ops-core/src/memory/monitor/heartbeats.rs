//! Heartbeats.

use async_trait::async_trait;

use super::super::{error, missing};
use super::state::HeartbeatRecord;
use super::{MemoryMonitor, ReceivedBeat};
use crate::error::{ErrorKind, Result};
use crate::id::HeartbeatId;
use crate::memory::items;
use crate::monitor::{Beat, Heartbeat, HeartbeatSpec, Heartbeats};
use crate::object_store::{DeleteOutcome, ItemStream};
use crate::outcome::{EnsureOutcome, Ensured};
use crate::secret::Secret;

/// What is kept of a beat's message, in bytes.
const MAX_MESSAGE_BYTES: usize = 10_000;

#[async_trait]
impl Heartbeats for MemoryMonitor {
    fn list_heartbeats(&self) -> ItemStream<Heartbeat> {
        let now = self.0.clock.now();
        let listed = self.with(|all| {
            let records = all.heartbeats.iter();
            Ok(records
                .map(|(id, record)| record.describe(id, now))
                .collect::<Vec<_>>())
        });
        items::of(listed)
    }

    async fn heartbeat(&self, heartbeat: &HeartbeatId) -> Result<Heartbeat> {
        let now = self.0.clock.now();
        self.with(|all| {
            let record = all.heartbeats.get(heartbeat);
            let record = record.ok_or_else(|| missing("monitor.heartbeat", heartbeat))?;
            Ok(record.describe(heartbeat, now))
        })
    }

    async fn ensure_heartbeat(&self, spec: HeartbeatSpec) -> Result<Ensured<Heartbeat>> {
        let operation = "monitor.ensure_heartbeat";
        if spec.key.is_empty() || spec.period.is_zero() {
            let message = "a heartbeat has a key and a period";
            return Err(error(ErrorKind::InvalidInput, operation, message));
        }
        let now = self.0.clock.now();
        let max = self.0.limits.max_monitors;
        self.with(|all| {
            let held = all.monitors.len() + all.heartbeats.len();
            let known = all
                .heartbeats
                .iter_mut()
                .find(|(_, record)| record.spec.key == spec.key);
            if let Some((id, record)) = known {
                let outcome = if record.spec == spec {
                    EnsureOutcome::Unchanged
                } else {
                    EnsureOutcome::Updated
                };
                record.spec = spec;
                return Ok(Ensured::new(record.describe(id, now), outcome));
            }
            if max.is_some_and(|max| held >= max as usize) {
                let message = format!("the plan has room for {held} checks");
                return Err(error(ErrorKind::QuotaExceeded, operation, message));
            }
            let id = HeartbeatId::new(format!("heartbeat-{}", all.sequence.next()))?;
            let url = Secret::new(format!("https://beat.memory.invalid/{id}"));
            let record = HeartbeatRecord {
                spec,
                url,
                beats: Vec::new(),
            };
            let heartbeat = record.describe(&id, now);
            all.heartbeats.insert(id, record);
            Ok(Ensured::new(heartbeat, EnsureOutcome::Created))
        })
    }

    async fn beat(&self, heartbeat: &Heartbeat, mut beat: Beat) -> Result<()> {
        let at = self.0.clock.now();
        beat.message = beat.message_within(MAX_MESSAGE_BYTES).map(str::to_owned);
        self.with(|all| {
            let record = all.heartbeats.get_mut(&heartbeat.id);
            let record = record.ok_or_else(|| missing("monitor.beat", &heartbeat.id))?;
            record.beats.push(ReceivedBeat { at, beat });
            Ok(())
        })
    }

    async fn delete_heartbeat(&self, heartbeat: &HeartbeatId) -> Result<DeleteOutcome> {
        self.with(|all| {
            Ok(match all.heartbeats.remove(heartbeat) {
                Some(_) => DeleteOutcome::Deleted,
                None => DeleteOutcome::AlreadyGone,
            })
        })
    }
}
