//! Whether a driver has taken up everything that its client has asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

const QUIET: u8 = 0;
const POLLED: u8 = 1;
const STIRRED: u8 = 2;

/// Stands between a driver and what wakes it.
///
/// A client hands its requests to the driver through a channel, and sending wakes the
/// driver. One that has not been woken since its last poll began has nothing in that
/// channel: what was asked for has gone through the tap.
#[derive(Debug)]
pub(crate) struct Quiet {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Quiet {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            // Not polled yet.
            state: AtomicU8::new(STIRRED),
            task: AtomicWaker::new(),
        })
    }

    /// Whether nothing has been asked of the driver that it has not taken up.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state.load(Ordering::SeqCst) == QUIET
    }

    /// Polls a driver with `waker`, which is the one that was made of this.
    pub(super) fn poll<T>(
        &self,
        waker: &Waker,
        cx: &Context<'_>,
        driver: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        // Takes in what those who have woken it did before.
        self.state.swap(POLLED, Ordering::SeqCst);
        self.task.register(cx.waker());
        let polled = driver(&mut Context::from_waker(waker));
        // Unless it has been woken meanwhile.
        let (order, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        let _ = self.state.compare_exchange(POLLED, QUIET, order, failed);
        polled
    }
}

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.state.store(STIRRED, Ordering::SeqCst);
        self.task.wake();
    }
}
