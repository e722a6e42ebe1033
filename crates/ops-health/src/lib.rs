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
mod drain;
mod health;
mod jitter;
mod lifecycle;
mod liveness;
mod outcome;
mod policy;
mod private;
mod render;
mod respond;
#[cfg(feature = "axum")]
mod router;
mod scheduler;
mod snapshot;
mod state;
mod status;
mod transition;
mod watch;

pub use access::Visibility;
pub use aggregate::{Question, Reason, Verdict};
pub use builder::HealthBuilder;
pub use check::{BoxFuture, Check, CheckCtx, DynCheck, FnCheck, check_fn};
pub use drain::{DrainPlan, Host};
pub use health::Health;
pub use lifecycle::Lifecycle;
pub use liveness::{Beacon, LivenessSignal};
pub use outcome::{Observation, Outcome, Unit};
pub use policy::{Groups, Policy};
pub use private::Private;
pub use render::Shape;
pub use scheduler::Scheduler;
pub use snapshot::CheckReport;
pub use state::{CheckState, Event, Moment, Transition};
pub use status::{Code, Criticality, Kind, Scope, Status};
pub use watch::{DeadMan, DeadManReport, Watch, WatchBuilder, WatchTask};
