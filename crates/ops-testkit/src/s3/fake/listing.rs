//! Lists: keys, versions, uploads, parts.

mod uploads;

use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, DeleteMarkerEntry, EncodingType, ListObjectVersionsInput,
    ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object as ListedObject, ObjectStorageClass, ObjectVersion,
    ObjectVersionStorageClass, Owner,
};
use s3s::{S3Response, S3Result, s3_error};

use super::Backend;
use super::payload::{self, hex};
use super::request::encoded;
use super::store::{Bucket, Object, Version, etag, size, timestamp};

const OWNER: &str = "ops-testkit";
const PAGE: i32 = 1000;

/// What is listed between prefix and delimiter.
enum Entry<T> {
    Item(T),
    Prefix(String),
}

/// One page of a list.
struct Page<T> {
    items: Vec<T>,
    prefixes: Vec<String>,
    /// The key or prefix after which the next page begins.
    next: Option<String>,
}

/// Cuts a page out of sorted keys.
fn page<T>(
    keys: impl Iterator<Item = (String, T)>,
    prefix: &str,
    delimiter: Option<&str>,
    after: &str,
    max: i32,
) -> Page<T> {
    let max = usize::try_from(max).unwrap_or_default();
    let mut page = Page {
        items: Vec::new(),
        prefixes: Vec::new(),
        next: None,
    };
    let mut last = String::new();
    for (key, item) in keys {
        let Some(rest) = key.strip_prefix(prefix) else {
            continue;
        };
        let folder = delimiter
            .filter(|delimiter| !delimiter.is_empty())
            .and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()))
            .and_then(|len| key.get(..prefix.len() + len));
        let entry = match folder {
            Some(folder) if page.prefixes.last().is_some_and(|known| known == folder) => continue,
            // The last page may have ended with a prefix: all below it was seen.
            Some(folder) if folder == after => continue,
            _ if !after.is_empty() && key.as_str() <= after => continue,
            Some(folder) => Entry::Prefix(folder.to_owned()),
            None => Entry::Item(item),
        };
        if page.items.len() + page.prefixes.len() == max {
            page.next = (max > 0).then_some(last);
            return page;
        }
        match entry {
            Entry::Item(item) => {
                last = key;
                page.items.push(item);
            }
            Entry::Prefix(folder) => {
                last.clone_from(&folder);
                page.prefixes.push(folder);
            }
        }
    }
    page
}

/// Keys as a list shows them, percent-encoded where the client asks for it.
#[derive(Clone, Copy)]
struct Shown(bool);

impl Shown {
    fn new(encoding: Option<&EncodingType>) -> Self {
        Self(encoding.is_some_and(|it| it.as_str() == EncodingType::URL))
    }

    fn key(self, key: &str) -> String {
        if self.0 { encoded(key) } else { key.to_owned() }
    }

    fn prefixes(self, prefixes: &[String]) -> Option<Vec<CommonPrefix>> {
        let show = |prefix: &String| CommonPrefix {
            prefix: Some(self.key(prefix)),
        };
        (!prefixes.is_empty()).then(|| prefixes.iter().map(show).collect())
    }
}

fn limit(max: Option<i32>) -> S3Result<i32> {
    match max {
        Some(negative) if negative < 0 => Err(s3_error!(
            InvalidArgument,
            "Argument maxKeys must be an integer between 0 and 2147483647"
        )),
        max => Ok(max.unwrap_or(PAGE).min(PAGE)),
    }
}

fn objects(bucket: &Bucket) -> impl Iterator<Item = (String, (&Version, &Object))> {
    bucket
        .objects
        .keys()
        .filter_map(|key| Some((key.clone(), bucket.current(key)?)))
}

fn owner() -> Owner {
    Owner {
        display_name: Some(OWNER.to_owned()),
        id: Some(OWNER.to_owned()),
    }
}

fn listed(key: String, version: &Version, object: &Object, with_owner: bool) -> ListedObject {
    let class = object.attributes.storage_class.as_ref();
    ListedObject {
        key: Some(key),
        e_tag: Some(etag(&object.etag)),
        size: Some(size(object.data.len())),
        last_modified: Some(timestamp(version.modified)),
        storage_class: Some(class.map_or_else(
            || ObjectStorageClass::from_static(ObjectStorageClass::STANDARD),
            |class| ObjectStorageClass::from(class.as_str().to_owned()),
        )),
        checksum_algorithm: algorithms(object),
        checksum_type: object.checksum.checksum_type.clone(),
        owner: with_owner.then(owner),
        ..ListedObject::default()
    }
}

fn algorithms(object: &Object) -> Option<Vec<ChecksumAlgorithm>> {
    let algorithm = payload::algorithm(&object.checksum)?;
    Some(vec![ChecksumAlgorithm::from_static(algorithm)])
}

/// Tokens are opaque: a client that takes one for a key is found out.
fn token(key: &str) -> String {
    format!("t{}", hex(key.as_bytes()))
}

fn from_token(token: &str) -> S3Result<String> {
    let invalid = || {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    };
    let digits = token.strip_prefix('t').ok_or_else(invalid)?;
    let bytes = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(invalid)
}

impl Backend {
    pub(super) fn list_v2(
        &self,
        input: ListObjectsV2Input,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let store = self.store();
        let bucket = store.bucket(&input.bucket)?;
        let max = limit(input.max_keys)?;
        let after = match &input.continuation_token {
            Some(token) => from_token(token)?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let prefix = input.prefix.clone().unwrap_or_default();
        let keys = objects(bucket).map(|(key, found)| (key.clone(), (key, found)));
        let page = page(keys, &prefix, input.delimiter.as_deref(), &after, max);
        let shown = Shown::new(input.encoding_type.as_ref());
        let with_owner = input.fetch_owner.unwrap_or_default();
        let contents: Vec<_> = page
            .items
            .iter()
            .map(|(key, (version, object))| listed(shown.key(key), version, object, with_owner))
            .collect();
        let count = contents.len() + page.prefixes.len();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(shown.key(&prefix)),
            max_keys: Some(max),
            key_count: Some(i32::try_from(count).unwrap_or(i32::MAX)),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.as_deref().map(token),
            contents: (!contents.is_empty()).then_some(contents),
            common_prefixes: shown.prefixes(&page.prefixes),
            delimiter: input.delimiter.as_deref().map(|it| shown.key(it)),
            encoding_type: input.encoding_type,
            start_after: input.start_after.as_deref().map(|it| shown.key(it)),
            ..ListObjectsV2Output::default()
        }))
    }

    pub(super) fn list_v1(
        &self,
        input: ListObjectsInput,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let store = self.store();
        let bucket = store.bucket(&input.bucket)?;
        let max = limit(input.max_keys)?;
        let after = input.marker.clone().unwrap_or_default();
        let prefix = input.prefix.clone().unwrap_or_default();
        let keys = objects(bucket).map(|(key, found)| (key.clone(), (key, found)));
        let page = page(keys, &prefix, input.delimiter.as_deref(), &after, max);
        let shown = Shown::new(input.encoding_type.as_ref());
        let contents: Vec<_> = page
            .items
            .iter()
            .map(|(key, (version, object))| listed(shown.key(key), version, object, true))
            .collect();
        // Only with a delimiter is the next marker told: else it is the last key.
        let next = page.next.as_deref().filter(|_| input.delimiter.is_some());
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(shown.key(&prefix)),
            marker: Some(shown.key(&after)),
            max_keys: Some(max),
            is_truncated: Some(page.next.is_some()),
            next_marker: next.map(|it| shown.key(it)),
            contents: (!contents.is_empty()).then_some(contents),
            common_prefixes: shown.prefixes(&page.prefixes),
            delimiter: input.delimiter.as_deref().map(|it| shown.key(it)),
            encoding_type: input.encoding_type,
            ..ListObjectsOutput::default()
        }))
    }

    pub(super) fn list_versions(
        &self,
        input: ListObjectVersionsInput,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let store = self.store();
        let bucket = store.bucket(&input.bucket)?;
        let max = limit(input.max_keys)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = version_marker(bucket, &input);
        let keys = ordered_versions(bucket);
        let page = page(keys, &prefix, input.delimiter.as_deref(), &after, max);
        let shown = Shown::new(input.encoding_type.as_ref());
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        for (key, version, latest) in &page.items {
            match &version.object {
                Some(object) => {
                    versions.push(listed_version(shown.key(key), version, object, *latest));
                }
                None => markers.push(DeleteMarkerEntry {
                    key: Some(shown.key(key)),
                    version_id: Some(version.id.clone()),
                    is_latest: Some(*latest),
                    last_modified: Some(timestamp(version.modified)),
                    owner: Some(owner()),
                }),
            }
        }
        let next = page.next.as_deref().map(|next| split_marker(bucket, next));
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(shown.key(&prefix)),
            max_keys: Some(max),
            key_marker: Some(
                input
                    .key_marker
                    .as_deref()
                    .map(|it| shown.key(it))
                    .unwrap_or_default(),
            ),
            version_id_marker: input.version_id_marker,
            is_truncated: Some(next.is_some()),
            next_key_marker: next.as_ref().map(|(key, _)| shown.key(key)),
            next_version_id_marker: next.and_then(|(_, id)| id),
            versions: (!versions.is_empty()).then_some(versions),
            delete_markers: (!markers.is_empty()).then_some(markers),
            common_prefixes: shown.prefixes(&page.prefixes),
            delimiter: input.delimiter.as_deref().map(|it| shown.key(it)),
            encoding_type: input.encoding_type,
            ..ListObjectVersionsOutput::default()
        }))
    }
}

fn listed_version(key: String, version: &Version, object: &Object, latest: bool) -> ObjectVersion {
    ObjectVersion {
        key: Some(key),
        version_id: Some(version.id.clone()),
        is_latest: Some(latest),
        e_tag: Some(etag(&object.etag)),
        size: Some(size(object.data.len())),
        last_modified: Some(timestamp(version.modified)),
        storage_class: Some(ObjectVersionStorageClass::from_static(
            ObjectVersionStorageClass::STANDARD,
        )),
        checksum_algorithm: algorithms(object),
        checksum_type: object.checksum.checksum_type.clone(),
        owner: Some(owner()),
        ..ObjectVersion::default()
    }
}

/// Versions in the order of lists: by key, and the newest of a key first.
fn ordered_versions(bucket: &Bucket) -> impl Iterator<Item = (String, (&String, &Version, bool))> {
    bucket.objects.iter().flat_map(|(key, versions)| {
        let newest_first = versions.iter().rev().enumerate();
        newest_first.map(move |(at, version)| (sort_key(key, at), (key, version, at == 0)))
    })
}

/// Sorts by key, then by age. No key holds a NUL that comes from a client.
fn sort_key(key: &str, age: usize) -> String {
    format!("{key}\0{age:08}")
}

fn version_marker(bucket: &Bucket, input: &ListObjectVersionsInput) -> String {
    let Some(key) = input.key_marker.as_deref().filter(|it| !it.is_empty()) else {
        return String::new();
    };
    let versions = bucket.objects.get(key);
    let age = input.version_id_marker.as_deref().and_then(|id| {
        let newest_first = versions?.iter().rev();
        newest_first.enumerate().find(|(_, it)| it.id == id)
    });
    match age {
        Some((age, _)) => sort_key(key, age),
        // Without an id, all versions of the key were seen; a prefix stands for itself.
        None if versions.is_some() => format!("{key}\0\u{10FFFF}"),
        None => key.to_owned(),
    }
}

fn split_marker(bucket: &Bucket, marker: &str) -> (String, Option<String>) {
    let Some((key, age)) = marker.split_once('\0') else {
        return (marker.to_owned(), None);
    };
    let age: usize = age.parse().unwrap_or_default();
    let versions = bucket.objects.get(key).map(Vec::as_slice);
    let id = versions.unwrap_or_default().iter().rev().nth(age);
    (key.to_owned(), id.map(|version| version.id.clone()))
}
