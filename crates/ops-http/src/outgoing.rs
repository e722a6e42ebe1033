//! A request on its way: everything but the credential, and whether it can be repeated.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use ops_core::object_store::ByteStream;
use ops_core::{Error, ErrorKind, Result};
use url::Url;

use crate::client::Inner;
use crate::errors::ParseError;
use crate::multipart::EncodedForm;
use crate::operation::{Idempotency, Operation};
use crate::request::{ApiRequest, Body};

/// What is expected of the answer.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) class: Idempotency,
    pub(crate) max_body: usize,
    pub(crate) absent_is_none: bool,
    pub(crate) under_success: Option<ParseError>,
}

pub(crate) struct Outgoing {
    pub(crate) operation: &'static Operation,
    pub(crate) timeout: Option<Duration>,
    pub(crate) expected: Expected,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    content: Content,
}

enum Content {
    Bytes {
        content_type: Option<HeaderValue>,
        bytes: Bytes,
    },
    Form(EncodedForm),
    /// Read once: `None` after that.
    Stream {
        content_type: HeaderValue,
        length: Option<u64>,
        stream: Option<ByteStream>,
    },
}

impl Outgoing {
    /// Checks a request and takes it apart.
    pub(crate) fn new<T>(inner: &Inner, request: ApiRequest<T>) -> Result<Self> {
        let url = match &request.absolute {
            Some(url) => url.clone(),
            None => inner.base.join(&request.checked_path_and_query()?)?,
        };
        let content = match request.body {
            Body::Empty => Content::bytes(None, Bytes::new()),
            Body::Json(bytes) => Content::bytes(Some("application/json"), bytes),
            Body::Form(bytes) => Content::bytes(Some("application/x-www-form-urlencoded"), bytes),
            Body::Raw {
                content_type,
                bytes,
            } => Content::bytes(Some(&content_type), bytes),
            Body::Multipart(form) => form.encode().map(Content::Form),
            Body::Stream {
                content_type,
                length,
                stream,
            } => header(&content_type).map(|content_type| Content::Stream {
                content_type,
                length,
                stream: Some(stream),
            }),
        };
        Ok(Self {
            operation: request.operation,
            timeout: request.timeout,
            expected: Expected {
                class: request.class,
                max_body: request.max_body,
                absent_is_none: request.absent_is_none,
                under_success: request.under_success,
            },
            url,
            headers: request.headers,
            content: content?,
        })
    }

    /// Whether the body is still there.
    pub(crate) fn can_repeat(&self) -> bool {
        match &self.content {
            Content::Bytes { .. } => true,
            Content::Form(form) => form.can_repeat(),
            Content::Stream { stream, .. } => stream.is_some(),
        }
    }

    pub(crate) fn span_name(&self) -> String {
        format!("{} {}", self.operation.method(), self.operation.template())
    }

    /// The request as the transport takes it, with headers that hold the credential. The
    /// first call takes a stream.
    pub(crate) async fn request(
        &mut self,
        inner: &Inner,
        headers: HeaderMap,
    ) -> Result<reqwest::Request> {
        let mut request = reqwest::Request::new(self.operation.method().clone(), self.url.clone());
        let target = request.headers_mut();
        *target = headers;
        target
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            target.insert(name.clone(), value.clone());
        }
        let (content_type, length, stream) = match &mut self.content {
            Content::Bytes {
                content_type,
                bytes,
            } => {
                if let Some(content_type) = content_type {
                    target.insert(CONTENT_TYPE, content_type.clone());
                    *request.body_mut() = Some(bytes.clone().into());
                }
                return Ok(request);
            }
            Content::Form(form) => (form.content_type.clone(), form.length(), form.body()),
            Content::Stream {
                content_type,
                length,
                stream,
            } => {
                let stream = stream.take().map(|stream| match *length {
                    Some(length) => exactly(length, stream),
                    None => stream,
                });
                (content_type.clone(), *length, stream)
            }
        };
        target.insert(CONTENT_TYPE, content_type);
        if let Some(length) = length {
            target.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut stream = stream.ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a stream can be sent once alone")
                .with_provider(inner.provider.clone())
        })?;
        if length == Some(0) {
            // The transport does not look into a body that is announced as none.
            stream.try_next().await?;
        }
        *request.body_mut() = Some(reqwest::Body::wrap_stream(stream));
        Ok(request)
    }
}

impl Content {
    fn bytes(content_type: Option<&str>, bytes: Bytes) -> Result<Self> {
        Ok(Self::Bytes {
            content_type: content_type.map(header).transpose()?,
            bytes,
        })
    }
}

fn header(value: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(value)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "the content type is not valid"))
}

/// A stream that fails where it is not as long as it was announced.
///
/// The transport sends what was announced and drops the rest, after which the server has a
/// request that looks whole: so the last chunk waits until nothing comes behind it.
pub(crate) fn exactly(length: u64, chunks: ByteStream) -> ByteStream {
    let wrong = move |how: &str| {
        let message = format!("the stream is {how} than the {length} bytes that were announced");
        Error::new(ErrorKind::InvalidInput, message)
    };
    stream::try_unfold((chunks, length), move |(mut chunks, left)| async move {
        let Some(chunk) = next(&mut chunks).await? else {
            return if left == 0 {
                Ok(None)
            } else {
                Err(wrong("shorter"))
            };
        };
        let left = left.checked_sub(chunk.len() as u64);
        let left = left.ok_or_else(|| wrong("longer"))?;
        if left == 0 && next(&mut chunks).await?.is_some() {
            return Err(wrong("longer"));
        }
        Ok(Some((chunk, (chunks, left))))
    })
    .boxed()
}

/// The next chunk that holds anything.
async fn next(chunks: &mut ByteStream) -> Result<Option<Bytes>> {
    while let Some(chunk) = chunks.try_next().await? {
        if !chunk.is_empty() {
            return Ok(Some(chunk));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ApiClient;

    #[test]
    fn a_span_is_named_by_the_template_and_not_by_what_fills_it() {
        static SHOW: Operation = Operation::get("show", "/apps/{app}");
        let client = ApiClient::builder("acme", "https://host").build().unwrap();
        let request = ApiRequest::new(&SHOW).segment("app", "hunter2");
        let outgoing = Outgoing::new(&client.inner, request).unwrap();
        assert_eq!(outgoing.span_name(), "GET /apps/{app}");
    }
}
