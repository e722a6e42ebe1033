//! The crate from outside, as an application uses it.

#![cfg(test)]

#[cfg(all(feature = "backup", feature = "postgres"))]
mod backup;
mod builder;
#[cfg(feature = "axum")]
mod drain;
mod lifecycle;
mod model;
mod on_demand;
#[cfg(feature = "pool")]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_more;
mod routes;
mod scheduler;
mod shapes;
mod state_machine;
mod support;
mod verdicts;
mod watchdog;
