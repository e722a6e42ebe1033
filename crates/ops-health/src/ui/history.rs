//! What changed lately.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use ops_core::Timestamp;
use serde::Serialize;

use crate::state::Transition;

/// How many changes are kept.
const KEPT: usize = 200;

#[derive(Debug, Default)]
pub(crate) struct History(Mutex<VecDeque<Change>>);

#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    at: Timestamp,
    check: String,
    from: &'static str,
    to: &'static str,
    code: &'static str,
}

impl History {
    pub(crate) fn push(&self, check: &str, change: Transition, at: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == KEPT {
            all.pop_back();
        }
        all.push_front(Change {
            at: crate::render::instant(at),
            check: check.to_owned(),
            from: change.from.as_str(),
            to: change.to.as_str(),
            code: change.code.as_str(),
        });
    }

    /// The newest first.
    pub(super) fn all(&self) -> Vec<Change> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().cloned().collect()
    }
}
