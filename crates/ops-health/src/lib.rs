#![doc = include_str!("../README.md")]

pub mod alert;
pub mod checks;
pub mod incident;
pub mod slo;
pub mod traffic;

mod access;
mod aggregate;
mod builder;
mod check;
#[cfg(any(feature = "http", feature = "redis", feature = "tls"))]
mod client_tls;
mod demand;
mod drain;
#[cfg(feature = "grpc")]
mod grpc;
mod health;
mod host;
mod jitter;
mod lifecycle;
mod liveness;
#[cfg(feature = "json-logs")]
mod logs;
mod maintenance;
mod metrics;
mod net;
mod outcome;
mod policy;
mod private;
mod render;
mod respond;
#[cfg(feature = "axum")]
mod router;
mod scheduler;
#[cfg(feature = "tower")]
mod service;
mod snapshot;
mod state;
mod status;
#[cfg(all(feature = "systemd", target_os = "linux"))]
mod systemd;
mod transition;
#[cfg(feature = "ui")]
mod ui;
mod watch;
mod watchdog;

pub use access::{Network, Peer, Visibility};
pub use aggregate::{Question, Reason, Verdict};
pub use builder::HealthBuilder;
pub use check::{BoxFuture, Check, CheckCtx, DynCheck, FnCheck, check_fn};
pub use drain::DrainPlan;
#[cfg(feature = "grpc")]
pub use grpc::GrpcBridge;
pub use health::Health;
pub use host::{Host, Probe};
pub use lifecycle::Lifecycle;
pub use liveness::{Beacon, LivenessSignal};
#[cfg(feature = "json-logs")]
pub use logs::JsonLogs;
pub use maintenance::MaintenanceWindow;
pub use metrics::DURATION_BUCKETS;
pub use outcome::{Observation, Outcome, Unit};
pub use policy::{Groups, Mode, Policy};
pub use private::Private;
pub use render::Shape;
pub use scheduler::Scheduler;
#[cfg(feature = "tower")]
pub use service::HealthService;
pub use snapshot::CheckReport;
pub use state::{CheckState, Event, Moment, Transition};
pub use status::{Code, Criticality, Kind, Scope, Status};
#[cfg(all(feature = "systemd", target_os = "linux"))]
pub use systemd::Systemd;
#[cfg(feature = "ui")]
pub use ui::StatusPage;
pub use watch::{DeadMan, DeadManReport, Watch, WatchBuilder, WatchTask};
pub use watchdog::{Lag, Watchdog};
