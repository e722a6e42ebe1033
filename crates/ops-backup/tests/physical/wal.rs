//! The WAL archive, against real servers.

mod archiver;
pub(crate) mod scene;
