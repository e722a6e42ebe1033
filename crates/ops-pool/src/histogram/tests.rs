use std::hint::black_box;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn of(spans: &[u64]) -> HistogramSnapshot {
    let (shared, mut own) = (Histogram::new(), Histogram::new());
    for nanos in spans {
        shared.record(Duration::from_nanos(*nanos));
        own.record_mut(Duration::from_nanos(*nanos));
    }
    assert_eq!(shared.snapshot(), own.snapshot());
    shared.snapshot()
}

/// Durations of every order of magnitude.
fn spans() -> impl Strategy<Value = u64> {
    (0_u32..56, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

#[test]
fn buckets_follow_each_other_without_a_gap() {
    let mut lowest = 0;
    for bucket in 0..BUCKETS {
        let highest = highest_of(bucket);
        assert_eq!(bucket_of(lowest), bucket, "lowest {lowest}");
        assert_eq!(bucket_of(highest), bucket, "highest {highest}");
        // No wider than an eighth of what is in it.
        assert!(highest - lowest <= lowest / 8, "{lowest}..={highest}");
        lowest = highest + 1;
    }
    assert_eq!(lowest - 1, MOST);
}

#[test]
fn nothing_recorded_has_no_quantile() {
    let empty = of(&[]);
    assert_eq!((empty.count(), empty.sum()), (0, Duration::ZERO));
    assert_eq!((empty.quantile(0.5), empty.mean()), (None, None));
    assert_eq!(empty, HistogramSnapshot::default());
}

#[test]
fn what_takes_for_ever_counts_as_the_most() {
    let histogram = Histogram::new();
    for _ in 0..100 {
        histogram.record(Duration::MAX);
    }
    let snapshot = histogram.snapshot();
    assert_eq!(snapshot.max(), Duration::from_nanos(MOST));
    assert_eq!(snapshot.sum(), Duration::from_nanos(MOST) * 100);
    assert_eq!(snapshot.quantile(0.5), Some(Duration::from_nanos(MOST)));
}

#[test]
fn a_part_out_of_range_is_the_nearest_in_it() {
    let snapshot = of(&[3, 5, 7]);
    let quantile = |part| snapshot.quantile(part).unwrap().as_nanos();
    assert_eq!((quantile(-1.0), quantile(0.0), quantile(0.34)), (3, 3, 5));
    assert_eq!(
        (quantile(1.0), quantile(9.0), quantile(f64::NAN)),
        (7, 7, 7)
    );
}

#[test]
fn records_of_many_threads_are_all_there() {
    let histogram = Histogram::new();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let histogram = &histogram;
            scope.spawn(move || {
                for turn in 0..10_000 {
                    histogram.record(Duration::from_nanos(thread * 10_000 + turn));
                }
            });
        }
    });
    let snapshot = histogram.snapshot();
    assert_eq!(snapshot.count(), 40_000);
    assert_eq!(snapshot.sum(), Duration::from_nanos((0..40_000).sum()));
    assert_eq!(snapshot.max(), Duration::from_nanos(39_999));
}

proptest! {
    #[test]
    fn quantiles_are_the_exact_ones_or_up_to_an_eighth_more(
        mut spans in prop::collection::vec(spans(), 1..300),
        part in 0.0_f64..=1.0,
    ) {
        let snapshot = of(&spans);
        spans.sort_unstable();
        // The first that at least this part of all is not longer than.
        let exact = |part: f64| {
            let all = f64::from(u32::try_from(spans.len()).unwrap());
            let done = (1_u32..).zip(&spans).find(|(done, _)| f64::from(*done) >= part * all);
            done.map(|(_, span)| *span).unwrap()
        };
        for part in [part, 0.0, 0.5, 0.99, 1.0] {
            let (exact, told) = (exact(part), snapshot.quantile(part).unwrap().as_nanos());
            prop_assert!(told >= exact.into() && told <= u128::from(exact + exact / 8));
        }
        prop_assert_eq!(snapshot.quantile(1.0), Some(snapshot.max()));
        prop_assert_eq!(snapshot.max().as_nanos(), spans.last().copied().unwrap().into());
        prop_assert_eq!(snapshot.sum().as_nanos(), spans.iter().map(|it| u128::from(*it)).sum());
        prop_assert_eq!(snapshot.buckets().map(|it| it.1).sum::<u64>(), snapshot.count());
    }

    #[test]
    fn merging_is_recording_into_one(
        left in prop::collection::vec(spans(), 0..100),
        right in prop::collection::vec(spans(), 0..100),
    ) {
        let both = of(&[left.clone(), right.clone()].concat());
        let mut merged = of(&left);
        merged.merge(&of(&right));
        prop_assert_eq!(&merged, &both);

        let new = both.since(&of(&left));
        let exact = of(&right);
        prop_assert_eq!((new.count(), new.sum()), (exact.count(), exact.sum()));
        prop_assert_eq!(&new.counts, &exact.counts);
        prop_assert!(new.max() >= exact.max() && new.max() <= exact.max() * 9 / 8);
    }
}

/// Run it with `cargo test --release -p ops-pool --lib histogram -- --ignored --nocapture`.
#[test]
#[ignore = "prints a measurement; needs --release to mean anything"]
fn cost_of_a_record() {
    const TURNS: u32 = 10_000_000;
    let (histogram, mut own) = (Histogram::new(), Histogram::new());
    let spans: Vec<_> = (0..1024_u64)
        .map(|it| Duration::from_nanos(it * it * 37))
        .collect();
    let least = |record: &mut dyn FnMut(Duration)| {
        let round = |_| {
            let begun = Instant::now();
            for span in spans.iter().cycle().take(TURNS as usize) {
                record(black_box(*span));
            }
            begun.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS)
        };
        (0..7).map(round).fold(f64::MAX, f64::min)
    };
    println!("nothing: {:.1} ns", least(&mut |_| {}));
    println!("a record: {:.1} ns", least(&mut |it| histogram.record(it)));
    println!(
        "under a lock that is there anyway: {:.1} ns",
        least(&mut |it| own.record_mut(it))
    );
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for turn in 0..TURNS {
                    histogram.record(black_box(Duration::from_nanos((turn & 0xffff).into())));
                }
            });
        }
    });
    let each = begun.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS);
    println!("a record while another thread records into the same histogram: {each:.1} ns");
}
