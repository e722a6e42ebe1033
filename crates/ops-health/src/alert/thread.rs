//! One thread of messages, and what goes in and out of threads.

use std::time::{Duration, Instant};

use ops_core::Timestamp;
use ops_core::id::DedupKey;
use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::{Notification, NotificationEvent};

use super::Alert;
use super::engine::Names;
use super::sink::SinkSet;
use super::text::{self, Message};

/// When messages go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// For how long alerts of one group are gathered.
    pub(crate) group_window: Duration,
    /// After what time an alert that nobody acknowledged is reminded of.
    pub(crate) first_reminder: Duration,
    /// And after what time again.
    pub(crate) next_reminder: Duration,
    /// When the digest goes, in seconds after midnight UTC.
    pub(crate) digest_at: u32,
    pub(crate) send_resolved: bool,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            group_window: Duration::from_secs(30),
            first_reminder: Duration::from_secs(300),
            next_reminder: Duration::from_secs(1800),
            digest_at: 9 * 3600,
            send_resolved: true,
        }
    }
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) notification: Notification,
    pub(crate) sinks: SinkSet,
}

/// What has become of a thread, for the incidents.
#[derive(Clone, Debug)]
pub(crate) enum ThreadEvent {
    Opened {
        key: DedupKey,
        title: String,
        rule: String,
        severity: IncidentSeverity,
    },
    Acknowledged {
        key: DedupKey,
        who: String,
    },
    Closed {
        key: DedupKey,
        rule: String,
    },
}

/// Both clocks, and who explains whom.
pub(crate) struct Now<'a> {
    pub(crate) instant: Instant,
    pub(crate) wall: Timestamp,
    /// The alerts that stay quiet because of one.
    pub(crate) explained_by: &'a dyn Fn(&str) -> Vec<String>,
    /// Whether an alert still fires, and is not explained by another one.
    pub(crate) is_loud: &'a dyn Fn(&DedupKey) -> bool,
}

/// A thread of a process before this one, which nobody has ended.
#[derive(Debug)]
pub(crate) struct Orphan {
    pub(crate) key: DedupKey,
    pub(crate) severity: IncidentSeverity,
    pub(crate) title: String,
    pub(crate) rule: String,
    pub(super) since: Instant,
}

impl Orphan {
    pub(crate) const fn new(
        key: DedupKey,
        severity: IncidentSeverity,
        title: String,
        rule: String,
        since: Instant,
    ) -> Self {
        Self {
            key,
            severity,
            title,
            rule,
            since,
        }
    }
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) alert: Alert,
    pub(super) is_over: bool,
}

/// The messages about some alerts: one thread at each sink, under the key of the first.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) key: DedupKey,
    pub(super) severity: IncidentSeverity,
    pub(super) members: Vec<Member>,
    pub(super) sinks: SinkSet,
    pub(super) acknowledged_by: Option<String>,
    pub(super) next_reminder: Option<Instant>,
}

impl Thread {
    pub(super) fn has(&self, key: &DedupKey) -> bool {
        self.members.iter().any(|member| member.alert.dedup == *key)
    }

    pub(super) fn firing(&self) -> impl Iterator<Item = &Alert> {
        let firing = self.members.iter().filter(|member| !member.is_over);
        firing.map(|member| &member.alert)
    }

    pub(super) fn message(
        &self,
        names: &Names,
        event: NotificationEvent,
        now: &Now<'_>,
    ) -> Option<Outgoing> {
        let mut alerts: Vec<Alert> = self.firing().cloned().collect();
        if alerts.is_empty() {
            alerts = self
                .members
                .iter()
                .map(|member| member.alert.clone())
                .collect();
        }
        let explained: Vec<String> = alerts
            .iter()
            .flat_map(|alert| (now.explained_by)(&alert.key))
            .collect();
        let notification = text::notification(
            names,
            &Message {
                key: &self.key,
                event,
                severity: self.severity,
                alerts: &alerts,
                explained: &explained,
                acknowledged_by: self.acknowledged_by.as_deref(),
                at: now.wall,
            },
        )?;
        Some(Outgoing {
            notification,
            sinks: self.sinks,
        })
    }
}
