//! What every provider of a trait must do. Nothing here knows which one it is given.

pub(crate) mod database;
pub(crate) mod hosting;
pub(crate) mod monitor;
pub(crate) mod object_store;
