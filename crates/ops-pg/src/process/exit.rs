//! How a child ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use ops_core::{Error, ErrorKind, Result};

/// How a child ended, and the last of what it wrote to its standard error.
#[derive(Clone, Debug)]
pub struct Exit {
    program: String,
    status: ExitStatus,
    stderr: String,
    stderr_dropped: u64,
}

impl Exit {
    pub(super) fn new(program: String, status: ExitStatus, stderr: String, dropped: u64) -> Self {
        Self {
            program,
            status,
            stderr,
            stderr_dropped: dropped,
        }
    }

    /// Whether it ended by itself with status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Its exit status, where it ended by itself.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it, where one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// The last 16 KiB of its standard error. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn stderr_tail(&self) -> &str {
        &self.stderr
    }

    /// How many bytes of its standard error came before the tail and were let go.
    #[must_use]
    pub fn stderr_dropped(&self) -> u64 {
        self.stderr_dropped
    }

    /// This exit if it was a success, else [`Exit::to_error`].
    ///
    /// # Errors
    /// An error of the given kind.
    pub fn check(self, kind: ErrorKind) -> Result<Self> {
        if self.success() {
            Ok(self)
        } else {
            Err(self.to_error(kind))
        }
    }

    /// An error that says how the program ended, with the end of its standard error
    /// as the source. The caller knows the kind.
    #[must_use]
    #[cold]
    pub fn to_error(&self, kind: ErrorKind) -> Error {
        let err = Error::new(kind, format!("{} ended with {self}", self.program));
        match OneLine::of(&self.stderr) {
            Some(tail) => err.with_source(tail),
            None => err,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => write!(f, "exit status {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => write!(f, "{}", self.status),
        }
    }
}

/// The last lines of a program's output, as the source of an error: on one line,
/// because errors are logged as one.
#[derive(Debug)]
pub(crate) struct OneLine(String);

impl OneLine {
    const MAX_LINES: usize = 20;

    /// The last lines of a text that are not blank; none of a blank text.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let last = lines.get(lines.len().saturating_sub(Self::MAX_LINES)..)?;
        (!last.is_empty()).then(|| Self(last.join("; ")))
    }
}

impl fmt::Display for OneLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OneLine {}
