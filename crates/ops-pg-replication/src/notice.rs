//! What a server says beside its answers: notices, warnings and errors.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use ops_core::{Error, Result};
use ops_pg::error::classify;

use crate::error::error;
use crate::failure::Failure;
use crate::wire::Fields;

/// The longest text of a server that is kept, in characters.
const MAX_TEXT: usize = 500;

/// A notice, warning or error in a server's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// `ERROR`, `WARNING`, `NOTICE` and so on, never translated.
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    /// What happened, on one line, in the language of the server.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// What it means for a replication client, where that is more than the SQLSTATE says.
    pub failure: Option<Failure>,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            code,
            message,
            ..
        } = self;
        write!(f, "{severity} {code}: {message}")?;
        for more in self.detail.iter().chain(&self.hint) {
            write!(f, " {more}")?;
        }
        Ok(())
    }
}

impl StdError for Notice {}

impl Notice {
    /// Reads the fields of an `ErrorResponse` or a `NoticeResponse`.
    pub(crate) fn read(body: Bytes) -> Result<Self> {
        let mut fields = Fields::new(body);
        let mut notice = Self::default();
        let mut translated = String::new();
        loop {
            match fields.u8()? {
                0 => break,
                b'S' => translated = one_line(&fields.cstr()?),
                b'V' => notice.severity = one_line(&fields.cstr()?),
                b'C' => notice.code = one_line(&fields.cstr()?),
                b'M' => notice.message = one_line(&fields.cstr()?),
                b'D' => notice.detail = Some(one_line(&fields.cstr()?)),
                b'H' => notice.hint = Some(one_line(&fields.cstr()?)),
                _ => drop(fields.cstr()?),
            }
        }
        fields.end()?;
        if notice.severity.is_empty() {
            notice.severity = translated;
        }
        // These quote rows.
        if notice.code.starts_with("22") || notice.code.starts_with("23") {
            notice.detail = None;
        }
        notice.failure = Failure::detect(&notice);
        Ok(notice)
    }

    /// Whether the connection ends with it.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// Whether a text names a setting.
    pub(crate) fn names(&self, setting: &str) -> bool {
        let more = self.detail.iter().chain(&self.hint);
        [&self.message]
            .into_iter()
            .chain(more)
            .any(|it| it.contains(setting))
    }

    /// The error that it is. The notice becomes the source, so that [`Failure::of`] finds
    /// what it means.
    #[cold]
    pub(crate) fn into_error(self) -> Error {
        let (kind, retry) = self
            .failure
            .and_then(Failure::classify)
            .unwrap_or_else(|| classify(&self.code));
        let mut err = error(kind, self.message.clone()).with_retry(retry);
        if !self.code.is_empty() {
            err = err.with_code(self.code.clone());
        }
        err.with_source(self)
    }
}

fn one_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .chars()
        .take(MAX_TEXT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use ops_core::{ErrorKind, Report, Retry};
    use proptest::prelude::*;

    use super::*;

    fn body(fields: &[(u8, &str)]) -> Bytes {
        let mut body = Vec::new();
        for (field, text) in fields {
            body.push(*field);
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        body.into()
    }

    #[track_caller]
    fn assert_failure(
        code: &str,
        message: &str,
        failure: Option<Failure>,
        kind: ErrorKind,
    ) -> Error {
        let fields = [
            (b'S', "FEHLER"),
            (b'V', "ERROR"),
            (b'C', code),
            (b'M', message),
        ];
        let err = Notice::read(body(&fields)).unwrap().into_error();
        assert_eq!(
            (Failure::of(&err), err.kind()),
            (failure, kind),
            "{message}"
        );
        assert_eq!(err.code(), Some(code));
        err
    }

    #[test]
    fn one_sqlstate_with_several_meanings_is_told_apart() {
        use Failure::{ReplicationOff, TooManySenders, TooManySlots, WalRemoved};
        let senders = |max| {
            format!(
                "number of requested standby connections exceeds \"max_wal_senders\" (currently {max})"
            )
        };
        assert_failure(
            "53300",
            &senders(10),
            Some(TooManySenders),
            ErrorKind::QuotaExceeded,
        );
        assert_failure(
            "53300",
            &senders(0),
            Some(ReplicationOff),
            ErrorKind::Unsupported,
        );
        assert_failure(
            "53300",
            "sorry, too many clients already",
            None,
            ErrorKind::QuotaExceeded,
        );
        let hba = "no pg_hba.conf entry for replication connection from host \"[local]\"";
        assert_failure(
            "28000",
            hba,
            Some(Failure::RefusedByHba),
            ErrorKind::Unauthenticated,
        );
        let role = "role \"x\" does not exist";
        assert_failure("28000", role, None, ErrorKind::Unauthenticated);
        let slots = "all replication slots are in use";
        assert_failure("53400", slots, Some(TooManySlots), ErrorKind::QuotaExceeded);
        let removed = "requested WAL segment 000000010000000000000001 has already been removed";
        assert_failure("58P01", removed, Some(WalRemoved), ErrorKind::NotFound);
    }

    #[test]
    fn what_may_pass_may_be_tried_again() {
        let active = "replication slot \"x\" is active for PID 1";
        let err = assert_failure(
            "55006",
            active,
            Some(Failure::SlotActive),
            ErrorKind::Conflict,
        );
        assert_eq!(err.retry(), Retry::Safe);
        let promoted = "the standby was promoted during online backup";
        let failure = Some(Failure::PromotedDuringBackup);
        let err = assert_failure("55000", promoted, failure, ErrorKind::Conflict);
        assert_eq!(err.retry(), Retry::Safe);
    }

    #[test]
    fn a_hint_and_a_detail_are_in_the_report_and_rows_are_not() {
        let fields = |code| {
            let texts = [
                (b'C', code),
                (b'M', "no\nroom"),
                (b'D', "Key (1)"),
                (b'H', "Make room."),
            ];
            let err = Notice::read(body(&texts)).unwrap().into_error();
            Report(&err).to_string()
        };
        let report = "postgres: no room:  53100: no room Key (1) Make room.";
        assert_eq!(fields("53100"), report);
        assert!(!fields("23505").contains("Key"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(notice) = Notice::read(bytes.into()) {
                let _ = notice.into_error().to_string();
            }
        }
    }
}
