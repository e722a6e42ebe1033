//! The kit tested by itself: the in-memory providers pass every case, and each case is
//! failed by a provider that was made to fail it and passes all the others.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what is sabotaged is a test"
)]

mod cdn;
mod database;
mod dns;
mod hosting;
mod leak;
mod matrix;
mod monitor;
mod notifier;
mod object_store;
mod pipeline;
mod quirks;
// The README tells the cases of all suites.
#[cfg(feature = "wire")]
mod readme;
mod saboteur;
mod secret_store;
