//! How much a sink may be sent, and when.

use std::time::Duration;

use ops_core::notifier::{Notification, NotificationEvent};
use tokio::time::Instant;

use super::sink::Sink;

const HOURS: usize = 24;

/// What a sink may be sent now.
#[derive(Debug)]
pub(super) struct Limiter {
    started: Instant,
    max_per_day: Option<u32>,
    /// Messages per hour, for the last day.
    hours: [u32; HOURS],
    hour: u64,
    gap: Duration,
    burst: u32,
    /// When a bucket that fills by one message per gap would be full again.
    full_at: Instant,
}

impl Limiter {
    pub(super) fn new(sink: &Sink, now: Instant) -> Self {
        Self {
            started: now,
            max_per_day: sink.max_per_day,
            hours: [0; HOURS],
            hour: 0,
            gap: sink.min_gap.unwrap_or_default(),
            burst: sink.max_burst.unwrap_or(1).max(1),
            full_at: now,
        }
    }

    /// Takes a message out of the budget of the day, where there is one left. Reminders
    /// leave the last quarter to what is new.
    pub(super) fn spend(&mut self, note: &Notification, now: Instant) -> bool {
        let Some(max) = self.max_per_day else {
            return true;
        };
        let hour = now.saturating_duration_since(self.started).as_secs() / 3600;
        while self.hour < hour {
            self.hour += 1;
            if let Some(count) = self.hours.get_mut(place(self.hour)) {
                *count = 0;
            }
        }
        let used = self
            .hours
            .iter()
            .fold(0_u32, |sum, count| sum.saturating_add(*count));
        let limit = match note.event {
            NotificationEvent::Reminder => max - max / 4,
            _ => max,
        };
        if used >= limit {
            return false;
        }
        if let Some(count) = self.hours.get_mut(place(hour)) {
            *count += 1;
        }
        true
    }

    /// When the next message may go; it is taken to go then.
    pub(super) fn next_slot(&mut self, now: Instant) -> Instant {
        let full_at = self.full_at.max(now);
        // With a burst of b the bucket may be short of b messages.
        let tolerance = self.gap.saturating_mul(self.burst - 1);
        let slot = full_at
            .checked_sub(tolerance)
            .map_or(now, |slot| slot.max(now));
        self.full_at = full_at + self.gap;
        slot
    }
}

fn place(hour: u64) -> usize {
    usize::try_from(hour).unwrap_or_default() % HOURS
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ops_core::Timestamp;
    use ops_core::id::DedupKey;
    use ops_core::memory::MemoryNotifier;
    use ops_core::monitor::IncidentSeverity;

    use super::*;

    fn note(event: NotificationEvent) -> Notification {
        let key = DedupKey::new("k").unwrap();
        let at = Timestamp::UNIX_EPOCH;
        Notification::new(key, IncidentSeverity::P0, "x", at).with_event(event)
    }

    fn sink() -> Sink {
        Sink::sms("sms", Arc::new(MemoryNotifier::new()))
    }

    #[test]
    fn a_budget_comes_back_after_a_day_and_reminders_leave_a_quarter_of_it() {
        let start = Instant::now();
        let mut limiter = Limiter::new(&sink(), start);
        let hour = |hours: u64| start + Duration::from_secs(hours * 3600);
        for _ in 0..15 {
            assert!(limiter.spend(&note(NotificationEvent::Reminder), hour(0)));
        }
        assert!(!limiter.spend(&note(NotificationEvent::Reminder), hour(1)));
        for _ in 0..5 {
            assert!(limiter.spend(&note(NotificationEvent::Firing), hour(2)));
        }
        assert!(!limiter.spend(&note(NotificationEvent::Firing), hour(23)));
        assert!(limiter.spend(&note(NotificationEvent::Firing), hour(24)));
        for _ in 0..14 {
            assert!(limiter.spend(&note(NotificationEvent::Firing), hour(24)));
        }
        assert!(!limiter.spend(&note(NotificationEvent::Firing), hour(25)));
        assert!(limiter.spend(&note(NotificationEvent::Firing), hour(100)));
    }

    #[test]
    fn a_burst_goes_at_once_and_what_follows_keeps_the_gap() {
        let start = Instant::now();
        let sink = sink().min_gap(Duration::from_secs(10)).max_burst(3);
        let mut limiter = Limiter::new(&sink, start);
        let after: Vec<u64> = (0..5)
            .map(|_| (limiter.next_slot(start) - start).as_secs())
            .collect();
        assert_eq!(after, [0, 0, 0, 10, 20]);
        let later = start + Duration::from_secs(1000);
        assert_eq!(limiter.next_slot(later), later);
    }
}
