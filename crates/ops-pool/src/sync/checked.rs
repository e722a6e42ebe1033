//! The lock and the tasks of the pool as a model checker sees them.
//!
//! A checker that runs on this thread decides who gets a lock and which task runs next.
//! Everything between two of its decisions happens at once, which is enough: what the
//! hand-off of sessions shares is under one lock.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, PoisonError};

use tokio::runtime::Handle;

/// Who decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checker {
    /// Schedules at random, with as many tasks as there are.
    Shuttle,
    /// Every schedule, of few threads. Tasks of the pool do not run.
    Loom,
}

thread_local! {
    static CHECKER: Cell<Option<Checker>> = const { Cell::new(None) };
    /// Tasks of pools that have not ended.
    static TASKS: Cell<usize> = const { Cell::new(0) };
}

impl Checker {
    /// Runs a check, which must stay on this thread.
    pub(crate) fn rules(self, check: impl FnOnce()) {
        CHECKER.set(Some(self));
        check();
        CHECKER.set(None);
    }
}

/// What the checker of the thread sees of a lock.
#[derive(Debug)]
enum Gate {
    Open,
    Shuttle(shuttle::sync::Mutex<()>),
    Loom(loom::sync::Mutex<()>),
}

#[derive(Debug)]
#[expect(dead_code, reason = "a guard is there to be dropped")]
enum Passed<'a> {
    Open,
    Shuttle(shuttle::sync::MutexGuard<'a, ()>),
    Loom(loom::sync::MutexGuard<'a, ()>),
}

impl Gate {
    fn pass(&self) -> Passed<'_> {
        match self {
            Self::Open => Passed::Open,
            Self::Shuttle(gate) => {
                Passed::Shuttle(gate.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Self::Loom(gate) => Passed::Loom(gate.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// A [`std::sync::Mutex`] behind one of the checker, where there is a checker.
#[derive(Debug)]
pub(crate) struct Mutex<T> {
    gate: Gate,
    inner: std::sync::Mutex<T>,
}

/// The inner lock is let go first.
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    inner: std::sync::MutexGuard<'a, T>,
    _passed: Passed<'a>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        let gate = match CHECKER.get() {
            None => Gate::Open,
            Some(Checker::Shuttle) => Gate::Shuttle(shuttle::sync::Mutex::new(())),
            Some(Checker::Loom) => Gate::Loom(loom::sync::Mutex::new(())),
        };
        Self {
            gate,
            inner: std::sync::Mutex::new(value),
        }
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let passed = self.gate.pass();
        match self.inner.lock() {
            Ok(inner) => Ok(MutexGuard {
                inner,
                _passed: passed,
            }),
            Err(poisoned) => Err(PoisonError::new(MutexGuard {
                inner: poisoned.into_inner(),
                _passed: passed,
            })),
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// How many tasks of pools have not ended.
pub(crate) fn tasks() -> usize {
    TASKS.get()
}

/// Starts a task of the pool.
pub(crate) fn spawn(runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
    match CHECKER.get() {
        None => drop(runtime.spawn(task)),
        Some(Checker::Shuttle) => {
            TASKS.set(TASKS.get() + 1);
            drop(shuttle::future::spawn(async {
                task.await;
                TASKS.set(TASKS.get() - 1);
            }));
        }
        Some(Checker::Loom) => drop(task),
    }
}
