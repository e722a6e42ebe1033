//! The settings of a pool, after they have been checked.

use std::sync::Arc;
use std::time::Duration;

use crate::connect::Connect;
use crate::group::Groups;
use crate::lane::Lanes;
use crate::reset::{OnDirty, Plan};

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) database: String,
    pub(crate) user: String,
    /// None: for ever.
    pub(crate) query_wait_timeout: Option<Duration>,
    pub(crate) server_connect_timeout: Duration,
    pub(crate) server_check_query: String,
    pub(crate) lanes: Lanes,
    pub(crate) groups: Groups,
    /// Whether callers are refused whose turn would come too late.
    pub(crate) shed: bool,
    pub(crate) refuse_nested: bool,
    /// How long a session may be out before a warning.
    pub(crate) leak_threshold: Option<Duration>,
    pub(crate) reset: Plan,
    pub(crate) reset_timeout: Duration,
    pub(crate) on_dirty: OnDirty,
    pub(crate) cancel_timeout: Duration,
}
