//! The WAL archive, against real servers.

mod archiver;
mod scene;
