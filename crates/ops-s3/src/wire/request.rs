//! A request, before it is signed.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::ser_de::SerializeRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::condition::{ConditionHeaders, WRITE_ID};
use crate::digest::ChecksumHeaders;

/// What may stand in a path: the rest is encoded, as for a signature.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A request about one object.
#[derive(Clone, Debug)]
pub(crate) struct WireRequest {
    method: &'static str,
    /// Path and query below the endpoint.
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Bytes>,
}

impl WireRequest {
    fn new(method: &'static str, operation: &str, key: &str) -> Self {
        let key = utf8_percent_encode(key, IN_PATH);
        Self {
            method,
            target: format!("/{key}{operation}"),
            headers: Vec::new(),
            body: None,
        }
    }

    /// `GetObject`.
    pub(crate) fn get(key: &str) -> Self {
        Self::new("GET", "?x-id=GetObject", key)
    }

    /// `HeadObject`.
    pub(crate) fn head(key: &str) -> Self {
        Self::new("HEAD", "", key)
    }

    /// `PutObject`.
    pub(crate) fn put(key: &str, content: Bytes, content_type: Option<&str>) -> Self {
        let mut put = Self::new("PUT", "?x-id=PutObject", key);
        let content_type = content_type.unwrap_or("application/octet-stream");
        put.headers.push(("content-type", content_type.to_owned()));
        put.headers
            .push(("content-length", content.len().to_string()));
        put.body = Some(content);
        put
    }

    /// Adds a header, if there is a value.
    pub(crate) fn header(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    pub(crate) fn condition(self, condition: ConditionHeaders) -> Self {
        self.header("if-none-match", condition.if_none_match)
            .header("if-match", condition.if_match)
    }

    pub(crate) fn checksum(self, sums: ChecksumHeaders) -> Self {
        self.header("x-amz-checksum-crc32c", sums.crc32c)
            .header("x-amz-checksum-sha256", sums.sha256)
            .header("content-md5", sums.content_md5)
    }

    /// Names the write in the object's metadata.
    pub(crate) fn write_id(self, write_id: Option<String>) -> Self {
        debug_assert_eq!(WRITE_ID_HEADER.strip_prefix("x-amz-meta-"), Some(WRITE_ID));
        self.header(WRITE_ID_HEADER, write_id)
    }

    fn into_http(self) -> Result<HttpRequest, BoxError> {
        let body = self.body.map_or_else(SdkBody::empty, SdkBody::from);
        let mut request = HttpRequest::new(body);
        request.set_method(self.method)?;
        request.set_uri(self.target)?;
        let headers = request.headers_mut();
        headers.insert("user-agent", AGENT);
        for (name, value) in self.headers {
            headers.try_insert(name, value)?;
        }
        Ok(request)
    }
}

/// Hands requests to the SDK.
#[derive(Debug)]
pub(super) struct Writer;

impl SerializeRequest for Writer {
    fn serialize_input(&self, input: Input, _: &mut ConfigBag) -> Result<HttpRequest, BoxError> {
        match input.downcast::<WireRequest>() {
            Ok(request) => request.into_http(),
            Err(_) => Err("a request of another operation".into()),
        }
    }
}

/// The header that holds the name of a write.
pub(super) const WRITE_ID_HEADER: &str = "x-amz-meta-ops-write-id";

const AGENT: &str = concat!("ops-s3/", env!("CARGO_PKG_VERSION"));
