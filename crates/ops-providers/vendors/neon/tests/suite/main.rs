//! Neon as a provider: its behavior, its contract, and what it does with nonsense.

mod conformance;
mod contract;
mod fake;
mod server;
