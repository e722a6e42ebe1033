//! What a fault makes of the alerts.

use ops_core::id::DedupKey;
use ops_core::notifier::{Notification, NotificationEvent, Notifier};

use super::Sabotaged;

impl Sabotaged {
    /// What a fault does beside a notification, or to its event and key.
    pub(super) async fn move_others(&self, it: &mut Notification) {
        let (key, title, event) = (it.dedup_key.clone(), it.title.clone(), it.event);
        self.notes().history.push((key.clone(), title, event));
        let open = self.memory().open_alerts();
        let is_open = open.iter().any(|alert| alert.dedup_key == key);
        if self.is("N-055") && event == NotificationEvent::Resolved {
            for other in open {
                let name = key.as_str().get(..20).unwrap_or_default();
                if !other.dedup_key.as_str().starts_with(name) {
                    let resolved = other.with_event(NotificationEvent::Resolved);
                    self.memory().notify(resolved).await.unwrap();
                }
            }
        }
        if self.is("N-056") && event == NotificationEvent::Acknowledged && !is_open {
            it.event = NotificationEvent::Firing;
        }
        if self.is("N-059") {
            it.dedup_key = DedupKey::new(key.as_str().replace("%2F", "/")).unwrap();
        }
    }

    /// The alerts that are open where a fault tells them.
    pub(in super::super) fn as_kept(&self, mut open: Vec<DedupKey>) -> Vec<DedupKey> {
        let notes = self.notes();
        let had = |key: &DedupKey, wanted: NotificationEvent| {
            let events = notes.history.iter();
            events
                .filter(|(known, _, event)| known == key && *event == wanted)
                .count()
        };
        let is_titled = |key: &DedupKey, wanted: &str| {
            let mut known = notes.history.iter();
            known.any(|(known, title, _)| known == key && title == wanted)
        };
        let mut keys: Vec<_> = notes.history.iter().map(|(key, ..)| key.clone()).collect();
        keys.sort();
        keys.dedup();
        let firing = |key: &DedupKey| had(key, NotificationEvent::Firing);
        let resolved = |key: &DedupKey| had(key, NotificationEvent::Resolved);
        match self.fault() {
            "N-050" => open.retain(|key| !is_titled(key, "it fires")),
            "N-051" => {
                let twice = |key: &DedupKey| firing(key) > 1 && resolved(key) == 0;
                open.extend(keys.into_iter().filter(twice));
            }
            "N-052" => {
                let reminded = |key: &DedupKey| had(key, NotificationEvent::Reminder) > 0;
                open.extend(keys.into_iter().filter(reminded));
            }
            "N-053" => open.retain(|key| had(key, NotificationEvent::Acknowledged) == 0),
            "N-054" => {
                keys.retain(|key| firing(key) > 0 && resolved(key) > 0 && !open.contains(key));
                open.extend(keys);
            }
            "N-057" => {
                keys.retain(|key| firing(key) == 0 && resolved(key) > 0);
                open.extend(keys);
            }
            "N-058" => open.retain(|key| resolved(key) == 0),
            _ => {}
        }
        open
    }
}
