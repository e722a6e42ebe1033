//! Numbers for the `metrics` facade. Without a recorder they cost next to nothing.

use crate::health::Inner;

pub(crate) fn publish(_inner: &Inner) {}
