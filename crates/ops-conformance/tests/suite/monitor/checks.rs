//! Checks and reports, with their faults.

use std::time::Duration;

use futures_util::TryStreamExt;
use ops_conformance::async_trait;
use ops_core::id::MonitorId;
use ops_core::monitor::{
    MonitorInfo, MonitorSpec, MonitorState, MonitorTarget, UptimeMonitors, UptimeReport,
    UptimeSummary,
};
use ops_core::usage::Period;
use ops_core::{DeleteOutcome, EnsureOutcome, Ensured, Error, ErrorKind, ItemStream, Result};

use super::sabotage::{Sabotaged, changed, doubled};
use crate::saboteur::wrong;

const MISSING: &str = "ops-test-no-such-monitor";

#[async_trait]
impl UptimeMonitors for Sabotaged {
    fn list_monitors(&self) -> ItemStream<MonitorInfo> {
        let listed = self.memory().list_monitors();
        if self.is("M-019") {
            return doubled(listed, self.memory().list_monitors());
        }
        if self.is("M-020") {
            return changed(listed, |mut all| {
                all.truncate(4);
                all
            });
        }
        listed
    }

    async fn monitor(&self, monitor: &MonitorId) -> Result<MonitorInfo> {
        let mut asked = monitor.clone();
        if self.is("M-027") && monitor.as_str() == MISSING {
            return wrong();
        }
        if self.is("M-029") {
            asked = MonitorId::new(monitor.as_str().split('?').next().unwrap_or_default())?;
        }
        if self.is("M-025") {
            let deleted = self.notes().deleted.clone();
            if let Some(kept) = deleted.into_iter().find(|kept| kept.id == *monitor) {
                return Ok(kept);
            }
        }
        let mut seen = self.memory().monitor(&asked).await?;
        if self.is("M-013") {
            seen.interval = Some(Duration::from_secs(300));
        }
        match seen.state {
            MonitorState::Paused if self.is("M-021") => seen.state = MonitorState::Up,
            MonitorState::Down if self.is("M-032") => seen.state = MonitorState::Pending,
            _ => {}
        }
        if self.is("M-030") {
            let specs = self.notes().specs.clone();
            let same = |spec: &&MonitorSpec| Some(&spec.key) == seen.key.as_ref();
            if let Some(MonitorTarget::Http(http)) = specs.iter().find(same).map(|s| &s.target) {
                seen.target = Some(http.url.clone());
            }
        }
        Ok(seen)
    }

    async fn ensure_monitors(
        &self,
        specs: Vec<MonitorSpec>,
    ) -> Result<Vec<Result<Ensured<MonitorInfo>>>> {
        let mut sent = specs.clone();
        self.notes().specs.extend(specs.clone());
        let is_twice = specs.len() == 2 && specs[0].key == specs[1].key;
        if self.is("M-016") && is_twice {
            sent.truncate(1);
        }
        if self.is("M-017") && is_twice {
            let _ = self
                .memory()
                .ensure_monitors(vec![specs[0].clone()])
                .await?;
        }
        if self.is("M-018") {
            let all: Vec<MonitorInfo> = self.memory().list_monitors().try_collect().await?;
            for old in all {
                let is_renamed = |spec: &MonitorSpec| {
                    Some(&spec.key) == old.key.as_ref() && spec.name != old.name
                };
                if specs.iter().any(is_renamed) {
                    self.memory().delete_monitor(&old.id).await?;
                }
            }
        }
        let mut answers = self.memory().ensure_monitors(sent).await?;
        if self.is("M-014") && answers.iter().all(Result::is_ok) {
            answers.reverse();
        }
        if self.is("M-015") && answers.iter().any(Result::is_err) {
            return answers.into_iter().map(|answer| answer.map(Ok)).collect();
        }
        for answer in answers.iter_mut().flatten() {
            answer.outcome = match answer.outcome {
                EnsureOutcome::Created if self.is("M-010") => EnsureOutcome::Updated,
                EnsureOutcome::Unchanged if self.is("M-011") => EnsureOutcome::Updated,
                EnsureOutcome::Updated if self.is("M-012") => EnsureOutcome::Unchanged,
                outcome => outcome,
            };
            if self.is("M-023") {
                self.memory().resume_monitor(&answer.resource.id).await?;
            }
        }
        Ok(answers)
    }

    async fn delete_monitor(&self, monitor: &MonitorId) -> Result<DeleteOutcome> {
        if let Ok(kept) = self.memory().monitor(monitor).await {
            self.notes().deleted.push(kept);
        }
        match self.memory().delete_monitor(monitor).await? {
            DeleteOutcome::AlreadyGone if self.is("M-026") => {
                Err(Error::not_found(monitor.as_str()))
            }
            outcome => Ok(outcome),
        }
    }

    async fn pause_monitor(&self, monitor: &MonitorId) -> Result<()> {
        if self.is("M-022") && self.notes().paused.contains(monitor) {
            return Err(Error::new(ErrorKind::Conflict, "sabotaged"));
        }
        self.notes().paused.push(monitor.clone());
        match self.memory().pause_monitor(monitor).await {
            Err(_) if self.is("M-028") => Ok(()),
            paused => paused,
        }
    }

    async fn resume_monitor(&self, monitor: &MonitorId) -> Result<()> {
        if self.is("M-024") && monitor.as_str() != MISSING {
            return Ok(());
        }
        self.memory().resume_monitor(monitor).await
    }
}

#[async_trait]
impl UptimeReport for Sabotaged {
    async fn uptime(&self, monitor: &MonitorId, period: Period) -> Result<UptimeSummary> {
        let mut summary = match self.memory().uptime(monitor, period).await {
            Err(err) if self.is("M-122") && err.is_not_found() => return wrong(),
            summary => summary?,
        };
        if self.is("M-120") {
            summary.ratio = summary.ratio.map(|_| 1.0);
        }
        if self.is("M-121") {
            summary.ratio = summary.ratio.or(Some(1.0));
        }
        if self.is("M-123") {
            summary.period.end = period.start;
        }
        Ok(summary)
    }
}
