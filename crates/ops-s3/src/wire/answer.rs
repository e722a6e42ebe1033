//! What is answered.

use std::fmt;

use aws_sdk_s3::error::{ErrorMetadata, ProvideErrorMetadata};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::interceptors::context::{Error as AnyError, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_xml::decode::{Document, XmlDecodeError, try_data};
use ops_core::object_store::{Checksum, ETag, ObjectMeta};
use ops_core::{ObjectKey, Result, Timestamp};

use super::request::WRITE_ID_HEADER;
use crate::digest;
use crate::error::decode;

/// A success. Only what is asked for is looked at.
#[derive(Debug)]
pub(crate) struct WireAnswer {
    headers: Headers,
    body: SdkBody,
}

impl WireAnswer {
    fn header(&self, name: &'static str) -> Option<&str> {
        self.headers.get(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn etag(&self) -> Option<ETag> {
        self.header("etag").map(ETag::new)
    }

    /// The checksum of what the store took, of the kinds that are sent.
    pub(crate) fn taken(&self) -> Option<Checksum> {
        digest::of_headers(
            self.header("x-amz-checksum-crc32c"),
            None,
            self.header("x-amz-checksum-sha256"),
        )
    }

    /// The checksum that the store keeps over the whole object.
    pub(crate) fn checksum(&self) -> Option<Checksum> {
        digest::of_headers(
            self.header("x-amz-checksum-crc32c"),
            self.header("x-amz-checksum-crc64nvme"),
            self.header("x-amz-checksum-sha256"),
        )
    }

    pub(crate) fn content_range(&self) -> Option<&str> {
        self.header("content-range")
    }

    /// The name of the write that made the object.
    pub(crate) fn write_id(&self) -> Option<&str> {
        self.header(WRITE_ID_HEADER)
    }

    /// What the answer tells about the object.
    pub(crate) fn meta(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        let (name, size) = match self.content_range() {
            Some(range) => ("Content-Range", range.rsplit('/').next()),
            None => ("Content-Length", self.header("content-length")),
        };
        let size = size.and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| {
            decode(format!(
                "the answer lacks the size of the object in `{name}`"
            ))
        })?;
        let mut meta = ObjectMeta::new(key.clone(), size, self.last_modified()?);
        meta.etag = self.etag();
        meta.content_type = self.header("content-type").map(ToOwned::to_owned);
        meta.checksum = self.checksum();
        Ok(meta)
    }

    fn last_modified(&self) -> Result<Timestamp> {
        let written = self.header("last-modified");
        let written = written.and_then(|date| Timestamp::parse_http_date(date).ok());
        written.ok_or_else(|| decode("the answer lacks the time of the write in `Last-Modified`"))
    }

    pub(crate) fn into_body(self) -> ByteStream {
        ByteStream::new(self.body)
    }
}

/// A failure, as the store tells it.
#[derive(Debug, Default)]
pub(crate) struct Refused(ErrorMetadata);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store refused the request")
    }
}

impl std::error::Error for Refused {}

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

/// Tells successes from failures.
#[derive(Debug)]
pub(super) struct Reader;

impl DeserializeResponse for Reader {
    fn deserialize_streaming_with_config(
        &self,
        response: &mut HttpResponse,
        _: &ConfigBag,
    ) -> Option<Result<Output, OrchestratorError<AnyError>>> {
        if !response.status().is_success() {
            return None;
        }
        let body = response.take_body();
        let headers = response.headers().clone();
        Some(Ok(Output::erase(WireAnswer { headers, body })))
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> Result<Output, OrchestratorError<AnyError>> {
        // An answer that does not tell is judged by its status.
        let told = told(response.body().bytes().unwrap_or_default()).unwrap_or_default();
        Err(OrchestratorError::operation(AnyError::erase(Refused(told))))
    }
}

/// Reads `<Error><Code>…</Code><Message>…</Message></Error>`.
fn told(body: &[u8]) -> Result<ErrorMetadata, XmlDecodeError> {
    let mut told = ErrorMetadata::builder();
    let mut document = Document::try_from(body)?;
    let mut root = document.root_element()?;
    if !root.start_el().matches("Error") {
        return Ok(told.build());
    }
    while let Some(mut tag) = root.next_tag() {
        let (code, message) = (
            tag.start_el().matches("Code"),
            tag.start_el().matches("Message"),
        );
        match try_data(&mut tag) {
            Ok(text) if code && !text.is_empty() => told = told.code(text),
            Ok(text) if message => told = told.message(text),
            Err(err) if code || message => return Err(err),
            // Some stores tell more, in elements of any depth.
            _ => {}
        }
    }
    Ok(told.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_read_as_s3_writes_it_and_anything_else_tells_nothing() {
        let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code>\
                   <Message>Reduce your &lt;rate&gt;.</Message><Resource>/a</Resource></Error>";
        let slow = told(xml.as_bytes()).unwrap();
        assert_eq!(slow.code(), Some("SlowDown"));
        assert_eq!(slow.message(), Some("Reduce your <rate>."));
        for other in [
            "",
            "<html><Code>x</Code></html>",
            "Bad Gateway",
            "<Error><Code>",
        ] {
            let told = told(other.as_bytes()).unwrap_or_default();
            assert_eq!((told.code(), told.message()), (None, None), "{other}");
        }
    }
}
