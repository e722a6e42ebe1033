//! Listing objects.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object};
use futures_util::stream;
use ops_core::object_store::{ETag, ListOptions, ObjectMeta};
use ops_core::{ItemStream, Result};
use percent_encoding::percent_decode_str;
use tracing::Instrument;

use crate::error::decode;
use crate::get::timestamp;
use crate::operation::Operation;
use crate::store::Shared;

/// Lists objects page by page, as the stream is polled.
pub(crate) fn objects(shared: &Arc<Shared>, options: ListOptions) -> ItemStream<ObjectMeta> {
    let listing = Listing {
        shared: Arc::clone(shared),
        operation: shared.reading("object_store.list"),
        prefix: format!("{}{}", shared.prefix, options.prefix),
        start_after: options.start_after.map(|key| shared.full_key(&key)),
        continuation: None,
        last: None,
        page: VecDeque::new(),
        ended: false,
    };
    Box::pin(stream::try_unfold(listing, |mut listing| async move {
        let next = listing.next().await;
        next.map(|item| item.map(|item| (item, listing)))
    }))
}

struct Listing {
    shared: Arc<Shared>,
    operation: Operation,
    prefix: String,
    start_after: Option<String>,
    continuation: Option<String>,
    /// The key that was listed last: keys only ever grow.
    last: Option<String>,
    page: VecDeque<ObjectMeta>,
    ended: bool,
}

impl Listing {
    async fn next(&mut self) -> Result<Option<ObjectMeta>> {
        while self.page.is_empty() && !self.ended {
            let span = self.operation.span();
            let turned = self.turn().instrument(span).await;
            turned.map_err(|err| self.operation.decorate(err))?;
        }
        Ok(self.page.pop_front())
    }

    async fn turn(&mut self) -> Result<()> {
        let encoding = self.shared.profile.encodes_listings;
        let request = self
            .shared
            .client
            .list_objects_v2()
            .bucket(&self.shared.bucket)
            .prefix(&self.prefix)
            .set_encoding_type(encoding.then_some(EncodingType::Url))
            .set_start_after(self.start_after.clone())
            .set_continuation_token(self.continuation.clone());
        let shared = Arc::clone(&self.shared);
        let list = shared.call(&self.operation, request.send());
        let (answer, _) = list.await?;
        self.take(&answer)
    }

    fn take(&mut self, answer: &ListObjectsV2Output) -> Result<()> {
        let encoded = self.shared.profile.encodes_listings
            && answer.encoding_type() == Some(&EncodingType::Url);
        for object in answer.contents() {
            let key = object.key().unwrap_or_default();
            let key = if encoded {
                decode_key(key)?
            } else {
                key.into()
            };
            if self.last.as_deref().is_some_and(|last| last >= &*key) {
                return Err(decode(
                    "a listed `Key` is not in the order of the bytes of keys",
                ));
            }
            self.page.push_back(meta(&self.shared, &key, object)?);
            self.last = Some(key.into_owned());
        }
        let next = answer.next_continuation_token();
        match (answer.is_truncated() == Some(true), next) {
            (false, _) => self.ended = true,
            (true, None) => {
                return Err(decode(
                    "the listing goes on and lacks `NextContinuationToken`",
                ));
            }
            (true, Some(next)) if self.continuation.as_deref() == Some(next) => {
                return Err(decode(
                    "the listing does not move on: `NextContinuationToken` is that of before",
                ));
            }
            (true, Some(next)) => self.continuation = Some(next.to_owned()),
        }
        Ok(())
    }
}

/// Undoes `encoding-type=url`, in which a space may be a `+`.
pub(crate) fn decode_key(key: &str) -> Result<Cow<'_, str>> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    match decoded {
        Ok(decoded) => Ok(Cow::Owned(decoded.into_owned())),
        Err(source) => Err(decode("a listed `Key` is not UTF-8").with_source(source)),
    }
}

fn meta(shared: &Shared, key: &str, object: &Object) -> Result<ObjectMeta> {
    let size = object.size().and_then(|size| u64::try_from(size).ok());
    let size = size.ok_or_else(|| decode("a listed object lacks its `Size`"))?;
    let written = timestamp(object.last_modified())?;
    let mut meta = ObjectMeta::new(shared.own_key(key)?, size, written);
    meta.etag = object.e_tag().map(ETag::new);
    Ok(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_key_is_decoded_once() {
        for (sent, key) in [
            ("a%20b", "a b"),
            ("a+b", "a b"),
            ("a%2Bb", "a+b"),
            ("a%2520b", "a%20b"),
            ("%E6%97%A5%0A", "日\n"),
        ] {
            assert_eq!(decode_key(sent).unwrap(), key);
        }
        assert!(decode_key("%ff").is_err());
    }
}
