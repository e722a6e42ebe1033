//! Messages that wait for a sink: bounded, the most severe first.

use std::collections::VecDeque;
use std::sync::Arc;

use ops_core::monitor::IncidentSeverity;
use ops_core::notifier::Notification;

use super::sink::SinkSet;

/// How many messages wait for one sink.
pub(super) const CAPACITY: usize = 1024;

/// A message for one sink.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) notification: Arc<Notification>,
    /// The sinks that have it, or have had it.
    pub(super) tried: SinkSet,
}

/// Messages by severity, and within one severity in the order in which they came, so that
/// what is over never goes before what it ends.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: [VecDeque<Item>; 4],
}

fn lane(severity: IncidentSeverity) -> usize {
    match severity {
        IncidentSeverity::P0 => 0,
        IncidentSeverity::P1 => 1,
        IncidentSeverity::P2 => 2,
        _ => 3,
    }
}

impl Queue {
    /// Adds a message. Of too many the oldest of the least severe goes, and is answered.
    pub(super) fn push(&mut self, item: Item) -> Option<Item> {
        let own = lane(item.notification.severity);
        if let Some(lane) = self.lanes.get_mut(own) {
            lane.push_back(item);
        }
        if self.len() <= CAPACITY {
            return None;
        }
        self.lanes.iter_mut().rev().find_map(VecDeque::pop_front)
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        self.lanes.iter_mut().find_map(VecDeque::pop_front)
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use ops_core::Timestamp;
    use ops_core::id::DedupKey;

    use super::*;

    fn item(severity: IncidentSeverity, title: &str) -> Item {
        let key = DedupKey::new("k").unwrap();
        let at = Timestamp::UNIX_EPOCH;
        Item {
            notification: Arc::new(Notification::new(key, severity, title, at)),
            tried: SinkSet::default(),
        }
    }

    fn title(item: Option<Item>) -> Option<String> {
        item.map(|item| item.notification.title.clone())
    }

    #[test]
    fn of_too_many_the_least_severe_goes_first_and_never_one_that_is_more() {
        let mut queue = Queue::default();
        for at in 0..CAPACITY - 2 {
            assert!(
                queue
                    .push(item(IncidentSeverity::P1, &format!("p1 {at}")))
                    .is_none()
            );
        }
        assert!(queue.push(item(IncidentSeverity::P3, "p3 a")).is_none());
        assert!(queue.push(item(IncidentSeverity::P3, "p3 b")).is_none());
        let dropped = queue.push(item(IncidentSeverity::P0, "p0"));
        assert_eq!(title(dropped).as_deref(), Some("p3 a"));
        let dropped = queue.push(item(IncidentSeverity::P2, "p2"));
        assert_eq!(title(dropped).as_deref(), Some("p3 b"));
        // Nothing is less severe than itself.
        let dropped = queue.push(item(IncidentSeverity::P3, "p3 c"));
        assert_eq!(title(dropped).as_deref(), Some("p3 c"));
        assert_eq!(queue.len(), CAPACITY);
        assert_eq!(title(queue.pop()).as_deref(), Some("p0"));
        assert_eq!(title(queue.pop()).as_deref(), Some("p1 0"));
    }
}
