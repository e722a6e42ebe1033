//! The incidents of a service.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use ops_core::monitor::IncidentSeverity;
use ops_core::{Clock, Error, Result, Secret};
use tokio::sync::Mutex;

use super::{
    Actor, Entry, Incident, IncidentEvent, IncidentId, IncidentRecord, IncidentState,
    IncidentStore, Review,
};
use crate::private::scrub;

mod builder;

pub use builder::IncidentLogBuilder;

/// How many incidents are kept.
const KEPT: usize = 100;

/// How many records wait for a store that cannot be written.
const MAX_UNSAVED: usize = 1024;

/// What is known of an incident when it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct NewIncident {
    key: String,
    title: String,
    severity: IncidentSeverity,
}

impl NewIncident {
    /// An incident. While one with this key is not over, or was over for less than 15
    /// minutes, opening another answers that one.
    pub fn new(
        key: impl Into<String>,
        title: impl Into<String>,
        severity: IncidentSeverity,
    ) -> Self {
        Self {
            key: key.into(),
            title: title.into(),
            severity,
        }
    }
}

/// The last 100 incidents of a service. Clones are the same log.
///
/// Every method that writes tells its store before it returns. Where the store fails, the
/// entry counts all the same, the error is returned, and the entry is stored with the next.
#[derive(Clone)]
pub struct IncidentLog(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    store: Box<dyn IncidentStore>,
    known_secrets: Vec<Secret>,
    incidents: RwLock<VecDeque<Incident>>,
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    sequence: u64,
    unsaved: VecDeque<IncidentRecord>,
    /// Records in the store, to know when it is mostly about incidents that are gone.
    stored: usize,
}

/// Takes in a stored entry. One that does not fit is left out: the file may begin in the
/// middle of an incident.
fn replay(incidents: &mut VecDeque<Incident>, id: IncidentId, entry: Entry) {
    let known = incidents.iter_mut().find(|incident| *incident.id() == id);
    match known {
        Some(incident) if incident.admits(&entry.event, entry.at).is_ok() => incident.push(entry),
        Some(_) => {}
        None => {
            if let Some(incident) = Incident::begin(id, entry) {
                add(incidents, incident);
            }
        }
    }
}

/// Adds an incident; of too many the oldest that is over goes, or the oldest.
fn add(incidents: &mut VecDeque<Incident>, incident: Incident) {
    if incidents.len() >= KEPT {
        let over = incidents.iter().position(|one| one.state().is_over());
        incidents.remove(over.unwrap_or_default());
    }
    incidents.push_back(incident);
}

fn write(inner: &Inner) -> std::sync::RwLockWriteGuard<'_, VecDeque<Incident>> {
    inner
        .incidents
        .write()
        .unwrap_or_else(PoisonError::into_inner)
}

impl IncidentLog {
    /// Starts a description of a log.
    pub fn builder() -> IncidentLogBuilder {
        IncidentLogBuilder::new()
    }

    /// A log that ends with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::builder().empty()
    }

    /// A log that ends with the process, with a wall clock.
    #[must_use]
    pub fn in_memory_with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::builder().clock(clock).empty()
    }

    /// Opens an incident, or answers the one with this key that is not over; one that was
    /// over for less than 15 minutes is reopened.
    ///
    /// # Errors
    /// As the store; the incident is open all the same.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the incident opened.
    pub async fn open(&self, new: NewIncident, actor: Actor) -> Result<IncidentId> {
        let mut writer = self.0.writer.lock().await;
        let at = self.0.clock.now();
        let NewIncident {
            key,
            title,
            severity,
        } = new;
        let (key, title) = (self.clean(&key), self.clean(&title));
        let same = {
            let incidents = self.read();
            let same = incidents.iter().rev().find(|one| one.key() == key);
            same.filter(|one| !one.state().is_over() || one.can_reopen(at))
                .map(|one| (one.id().clone(), one.state(), one.severity()))
        };
        let (id, events) = if let Some((id, state, was)) = same {
            let reopened = state.is_over().then_some(IncidentEvent::Reopened);
            let worse = (severity > was).then_some(IncidentEvent::SeverityChanged {
                from: was,
                to: severity,
            });
            (id, reopened.into_iter().chain(worse).collect::<Vec<_>>())
        } else {
            writer.sequence += 1;
            let id = IncidentId(format!("inc-{}-{}", at.unix_millis(), writer.sequence));
            let opened = IncidentEvent::Opened {
                key,
                title,
                severity,
            };
            (id, vec![opened])
        };
        let entries = events
            .into_iter()
            .map(|event| IncidentRecord::new(id.clone(), Entry::new(at, actor.clone(), event)))
            .collect();
        self.append(&mut writer, entries).await?;
        Ok(id)
    }

    /// Adds to a timeline: a note, a deployment, a rollback, a change of severity, or what
    /// one of the other methods adds. What is known of the state stays as it is where it
    /// is that already.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the state refuses it, such as reviewing what is not
    /// over; as the store.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the entry added.
    pub async fn record(&self, id: &IncidentId, actor: Actor, event: IncidentEvent) -> Result<()> {
        let mut writer = self.0.writer.lock().await;
        let at = self.0.clock.now();
        let event = self.cleaned(event);
        let settled = {
            let incidents = self.read();
            let incident = incidents
                .iter()
                .find(|one| one.id() == id)
                .ok_or_else(|| Error::not_found(format!("the incident {id}")))?;
            let settled = is_settled(incident, &event);
            if !settled {
                incident.admits(&event, at)?;
            }
            settled
        };
        if settled {
            return Ok(());
        }
        let record = IncidentRecord::new(id.clone(), Entry::new(at, actor, event));
        self.append(&mut writer, vec![record]).await
    }

    /// Somebody takes it.
    ///
    /// # Errors
    /// As [`record`](Self::record); `Conflict` where it is over.
    ///
    /// # Cancel safety
    /// As [`record`](Self::record).
    pub async fn acknowledge(&self, id: &IncidentId, actor: Actor) -> Result<()> {
        self.record(id, actor, IncidentEvent::Acknowledged).await
    }

    /// Something was done against its effects.
    ///
    /// # Errors
    /// As [`record`](Self::record); `Conflict` where it is over.
    ///
    /// # Cancel safety
    /// As [`record`](Self::record).
    pub async fn mitigate(&self, id: &IncidentId, actor: Actor, what: &str) -> Result<()> {
        let text = what.to_owned();
        self.record(id, actor, IncidentEvent::Mitigated { text })
            .await
    }

    /// It is over. One that is over already is fine.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    ///
    /// # Cancel safety
    /// As [`record`](Self::record).
    pub async fn resolve(&self, id: &IncidentId, actor: Actor) -> Result<()> {
        self.record(id, actor, IncidentEvent::Resolved).await
    }

    /// What is to be learned of it.
    ///
    /// # Errors
    /// As [`record`](Self::record); `Conflict` where it is not over.
    ///
    /// # Cancel safety
    /// As [`record`](Self::record).
    pub async fn review(&self, id: &IncidentId, actor: Actor, review: Review) -> Result<()> {
        self.record(id, actor, IncidentEvent::Reviewed { review })
            .await
    }

    /// An incident.
    #[must_use]
    pub fn get(&self, id: &IncidentId) -> Option<Incident> {
        self.read().iter().find(|one| one.id() == id).cloned()
    }

    /// The incident with this key that is not over.
    #[must_use]
    pub fn open_with_key(&self, key: &str) -> Option<Incident> {
        let key = self.clean(key);
        let incidents = self.read();
        let mut open = incidents.iter().filter(|one| !one.state().is_over());
        open.find(|one| one.key() == key).cloned()
    }

    /// Every incident that is kept, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Incident> {
        self.read().iter().cloned().collect()
    }

    /// Those that should have been reviewed by now.
    #[must_use]
    pub fn overdue_reviews(&self) -> Vec<Incident> {
        let now = self.0.clock.now();
        let is_late = |one: &&Incident| one.review_due().is_some_and(|due| due < now);
        self.read().iter().filter(is_late).cloned().collect()
    }

    /// Adds to the timeline of every incident that is not over.
    ///
    /// # Errors
    /// As the store.
    ///
    /// # Cancel safety
    /// As [`record`](Self::record).
    pub async fn record_in_open(&self, actor: Actor, event: IncidentEvent) -> Result<()> {
        let mut writer = self.0.writer.lock().await;
        let at = self.0.clock.now();
        let event = self.cleaned(event);
        let records = self
            .read()
            .iter()
            .filter(|one| !one.state().is_over() && one.admits(&event, at).is_ok())
            .map(|one| {
                let entry = Entry::new(at, actor.clone(), event.clone());
                IncidentRecord::new(one.id().clone(), entry)
            })
            .collect();
        self.append(&mut writer, records).await
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, VecDeque<Incident>> {
        self.0
            .incidents
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn append(&self, writer: &mut Writer, records: Vec<IncidentRecord>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        {
            let mut incidents = write(&self.0);
            for IncidentRecord { incident, entry } in &records {
                replay(&mut incidents, incident.clone(), entry.clone());
            }
        }
        // Waiting records stay in the queue until the store has them, so that neither a
        // failure nor a dropped future loses one.
        writer.unsaved.extend(records);
        while writer.unsaved.len() > MAX_UNSAVED {
            writer.unsaved.pop_front();
        }
        let waiting: Vec<_> = writer.unsaved.iter().cloned().collect();
        let count = waiting.len();
        self.0.store.append(waiting).await?;
        writer.unsaved.clear();
        writer.stored = writer.stored.saturating_add(count);
        self.compact(writer).await
    }

    /// Rewrites the store when most of it is about incidents that are gone.
    async fn compact(&self, writer: &mut Writer) -> Result<()> {
        let kept: usize = self.read().iter().map(|one| one.entries().len()).sum();
        if writer.stored < 1000 || writer.stored < 2 * kept {
            return Ok(());
        }
        let records: Vec<_> = self
            .read()
            .iter()
            .flat_map(|one| {
                let record = |entry: &Entry| IncidentRecord::new(one.id().clone(), entry.clone());
                one.entries().iter().map(record)
            })
            .collect();
        let count = records.len();
        self.0.store.replace(records).await?;
        writer.stored = count;
        Ok(())
    }

    fn clean(&self, text: &str) -> String {
        scrub(text, &self.0.known_secrets)
    }

    /// The event without secrets, its texts one line each.
    fn cleaned(&self, event: IncidentEvent) -> IncidentEvent {
        let clean = |text: String| self.clean(&text);
        match event {
            IncidentEvent::Note { text } => IncidentEvent::Note { text: clean(text) },
            IncidentEvent::Mitigated { text } => IncidentEvent::Mitigated { text: clean(text) },
            IncidentEvent::Deployed { version } => IncidentEvent::Deployed {
                version: clean(version),
            },
            IncidentEvent::RolledBack { to } => IncidentEvent::RolledBack { to: clean(to) },
            IncidentEvent::Reviewed { review } => IncidentEvent::Reviewed {
                review: review.map(|answer| self.clean(answer)),
            },
            other => other,
        }
    }
}

/// Whether the event says what is so already.
fn is_settled(incident: &Incident, event: &IncidentEvent) -> bool {
    let state = incident.state();
    match event {
        IncidentEvent::Acknowledged => {
            matches!(
                state,
                IncidentState::Acknowledged | IncidentState::Mitigating
            )
        }
        IncidentEvent::Resolved => state.is_over(),
        IncidentEvent::SeverityChanged { to, .. } => incident.severity() == *to,
        _ => false,
    }
}

impl fmt::Debug for IncidentLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncidentLog")
            .field("store", &self.0.store)
            .field("incidents", &self.read().len())
            .finish_non_exhaustive()
    }
}
