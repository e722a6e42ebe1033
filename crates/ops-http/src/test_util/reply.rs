//! What the server answers, and how it fails to.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

/// An answer with a status and nothing else yet.
pub fn respond(status: u16) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: Bytes::new(),
        expected: None,
        delay: Duration::ZERO,
        fault: Fault::None,
    }
}

/// An answer, and how it reaches the client.
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    expected: Option<String>,
    pub(super) delay: Duration,
    pub(super) fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The connection breaks before the first byte.
    Reset,
    /// The connection breaks behind the headers.
    ResetAfterHeaders,
    /// The body ends in the middle.
    Truncated,
    /// One byte, a pause, and so on.
    Drip(Duration),
    /// The length is not announced.
    Chunked,
}

impl Reply {
    /// Expects this method, path and query, such as `GET /apps?limit=5`: another request
    /// fails the test.
    pub fn to(mut self, request: impl Into<String>) -> Self {
        self.expected = Some(request.into());
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Answers with a value as JSON.
    ///
    /// # Panics
    /// Where it cannot be JSON.
    #[expect(
        clippy::expect_used,
        reason = "a test that cannot write its answer has failed"
    )]
    pub fn json(self, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("a value that can be JSON");
        self.body("application/json", body)
    }

    /// Answers with a body of this type.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Answers with a page, as a proxy in between does.
    pub fn html(self) -> Self {
        let page = "<!doctype html><html><body><h1>Something went wrong</h1></body></html>";
        self.body("text/html; charset=utf-8", page)
    }

    /// Replaces the body, and the header that tells its type; `None` leaves that header out.
    pub fn with_body(mut self, content_type: Option<&str>, body: impl Into<Bytes>) -> Self {
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        if let Some(content_type) = content_type {
            return self.body(content_type, body);
        }
        self.body = body.into();
        self
    }

    /// Replaces the status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// Waits before the answer.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Breaks the connection before the first byte. What the request asks for has been done.
    pub fn reset(mut self) -> Self {
        self.fault = Fault::Reset;
        self
    }

    /// Breaks the connection behind the headers.
    pub fn reset_after_headers(mut self) -> Self {
        self.fault = Fault::ResetAfterHeaders;
        self
    }

    /// Announces the whole body, and closes in the middle of it.
    pub fn truncated(mut self) -> Self {
        self.fault = Fault::Truncated;
        self
    }

    /// Sends the body byte by byte, with a pause behind each.
    pub fn drip(mut self, pause: Duration) -> Self {
        self.fault = Fault::Drip(pause);
        self
    }

    /// Sends the body in chunks, so that nobody knows its length before it ends.
    pub fn chunked(mut self) -> Self {
        self.fault = Fault::Chunked;
        self
    }

    pub(super) fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }
}
