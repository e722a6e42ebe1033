//! Dead-man switches: silence is the alarm.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::HeartbeatId;
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::outcome::{DeleteOutcome, Ensured};
use crate::secret::Secret;
use crate::time::Timestamp;

/// A heartbeat that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HeartbeatSpec {
    /// Our own name for it, unique in the account; the provider finds it again by this.
    pub key: String,
    /// The name that people see. Defaults to the key.
    pub name: String,
    /// How often a beat is due.
    pub period: Duration,
    /// How late a beat may be. Defaults to a fifth of the period.
    pub grace: Duration,
}

impl HeartbeatSpec {
    /// A heartbeat with a beat due once a period.
    pub fn new(key: impl Into<String>, period: Duration) -> Self {
        let key = key.into();
        Self {
            name: key.clone(),
            key,
            period,
            grace: period / 5,
        }
    }
}

setters! { HeartbeatSpec {
    into { with_name(name: String) }
    val { with_grace(grace: Duration) }
} }

/// What a heartbeat has heard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum HeartbeatState {
    /// No beat yet; it raises no alarm before the first.
    Pending,
    /// A run has started and not ended.
    Running,
    /// The last beat was in time and a success.
    Up,
    /// A beat is overdue, or the last one was a failure.
    Down,
    /// Does not listen.
    Paused,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// What is known of a heartbeat.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The vendor's id.
    pub id: HeartbeatId,
    /// Our own name for it; `None` for one that we did not make.
    pub key: Option<String>,
    /// The name that people see.
    pub name: String,
    /// What it has heard.
    pub state: HeartbeatState,
    /// Where beats go, with vendors that give each heartbeat an address. Whoever knows it can beat.
    pub url: Option<Secret>,
    /// When it beat last.
    pub last_beat_at: Option<Timestamp>,
}

impl Heartbeat {
    /// What is known of every heartbeat.
    pub fn new(id: HeartbeatId, name: impl Into<String>, state: HeartbeatState) -> Self {
        Self {
            id,
            key: None,
            name: name.into(),
            state,
            url: None,
            last_beat_at: None,
        }
    }
}

setters! { Heartbeat {
    opt { with_last_beat_at(last_beat_at: Timestamp) }
    opt_into { with_key(key: String), with_url(url: Secret) }
} }

/// What a beat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum BeatKind {
    /// A run has started.
    Start,
    /// A run has ended well.
    Success,
    /// A run has failed.
    Fail,
    /// A run has ended with this status; 0 is a success.
    Exit(u8),
}

impl BeatKind {
    /// Whether it ends a run well; `None` for a start.
    #[must_use]
    pub const fn is_success(self) -> Option<bool> {
        match self {
            Self::Start => None,
            Self::Success | Self::Exit(0) => Some(true),
            Self::Fail | Self::Exit(_) => Some(false),
        }
    }
}

/// One beat.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Beat {
    /// What it says.
    pub kind: BeatKind,
    /// Which run, so that a start and its end are told apart from another run's.
    pub run: Option<String>,
    /// How long the run took.
    pub duration: Option<Duration>,
    /// What the run printed, at most 10 KB of which are sent. It must not hold a secret.
    pub message: Option<String>,
}

impl Beat {
    /// A beat.
    #[must_use]
    pub fn new(kind: BeatKind) -> Self {
        Self {
            kind,
            run: None,
            duration: None,
            message: None,
        }
    }

    /// A run has ended well.
    #[must_use]
    pub fn success() -> Self {
        Self::new(BeatKind::Success)
    }

    /// A run has failed.
    #[must_use]
    pub fn fail() -> Self {
        Self::new(BeatKind::Fail)
    }

    /// The message, cut at a character to at most so many bytes.
    #[must_use]
    pub fn message_within(&self, max_bytes: usize) -> Option<&str> {
        let message = self.message.as_deref()?;
        let mut end = max_bytes.min(message.len());
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.get(..end)
    }
}

setters! { Beat {
    opt { with_duration(duration: Duration) }
    opt_into { with_run(run: String), with_message(message: String) }
} }

/// Dead-man switches. An ability of [`Monitor`](super::Monitor).
#[async_trait]
pub trait Heartbeats: fmt::Debug + Send + Sync + 'static {
    /// Lists the account's heartbeats, page by page as the stream is polled.
    fn list_heartbeats(&self) -> ItemStream<Heartbeat>;

    /// What is known of a heartbeat.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn heartbeat(&self, heartbeat: &HeartbeatId) -> Result<Heartbeat>;

    /// Makes the heartbeat where it is missing and changes it where it differs.
    ///
    /// # Behavior
    /// Ensuring the same again is `Unchanged`, and its address stays the same.
    ///
    /// # Errors
    /// `InvalidInput` for a period or grace that the vendor does not allow. Ensuring again
    /// is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the heartbeat made or changed.
    async fn ensure_heartbeat(&self, spec: HeartbeatSpec) -> Result<Ensured<Heartbeat>>;

    /// Sends a beat.
    ///
    /// # Behavior
    /// 1. With a vendor that knows no start or failure such a beat is dropped, and the call
    ///    succeeds: the missing success is the real alarm.
    /// 2. A message is cut to what the vendor takes, at a character.
    ///
    /// # Errors
    /// `NotFound`. Beating again is harmless.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the beat sent.
    async fn beat(&self, heartbeat: &Heartbeat, beat: Beat) -> Result<()>;

    /// Deletes a heartbeat. One that is not there is fine.
    ///
    /// # Errors
    /// See [`Monitor`](super::Monitor).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the heartbeat deleted.
    async fn delete_heartbeat(&self, heartbeat: &HeartbeatId) -> Result<DeleteOutcome>;
}

const _: fn(&dyn Heartbeats) = |_| {};
