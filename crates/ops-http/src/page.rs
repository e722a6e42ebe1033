//! Listings that come in pages.

use std::collections::{HashSet, VecDeque};
use std::fmt;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::HeaderMap;
use http::header::LINK;
use ops_core::object_store::ItemStream;
use ops_core::{Error, ErrorKind, Result};

use crate::client::ApiClient;
use crate::execute;
use crate::request::ApiRequest;

/// More pages than this are taken for a vendor that goes round in circles.
const DEFAULT_MAX_PAGES: usize = 10_000;

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
    /// A cursor that goes into the body at this JSON pointer, such as `/variables/after`.
    BodyCursor(&'static str),
}

/// A request whose answer is one page, and how to get the others.
pub struct PagedRequest<W, T> {
    first: ApiRequest<W>,
    paging: Paging,
    split: fn(W) -> Result<PageOf<T>>,
    max_pages: usize,
}

impl<W, T> fmt::Debug for PagedRequest<W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagedRequest")
            .field("first", &self.first)
            .field("paging", &self.paging)
            .finish_non_exhaustive()
    }
}

impl<W> ApiRequest<W> {
    /// Says how the pages of this listing follow each other.
    ///
    /// `split` takes a decoded page apart. It runs once for each page, and its error ends
    /// the listing. With [`Paging::LinkHeader`], what it says about the next page is not
    /// looked at.
    pub fn paged<T>(self, paging: Paging, split: fn(W) -> Result<PageOf<T>>) -> PagedRequest<W, T> {
        PagedRequest {
            first: self,
            paging,
            split,
            max_pages: DEFAULT_MAX_PAGES,
        }
    }
}

impl<W, T> PagedRequest<W, T> {
    /// Sets the number of pages beyond which the listing ends with an error. Defaults to
    /// 10 000.
    #[must_use]
    pub fn max_pages(mut self, pages: usize) -> Self {
        self.max_pages = pages;
        self
    }

    /// The request of the first page.
    pub fn first(&self) -> &ApiRequest<W> {
        &self.first
    }
}

/// Where a listing is.
struct Pager<W, T> {
    client: ApiClient,
    request: PagedRequest<W, T>,
    /// What has been read and not handed out.
    items: VecDeque<T>,
    /// The page to ask for; `None` behind the last.
    next: Option<ApiRequest<W>>,
    /// Cursors and URLs that have been followed.
    seen: HashSet<String>,
    pages: usize,
    /// Items of all pages so far.
    listed: u64,
}

/// Lists lazily.
pub(crate) fn pages<W, T>(client: ApiClient, request: PagedRequest<W, T>) -> ItemStream<T>
where
    W: Send + 'static,
    T: Send + 'static,
{
    let next = request.first.again();
    let pager = Pager {
        client,
        request,
        items: VecDeque::new(),
        next,
        seen: HashSet::new(),
        pages: 0,
        listed: 0,
    };
    stream::try_unfold(pager, |mut pager| async move {
        loop {
            if let Some(item) = pager.items.pop_front() {
                return Ok(Some((item, pager)));
            }
            match pager.next.take() {
                Some(next) => pager.turn(next).await?,
                None => return Ok(None),
            }
        }
    })
    .boxed()
}

impl<W, T> Pager<W, T> {
    /// Reads one page, and finds the one behind it.
    async fn turn(&mut self, request: ApiRequest<W>) -> Result<()> {
        let operation = request.operation().id();
        let (page, headers) = execute::execute(&self.client.inner, request).await?;
        let provider = self.client.provider().clone();
        let named = |err: Error| {
            err.with_provider(provider.clone())
                .with_operation(operation)
        };
        let page = (self.request.split)(page).map_err(named)?;
        let items = page.items.len();
        self.pages += 1;
        self.listed += items as u64;
        let next = match self.request.paging {
            Paging::LinkHeader => next_link(&headers).map_or(Next::End, Next::Url),
            _ => page.next,
        };
        let next = self.follow(next, items).map_err(named)?;
        self.items.extend(page.items);
        self.next = next;
        Ok(())
    }

    /// The request of the next page.
    fn follow(&mut self, next: Next, items: usize) -> Result<Option<ApiRequest<W>>> {
        if next == Next::End {
            return Ok(None);
        }
        let max = self.request.max_pages;
        if self.pages >= max {
            return Err(circles(format!("the listing has more than {max} pages")));
        }
        let Some(mut request) = self.request.first.again() else {
            let message = "a listing cannot be asked for by a stream";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        };
        match (self.request.paging, next) {
            (Paging::Cursor(parameter), Next::Cursor(cursor)) => {
                self.remember(&cursor)?;
                request.set_query(parameter, cursor);
            }
            (Paging::BodyCursor(pointer), Next::Cursor(cursor)) => {
                self.remember(&cursor)?;
                request.set_in_body(pointer, &cursor).ok_or_else(|| {
                    let message = format!("the body has no place for a cursor at {pointer}");
                    Error::new(ErrorKind::InvalidInput, message)
                })?;
            }
            (Paging::Page { parameter, first }, Next::More) => {
                request.set_query(parameter, (first + self.pages as u64).to_string());
            }
            (Paging::Offset(_), Next::More) if items == 0 => {
                return Err(circles("a page is empty, and is not the last"));
            }
            (Paging::Offset(parameter), Next::More) => {
                request.set_query(parameter, self.listed.to_string());
            }
            (Paging::LinkHeader | Paging::NextUrl, Next::Url(url)) => {
                self.remember(&url)?;
                request.absolute = Some(self.same_origin(&url)?);
            }
            _ => return Err(circles("there are more pages, but not where")),
        }
        Ok(Some(request))
    }

    /// A place is gone to once.
    fn remember(&mut self, place: &str) -> Result<()> {
        if place.is_empty() {
            return Err(circles("there are more pages, but not where"));
        }
        if self.seen.insert(place.to_owned()) {
            Ok(())
        } else {
            Err(circles("the listing comes back to a page that was read"))
        }
    }

    /// Credentials go to the vendor and nowhere else.
    fn same_origin(&self, url: &str) -> Result<url::Url> {
        let base = &self.client.inner.base.url;
        let url = base
            .join(url)
            .map_err(|_| circles("the next page is at something that is no URL"))?;
        if url.origin() == base.origin() {
            Ok(url)
        } else {
            Err(circles(
                "the next page is at another host, which is not followed",
            ))
        }
    }
}

fn circles(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Decode, message)
}

/// The target of the link with `rel="next"` (RFC 8288). A link that says `results="false"`
/// leads to an empty page.
fn next_link(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(LINK).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    let all = values.join(",");
    // A comma may stand inside of a target, but not a `<`.
    all.split('<').skip(1).find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let is = |name: &str, value: &str| {
            parameters.split(';').any(|parameter| {
                let Some((key, found)) = parameter.split_once('=') else {
                    return false;
                };
                let found = found.trim().trim_end_matches(',').trim().trim_matches('"');
                key.trim().eq_ignore_ascii_case(name)
                    && found.split(' ').any(|it| it.eq_ignore_ascii_case(value))
            })
        };
        (is("rel", "next") && !is("results", "false")).then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn link(value: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, HeaderValue::from_static(value));
        next_link(&headers)
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        assert_eq!(
            link(r#"<https://a/?page=1>; rel="prev", <https://a/?q=x,y&page=3>; rel="next""#),
            Some("https://a/?q=x,y&page=3".to_owned())
        );
        assert_eq!(link("</x?page=2>; rel=next"), Some("/x?page=2".to_owned()));
        assert_eq!(link(r#"<https://a/?page=9>; rel="last""#), None);
        assert_eq!(link("nonsense"), None);
    }

    #[test]
    fn a_link_to_no_results_is_the_end() {
        let more = r#"<https://s/?cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1", <https://s/?cursor=0:100:0>; rel="next"; results="true"; cursor="0:100:0""#;
        assert_eq!(link(more), Some("https://s/?cursor=0:100:0".to_owned()));
        let end = r#"<https://s/?cursor=0:200:0>; rel="next"; results="false"; cursor="0:200:0""#;
        assert_eq!(link(end), None);
    }
}
