//! What a stream of WAL begins with and consists of.

use std::time::Duration;

use bytes::Bytes;
use ops_core::Timestamp;

use crate::lsn::Lsn;
use crate::notice::Notice;
use crate::slot::SlotName;
use crate::timeline::Timeline;

/// Where to begin to stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StartReplication {
    /// The slot that holds WAL back. Defaults to none.
    pub slot: Option<SlotName>,
    /// The first position to send.
    pub position: Lsn,
    /// The timeline to send. Defaults to the server's current one.
    pub timeline: Option<Timeline>,
    /// How often to report at least; more often where the server's `wal_sender_timeout`
    /// is less than three times that. Defaults to 10 s.
    pub status_interval: Duration,
}

impl StartReplication {
    /// Begins at a position of the server's current timeline, without a slot.
    pub fn new(position: Lsn) -> Self {
        Self {
            slot: None,
            position,
            timeline: None,
            status_interval: Duration::from_secs(10),
        }
    }

    /// Sets the slot.
    #[must_use]
    pub fn with_slot(mut self, slot: SlotName) -> Self {
        self.slot = Some(slot);
        self
    }

    /// Sets the timeline.
    #[must_use]
    pub fn with_timeline(mut self, timeline: Timeline) -> Self {
        self.timeline = Some(timeline);
        self
    }

    /// Sets how often to report at least.
    #[must_use]
    pub fn with_status_interval(mut self, interval: Duration) -> Self {
        self.status_interval = interval;
        self
    }
}

/// How far the receiver is. Positions never go back: a lower one is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusUpdate {
    /// Up to where it has received and taken the WAL.
    pub write: Lsn,
    /// Up to where the WAL is durable. The server may then remove it, and a synchronous
    /// commit that waits for it returns.
    pub flush: Lsn,
}

/// Where a timeline goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextTimeline {
    /// The next timeline.
    pub timeline: Timeline,
    /// The first position that belongs to it.
    pub switch: Lsn,
}

/// What comes out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalEvent {
    /// WAL, which begins exactly where the WAL before it ended.
    Wal {
        /// The position of the first byte.
        start: Lsn,
        /// Up to where the server has WAL to send.
        server_end: Lsn,
        /// When it was sent, by the server's clock.
        sent_at: Timestamp,
        /// The bytes: a slice of the read buffer.
        data: Bytes,
    },
    /// A sign of life.
    Keepalive {
        /// Up to where the server has sent WAL.
        server_end: Lsn,
        /// When it was sent, by the server's clock.
        sent_at: Timestamp,
        /// Whether the server asked for a report, which has been sent. It asks a receiver
        /// that has been silent for half of `wal_sender_timeout`, and while it shuts down,
        /// which it does not finish before all WAL is reported as durable.
        wants_reply: bool,
    },
    /// The timeline has ended, and all of it has been sent. The stream is over.
    TimelineEnded(NextTimeline),
    /// The server has something to say.
    Notice(Notice),
    /// The server is shutting down, and has sent all of its WAL. The stream is over, and so
    /// is the connection.
    ServerStopped,
}
