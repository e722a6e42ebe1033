//! The settings of a pool, after they have been checked.

use std::sync::Arc;
use std::time::Duration;

use ops_core::Clock;

use crate::connect::Connect;
use crate::group::Groups;
use crate::lane::Lanes;
use crate::reset::{OnDirty, Plan};
use crate::settings::PoolSettings;

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) target: Target,
    /// As they were when the pool was built: sizes can change since.
    pub(crate) settings: PoolSettings,
    pub(crate) lanes: Lanes,
    pub(crate) groups: Groups,
    /// Whether callers are refused whose turn would come too late.
    pub(crate) shed: bool,
    pub(crate) refuse_nested: bool,
    /// How long a session may be out before a warning.
    pub(crate) leak_threshold: Option<Duration>,
    pub(crate) reset: Plan,
    pub(crate) on_dirty: OnDirty,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Config {
    /// How long a caller waits. None is for ever.
    pub(crate) fn query_wait_timeout(&self) -> Option<Duration> {
        let timeout = self.settings.query_wait_timeout;
        (!timeout.is_zero()).then_some(timeout)
    }
}

/// What the pool connects to, where it is known.
#[derive(Debug, Default)]
pub(crate) struct Target {
    /// None for a Unix-domain socket, and where it is not known.
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) application_name: String,
}
