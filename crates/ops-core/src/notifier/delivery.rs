//! What became of a notification.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::DeliveryId;

/// How far a delivery has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DeliveryState {
    /// The vendor has taken it.
    Accepted,
    /// The vendor has passed it on, such as to a telephone network.
    Sent,
    /// It is where people can see it.
    Delivered,
    /// It did not arrive and will not; the vendor's reason.
    Failed(String),
    /// Anything else, in the vendor's own word.
    Other(String),
}

impl DeliveryState {
    /// Whether it will not change any more. An unknown word is not taken for an end.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Delivered | Self::Failed(_))
    }
}

/// A notification that was delivered, or is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Delivery {
    /// The vendor's id, where it answers one.
    pub id: Option<DeliveryId>,
    /// How far it has come.
    pub state: DeliveryState,
}

impl Delivery {
    /// A delivery for which the vendor answers no id.
    #[must_use]
    pub fn new(state: DeliveryState) -> Self {
        Self { id: None, state }
    }

    /// Sets the vendor's id.
    #[must_use]
    pub fn with_id(mut self, id: DeliveryId) -> Self {
        self.id = Some(id);
        self
    }
}

/// What became of a delivery. An ability of [`Notifier`](super::Notifier).
///
/// With it [`Notifier::notify`](super::Notifier::notify) always answers an id.
#[async_trait]
pub trait DeliveryStatus: fmt::Debug + Send + Sync + 'static {
    /// What is known of a delivery.
    ///
    /// # Errors
    /// `NotFound`; see [`Notifier`](super::Notifier).
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn delivery(&self, delivery: &DeliveryId) -> Result<Delivery>;
}

const _: fn(&dyn DeliveryStatus) = |_| {};
