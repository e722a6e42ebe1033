//! From alerts to messages: grouping, reminders, acknowledgments, the daily digest. No I/O,
//! no clock: every moment is an argument.

use std::time::{Duration, Instant};

use ops_core::Timestamp;
use ops_core::id::DedupKey;
use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::{Notification, NotificationEvent};

use super::Alert;
use super::engine::Names;
use super::sink::{Sink, SinkSet};
use super::text;
use super::thread::{Member, Now, Orphan, Outgoing, Thread, ThreadEvent, Timing};

/// How many lines a digest has.
const MAX_DIGEST: usize = 256;

const DAY_SECONDS: i64 = 24 * 3600;

/// Alerts that are being gathered.
#[derive(Debug)]
struct Window {
    group: String,
    due: Instant,
    alerts: Vec<Alert>,
}

/// How long after the time that its rule holds an orphan is taken to be over.
const ORPHAN_GRACE: Duration = Duration::from_secs(120);

const MAX_ORPHAN_WAIT: Duration = Duration::from_secs(3600);

/// All messages.
#[derive(Debug)]
pub(crate) struct Threads {
    names: Names,
    timing: Timing,
    sinks: Vec<Sink>,
    windows: Vec<Window>,
    open: Vec<Thread>,
    orphans: Vec<Orphan>,
    /// How long an orphan waits for its alert.
    orphan_wait: Duration,
    digest: Vec<String>,
    digest_dropped: u64,
    /// The day of which the digest was sent last.
    digest_day: Option<i64>,
    outgoing: Vec<Outgoing>,
    events: Vec<ThreadEvent>,
}

impl Threads {
    pub(crate) fn new(
        names: Names,
        timing: Timing,
        sinks: Vec<Sink>,
        longest_hold: Duration,
    ) -> Self {
        Self {
            names,
            timing,
            sinks,
            windows: Vec::new(),
            open: Vec::new(),
            orphans: Vec::new(),
            orphan_wait: longest_hold.min(MAX_ORPHAN_WAIT) + ORPHAN_GRACE,
            digest: Vec::new(),
            digest_dropped: 0,
            digest_day: None,
            outgoing: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Takes over what an earlier process has told people and not ended: where the alert
    /// does not fire again, they are told that it is over.
    pub(crate) fn adopt(&mut self, orphan: Orphan) {
        if !self.open.iter().any(|thread| thread.has(&orphan.key)) {
            self.orphans.push(orphan);
        }
    }

    fn retire_orphans(&mut self, now: &Now<'_>) {
        let wait = self.orphan_wait;
        let is_due = |one: &mut Orphan| now.instant.saturating_duration_since(one.since) >= wait;
        let due: Vec<Orphan> = self.orphans.extract_if(.., is_due).collect();
        for Orphan {
            key,
            severity,
            title,
            rule,
            ..
        } in due
        {
            let sinks = SinkSet::of(&self.sinks, |sink| sink.severities.contains(severity));
            if self.timing.send_resolved && !sinks.is_empty() {
                let notification = Notification::new(key.clone(), severity, title, now.wall)
                    .with_event(NotificationEvent::Resolved)
                    .with_source(self.names.source())
                    .with_body("It does not fire since the service was started anew.");
                self.outgoing.push(Outgoing {
                    notification,
                    sinks,
                });
            }
            self.events.push(ThreadEvent::Closed { key, rule });
        }
    }

    /// What is to be sent, and what to tell the incidents, since it was asked last.
    pub(crate) fn take(&mut self) -> (Vec<Outgoing>, Vec<ThreadEvent>) {
        let outgoing = std::mem::take(&mut self.outgoing);
        (outgoing, std::mem::take(&mut self.events))
    }

    /// An alert fires, and people are to be told.
    pub(crate) fn fired(&mut self, alert: Alert, now: &Now<'_>) {
        if self.rejoin(&alert, now) {
            return;
        }
        let Some(group) = alert.facts.group.clone() else {
            self.begin(vec![alert], now);
            return;
        };
        let wait = match alert.severity {
            // What waits in its group goes with it.
            IncidentSeverity::P0 => Duration::ZERO,
            _ => self.timing.group_window,
        };
        let due = now.instant + wait;
        match self.windows.iter_mut().find(|window| window.group == group) {
            Some(window) => {
                window.due = window.due.min(due);
                window.alerts.push(alert);
            }
            None => self.windows.push(Window {
                group,
                due,
                alerts: vec![alert],
            }),
        }
    }

    /// An alert that was over fires again while others of its thread still do.
    fn rejoin(&mut self, alert: &Alert, now: &Now<'_>) -> bool {
        let known = self.open.iter_mut().find_map(|thread| {
            let at = thread
                .members
                .iter()
                .position(|member| member.alert.dedup == alert.dedup)?;
            Some((thread, at))
        });
        let Some((thread, at)) = known else {
            return false;
        };
        if let Some(member) = thread.members.get_mut(at) {
            member.alert = alert.clone();
            member.is_over = false;
        }
        let message = thread.message(&self.names, NotificationEvent::Firing, now);
        self.outgoing.extend(message);
        true
    }

    /// An alert of which people were told, or were about to be, is over.
    pub(crate) fn over(&mut self, alert: &Alert, now: &Now<'_>) {
        for window in &mut self.windows {
            // Over before anybody was told: there is nothing to tell.
            window.alerts.retain(|waiting| waiting.dedup != alert.dedup);
        }
        self.windows.retain(|window| !window.alerts.is_empty());
        let Some(at) = self.open.iter().position(|thread| thread.has(&alert.dedup)) else {
            return;
        };
        let Some(thread) = self.open.get_mut(at) else {
            return;
        };
        for member in &mut thread.members {
            member.is_over |= member.alert.dedup == alert.dedup;
        }
        if !thread.members.iter().all(|member| member.is_over) {
            return;
        }
        let thread = self.open.swap_remove(at);
        if self.timing.send_resolved {
            let message = thread.message(&self.names, NotificationEvent::Resolved, now);
            self.outgoing.extend(message);
        }
        self.events.push(ThreadEvent::Closed {
            key: thread.key,
            rule: alert.rule.clone(),
        });
    }

    /// Somebody is at the alert with this key, and at all that were told with it. Answers
    /// their keys; none where no such alert is open.
    pub(crate) fn acknowledge(&mut self, key: &str, who: &str, now: &Now<'_>) -> Vec<DedupKey> {
        let thread = self
            .open
            .iter_mut()
            .find(|thread| thread.members.iter().any(|member| member.alert.key == key));
        let Some(thread) = thread else {
            return Vec::new();
        };
        let keys = thread
            .members
            .iter()
            .map(|member| member.alert.dedup.clone())
            .collect();
        if thread.acknowledged_by.is_none() {
            thread.acknowledged_by = Some(who.to_owned());
            thread.next_reminder = None;
            let message = thread.message(&self.names, NotificationEvent::Acknowledged, now);
            self.outgoing.extend(message);
            self.events.push(ThreadEvent::Acknowledged {
                key: thread.key.clone(),
                who: who.to_owned(),
            });
        }
        keys
    }

    /// Sends what is due.
    pub(crate) fn poll(&mut self, now: &Now<'_>) {
        let mut at = 0;
        while let Some(window) = self.windows.get(at) {
            if window.due <= now.instant {
                let window = self.windows.swap_remove(at);
                self.begin(window.alerts, now);
            } else {
                at += 1;
            }
        }
        for thread in &mut self.open {
            let is_due = thread.next_reminder.is_some_and(|due| due <= now.instant);
            if !is_due {
                continue;
            }
            thread.next_reminder = Some(now.instant + self.timing.next_reminder);
            if thread.firing().any(|alert| (now.is_loud)(&alert.dedup)) {
                let message = thread.message(&self.names, NotificationEvent::Reminder, now);
                self.outgoing.extend(message);
            }
        }
        self.retire_orphans(now);
        self.send_digest(now.wall);
    }

    /// Begins a thread; alerts about a sink, which must not go over that sink, have one
    /// each.
    fn begin(&mut self, mut alerts: Vec<Alert>, now: &Now<'_>) {
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
        let mut together = (SinkSet::default(), Vec::new());
        for alert in alerts {
            self.put_in_digest(&alert, now.wall);
            if alert.rule == SINK_FAILING {
                let sinks = self.sinks_beside(&alert);
                self.open_thread(vec![alert], sinks, now);
                continue;
            }
            let sinks = SinkSet::of(&self.sinks, |sink| sink.severities.contains(alert.severity));
            if !sinks.is_empty() {
                together.0 = together.0.union(sinks);
                together.1.push(alert);
            }
        }
        self.open_thread(together.1, together.0, now);
    }

    /// Where to tell that a sink fails: over those that take such alerts, or over any other.
    fn sinks_beside(&self, alert: &Alert) -> SinkSet {
        let is_other = |sink: &Sink| sink.name != alert.subject;
        let usual = SinkSet::of(&self.sinks, |sink| {
            is_other(sink) && sink.severities.contains(alert.severity)
        });
        if usual.is_empty() {
            return SinkSet::of(&self.sinks, |sink| is_other(sink) && !sink.is_sms);
        }
        usual
    }

    fn open_thread(&mut self, alerts: Vec<Alert>, sinks: SinkSet, now: &Now<'_>) {
        let Some(first) = alerts.first() else {
            return;
        };
        self.orphans
            .retain(|orphan| !alerts.iter().any(|alert| alert.dedup == orphan.key));
        let severity = first.severity;
        let reminds = severity >= IncidentSeverity::P1;
        self.events.push(ThreadEvent::Opened {
            key: first.dedup.clone(),
            title: first.title.clone(),
            rule: first.rule.clone(),
            severity,
        });
        let thread = Thread {
            key: first.dedup.clone(),
            severity,
            members: alerts
                .into_iter()
                .map(|alert| Member {
                    alert,
                    is_over: false,
                })
                .collect(),
            sinks,
            acknowledged_by: None,
            next_reminder: reminds.then(|| now.instant + self.timing.first_reminder),
        };
        let message = thread.message(&self.names, NotificationEvent::Firing, now);
        self.outgoing.extend(message);
        self.open.push(thread);
    }

    /// Notes a minor alert down, where a sink takes such alerts once a day alone.
    fn put_in_digest(&mut self, alert: &Alert, at: Timestamp) {
        let is_wanted = |sink: &Sink| sink.digest && !sink.severities.contains(alert.severity);
        if alert.severity > IncidentSeverity::P3 || !self.sinks.iter().any(is_wanted) {
            return;
        }
        if self.digest.len() < MAX_DIGEST {
            self.digest.push(text::digest_line(alert, at));
        } else {
            self.digest_dropped = self.digest_dropped.saturating_add(1);
        }
    }

    /// Sends the digest once a day, where it has anything to say.
    fn send_digest(&mut self, wall: Timestamp) {
        let day = (wall.unix_seconds() - i64::from(self.timing.digest_at)).div_euclid(DAY_SECONDS);
        let last = self.digest_day.replace(day).unwrap_or(day);
        // A clock that was set back must not stop the digest until it has caught up, and
        // sends none.
        if day <= last || self.digest.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.digest);
        let dropped = std::mem::take(&mut self.digest_dropped);
        let sinks = SinkSet::of(&self.sinks, |sink| sink.digest);
        if let Some(notification) = text::digest(&self.names, &lines, dropped, wall) {
            self.outgoing.push(Outgoing {
                notification,
                sinks,
            });
        }
    }
}

/// The rule whose alerts are about a sink.
const SINK_FAILING: &str = "sink_failing";
