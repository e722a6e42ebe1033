//! What a vendor's failures mean.
//!
//! One table maps a status to a kind. A vendor overrides rows of it by its own codes, and
//! never replaces it.

use ops_core::{ErrorKind, Retry};

/// What a vendor's error body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorBody {
    /// The vendor's own code.
    pub code: Option<String>,
    /// The vendor's text. It is scrubbed and cut before anybody sees it.
    pub message: Option<String>,
    /// The vendor's id of the request, where the body holds it.
    pub request_id: Option<String>,
}

impl ErrorBody {
    /// A body with a text.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::default()
        }
    }

    /// Adds the vendor's own code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds the vendor's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }
}

/// Reads a body; `None` where it tells of no failure.
pub type ParseError = fn(&[u8]) -> Option<ErrorBody>;

/// One override of the table of statuses. A row applies where everything that it names
/// matches; the first that applies wins.
#[derive(Clone, Copy, Debug)]
pub struct ErrorRow {
    /// The status; `None` matches any.
    pub status: Option<u16>,
    /// The vendor's code; `None` matches any.
    pub code: Option<&'static str>,
    /// What the vendor's text contains; `None` matches any.
    pub message: Option<&'static str>,
    /// The kind that it means.
    pub kind: ErrorKind,
    /// The advice, where it is not that of the kind. [`Retry::Safe`] says that the vendor
    /// executed nothing, which allows even a create to be sent again.
    pub retry: Option<Retry>,
}

impl ErrorRow {
    /// A row for a status.
    #[must_use]
    pub const fn status(status: u16, kind: ErrorKind) -> Self {
        Self {
            status: Some(status),
            code: None,
            message: None,
            kind,
            retry: None,
        }
    }

    /// A row for a vendor's code.
    #[must_use]
    pub const fn code(code: &'static str, kind: ErrorKind) -> Self {
        Self {
            status: None,
            code: Some(code),
            message: None,
            kind,
            retry: None,
        }
    }

    /// Narrows the row to texts that contain this, without regard to case.
    #[must_use]
    pub const fn containing(mut self, message: &'static str) -> Self {
        self.message = Some(message);
        self
    }

    /// Narrows the row to a status.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Replaces the advice.
    #[must_use]
    pub const fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }
}

/// How a vendor says when a limit is over, beside `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetHeader {
    /// The header holds seconds since the epoch.
    EpochSeconds(&'static str),
    /// The header holds seconds from now.
    Seconds(&'static str),
}

/// What a vendor's failures mean: how to read the body, and the rows that differ.
#[derive(Clone, Copy, Debug)]
pub struct ErrorRules {
    /// Reads an error body; `None` where it is not one.
    pub parse: ParseError,
    /// The overrides, most specific first.
    pub rows: &'static [ErrorRow],
    /// How the vendor says when a limit is over.
    pub reset: Option<ResetHeader>,
    /// The header that says how many requests are left: a 403 with a zero there is a limit.
    pub remaining: Option<&'static str>,
    /// The header that holds the vendor's id of the request.
    pub request_id_header: Option<&'static str>,
    /// Finds the failure in a body under a status of success; `None` where it is none.
    pub under_success: Option<ParseError>,
}

impl ErrorRules {
    /// Rules that read bodies and override nothing.
    #[must_use]
    pub const fn new(parse: ParseError) -> Self {
        Self {
            parse,
            rows: &[],
            reset: None,
            remaining: None,
            request_id_header: None,
            under_success: None,
        }
    }

    /// Adds overrides.
    #[must_use]
    pub const fn with_rows(mut self, rows: &'static [ErrorRow]) -> Self {
        self.rows = rows;
        self
    }

    /// Names the header that says when a limit is over.
    #[must_use]
    pub const fn with_reset(mut self, reset: ResetHeader) -> Self {
        self.reset = Some(reset);
        self
    }

    /// Names the header that says how many requests are left.
    #[must_use]
    pub const fn with_remaining(mut self, header: &'static str) -> Self {
        self.remaining = Some(header);
        self
    }

    /// Says how to find a failure that comes under a status of success.
    #[must_use]
    pub const fn with_failures_under_success(mut self, find: ParseError) -> Self {
        self.under_success = Some(find);
        self
    }

    /// Names the header that holds the id of the request.
    #[must_use]
    pub const fn with_request_id_header(mut self, header: &'static str) -> Self {
        self.request_id_header = Some(header);
        self
    }
}
