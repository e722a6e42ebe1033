//! Listings that come in pages.

use ops_core::Result;

use crate::request::ApiRequest;

/// What one page holds, and where the next is.
#[derive(Clone, Debug)]
pub struct PageOf<T> {
    /// The items, in the vendor's order.
    pub items: Vec<T>,
    /// Where the next page is.
    pub next: Next,
}

/// Where the next page is, in the vendor's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// There is none.
    End,
    /// Behind a cursor, which goes into the parameter of [`Paging::Cursor`].
    Cursor(String),
    /// The vendor says that there is more; the page number or offset goes on by itself.
    More,
    /// At a URL of the same host. Another host is refused.
    Url(String),
}

/// How a vendor pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Paging {
    /// A cursor from each page goes into this query parameter.
    Cursor(&'static str),
    /// A number in this query parameter, counted from `first`.
    Page {
        /// The query parameter.
        parameter: &'static str,
        /// The number of the first page.
        first: u64,
    },
    /// How many items to skip, in this query parameter.
    Offset(&'static str),
    /// The `Link` header with `rel="next"`.
    LinkHeader,
    /// The body holds the URL of the next page.
    NextUrl,
    /// A cursor that goes into the body or the GraphQL variables at this JSON pointer.
    BodyCursor(&'static str),
}

/// A request whose answer is one page, and how to get the others.
pub struct PagedRequest<W, T> {
    pub(crate) first: ApiRequest<W>,
    pub(crate) paging: Paging,
    pub(crate) split: fn(W) -> Result<PageOf<T>>,
}

impl<W> ApiRequest<W> {
    /// Says how the pages of this listing follow each other.
    ///
    /// `split` takes a decoded page apart. It runs once for each page, and its error ends
    /// the listing.
    pub fn paged<T>(self, paging: Paging, split: fn(W) -> Result<PageOf<T>>) -> PagedRequest<W, T> {
        PagedRequest {
            first: self,
            paging,
            split,
        }
    }
}
