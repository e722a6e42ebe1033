//! Heartbeats, with their faults.

use std::time::Duration;

use ops_conformance::async_trait;
use ops_core::id::HeartbeatId;
use ops_core::monitor::{Beat, BeatKind, Heartbeat, HeartbeatSpec, HeartbeatState, Heartbeats};
use ops_core::{
    DeleteOutcome, EnsureOutcome, Ensured, Error, ErrorKind, ItemStream, Result, Secret,
};

use super::sabotage::{Sabotaged, doubled};
use crate::saboteur::wrong;

#[async_trait]
impl Heartbeats for Sabotaged {
    fn list_heartbeats(&self) -> ItemStream<Heartbeat> {
        let listed = self.memory().list_heartbeats();
        if self.is("M-053") {
            return doubled(listed, self.memory().list_heartbeats());
        }
        listed
    }

    async fn heartbeat(&self, heartbeat: &HeartbeatId) -> Result<Heartbeat> {
        if self.is("M-050") {
            let kept = self.notes().beats.clone();
            if let Some(kept) = kept.into_iter().find(|kept| kept.id == *heartbeat) {
                return Ok(kept);
            }
        }
        let mut seen = match self.memory().heartbeat(heartbeat).await {
            Err(err) if self.is("M-052") && err.is_not_found() => return wrong(),
            seen => seen?,
        };
        match seen.state {
            HeartbeatState::Up if self.is("M-044") => seen.state = HeartbeatState::Pending,
            HeartbeatState::Down if self.is("M-048") => {
                seen.state = HeartbeatState::Other("late".to_owned());
            }
            _ => {}
        }
        Ok(seen)
    }

    async fn ensure_heartbeat(&self, mut spec: HeartbeatSpec) -> Result<Ensured<Heartbeat>> {
        if self.is("M-054") && spec.period.is_zero() {
            spec.period = Duration::from_secs(60);
        }
        let mut ensured = self.memory().ensure_heartbeat(spec).await?;
        if self.is("M-042") && ensured.outcome == EnsureOutcome::Unchanged {
            ensured.resource.url = Some(Secret::from("https://elsewhere.invalid"));
        }
        self.notes().urls.extend(ensured.resource.url.clone());
        ensured.outcome = match ensured.outcome {
            EnsureOutcome::Created if self.is("M-040") => EnsureOutcome::Updated,
            EnsureOutcome::Unchanged if self.is("M-041") => EnsureOutcome::Updated,
            EnsureOutcome::Updated if self.is("M-043") => EnsureOutcome::Unchanged,
            outcome => outcome,
        };
        Ok(ensured)
    }

    async fn beat(&self, heartbeat: &Heartbeat, mut beat: Beat) -> Result<()> {
        if self.is("M-045") && beat.kind.is_success() == Some(false) {
            beat.kind = BeatKind::Success;
        }
        if self.is("M-046") && beat.kind == BeatKind::Start {
            beat.kind = BeatKind::Success;
        }
        if self.is("M-047")
            && beat
                .message
                .as_ref()
                .is_some_and(|text| text.len() > 10_000)
        {
            return Err(Error::new(ErrorKind::InvalidInput, "sabotaged"));
        }
        match self.memory().beat(heartbeat, beat).await {
            Err(_) if self.is("M-049") => Ok(()),
            sent => sent,
        }
    }

    async fn delete_heartbeat(&self, heartbeat: &HeartbeatId) -> Result<DeleteOutcome> {
        if let Ok(kept) = self.memory().heartbeat(heartbeat).await {
            self.notes().beats.push(kept);
        }
        match self.memory().delete_heartbeat(heartbeat).await? {
            DeleteOutcome::AlreadyGone if self.is("M-051") => {
                Err(Error::not_found(heartbeat.as_str()))
            }
            outcome => Ok(outcome),
        }
    }
}
