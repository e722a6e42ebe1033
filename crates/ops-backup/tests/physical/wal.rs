//! The WAL archive, against real servers.

mod archiver;
mod expire;
mod faults;
mod gaps;
mod keeper;
mod kill;
mod promote;
mod reading;
pub(crate) mod scene;
mod second;
