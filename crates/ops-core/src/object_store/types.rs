//! Keys, conditions, checksums, and what a store knows of an object.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::{ByteStream, Checksum};
use crate::error::{Error, ErrorKind, Result};
use crate::macros::setters;
use crate::time::Timestamp;

/// The name of an object in its store.
///
/// Between 1 and 1024 bytes of UTF-8 without NUL, as in S3. `/` separates nothing by
/// itself, but tools show it as a folder. A provider may refuse more: `local` refuses
/// what would leave its folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Checks and wraps a key.
    ///
    /// # Errors
    /// `InvalidInput` where the key is empty, longer than 1024 bytes or holds NUL.
    pub fn new(key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        let problem = if key.is_empty() {
            "is empty"
        } else if key.len() > 1024 {
            "is longer than 1024 bytes"
        } else if key.contains('\0') {
            "contains NUL"
        } else {
            return Ok(Self(key));
        };
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the object key {problem}"),
        ))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ObjectKey {
    type Err = Error;

    fn from_str(key: &str) -> Result<Self> {
        Self::new(key)
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = Error;

    fn try_from(key: String) -> Result<Self> {
        Self::new(key)
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.0
    }
}

/// The version of an object's content, opaque, compared as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct ETag(String);

impl ETag {
    /// Wraps what the store sent, without surrounding quotes.
    pub fn new(etag: impl Into<String>) -> Self {
        let mut etag = etag.into();
        if etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"') {
            etag.pop();
            etag.remove(0);
        }
        Self(etag)
    }

    /// The value without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// When a write may happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutCondition {
    /// Always: the object is made or replaced.
    #[default]
    Always,
    /// Only where no object has this key (`If-None-Match: *`). Of N racing writers one wins.
    IfNoneMatch,
    /// Only where the object still has this version (`If-Match`). An object that is gone
    /// has another one.
    IfMatch(ETag),
}

/// How to write an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PutOptions {
    /// When the write may happen. Defaults to always.
    pub condition: PutCondition,
    /// What the content must hash to; the write fails with `Integrity` where it does not.
    pub checksum: Option<Checksum>,
    /// The media type to store, where the store keeps one.
    pub content_type: Option<String>,
}

impl PutOptions {
    /// Writes only where no object has this key.
    #[must_use]
    pub fn if_none_match() -> Self {
        Self {
            condition: PutCondition::IfNoneMatch,
            ..Self::default()
        }
    }

    /// Writes only where the object still has this version.
    #[must_use]
    pub fn if_match(etag: ETag) -> Self {
        Self {
            condition: PutCondition::IfMatch(etag),
            ..Self::default()
        }
    }

    /// Sets what the content must hash to.
    #[must_use]
    pub fn with_checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }
}

/// Which bytes of an object to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From `offset`, at most `length` bytes.
    Bounded {
        /// The first byte.
        offset: u64,
        /// How many bytes; at least 1.
        length: u64,
    },
    /// From `offset` to the end.
    From(u64),
    /// The last so many bytes.
    Suffix(u64),
}

impl ByteRange {
    /// The bytes that it means in an object of a certain size: first and one past the last.
    ///
    /// ```
    /// use ops_core::object_store::ByteRange;
    ///
    /// assert_eq!(ByteRange::Bounded { offset: 2, length: 100 }.resolve(10)?, 2..10);
    /// assert_eq!(ByteRange::Suffix(3).resolve(10)?, 7..10);
    /// assert!(ByteRange::From(10).resolve(10).is_err());
    /// # Ok::<(), ops_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` where the range starts at or after the end, or is empty.
    pub fn resolve(self, size_bytes: u64) -> Result<Range<u64>> {
        let range = match self {
            Self::Bounded { offset, length } => {
                offset..offset.saturating_add(length).min(size_bytes)
            }
            Self::From(offset) => offset..size_bytes,
            Self::Suffix(length) => size_bytes.saturating_sub(length)..size_bytes,
        };
        if range.is_empty() {
            let message = format!("the range holds nothing of {size_bytes} bytes");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(range)
    }
}

/// How to read an object.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GetOptions {
    /// Which bytes. Defaults to all.
    pub range: Option<ByteRange>,
    /// Fails with `Conflict` where the object has another version.
    pub if_match: Option<ETag>,
}

impl GetOptions {
    /// Reads a range.
    #[must_use]
    pub fn range(range: ByteRange) -> Self {
        Self {
            range: Some(range),
            ..Self::default()
        }
    }

    /// Reads only this version.
    #[must_use]
    pub fn with_if_match(mut self, etag: ETag) -> Self {
        self.if_match = Some(etag);
        self
    }
}

/// What a store knows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ObjectMeta {
    /// The key.
    pub key: ObjectKey,
    /// The size of the whole object.
    pub size_bytes: u64,
    /// The version, where the store has one.
    pub etag: Option<ETag>,
    /// When this version was written, by the store's clock.
    pub last_modified: Timestamp,
    /// The checksum that the store keeps over the whole object, where it keeps one.
    pub checksum: Option<Checksum>,
    /// The media type, where the store keeps one.
    pub content_type: Option<String>,
}

impl ObjectMeta {
    /// What is known of every object.
    #[must_use]
    pub fn new(key: ObjectKey, size_bytes: u64, last_modified: Timestamp) -> Self {
        Self {
            key,
            size_bytes,
            etag: None,
            last_modified,
            checksum: None,
            content_type: None,
        }
    }

    /// Sets the version.
    #[must_use]
    pub fn with_etag(mut self, etag: ETag) -> Self {
        self.etag = Some(etag);
        self
    }

    /// Sets the checksum.
    #[must_use]
    pub fn with_checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }
}

/// An object that is being read.
#[non_exhaustive]
pub struct GetResult {
    /// What the store knows of the whole object.
    pub meta: ObjectMeta,
    /// The bytes that are sent: first and one past the last.
    pub range: Range<u64>,
    /// The bytes. Ends with `Integrity` where the content is not what was written.
    pub body: ByteStream,
}

impl GetResult {
    /// An answer to a read.
    #[must_use]
    pub fn new(meta: ObjectMeta, range: Range<u64>, body: ByteStream) -> Self {
        Self { meta, range, body }
    }
}

impl fmt::Debug for GetResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetResult")
            .field("meta", &self.meta)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// Which objects to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListOptions {
    /// Only keys that start with this text. Defaults to all.
    pub prefix: String,
    /// Only keys that sort after this one.
    pub start_after: Option<ObjectKey>,
}

impl ListOptions {
    /// Keys that start with a text.
    #[must_use]
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            start_after: None,
        }
    }

    /// Keys that sort after this one.
    #[must_use]
    pub fn with_start_after(mut self, key: ObjectKey) -> Self {
        self.start_after = Some(key);
        self
    }
}

/// What a store can carry. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectStoreLimits {
    /// The largest object, in bytes.
    pub max_object_bytes: Option<u64>,
    /// The most parts of one upload.
    pub max_parts: Option<u32>,
    /// The smallest part of an upload other than the last, in bytes.
    pub min_part_bytes: Option<u64>,
    /// The most keys of one `delete_many` request.
    pub max_delete_keys: Option<u32>,
}

setters! { ObjectStoreLimits {
    opt {
        with_max_object_bytes(max_object_bytes: u64),
        with_max_parts(max_parts: u32),
        with_min_part_bytes(min_part_bytes: u64),
        with_max_delete_keys(max_delete_keys: u32),
    }
} }

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_checked_as_s3_checks_them() {
        let long = "x".repeat(1025);
        for (key, message) in [
            ("", "the object key is empty"),
            ("a\0b", "the object key contains NUL"),
            (long.as_str(), "the object key is longer than 1024 bytes"),
        ] {
            assert_eq!(ObjectKey::new(key).unwrap_err().message(), message);
        }
        for key in ["/", "a//b", "../x", " ", "日本/🦀", "a\nb"] {
            assert_eq!(ObjectKey::new(key).unwrap().as_str(), key);
        }
    }

    #[test]
    fn quotes_of_an_etag_are_not_part_of_it() {
        let cases = [
            ("\"abc\"", "abc"),
            ("abc", "abc"),
            ("\"", "\""),
            ("\"\"", ""),
            ("W/\"a\"", "W/\"a\""),
        ];
        for (sent, kept) in cases {
            assert_eq!(ETag::new(sent).as_str(), kept);
        }
    }

    #[test]
    fn nothing_of_an_empty_object_is_in_any_range() {
        for range in [
            ByteRange::From(0),
            ByteRange::Suffix(1),
            ByteRange::Bounded {
                offset: 0,
                length: 1,
            },
        ] {
            assert_eq!(
                range.resolve(0).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
        assert!(ByteRange::Suffix(0).resolve(5).is_err());
        assert!(
            ByteRange::Bounded {
                offset: 0,
                length: 0
            }
            .resolve(5)
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn a_range_lies_inside_the_object(offset: u64, length: u64, size: u64) {
            let ranges = [
                ByteRange::Bounded { offset, length },
                ByteRange::From(offset),
                ByteRange::Suffix(length),
            ];
            for range in ranges {
                if let Ok(resolved) = range.resolve(size) {
                    prop_assert!(resolved.start < resolved.end && resolved.end <= size);
                }
            }
        }
    }
}
