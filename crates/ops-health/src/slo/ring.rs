//! Counters per span of time, for as many spans as there are slots.

/// What is counted in one span: milliseconds or requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) good: u32,
    pub(crate) bad: u32,
}

/// What a stretch of time was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    Good,
    Bad,
}

/// Sums over a window. Parts of buckets make them fractions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) good: f64,
    pub(crate) bad: f64,
}

impl Sums {
    pub(crate) fn known(self) -> f64 {
        self.good + self.bad
    }

    /// The bad part of what is known; `None` where nothing is.
    pub(crate) fn error_ratio(self) -> Option<f64> {
        (self.known() > 0.0).then(|| self.bad / self.known())
    }
}

/// A ring of buckets by wall time: a fixed number of complete ones, and the one that
/// fills now. A bucket is found by its index, the number of widths since 1970.
#[derive(Debug)]
pub(crate) struct Ring {
    width_ms: u32,
    /// The newest index; `None` while the ring is empty.
    head: Option<i64>,
    slots: Box<[Bucket]>,
    /// One bit per slot: changed since it was last written to the journal.
    dirty: Box<[u64]>,
}

impl Ring {
    pub(crate) fn new(width_ms: u32, complete: usize) -> Self {
        let slots = complete + 1;
        Self {
            width_ms,
            head: None,
            slots: vec![Bucket::default(); slots].into(),
            dirty: vec![0; slots.div_ceil(64)].into(),
        }
    }

    pub(crate) fn width_ms(&self) -> u32 {
        self.width_ms
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The longest window that the complete buckets cover.
    pub(crate) fn span_ms(&self) -> i64 {
        i64::from(self.width_ms).saturating_mul(self.len() - 1)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.slots) + size_of_val(&*self.dirty)
    }

    fn len(&self) -> i64 {
        i64::try_from(self.slots.len()).unwrap_or(i64::MAX)
    }

    pub(crate) fn index_of(&self, at_ms: i64) -> i64 {
        at_ms.div_euclid(i64::from(self.width_ms))
    }

    fn slot(&self, index: i64) -> usize {
        usize::try_from(index.rem_euclid(self.len())).unwrap_or_default()
    }

    fn start_of(&self, index: i64) -> i64 {
        index.saturating_mul(i64::from(self.width_ms))
    }

    /// Makes room for an index. A clock that has gone back by more than the ring holds
    /// makes everything in it worthless.
    fn make_room(&mut self, index: i64) {
        let len = self.len();
        match self.head {
            Some(head) if index > head => {
                for i in 0..(index.saturating_sub(head)).min(len) {
                    self.put(index - i, Bucket::default());
                }
                self.head = Some(index);
            }
            Some(head) if index > head.saturating_sub(len) => {}
            Some(_) => {
                self.slots.fill(Bucket::default());
                self.dirty.fill(u64::MAX);
                self.head = Some(index);
            }
            None => self.head = Some(index),
        }
    }

    fn holds(&self, index: i64) -> bool {
        self.head
            .is_some_and(|head| index <= head && index > head.saturating_sub(self.len()))
    }

    fn put(&mut self, index: i64, bucket: Bucket) {
        let slot = self.slot(index);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = bucket;
        }
        if let Some(word) = self.dirty.get_mut(slot / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    pub(crate) fn get(&self, index: i64) -> Option<Bucket> {
        if !self.holds(index) {
            return None;
        }
        self.slots.get(self.slot(index)).copied()
    }

    /// Overwrites a bucket, where the ring still holds it.
    pub(crate) fn set(&mut self, index: i64, bucket: Bucket) {
        if self.holds(index) {
            self.put(index, bucket);
        }
    }

    /// Takes over what a journal kept. Nothing becomes dirty by it.
    pub(crate) fn restore(&mut self, head: i64, buckets: impl Iterator<Item = (i64, Bucket)>) {
        self.head = Some(head);
        for (index, bucket) in buckets {
            self.set(index, bucket);
        }
        self.dirty.fill(0);
    }

    /// Takes in what the time from `from_ms` to `to_ms` was.
    ///
    /// A bucket holds no more than its width. Bad time displaces good time where a
    /// clock that was set back makes the same bucket be lived twice.
    pub(crate) fn add_time(&mut self, from_ms: i64, to_ms: i64, what: Stretch) {
        let width = i64::from(self.width_ms);
        let mut at = from_ms.max(to_ms.saturating_sub(width.saturating_mul(self.len())));
        while at < to_ms {
            let index = self.index_of(at);
            let end = self.start_of(index).saturating_add(width).min(to_ms);
            let span = u32::try_from(end - at).unwrap_or(self.width_ms);
            self.make_room(index);
            let mut bucket = self.get(index).unwrap_or_default();
            match what {
                Stretch::Good => {
                    let room = self.width_ms - bucket.bad;
                    bucket.good = bucket.good.saturating_add(span).min(room);
                }
                Stretch::Bad => {
                    bucket.bad = bucket.bad.saturating_add(span).min(self.width_ms);
                    bucket.good = bucket.good.min(self.width_ms - bucket.bad);
                }
            }
            self.put(index, bucket);
            at = end;
        }
    }

    /// Counts what happened at a moment.
    pub(crate) fn add_counts(&mut self, at_ms: i64, good: u32, bad: u32) {
        let index = self.index_of(at_ms);
        self.make_room(index);
        let mut bucket = self.get(index).unwrap_or_default();
        bucket.good = bucket.good.saturating_add(good);
        bucket.bad = bucket.bad.saturating_add(bad);
        self.put(index, bucket);
    }

    /// What the window from `from_ms` to `to_ms` holds. Of a bucket that the window
    /// cuts it takes the part that lies inside.
    pub(crate) fn sum(&self, from_ms: i64, to_ms: i64, now_ms: i64) -> Sums {
        let mut sums = Sums::default();
        let to_ms = to_ms.min(now_ms);
        let Some(head) = self.head else {
            return sums;
        };
        if from_ms >= to_ms {
            return sums;
        }
        let oldest = head.saturating_sub(self.len() - 1);
        let first = self.index_of(from_ms).max(oldest);
        // What was counted in this very moment belongs to a window that ends with it.
        let last_ms = if to_ms == now_ms { to_ms } else { to_ms - 1 };
        let last = self.index_of(last_ms).min(head);
        for index in first..=last {
            let Some(bucket) = self.get(index) else {
                continue;
            };
            let start = self.start_of(index);
            // The bucket that fills now has nothing beyond this moment.
            let end = start.saturating_add(i64::from(self.width_ms)).min(now_ms);
            let part = if from_ms <= start && to_ms >= end {
                1.0
            } else {
                part_of(to_ms.min(end) - from_ms.max(start), end - start)
            };
            sums.good += f64::from(bucket.good) * part;
            sums.bad += f64::from(bucket.bad) * part;
        }
        sums
    }

    /// The complete buckets that lie between two moments as a whole.
    pub(crate) fn complete_within(&self, from_ms: i64, to_ms: i64, now_ms: i64) -> Vec<i64> {
        let Some(head) = self.head else {
            return Vec::new();
        };
        let width = i64::from(self.width_ms);
        let first = self
            .index_of(from_ms.saturating_add(width - 1))
            .max(head.saturating_sub(self.len() - 1));
        let end = self.index_of(to_ms.min(now_ms)).min(head.saturating_add(1));
        (first..end).collect()
    }

    /// What has changed since it was asked last.
    pub(crate) fn take_dirty(&mut self) -> Vec<(i64, Bucket)> {
        let Some(head) = self.head else {
            return Vec::new();
        };
        let head_slot = i64::try_from(self.slot(head)).unwrap_or_default();
        let mut changed = Vec::new();
        for (at, bucket) in self.slots.iter().enumerate() {
            let word = self.dirty.get(at / 64).copied().unwrap_or_default();
            if word & (1 << (at % 64)) == 0 {
                continue;
            }
            let slot = i64::try_from(at).unwrap_or_default();
            let back = (head_slot - slot).rem_euclid(self.len());
            changed.push((head - back, *bucket));
        }
        self.dirty.fill(0);
        changed
    }

    /// Says that these were not written after all.
    pub(crate) fn mark_dirty(&mut self, indices: impl Iterator<Item = i64>) {
        for index in indices {
            if let Some(bucket) = self.get(index) {
                self.put(index, bucket);
            }
        }
    }
}

fn part_of(inside: i64, whole: i64) -> f64 {
    if inside <= 0 || whole <= 0 {
        return 0.0;
    }
    let inside = u32::try_from(inside).unwrap_or(u32::MAX);
    let whole = u32::try_from(whole).unwrap_or(u32::MAX);
    f64::from(inside) / f64::from(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDTH: u32 = 60_000;
    const MINUTE: i64 = 60_000;

    fn sums(good: f64, bad: f64) -> Sums {
        Sums { good, bad }
    }

    #[test]
    fn a_window_takes_the_part_of_a_bucket_that_lies_inside() {
        let mut ring = Ring::new(WIDTH, 10);
        ring.add_time(0, 2 * MINUTE, Stretch::Good);
        ring.add_time(2 * MINUTE, 2 * MINUTE + 30_000, Stretch::Bad);
        let now = 2 * MINUTE + 30_000;
        assert_eq!(ring.sum(0, now, now), sums(120_000.0, 30_000.0));
        assert_eq!(ring.sum(30_000, now, now), sums(90_000.0, 30_000.0));
        // The whole of the bad half minute, though the bucket is not over.
        assert_eq!(ring.sum(2 * MINUTE, now, now), sums(0.0, 30_000.0));
        assert_eq!(ring.sum(0, MINUTE / 2, now), sums(30_000.0, 0.0));
    }

    #[test]
    fn what_is_older_than_the_ring_is_gone_and_nothing_else() {
        let mut ring = Ring::new(WIDTH, 3);
        ring.add_time(0, 5 * MINUTE, Stretch::Bad);
        let now = 5 * MINUTE;
        assert_eq!(ring.sum(0, now, now), sums(0.0, 240_000.0));
        ring.add_time(100 * MINUTE, 101 * MINUTE, Stretch::Good);
        assert_eq!(ring.sum(0, 101 * MINUTE, 101 * MINUTE), sums(60_000.0, 0.0));
    }

    #[test]
    fn a_bucket_that_is_lived_twice_holds_no_more_than_its_width() {
        let mut ring = Ring::new(WIDTH, 3);
        ring.add_time(0, MINUTE, Stretch::Good);
        ring.add_time(0, 20_000, Stretch::Bad);
        assert_eq!(
            ring.get(0),
            Some(Bucket {
                good: 40_000,
                bad: 20_000
            })
        );
        ring.add_time(0, MINUTE, Stretch::Good);
        assert_eq!(ring.get(0).map(|b| b.bad), Some(20_000));
    }

    #[test]
    fn a_clock_far_in_the_past_empties_the_ring() {
        let mut ring = Ring::new(WIDTH, 3);
        ring.add_time(100 * MINUTE, 101 * MINUTE, Stretch::Bad);
        ring.add_time(0, MINUTE, Stretch::Good);
        assert_eq!(ring.sum(0, 200 * MINUTE, 200 * MINUTE), sums(60_000.0, 0.0));
    }

    #[test]
    fn what_changed_is_told_once() {
        let mut ring = Ring::new(WIDTH, 100);
        ring.add_counts(70 * MINUTE, 3, 1);
        ring.add_counts(72 * MINUTE, 1, 0);
        let mut changed = ring.take_dirty();
        changed.retain(|(_, bucket)| *bucket != Bucket::default());
        let bucket = |good, bad| Bucket { good, bad };
        changed.sort_by_key(|(index, _)| *index);
        assert_eq!(changed, [(70, bucket(3, 1)), (72, bucket(1, 0))]);
        assert_eq!(ring.take_dirty(), []);
        ring.mark_dirty([72].into_iter());
        assert_eq!(ring.take_dirty(), [(72, bucket(1, 0))]);
    }

    proptest! {
        /// Against the plain way: one entry per millisecond of the last minutes.
        #[test]
        fn sums_agree_with_a_list_of_stretches(
            steps in prop::collection::vec((1_i64..200_000, any::<bool>(), 0_i64..100_000), 1..20),
            back in 1_i64..1_200_000,
        ) {
            let mut ring = Ring::new(WIDTH, 200);
            let mut stretches = Vec::new();
            let mut at = 0;
            for (span, good, pause) in steps {
                ring.add_time(at, at + span, if good { Stretch::Good } else { Stretch::Bad });
                stretches.push((at, at + span, good));
                at += span + pause;
            }
            let now = at;
            // At the border of a bucket nothing is estimated.
            let from = (now - back).div_euclid(MINUTE) * MINUTE;
            let total = |wanted: bool| -> i64 {
                stretches.iter().filter(|(_, _, good)| *good == wanted)
                    .map(|(start, end, _)| (end - (*start).max(from)).max(0)).sum()
            };
            let sums = ring.sum(from, now, now);
            let close = |a: f64, b: i64| (a - f64::from(u32::try_from(b).unwrap())).abs() < 1e-3;
            prop_assert!(close(sums.good, total(true)), "{sums:?} {}", total(true));
            prop_assert!(close(sums.bad, total(false)), "{sums:?} {}", total(false));
        }
    }
}
