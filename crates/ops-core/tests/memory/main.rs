//! The in-memory providers: the contract of each trait, what is theirs alone, and what is
//! built on the traits.

mod abilities;
mod contract;
mod database;
mod faulty;
mod forward;
mod gate;
mod hosting;
mod monitor;
mod object_store;
mod support;
mod transfer;
