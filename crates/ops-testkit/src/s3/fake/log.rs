//! What was asked and what was answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, request, response};

/// A request as it was sent, and the answer to it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The operation, by the name that Amazon gives it: `PutObject`, `ListObjectsV2`.
    pub operation: String,
    /// The method.
    pub method: String,
    /// The path, as sent.
    pub path: String,
    /// The query without its question mark, as sent.
    pub query: String,
    /// The headers in order, names in lower case. What is no UTF-8 is replaced.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body as sent, at most [`CAPTURED`] bytes of it.
    pub body: Bytes,
    /// How many bytes of the body have come.
    pub body_bytes: u64,
    /// The answer's status. None where none was given.
    pub status: Option<u16>,
    /// The answer's headers, as [`headers`](Self::headers).
    pub answer_headers: Vec<(String, String)>,
    /// The beginning of the answer's body, at most [`CAPTURED`] bytes of it.
    pub answer: Bytes,
    /// How many bytes of the answer's body were sent.
    pub answer_bytes: u64,
    /// Whether a fault struck.
    pub faulted: bool,
}

/// How much is kept of each body, in bytes.
pub const CAPTURED: usize = 256 << 10;

impl RecordedRequest {
    /// The value of a header of the request.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The value of a header of the answer.
    #[must_use]
    pub fn answer_header(&self, name: &str) -> Option<&str> {
        find(&self.answer_headers, name)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut all = headers.iter();
    let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(&found.1)
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    headers.iter().map(pair).collect()
}

#[derive(Debug, Default)]
struct Entry {
    request: RecordedRequest,
    body: BytesMut,
    answer: BytesMut,
}

/// A request that is still being written down.
#[derive(Clone, Debug, Default)]
pub(super) struct Recording(Arc<Mutex<Entry>>);

impl Recording {
    fn entry(&self) -> MutexGuard<'_, Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn body(&self, bytes: &[u8]) {
        let mut entry = self.entry();
        entry.request.body_bytes += bytes.len() as u64;
        capture(&mut entry.body, bytes);
    }

    pub(super) fn head(&self, head: &response::Parts) {
        let mut entry = self.entry();
        entry.request.status = Some(head.status.as_u16());
        entry.request.answer_headers = pairs(&head.headers);
    }

    pub(super) fn answer(&self, bytes: &[u8]) {
        let mut entry = self.entry();
        entry.request.answer_bytes += bytes.len() as u64;
        capture(&mut entry.answer, bytes);
    }

    pub(super) fn faulted(&self) {
        self.entry().request.faulted = true;
    }

    fn shown(&self) -> RecordedRequest {
        let entry = self.entry();
        RecordedRequest {
            body: entry.body.clone().freeze(),
            answer: entry.answer.clone().freeze(),
            ..entry.request.clone()
        }
    }
}

fn capture(kept: &mut BytesMut, bytes: &[u8]) {
    let room = CAPTURED.saturating_sub(kept.len()).min(bytes.len());
    kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
}

/// All requests of a server.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Vec<Recording>>);

impl Log {
    pub(super) fn begin(&self, operation: &str, head: &request::Parts) -> Recording {
        let recording = Recording::default();
        recording.entry().request = RecordedRequest {
            operation: operation.to_owned(),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: pairs(&head.headers),
            ..RecordedRequest::default()
        };
        self.all().push(recording.clone());
        recording
    }

    pub(super) fn requests(&self) -> Vec<RecordedRequest> {
        self.all().iter().map(Recording::shown).collect()
    }

    pub(super) fn clear(&self) {
        self.all().clear();
    }

    fn all(&self) -> MutexGuard<'_, Vec<Recording>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
