//! What each SQLSTATE means for a caller.

use ops_core::{ErrorKind, Retry};

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    state: &'static str,
    pub(super) kind: ErrorKind,
    pub(super) retry: Retry,
}

const fn row(state: &'static str, kind: ErrorKind, retry: Retry) -> Row {
    Row { state, kind, retry }
}

use ErrorKind::{
    AlreadyExists, Conflict, Decode, Integrity, InvalidInput, NotFound, PermissionDenied,
    QuotaExceeded, Timeout, Unauthenticated, Unavailable, Unsupported,
};
use Retry::{Never, OutcomeUnknown, Safe};

/// By code, or by class where no code fits. `Safe` is what has been rolled back or was
/// never begun and may go well another time.
const TABLE: [Row; 53] = [
    // Class 08: connection exception.
    row("08", Unavailable, OutcomeUnknown),
    row("08001", Unavailable, Safe),
    row("08004", Unavailable, Safe),
    row("08P01", Decode, Never),
    row("0A", Unsupported, Never),
    row("0L", PermissionDenied, Never),
    row("0P", InvalidInput, Never),
    row("21", InvalidInput, Never),
    row("22", InvalidInput, Never),
    // Integrity constraint violation: the state of the data refuses.
    row("23", Conflict, Never),
    row("23505", AlreadyExists, Never),
    row("24", Conflict, Never),
    row("25", Conflict, Never),
    row("25P03", Timeout, Safe),
    row("25P04", Timeout, Safe),
    row("26", InvalidInput, Never),
    row("28", Unauthenticated, Never),
    row("2B", Conflict, Never),
    row("3B", InvalidInput, Never),
    row("3D", NotFound, Never),
    row("3F", NotFound, Never),
    // Transaction rollback: serialization failure, deadlock.
    row("40", Conflict, Safe),
    row("40002", Conflict, Never),
    row("40003", Unavailable, OutcomeUnknown),
    row("42", InvalidInput, Never),
    row("42501", PermissionDenied, Never),
    row("42704", NotFound, Never),
    row("42883", NotFound, Never),
    row("42P01", NotFound, Never),
    row("42P04", AlreadyExists, Never),
    row("42P06", AlreadyExists, Never),
    row("42P07", AlreadyExists, Never),
    row("42710", AlreadyExists, Never),
    row("42723", AlreadyExists, Never),
    row("44", Conflict, Never),
    // Insufficient resources. Connections and memory come back, a full disk does not.
    row("53", QuotaExceeded, Never),
    row("53200", QuotaExceeded, Safe),
    row("53300", QuotaExceeded, Safe),
    row("54", InvalidInput, Never),
    row("55", Conflict, Never),
    row("55P03", Conflict, Safe),
    // Operator intervention: cancelled, shut down, crashed, not ready.
    row("57", Unavailable, Never),
    row("57014", Timeout, Safe),
    row("57P01", Unavailable, Safe),
    row("57P02", Unavailable, OutcomeUnknown),
    row("57P03", Unavailable, Safe),
    row("57P04", NotFound, Never),
    row("57P05", Unavailable, Safe),
    row("58", Unavailable, Never),
    row("P0", Conflict, Never),
    row("XX", Unavailable, Never),
    row("XX001", Integrity, Never),
    row("XX002", Integrity, Never),
];

/// A code that no class covers is one that this library does not understand.
const UNKNOWN: Row = row("", Decode, Never);

pub(super) fn lookup(state: &str) -> Row {
    let by = |wanted: &str| TABLE.iter().find(|row| row.state == wanted).copied();
    by(state).or_else(|| by(state.get(..2)?)).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_row(state: &str, kind: ErrorKind, retry: Retry) {
        let row = lookup(state);
        assert_eq!((row.kind, row.retry), (kind, retry), "{state}");
    }

    #[test]
    fn a_code_wins_over_its_class() {
        assert_row("40001", Conflict, Safe);
        assert_row("40003", Unavailable, OutcomeUnknown);
        assert_row("57P03", Unavailable, Safe);
        assert_row("53300", QuotaExceeded, Safe);
        assert_row("53100", QuotaExceeded, Never);
        assert_row("XX002", Integrity, Never);
    }

    #[test]
    fn a_code_that_is_not_listed_has_the_row_of_its_class() {
        assert_row("28P01", Unauthenticated, Never);
        assert_row("3D000", NotFound, Never);
        assert_row("08006", Unavailable, OutcomeUnknown);
    }

    #[test]
    fn what_is_no_sqlstate_is_not_understood() {
        for state in ["", "Z", "ZZ999", "é"] {
            assert_row(state, Decode, Never);
        }
    }

    #[test]
    fn no_code_is_listed_twice() {
        for (index, row) in TABLE.iter().enumerate() {
            assert!(
                TABLE
                    .iter()
                    .skip(index + 1)
                    .all(|other| other.state != row.state),
                "{row:?}"
            );
        }
    }
}
