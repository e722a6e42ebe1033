//! Status pages.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::StatusPageId;
use crate::macros::setters;
use crate::object_store::ItemStream;
use crate::time::Timestamp;

/// What a page says about the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum PageStatus {
    /// All is well.
    Operational,
    /// Slow, or in part.
    Degraded,
    /// Down.
    Down,
    /// Under maintenance.
    Maintenance,
    /// Anything else, in the vendor's own word.
    Other(String),
}

/// A status page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct StatusPage {
    /// The vendor's id.
    pub id: StatusPageId,
    /// Its title.
    pub name: String,
    /// Where it is served.
    pub url: Option<String>,
    /// What it says, where the vendor tells.
    pub status: Option<PageStatus>,
    /// When somebody last wrote on it.
    pub updated_at: Option<Timestamp>,
}

impl StatusPage {
    /// What is known of every page.
    pub fn new(id: StatusPageId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            url: None,
            status: None,
            updated_at: None,
        }
    }
}

setters! { StatusPage {
    opt { with_status(status: PageStatus), with_updated_at(updated_at: Timestamp) }
    opt_into { with_url(url: String) }
} }

/// What to write on a page. Everybody can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StatusUpdate {
    /// The headline.
    pub title: String,
    /// The text.
    pub message: String,
    /// What the page says from now on; `None` leaves it as it is.
    pub status: Option<PageStatus>,
}

impl StatusUpdate {
    /// A text that leaves the status as it is.
    pub fn new(title: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            message: message.into(),
            status: None,
        }
    }
}

setters! { StatusUpdate {
    opt { with_status(status: PageStatus) }
} }

/// Status pages. An ability of [`Monitor`](super::Monitor).
#[async_trait]
pub trait StatusPages: fmt::Debug + Send + Sync + 'static {
    /// Lists the account's pages, page by page as the stream is polled.
    fn list_status_pages(&self) -> ItemStream<StatusPage>;

    /// What is known of a page.
    ///
    /// # Errors
    /// `NotFound`.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    async fn status_page(&self, page: &StatusPageId) -> Result<StatusPage>;

    /// Writes on a page.
    ///
    /// # Behavior
    /// A status that the vendor derives from its own checks is `Unsupported`, and nothing
    /// is written.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported`. After a timeout the outcome is unknown; writing again may
    /// show it twice.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the text written.
    async fn post_status_update(&self, page: &StatusPageId, update: StatusUpdate) -> Result<()>;
}

const _: fn(&dyn StatusPages) = |_| {};
