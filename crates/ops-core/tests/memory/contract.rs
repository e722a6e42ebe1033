//! What every provider of a trait must do. Nothing here knows which one it is given.

pub(crate) mod cdn;
pub(crate) mod database;
pub(crate) mod dns;
pub(crate) mod hosting;
pub(crate) mod monitor;
pub(crate) mod notifier;
pub(crate) mod object_store;
pub(crate) mod pipeline;
pub(crate) mod secret_store;
