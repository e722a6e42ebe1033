//! Figures of a pool through the `metrics` facade.

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::histogram::{HistogramSnapshot, TimingsSnapshot};
use crate::snapshot::Snapshot;

/// Publishes the figures of a pool through the `metrics` facade: to whatever recorder the
/// program has installed, and nowhere without one.
///
/// Call [`publish`](Self::publish) now and then, such as every 10 s or before each scrape.
/// The names are those of OpenTelemetry's semantic conventions for connection pools, which
/// are still in development, and `ops.pool.` for what they lack. Each has the label
/// `db.client.connection.pool.name`. Times are in seconds.
///
/// | metric | type | |
/// | --- | --- | --- |
/// | `db.client.connection.count` | gauge | connections, by `db.client.connection.state`: `used`, `idle`, `resetting`, `connecting` |
/// | `db.client.connection.max` | gauge | `pool_size` |
/// | `db.client.connection.pending_requests` | gauge | callers that wait |
/// | `db.client.connection.timeouts` | counter | callers that waited in vain |
/// | `db.client.connection.wait_time` | histogram | how long callers waited |
/// | `db.client.connection.use_time` | histogram | how long callers kept a session |
/// | `db.client.connection.create_time` | histogram | how long connecting took |
/// | `ops.pool.reset_time` | histogram | how long resets took |
/// | `ops.pool.longest_wait` | gauge | how long the head of the queue has waited |
/// | `ops.pool.assignments` | counter | sessions that were given to callers |
/// | `ops.pool.refusals` | counter | callers that were refused at once |
/// | `ops.pool.connects` | counter | connections that were opened |
/// | `ops.pool.connect_failures` | counter | attempts to open one that failed |
/// | `ops.pool.closes` | counter | connections that were closed, by `ops.pool.dirty`: `true` where a session had left something behind |
///
/// A histogram is published bucket by bucket, each record as the middle of its bucket: at
/// most a sixteenth off.
///
/// ```
/// use ops_pool::{MetricsPublisher, Timings};
/// # fn of(pool: &ops_pool::SessionPool, timings: &Timings) {
/// let mut publisher = MetricsPublisher::new("orders");
/// publisher.publish(&pool.snapshot(), &timings.snapshot());
/// # }
/// ```
#[derive(Debug)]
pub struct MetricsPublisher {
    pool_name: String,
    /// What has been published of the histograms, so that each record is published once.
    published: TimingsSnapshot,
}

const POOL_NAME: &str = "db.client.connection.pool.name";

impl MetricsPublisher {
    /// One for a pool. Its name is unique in the program; OpenTelemetry suggests
    /// `server.address:server.port/database`.
    pub fn new(pool_name: impl Into<String>) -> Self {
        Self {
            pool_name: pool_name.into(),
            published: TimingsSnapshot::default(),
        }
    }

    /// Tells the recorder what each metric is, once for all pools.
    pub fn describe() {
        let gauge = |name, text| describe_gauge!(name, text);
        let counter = |name, text| describe_counter!(name, Unit::Count, text);
        let histogram = |name, text| describe_histogram!(name, Unit::Seconds, text);
        gauge("db.client.connection.count", "connections, by state");
        gauge("db.client.connection.max", "the most connections");
        gauge("db.client.connection.pending_requests", "callers that wait");
        counter(
            "db.client.connection.timeouts",
            "callers that waited in vain",
        );
        histogram("db.client.connection.wait_time", "how long callers waited");
        histogram(
            "db.client.connection.use_time",
            "how long callers kept a session",
        );
        histogram(
            "db.client.connection.create_time",
            "how long connecting took",
        );
        histogram("ops.pool.reset_time", "how long resets took");
        gauge(
            "ops.pool.longest_wait",
            "how long the head of the queue has waited",
        );
        counter(
            "ops.pool.assignments",
            "sessions that were given to callers",
        );
        counter("ops.pool.refusals", "callers that were refused at once");
        counter("ops.pool.connects", "connections that were opened");
        counter(
            "ops.pool.connect_failures",
            "attempts to open a connection that failed",
        );
        counter("ops.pool.closes", "connections that were closed");
    }

    /// Publishes the state of the pool, and the records that its histograms have got since
    /// the last time.
    pub fn publish(&mut self, snapshot: &Snapshot, timings: &TimingsSnapshot) {
        self.publish_state(snapshot);
        let TimingsSnapshot {
            wait,
            hold,
            reset,
            connect,
        } = timings;
        let published = std::mem::replace(&mut self.published, timings.clone());
        self.publish_new("db.client.connection.wait_time", wait, &published.wait);
        self.publish_new("db.client.connection.use_time", hold, &published.hold);
        self.publish_new(
            "db.client.connection.create_time",
            connect,
            &published.connect,
        );
        self.publish_new("ops.pool.reset_time", reset, &published.reset);
    }

    fn publish_state(&self, snapshot: &Snapshot) {
        for (state, count) in [
            ("used", snapshot.active),
            ("idle", snapshot.idle),
            ("resetting", snapshot.resetting),
            ("connecting", snapshot.connecting),
        ] {
            let pool_name = self.pool_name.clone();
            gauge!(
                "db.client.connection.count",
                POOL_NAME => pool_name,
                "db.client.connection.state" => state,
            )
            .set(float(count));
        }
        let longest_wait = snapshot.longest_wait.unwrap_or_default();
        for (name, value) in [
            ("db.client.connection.max", float(snapshot.pool_size)),
            (
                "db.client.connection.pending_requests",
                float(snapshot.waiting),
            ),
            ("ops.pool.longest_wait", longest_wait.as_secs_f64()),
        ] {
            gauge!(name, POOL_NAME => self.pool_name.clone()).set(value);
        }
        let totals = &snapshot.totals;
        for (name, value) in [
            ("db.client.connection.timeouts", totals.timeouts),
            ("ops.pool.assignments", totals.assignments),
            ("ops.pool.refusals", totals.refusals),
            ("ops.pool.connects", totals.connects),
            ("ops.pool.connect_failures", totals.connect_failures),
        ] {
            counter!(name, POOL_NAME => self.pool_name.clone()).absolute(value);
        }
        let clean = totals.closes.saturating_sub(totals.dirty_closes);
        for (dirty, value) in [("true", totals.dirty_closes), ("false", clean)] {
            let pool_name = self.pool_name.clone();
            counter!("ops.pool.closes", POOL_NAME => pool_name, "ops.pool.dirty" => dirty)
                .absolute(value);
        }
    }

    fn publish_new(&self, name: &'static str, now: &HistogramSnapshot, then: &HistogramSnapshot) {
        let histogram = histogram!(name, POOL_NAME => self.pool_name.clone());
        for (middle, count) in now.since(then).middles() {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            histogram.record_many(middle.as_secs_f64(), count);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
