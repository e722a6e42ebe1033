//! One way of a connection.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::connection::{Reader, Writer};
use super::{Close, Cut, Direction, Faults, Shared};

const CHUNK: usize = 16 * 1024;

/// How many chunks may be under way: with latency, what a network would hold.
const UNDER_WAY: usize = 64;

/// How often a second a throttled stream moves, at least.
const STEPS_PER_SECOND: u64 = 20;

/// Further away than any test lasts.
const FAR: Duration = Duration::from_hours(365 * 24);

/// What arrived, and when.
struct Arrival {
    at: Instant,
    what: What,
}

enum What {
    Bytes(Vec<u8>),
    Closed(Close),
}

/// Forwards one way until its end has been passed on, or the connection is broken.
pub(super) async fn pump(
    direction: Direction,
    reader: Reader<'_>,
    writer: Writer<'_>,
    shared: &Shared,
) -> Result<(), Close> {
    let (queue, queued) = mpsc::channel(UNDER_WAY);
    let delivery = Delivery {
        direction,
        writer,
        shared,
        faults: shared.faults.subscribe(),
        passed: 0,
        free_at: Instant::now(),
    };
    tokio::select! {
        outcome = delivery.run(queued) => outcome,
        never = collect(reader, shared.faults.subscribe(), queue) => match never {},
    }
}

async fn collect(
    mut reader: Reader<'_>,
    mut faults: watch::Receiver<Faults>,
    queue: mpsc::Sender<Arrival>,
) -> Infallible {
    loop {
        // Left unread, bytes stay with the sender, whose buffers then fill.
        let _ = faults.wait_for(|faults| !faults.frozen).await;
        let mut chunk = vec![0; CHUNK];
        let what = match reader.read(&mut chunk).await {
            Ok(0) => What::Closed(Close::End),
            Ok(read) => {
                chunk.truncate(read);
                What::Bytes(chunk)
            }
            Err(_) => What::Closed(Close::Reset),
        };
        let last = matches!(what, What::Closed(_));
        let sent = queue
            .send(Arrival {
                at: Instant::now(),
                what,
            })
            .await;
        if last || sent.is_err() {
            return pending().await;
        }
    }
}

struct Delivery<'a> {
    direction: Direction,
    writer: Writer<'a>,
    shared: &'a Shared,
    faults: watch::Receiver<Faults>,
    /// How many bytes have been passed on.
    passed: u64,
    /// When a throttled stream may move again.
    free_at: Instant,
}

impl Delivery<'_> {
    async fn run(mut self, mut queued: mpsc::Receiver<Arrival>) -> Result<(), Close> {
        while let Some(Arrival { at, what }) = queued.recv().await {
            match what {
                What::Bytes(bytes) => self.deliver(at, &bytes).await?,
                What::Closed(close) => {
                    self.wait(at).await;
                    if close == Close::Reset {
                        return Err(Close::Reset);
                    }
                    return self.writer.shutdown().await.map_err(|_| Close::Reset);
                }
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, at: Instant, mut bytes: &[u8]) -> Result<(), Close> {
        while !bytes.is_empty() {
            let faults = self.wait(at).await;
            let cut = faults.cut.filter(|cut| cut.direction == self.direction);
            let size = self.step(&faults, cut, bytes.len());
            let (part, rest) = bytes.split_at(size);
            self.writer
                .write_all(part)
                .await
                .map_err(|_| Close::Reset)?;
            self.passed += size as u64;
            self.shared.forwarded(self.direction, size);
            if let Some(rate) = faults.throttle {
                let nanos = size as u64 * 1_000_000_000 / rate.max(1);
                self.free_at = Instant::now().max(self.free_at) + Duration::from_nanos(nanos);
            }
            if let Some(cut) = cut.filter(|cut| self.passed >= cut.after) {
                if cut.close == Close::End {
                    let _ = self.writer.shutdown().await;
                }
                return Err(cut.close);
            }
            bytes = rest;
        }
        Ok(())
    }

    /// How many of the next bytes may be passed on in one go.
    fn step(&self, faults: &Faults, cut: Option<Cut>, available: usize) -> usize {
        let left = cut.map_or(u64::MAX, |cut| cut.after.saturating_sub(self.passed));
        let paced = faults
            .throttle
            .map_or(u64::MAX, |rate| (rate / STEPS_PER_SECOND).max(1));
        usize::try_from(left.min(paced)).map_or(available, |most| most.min(available))
    }

    /// Waits until what arrived then may be passed on. Goes by the faults as they are
    /// switched meanwhile.
    async fn wait(&mut self, arrived: Instant) -> Faults {
        loop {
            let faults = *self.faults.borrow_and_update();
            let mut due = arrived + faults.latency.min(FAR);
            if faults.throttle.is_some() {
                due = due.max(self.free_at);
            }
            if !faults.frozen && due <= Instant::now() {
                return faults;
            }
            if faults.frozen {
                due = Instant::now() + FAR;
            }
            tokio::select! {
                () = sleep_until(due) => {}
                changed = self.faults.changed() => if changed.is_err() {
                    return pending().await;
                }
            }
        }
    }
}
