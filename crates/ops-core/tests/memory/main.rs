//! The in-memory providers: the contract of each trait, what is theirs alone, and what is
//! built on the traits.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test is a test, in a function of its own"
)]

mod abilities;
mod cdn;
mod database;
mod dns;
mod faulty;
mod forward;
mod gate;
mod hosting;
mod leak;
mod monitor;
mod notifier;
mod object_store;
mod pipeline;
mod scripted;
mod secret_store;
mod support;
mod transfer;
