use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString,
};

use super::*;
use crate::histogram::Timings;
use crate::snapshot::Totals;

/// Keeps what it is told, by the name and the labels.
#[derive(Default)]
struct Kept {
    values: Arc<Mutex<BTreeMap<String, f64>>>,
    described: Mutex<Vec<String>>,
}

struct One {
    name: String,
    values: Arc<Mutex<BTreeMap<String, f64>>>,
}

impl One {
    fn with(&self, change: impl FnOnce(&mut f64)) {
        change(
            self.values
                .lock()
                .unwrap()
                .entry(self.name.clone())
                .or_default(),
        );
    }
}

impl CounterFn for One {
    fn increment(&self, value: u64) {
        self.with(|it| *it += float(usize::try_from(value).unwrap()));
    }

    fn absolute(&self, value: u64) {
        self.with(|it| *it = float(usize::try_from(value).unwrap()));
    }
}

impl GaugeFn for One {
    fn increment(&self, value: f64) {
        self.with(|it| *it += value);
    }

    fn decrement(&self, value: f64) {
        self.with(|it| *it -= value);
    }

    fn set(&self, value: f64) {
        self.with(|it| *it = value);
    }
}

/// Adds all records up.
impl HistogramFn for One {
    fn record(&self, value: f64) {
        self.with(|it| *it += value);
    }
}

impl Kept {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels = key.labels();
        let labels: Vec<_> = labels
            .map(|it| format!("{}={}", it.key(), it.value()))
            .collect();
        Arc::new(One {
            name: format!("{} {}", key.name(), labels.join(" ")),
            values: Arc::clone(&self.values),
        })
    }

    fn describe(&self, key: &KeyName) {
        self.described.lock().unwrap().push(key.as_str().to_owned());
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key))
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        pool_size: 9,
        active: 1,
        idle: 2,
        connecting: 3,
        resetting: 4,
        waiting: 5,
        lanes: Vec::new(),
        paused: false,
        longest_wait: Some(Duration::from_millis(1500)),
        shutting_down: false,
        since_last_return: None,
        totals: Totals {
            assignments: 10,
            timeouts: 11,
            refusals: 12,
            connects: 13,
            connect_failures: 14,
            closes: 16,
            dirty_closes: 6,
            ..Totals::default()
        },
        last_error: None,
    }
}

#[test]
fn every_figure_is_published_and_every_record_once() {
    let (kept, timings) = (Kept::default(), Timings::default());
    let mut publisher = MetricsPublisher::new("orders");
    // Durations that are buckets of their own.
    timings.wait.record(Duration::from_nanos(4));
    timings.hold.record(Duration::from_nanos(5));
    timings.connect.record(Duration::from_nanos(6));
    timings.reset.record(Duration::from_nanos(7));
    metrics::with_local_recorder(&kept, || {
        publisher.publish(&snapshot(), &timings.snapshot());
        timings.wait.record(Duration::from_nanos(3));
        publisher.publish(&snapshot(), &timings.snapshot());
        publisher.publish(&snapshot(), &timings.snapshot());
    });
    let values = kept.values.lock().unwrap().clone();
    let found = values.into_iter().map(|(name, value)| {
        let label = "db.client.connection.pool.name=orders";
        assert!(name.contains(label), "{name}");
        (name.replace(label, "").trim_end().to_owned(), value)
    });
    let expected = [
        (
            "db.client.connection.count  db.client.connection.state=connecting",
            3.0,
        ),
        (
            "db.client.connection.count  db.client.connection.state=idle",
            2.0,
        ),
        (
            "db.client.connection.count  db.client.connection.state=resetting",
            4.0,
        ),
        (
            "db.client.connection.count  db.client.connection.state=used",
            1.0,
        ),
        ("db.client.connection.create_time", 6e-9),
        ("db.client.connection.max", 9.0),
        ("db.client.connection.pending_requests", 5.0),
        ("db.client.connection.timeouts", 11.0),
        ("db.client.connection.use_time", 5e-9),
        ("db.client.connection.wait_time", 7e-9),
        ("ops.pool.assignments", 10.0),
        ("ops.pool.closes  ops.pool.dirty=false", 10.0),
        ("ops.pool.closes  ops.pool.dirty=true", 6.0),
        ("ops.pool.connect_failures", 14.0),
        ("ops.pool.connects", 13.0),
        ("ops.pool.longest_wait", 1.5),
        ("ops.pool.refusals", 12.0),
        ("ops.pool.reset_time", 7e-9),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_published_is_described() {
    let kept = Kept::default();
    metrics::with_local_recorder(&kept, || {
        MetricsPublisher::describe();
        MetricsPublisher::new("orders").publish(&snapshot(), &TimingsSnapshot::default());
    });
    let mut described = kept.described.lock().unwrap().clone();
    described.sort_unstable();
    let values = kept.values.lock().unwrap();
    let names = values.keys().map(|it| it.split(' ').next().unwrap());
    let mut published: Vec<_> = names
        .chain([
            "db.client.connection.wait_time",
            "db.client.connection.use_time",
        ])
        .chain(["db.client.connection.create_time", "ops.pool.reset_time"])
        .collect();
    published.sort_unstable();
    published.dedup();
    assert_eq!(published, described);
}
