//! What a fault makes of what is read and listed.

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_core::object_store::{
    ByteRange, GetOptions, GetResult, ListOptions, ObjectKey, ObjectMeta,
};
use ops_core::{Error, ErrorKind, ObjectStore, Result};

use super::{Sabotaged, once};
use crate::saboteur::wrong;

impl Sabotaged {
    pub(super) async fn whole(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        let mut object = match self.memory().get(key, options).await {
            Err(err) if self.is("O-008") && err.is_not_found() => return wrong(),
            object => object?,
        };
        if self.is("O-012") && object.meta.size_bytes > 200_000 {
            let (_, data) = self.peek(key).await?;
            let (this, key) = (self.clone(), key.clone());
            let half = data.len() / 2;
            let later = async move { Ok(this.peek(&key).await?.1.slice(half..)) };
            object.body = Box::pin(once(data.slice(..half)).chain(stream::once(later)));
        }
        Ok(object)
    }

    pub(super) async fn ranged(&self, key: &ObjectKey, range: ByteRange) -> Result<GetResult> {
        let (meta, data) = self.peek(key).await?;
        let size = meta.size_bytes;
        let (mut range, is_large) = (range, size > 350_000);
        match &mut range {
            ByteRange::Bounded { length, .. } if self.is("O-020") && *length > 0 && !is_large => {
                *length = length.saturating_add(1);
            }
            ByteRange::Bounded { offset, length }
                if self.is("O-021") && offset.saturating_add(*length) > size =>
            {
                return Err(Error::new(ErrorKind::InvalidInput, "sabotaged"));
            }
            ByteRange::Bounded { offset, .. } if self.is("O-028") && is_large => *offset += 1,
            ByteRange::From(offset) if self.is("O-022") => *offset = offset.saturating_add(1),
            ByteRange::Suffix(length) if self.is("O-024") && *length > size => {
                return Err(Error::new(ErrorKind::InvalidInput, "sabotaged"));
            }
            _ => {}
        }
        let mut object = match self.memory().get(key, GetOptions::range(range)).await {
            Err(_) if self.is("O-025") => {
                return Ok(GetResult::new(meta, 0..0, Box::pin(stream::empty())));
            }
            object => object?,
        };
        match range {
            ByteRange::Suffix(length) if self.is("O-023") && length < size => {
                object.body = once(data.slice(..usize::try_from(length).unwrap()));
            }
            _ => {}
        }
        if self.is("O-027") {
            object.meta.size_bytes = object.range.end - object.range.start;
        }
        if self.is("O-026") {
            object.range = 0..object.range.end - object.range.start;
        }
        Ok(object)
    }

    pub(super) async fn listed(&self, options: ListOptions) -> Vec<Result<ObjectMeta>> {
        let (mut options, asked) = (options.clone(), options);
        let folder = asked
            .prefix
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let has_name = !asked.prefix.ends_with('/');
        if self.is("O-061") {
            options.prefix = format!("{folder}/");
        }
        if (self.is("O-062") && !has_name) || (self.is("O-063") && has_name) {
            options.start_after = None;
        }
        if self.is("O-068") {
            options.prefix = asked
                .prefix
                .split('?')
                .next()
                .unwrap_or_default()
                .to_owned();
        }
        let listed = self.memory().list(options).try_collect().await;
        let mut listed: Vec<ObjectMeta> = listed.unwrap();
        if self.is("O-061") {
            let prefix = asked.prefix.to_lowercase();
            listed.retain(|meta| meta.key.as_str().to_lowercase().starts_with(&prefix));
        }
        if self.is("O-062") && !has_name {
            listed.retain(|meta| {
                asked
                    .start_after
                    .as_ref()
                    .is_none_or(|after| meta.key >= *after)
            });
        }
        if self.is("O-060") {
            listed.reverse();
        }
        if self.is("O-064") && listed.is_empty() {
            return vec![Err(Error::not_found(asked.prefix))];
        }
        if self.is("O-065") {
            listed.truncate(50);
        }
        if self.is("O-072") {
            let deleted = self.notes().deleted.clone();
            listed.extend(deleted.into_values().map(|(meta, _)| meta));
        }
        for meta in &mut listed {
            if self.is("O-066") {
                meta.size_bytes = 0;
            }
            if self.is("O-067") {
                meta.etag = None;
            }
        }
        listed.into_iter().map(Ok).collect()
    }
}
