//! The pool over real servers.

mod hygiene;
mod outage;
