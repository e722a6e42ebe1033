//! Numbers for the `metrics` facade. Without a recorder they cost next to nothing, and
//! without the feature nothing at all.

#[cfg_attr(feature = "metrics", path = "metrics/facade.rs")]
#[cfg_attr(not(feature = "metrics"), path = "metrics/off.rs")]
mod sink;

pub(crate) use sink::{publish, ran, requested, set};

/// Upper bounds for the histogram `ops_health_check_duration_seconds`: 1 ms to 10 s. To be
/// given to the exporter.
pub const DURATION_BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
