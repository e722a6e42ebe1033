//! The crate from outside, as an application uses it.

#![cfg(test)]

#[cfg(all(feature = "backup", feature = "postgres"))]
mod backup;
mod bucket;
mod builder;
#[cfg(any(feature = "http", feature = "redis", feature = "tls"))]
mod certificates;
mod details;
mod detection;
#[cfg(feature = "axum")]
mod drain;
#[cfg(feature = "axum")]
mod drain_under_load;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(all(feature = "axum", feature = "http"))]
mod http_check;
mod lifecycle;
#[cfg(feature = "json-logs")]
mod logs;
#[cfg(feature = "metrics")]
mod metrics;
mod model;
mod on_demand;
#[cfg(feature = "pool")]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_more;
#[cfg(feature = "metrics")]
mod recorder;
#[cfg(feature = "redis")]
mod redis_check;
mod routes;
mod scheduler;
mod shapes;
mod slow;
mod state_machine;
mod support;
#[cfg(all(feature = "systemd", target_os = "linux"))]
mod systemd;
#[cfg(feature = "redis")]
mod tell;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tower")]
mod tower;
#[cfg(feature = "ui")]
mod ui;
mod verdicts;
mod watchdog;
