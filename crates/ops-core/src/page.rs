//! One page of a listing.

/// One page of a listing, with the cursor of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Page<T> {
    /// The items, in the provider's order.
    pub items: Vec<T>,
    /// What to pass to get the next page; `None` on the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page that another follows.
    pub fn new(items: Vec<T>, next: impl Into<String>) -> Self {
        Self {
            items,
            next: Some(next.into()),
        }
    }

    /// The last page.
    #[must_use]
    pub fn last(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// Whether no page follows.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.next.is_none()
    }
}
