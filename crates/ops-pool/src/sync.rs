//! Locks and tasks. In tests a model checker can take them over.

#[cfg(test)]
mod checked;

#[cfg(test)]
pub(crate) use checked::{Checker, Mutex, MutexGuard, spawn, tasks};
#[cfg(not(test))]
pub(crate) use std::sync::{Mutex, MutexGuard};

/// Starts a task of the pool.
#[cfg(not(test))]
pub(crate) fn spawn(
    runtime: &tokio::runtime::Handle,
    task: impl Future<Output = ()> + Send + 'static,
) {
    drop(runtime.spawn(task));
}
