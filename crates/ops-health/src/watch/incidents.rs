//! From messages to incidents.

use std::collections::BTreeMap;

use ops_core::monitor::IncidentSeverity;
use ops_core::{Report, Result};

use crate::alert::{Delivered, ThreadEvent};
use crate::incident::{Actor, IncidentEvent, IncidentId, IncidentLog, NewIncident};
use crate::private::scrub;
use crate::snapshot::CheckReport;
use crate::status::Status;

/// Something to be written down.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Thread(ThreadEvent),
    Delivered(Delivered),
    CheckChanged(IncidentEvent),
}

impl Job {
    pub(super) fn check_changed(check: &CheckReport, was: Status) -> Self {
        Self::CheckChanged(IncidentEvent::CheckChanged {
            check: check.name.clone(),
            from: was.as_str().to_owned(),
            to: check.status.as_str().to_owned(),
            code: check.code.as_str().to_owned(),
        })
    }
}

/// Writes down what happens to alerts of P0 and P1.
#[derive(Debug)]
pub(super) struct Scribe {
    log: IncidentLog,
    /// The incidents that are open, by the key of their thread.
    open: BTreeMap<String, IncidentId>,
    is_failing: bool,
}

impl Scribe {
    pub(super) fn new(log: IncidentLog) -> Self {
        Self {
            log,
            open: BTreeMap::new(),
            is_failing: false,
        }
    }

    pub(super) async fn take(&mut self, job: Job) {
        let result = self.write(job).await;
        match result {
            Ok(()) => self.is_failing = false,
            Err(err) if !self.is_failing => {
                self.is_failing = true;
                let error = scrub(&Report(&err).to_string(), &[]);
                tracing::warn!(target: "ops_health", error, "an incident could not be written down");
            }
            Err(_) => {}
        }
    }

    async fn write(&mut self, job: Job) -> Result<()> {
        match job {
            Job::Thread(event) => self.thread(event).await,
            Job::CheckChanged(event) => self.log.record_in_open(Actor::Service, event).await,
            Job::Delivered(Delivered { key, sink, event }) => {
                let Some(id) = self.open.get(&key) else {
                    return Ok(());
                };
                let what = event.as_str().to_owned();
                let event = IncidentEvent::MessageDelivered { sink, what };
                self.log.record(id, Actor::Service, event).await
            }
        }
    }

    async fn thread(&mut self, event: ThreadEvent) -> Result<()> {
        match event {
            ThreadEvent::Opened {
                key,
                title,
                rule,
                severity,
            } if severity >= IncidentSeverity::P1 => {
                let new = NewIncident::new(key.as_str(), title, severity);
                let opened = self.log.open(new, Actor::rule(rule)).await;
                // It is open also where it could not be stored.
                if let Some(incident) = self.log.open_with_key(key.as_str()) {
                    self.open.insert(key.to_string(), incident.id().clone());
                }
                opened.map(drop)
            }
            ThreadEvent::Opened { .. } => Ok(()),
            ThreadEvent::Acknowledged { key, who } => match self.open.get(key.as_str()) {
                Some(id) => self.log.acknowledge(id, Actor::person(who)).await,
                None => Ok(()),
            },
            ThreadEvent::Closed { key, rule } => {
                // An incident of an earlier process is known by its key alone.
                let known = self.open.remove(key.as_str());
                let of_earlier = || Some(self.log.open_with_key(key.as_str())?.id().clone());
                match known.or_else(of_earlier) {
                    Some(id) => self.log.resolve(&id, Actor::rule(rule)).await,
                    None => Ok(()),
                }
            }
        }
    }
}
