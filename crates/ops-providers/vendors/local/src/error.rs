//! Errors of the operating system, as errors of ours.

use std::borrow::Cow;
use std::io;

use ops_core::{Error, ErrorKind, ProviderId, Result};
use rustix::io::Errno;

/// The provider's name.
pub(crate) const PROVIDER: ProviderId = ProviderId::from_static("local");

/// Says what was being done when the operating system refused.
pub(crate) trait Context<T> {
    /// `doing` reads on from "cannot", such as `write the temporary file`.
    fn cannot(self, doing: &'static str) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn cannot(self, doing: &'static str) -> Result<T> {
        self.map_err(|err| from_io(doing, err.into()))
    }
}

/// Turns an error of the operating system into one of ours, by its number.
#[cold]
pub(crate) fn from_io(doing: &str, source: io::Error) -> Error {
    let (kind, why) = classify(&source);
    Error::new(kind, format!("cannot {doing}: {why}")).with_source(source)
}

fn classify(err: &io::Error) -> (ErrorKind, Cow<'static, str>) {
    let Some(errno) = Errno::from_io_error(err) else {
        return (
            ErrorKind::Unavailable,
            "the operating system refused".into(),
        );
    };
    let (kind, why) = match errno {
        Errno::NOSPC => (ErrorKind::QuotaExceeded, "the file system is full"),
        Errno::DQUOT => (ErrorKind::QuotaExceeded, "the disk quota is used up"),
        Errno::FBIG => (
            ErrorKind::QuotaExceeded,
            "the file would be larger than allowed",
        ),
        Errno::ROFS => (ErrorKind::PermissionDenied, "the file system is read-only"),
        Errno::ACCESS | Errno::PERM => (ErrorKind::PermissionDenied, "permission denied"),
        Errno::LOOP => (
            ErrorKind::PermissionDenied,
            "a symbolic link is in the way, and none is followed",
        ),
        Errno::NOENT => (ErrorKind::NotFound, "it does not exist"),
        Errno::NOTDIR => (
            ErrorKind::Conflict,
            "a part of the path is an object, not a folder",
        ),
        Errno::ISDIR => (
            ErrorKind::Conflict,
            "it is a folder that holds other objects",
        ),
        Errno::NAMETOOLONG => (
            ErrorKind::InvalidInput,
            "the file system refuses so long a name",
        ),
        Errno::ILSEQ | Errno::INVAL => (
            ErrorKind::InvalidInput,
            "the file system refuses such a name or operation",
        ),
        Errno::XDEV => (
            ErrorKind::InvalidConfig,
            "another file system is mounted inside the store",
        ),
        Errno::NOLCK | Errno::OPNOTSUPP => (
            ErrorKind::InvalidConfig,
            "the file system lacks an operation that the store needs",
        ),
        Errno::MFILE | Errno::NFILE => (ErrorKind::Unavailable, "too many open files"),
        Errno::IO => (ErrorKind::Unavailable, "the device failed"),
        _ => (ErrorKind::Unavailable, "the operating system refused"),
    };
    (kind, why.into())
}

#[cold]
pub(crate) fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "the object does not exist")
}

#[cold]
pub(crate) fn source_not_found(key: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the object {key} that is to be copied does not exist"),
    )
}

#[cold]
pub(crate) fn integrity(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Integrity, message)
}

#[cold]
pub(crate) fn already_exists() -> Error {
    Error::new(ErrorKind::AlreadyExists, "an object with this key exists")
}

#[cold]
pub(crate) fn version_conflict() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "the object does not have the expected version",
    )
}

#[cold]
pub(crate) fn is_folder() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "the key names a folder that holds other objects",
    )
}

#[cold]
pub(crate) fn not_an_object() -> Error {
    Error::new(
        ErrorKind::PermissionDenied,
        "a symbolic link or special file is in the way, and none is followed",
    )
}

#[cold]
pub(crate) fn read_only() -> Error {
    Error::new(
        ErrorKind::PermissionDenied,
        "the store was opened read-only",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_operating_system_become_kinds_that_a_caller_can_act_on() {
        let cases = [
            (Errno::NOSPC, ErrorKind::QuotaExceeded),
            (Errno::DQUOT, ErrorKind::QuotaExceeded),
            (Errno::ROFS, ErrorKind::PermissionDenied),
            (Errno::ACCESS, ErrorKind::PermissionDenied),
            (Errno::PERM, ErrorKind::PermissionDenied),
            (Errno::LOOP, ErrorKind::PermissionDenied),
            (Errno::NOTDIR, ErrorKind::Conflict),
            (Errno::XDEV, ErrorKind::InvalidConfig),
            (Errno::IO, ErrorKind::Unavailable),
        ];
        for (errno, kind) in cases {
            let err = Err::<(), _>(errno).cannot("write the object").unwrap_err();
            assert_eq!(err.kind(), kind, "{errno:?}");
        }
    }

    #[test]
    fn the_text_says_what_was_tried_and_why_it_failed() {
        let err = Err::<(), _>(Errno::NOSPC)
            .cannot("write the object")
            .unwrap_err();
        assert_eq!(
            err.to_string(),
            "cannot write the object: the file system is full"
        );
        assert!(std::error::Error::source(&err).is_some());
    }
}
