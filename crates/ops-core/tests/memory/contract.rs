//! What every provider of a trait must do. Nothing here knows which one it is given.

pub(crate) mod notifier;
pub(crate) mod pipeline;
pub(crate) mod secret_store;
