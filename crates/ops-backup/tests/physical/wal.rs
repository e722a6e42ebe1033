//! The WAL archive, against real servers.

mod archiver;
mod faults;
mod gaps;
mod kill;
mod promote;
mod reading;
pub(crate) mod scene;
