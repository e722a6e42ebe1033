//! Lists of uploads and of their parts.

use std::collections::BTreeMap;

use s3s::dto::{
    Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
    ListPartsOutput, MultipartUpload, Part,
};
use s3s::{S3Response, S3Result};

use super::{OWNER, Shown, limit, owner, page};
use crate::s3::fake::Backend;
use crate::s3::fake::multipart::algorithm;
use crate::s3::fake::payload::{hex, set_checksums};
use crate::s3::fake::store::{Upload, etag, size, timestamp};

impl Backend {
    pub(in crate::s3::fake) fn list_uploads(
        &self,
        input: ListMultipartUploadsInput,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let store = self.store();
        let bucket = store.bucket(&input.bucket)?;
        let max = limit(input.max_uploads)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut sorted: BTreeMap<String, (&String, &Upload)> = BTreeMap::new();
        for (id, upload) in &bucket.uploads {
            sorted.insert(format!("{}\0{id}", upload.key), (id, upload));
        }
        let after = match (&input.key_marker, &input.upload_id_marker) {
            (Some(key), Some(id)) if !id.is_empty() => format!("{key}\0{id}"),
            (Some(key), _) if !key.is_empty() => format!("{key}\0\u{10FFFF}"),
            _ => String::new(),
        };
        let page = page(
            sorted.into_iter(),
            &prefix,
            input.delimiter.as_deref(),
            &after,
            max,
        );
        let shown = Shown::new(input.encoding_type.as_ref());
        let show = |(id, upload): &(&String, &Upload)| MultipartUpload {
            key: Some(shown.key(&upload.key)),
            upload_id: Some((*id).clone()),
            initiated: Some(timestamp(upload.initiated)),
            checksum_algorithm: algorithm(upload),
            checksum_type: upload.checksum_type.clone(),
            owner: Some(owner()),
            initiator: Some(initiator()),
            storage_class: upload.attributes.storage_class.clone(),
        };
        let next = page
            .next
            .as_deref()
            .map(|next| match next.split_once('\0') {
                Some((key, id)) => (key.to_owned(), id.to_owned()),
                None => (next.to_owned(), String::new()),
            });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(shown.key(&prefix)),
            max_uploads: Some(max),
            key_marker: Some(input.key_marker.unwrap_or_default()),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            is_truncated: Some(next.is_some()),
            next_key_marker: next.as_ref().map(|(key, _)| shown.key(key)),
            next_upload_id_marker: next.map(|(_, id)| id),
            uploads: Some(page.items.iter().map(show).collect()),
            common_prefixes: shown.prefixes(&page.prefixes),
            delimiter: input.delimiter.as_deref().map(|it| shown.key(it)),
            encoding_type: input.encoding_type,
            ..ListMultipartUploadsOutput::default()
        }))
    }

    pub(in crate::s3::fake) fn list_parts(
        &self,
        input: ListPartsInput,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let store = self.store();
        let bucket = store.bucket(&input.bucket)?;
        let upload = bucket.upload(&input.upload_id, &input.key)?;
        let max = limit(input.max_parts)?;
        let marker = input.part_number_marker.unwrap_or_default();
        let after: Vec<_> = upload.parts.range(marker.saturating_add(1)..).collect();
        let count = usize::try_from(max).unwrap_or_default().min(after.len());
        let returns = self.behavior().returns_checksums;
        let parts: Vec<_> = after
            .iter()
            .take(count)
            .map(|(number, part)| {
                let mut listed = Part {
                    part_number: Some(**number),
                    e_tag: Some(etag(&hex(&part.md5))),
                    size: Some(size(part.data.len() as u64)),
                    last_modified: Some(timestamp(part.modified)),
                    ..Part::default()
                };
                if returns {
                    set_checksums!(listed, &part.checksum);
                }
                listed
            })
            .collect();
        let truncated = count < after.len();
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: Some(max),
            part_number_marker: Some(marker),
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            is_truncated: Some(truncated),
            parts: Some(parts),
            checksum_algorithm: algorithm(upload),
            checksum_type: upload.checksum_type.clone(),
            owner: Some(owner()),
            initiator: Some(initiator()),
            storage_class: upload.attributes.storage_class.clone(),
            ..ListPartsOutput::default()
        }))
    }
}

fn initiator() -> Initiator {
    Initiator {
        display_name: Some(OWNER.to_owned()),
        id: Some(OWNER.to_owned()),
    }
}
