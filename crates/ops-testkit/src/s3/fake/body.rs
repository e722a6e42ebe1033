//! Bodies on their way: written down, and broken where a fault says so.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection::Control;
use super::fault::Kind;
use super::log::Recording;
use super::stats::InFlight;
use super::store::index;

/// The connection was broken on purpose.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// The body of a request.
pub(super) struct Upload {
    inner: Incoming,
    recording: Recording,
    control: Arc<Control>,
    seen: u64,
    corrupt_at: Option<u64>,
    reset_after: Option<u64>,
}

impl Upload {
    pub(super) fn new(
        inner: Incoming,
        recording: Recording,
        control: Arc<Control>,
        fault: Option<&Kind>,
    ) -> Self {
        let (mut corrupt_at, mut reset_after) = (None, None);
        match fault {
            Some(Kind::CorruptUpload { at }) => corrupt_at = Some(*at),
            Some(Kind::ResetUpload { after }) => reset_after = Some(*after),
            _ => {}
        }
        Self {
            inner,
            recording,
            control,
            seen: 0,
            corrupt_at,
            reset_after,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.reset_after.is_some_and(|after| self.seen >= after) {
            self.control.reset();
            return Poll::Ready(Some(Err(Box::new(Broken))));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let Some(frame) = frame.transpose()? else {
            return Poll::Ready(None);
        };
        let Ok(data) = frame.into_data() else {
            // The protocol has no trailers of HTTP.
            return Poll::Ready(None);
        };
        self.recording.body(&data);
        let data = flipped(data, self.seen, self.corrupt_at);
        self.seen += data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.reset_after.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Flips one bit at an offset, where that lies in the data, which begins at `from`.
fn flipped(data: Bytes, from: u64, at: Option<u64>) -> Bytes {
    let Some(at) = at.and_then(|at| at.checked_sub(from)) else {
        return data;
    };
    let mut changed = BytesMut::from(&data[..]);
    match changed.get_mut(index(at)) {
        Some(byte) => *byte ^= 1,
        None => return data,
    }
    changed.freeze()
}

/// The body of an answer.
pub(super) struct Answer {
    inner: s3s::Body,
    recording: Recording,
    control: Arc<Control>,
    held: Bytes,
    sent: u64,
    ending: Option<Ending>,
    corrupt_at: Option<u64>,
    drip: Option<Drip>,
    _in_flight: InFlight,
}

/// Where the body ends too early, and how.
struct Ending {
    after: u64,
    reset: bool,
    /// The flushes that there were when the last byte was given to be sent.
    flushes: Option<u64>,
}

struct Drip {
    bytes: usize,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
    due: bool,
}

impl Answer {
    pub(super) fn new(
        inner: s3s::Body,
        recording: Recording,
        control: Arc<Control>,
        in_flight: InFlight,
        fault: Option<&Kind>,
    ) -> Self {
        let (mut ending, mut corrupt_at, mut drip) = (None, None, None);
        match fault {
            Some(&Kind::EndAnswer { after, reset }) => {
                ending = Some(Ending {
                    after,
                    reset,
                    flushes: None,
                });
            }
            Some(Kind::CorruptAnswer { at }) => corrupt_at = Some(*at),
            Some(&Kind::Drip { bytes, pause }) => {
                drip = Some(Drip {
                    bytes,
                    pause,
                    timer: Box::pin(sleep_until(Instant::now() + pause)),
                    due: false,
                });
            }
            _ => {}
        }
        Self {
            inner,
            recording,
            control,
            held: Bytes::new(),
            sent: 0,
            ending,
            corrupt_at,
            drip,
            _in_flight: in_flight,
        }
    }

    /// Ends the connection when what is to be sent of the body has left.
    fn poll_ending(&mut self, cx: &Context<'_>) -> Poll<Option<Broken>> {
        let Some(ending) = &mut self.ending else {
            return Poll::Ready(None);
        };
        if self.sent < ending.after {
            return Poll::Ready(None);
        }
        let flushes = *ending.flushes.get_or_insert_with(|| self.control.flushes());
        ready!(self.control.poll_flushed(flushes, cx));
        if ending.reset {
            self.control.reset();
        }
        Poll::Ready(Some(Broken))
    }

    /// The greatest piece that may be sent now.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut room = usize::MAX;
        if let Some(drip) = &mut self.drip {
            if !drip.due {
                ready!(drip.timer.as_mut().poll(cx));
                drip.due = true;
            }
            room = drip.bytes;
        }
        if let Some(ending) = &self.ending {
            room = room.min(index(ending.after - self.sent));
        }
        Poll::Ready(room)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Some(broken) = ready!(this.poll_ending(cx)) {
            return Poll::Ready(Some(Err(Box::new(broken))));
        }
        while this.held.is_empty() {
            let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
            let Some(frame) = frame.transpose()? else {
                return Poll::Ready(None);
            };
            if let Ok(data) = frame.into_data() {
                this.held = data;
            }
        }
        let room = ready!(this.poll_room(cx));
        let piece = this.held.split_to(room.min(this.held.len()));
        let piece = flipped(piece, this.sent, this.corrupt_at);
        this.sent += piece.len() as u64;
        this.recording.answer(&piece);
        if let Some(drip) = &mut this.drip {
            drip.due = false;
            drip.timer.as_mut().reset(Instant::now() + drip.pause);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.ending.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
