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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicU64;
    use std::task::Poll;

    use tokio::sync::mpsc;

    use super::*;

    /// The other side of the channel, as a driver is.
    async fn take_up(
        quiet: Arc<Quiet>,
        mut requests: mpsc::UnboundedReceiver<u64>,
        last: Arc<AtomicU64>,
    ) {
        let waker = Waker::from(Arc::clone(&quiet));
        poll_fn(|cx| {
            quiet.poll(&waker, cx, |cx| {
                loop {
                    match requests.poll_recv(cx) {
                        Poll::Ready(Some(request)) => last.store(request, Ordering::SeqCst),
                        Poll::Ready(None) => return Poll::Ready(()),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            })
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_quiet_driver_has_taken_up_everything() {
        let (send, requests) = mpsc::unbounded_channel();
        let (quiet, last) = (Quiet::new(), Arc::new(AtomicU64::new(0)));
        // The driver's channel knows nothing of tokio's budgets.
        let driver = take_up(Arc::clone(&quiet), requests, Arc::clone(&last));
        let driver = tokio::spawn(tokio::task::unconstrained(driver));
        let (mut were_quiet, mut request) = (0, 0);
        while were_quiet < 20_000 {
            request += 1;
            send.send(request).unwrap();
            for _ in 0..request % 7 {
                std::hint::spin_loop();
            }
            if request % 50 == 0 {
                tokio::task::yield_now().await;
            }
            if quiet.is_quiet() {
                were_quiet += 1;
                assert_eq!(last.load(Ordering::SeqCst), request);
            }
        }
        drop(send);
        driver.await.unwrap();
    }

    #[tokio::test]
    async fn a_driver_that_was_asked_is_not_quiet_until_it_was_polled() {
        let (send, requests) = mpsc::unbounded_channel();
        let (quiet, last) = (Quiet::new(), Arc::new(AtomicU64::new(0)));
        assert!(!quiet.is_quiet());
        let driver = tokio::spawn(take_up(Arc::clone(&quiet), requests, last));
        tokio::task::yield_now().await;
        assert!(quiet.is_quiet());
        send.send(1).unwrap();
        assert!(!quiet.is_quiet());
        tokio::task::yield_now().await;
        assert!(quiet.is_quiet());
        drop(send);
        driver.await.unwrap();
    }
}
