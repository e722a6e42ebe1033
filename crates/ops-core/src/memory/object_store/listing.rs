//! Listings, page by page.

use std::collections::VecDeque;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::Shared;
use crate::error::Result;
use crate::object_store::{ListOptions, ObjectKey, ObjectMeta, ObjectVersion};

const PAGE: usize = 1000;

/// A listing that reads the next page when the last one has been taken, as a vendor's does:
/// what is written meanwhile behind the cursor is seen, what is written before it is not.
pub(super) struct Listing {
    shared: Arc<Shared>,
    options: ListOptions,
    page: VecDeque<ObjectMeta>,
    is_done: bool,
}

impl Listing {
    pub(super) fn new(shared: Arc<Shared>, options: ListOptions) -> Self {
        Self {
            shared,
            options,
            page: VecDeque::new(),
            is_done: false,
        }
    }

    fn read_page(&mut self) -> Result<()> {
        let Self {
            shared, options, ..
        } = self;
        let page: VecDeque<ObjectMeta> = shared.with("object_store.list", |state| {
            let live = state
                .range(&options.prefix, options.start_after.as_ref())
                .filter_map(|(_, versions)| versions.last()?.live());
            Ok(live.take(PAGE).map(|(meta, _)| meta.clone()).collect())
        })?;
        self.is_done = page.len() < PAGE;
        self.options.start_after = page.back().map(|meta| meta.key.clone());
        self.page = page;
        Ok(())
    }
}

impl Stream for Listing {
    type Item = Result<ObjectMeta>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.page.is_empty()
            && !self.is_done
            && let Err(err) = self.read_page()
        {
            self.is_done = true;
            return Poll::Ready(Some(Err(err)));
        }
        Poll::Ready(self.page.pop_front().map(Ok))
    }
}

/// A listing of versions, one key at a time.
pub(super) struct VersionListing {
    shared: Arc<Shared>,
    prefix: String,
    after: Option<ObjectKey>,
    page: VecDeque<ObjectVersion>,
    is_done: bool,
}

impl VersionListing {
    pub(super) fn new(shared: Arc<Shared>, prefix: String) -> Self {
        Self {
            shared,
            prefix,
            after: None,
            page: VecDeque::new(),
            is_done: false,
        }
    }

    fn read_page(&mut self) -> Result<()> {
        let Self {
            shared,
            prefix,
            after,
            ..
        } = self;
        let next = shared.with("object_store.list_versions", |state| {
            Ok(state
                .range(prefix, after.as_ref())
                .next()
                .map(|(key, versions)| {
                    let latest = versions.len() - 1;
                    let newest_first = versions.iter().enumerate().rev();
                    let page =
                        newest_first.map(|(index, version)| version.describe(index == latest));
                    (key.clone(), page.collect())
                }))
        })?;
        match next {
            Some((key, page)) => {
                self.after = Some(key);
                self.page = page;
            }
            None => self.is_done = true,
        }
        Ok(())
    }
}

impl Stream for VersionListing {
    type Item = Result<ObjectVersion>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.page.is_empty()
            && !self.is_done
            && let Err(err) = self.read_page()
        {
            self.is_done = true;
            return Poll::Ready(Some(Err(err)));
        }
        Poll::Ready(self.page.pop_front().map(Ok))
    }
}

/// Where a listing begins: at the prefix, or after the cursor where that is later.
pub(super) fn start<'a>(prefix: &'a str, after: Option<&'a ObjectKey>) -> Bound<&'a str> {
    match after {
        Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
        _ => Bound::Included(prefix),
    }
}
