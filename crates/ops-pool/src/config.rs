//! The settings of a pool, after they have been checked.

use std::sync::Arc;
use std::time::Duration;

use crate::connect::Connect;
use crate::reset::{OnDirty, Plan};

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) pool_size: usize,
    /// None: for ever.
    pub(crate) query_wait_timeout: Option<Duration>,
    pub(crate) server_connect_timeout: Duration,
    pub(crate) reset: Plan,
    pub(crate) reset_timeout: Duration,
    pub(crate) on_dirty: OnDirty,
    pub(crate) cancel_timeout: Duration,
}
