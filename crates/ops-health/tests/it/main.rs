//! The crate from outside, as an application uses it.

#![cfg(test)]

#[cfg(all(feature = "backup", feature = "postgres"))]
mod backup;
mod bucket;
mod builder;
#[cfg(any(feature = "http", feature = "redis", feature = "tls"))]
mod certificates;
#[cfg(feature = "axum")]
mod drain;
#[cfg(all(feature = "axum", feature = "http"))]
mod http_check;
mod lifecycle;
mod model;
mod on_demand;
#[cfg(feature = "pool")]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_more;
#[cfg(feature = "redis")]
mod redis_check;
mod routes;
mod scheduler;
mod shapes;
mod state_machine;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod verdicts;
mod watchdog;
