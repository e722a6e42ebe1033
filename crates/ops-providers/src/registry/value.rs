//! What a setting can be.

use std::path::PathBuf;
use std::time::Duration;

use ops_core::redact::value_looks_secret;
use serde_json::Value as Json;

mod sealed {
    pub trait Sealed {
        /// What it must be, for errors.
        const WHAT: &'static str;

        fn read(value: &serde_json::Value) -> Option<Self>
        where
            Self: Sized;
    }
}

pub(super) use sealed::Sealed;

/// What a setting can be: a text, a path, yes or no, a number, or a span of time such as
/// `"250ms"`, `"30s"`, `"5m"` or `"1h"`.
pub trait Value: Sealed {}

impl Value for String {}
impl Sealed for String {
    const WHAT: &'static str = "a text";

    fn read(value: &Json) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Value for PathBuf {}
impl Sealed for PathBuf {
    const WHAT: &'static str = "a path";

    fn read(value: &Json) -> Option<Self> {
        let path = value.as_str().filter(|path| !path.is_empty())?;
        Some(Self::from(path))
    }
}

impl Value for bool {}
impl Sealed for bool {
    const WHAT: &'static str = "true or false";

    fn read(value: &Json) -> Option<Self> {
        value.as_bool()
    }
}

macro_rules! numbers {
    ($($number:ty: $what:literal;)+) => {$(
        impl Value for $number {}
        impl Sealed for $number {
            const WHAT: &'static str = $what;

            fn read(value: &Json) -> Option<Self> {
                let number = value.as_i64().map(i128::from);
                let number = number.or_else(|| value.as_u64().map(i128::from));
                Self::try_from(number?).ok()
            }
        }
    )+};
}

numbers! {
    i32: "a whole number";
    u16: "a whole number from 0 to 65535";
    u32: "a whole number, not below 0";
    u64: "a whole number, not below 0";
    usize: "a whole number, not below 0";
}

impl Value for Duration {}
impl Sealed for Duration {
    const WHAT: &'static str = "a span of time such as \"30s\"";

    fn read(value: &Json) -> Option<Self> {
        let text = value.as_str()?;
        let unit = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(unit)?;
        let number: u64 = number.parse().ok()?;
        let seconds = match unit {
            "ms" => return Some(Self::from_millis(number)),
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            _ => return None,
        };
        number.checked_mul(seconds).map(Self::from_secs)
    }
}

/// The value, or what is wrong with it, in words that hold nothing of it.
pub(super) fn read<T: Value>(value: &Json) -> Result<T, String> {
    if value.as_str().is_some_and(value_looks_secret) {
        return Err("looks like a secret, and is not one of the settings that hold one".to_owned());
    }
    T::read(value).ok_or_else(|| format!("is not {}", T::WHAT))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_of_time_have_a_unit() {
        for (text, span) in [
            ("0s", Some(Duration::ZERO)),
            ("250ms", Some(Duration::from_millis(250))),
            ("30s", Some(Duration::from_secs(30))),
            ("5m", Some(Duration::from_secs(300))),
            ("2h", Some(Duration::from_secs(7200))),
            ("30", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1d", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
            ("３s", None),
        ] {
            assert_eq!(Duration::read(&json!(text)), span, "{text:?}");
        }
        assert_eq!(Duration::read(&json!(30)), None);
    }

    #[test]
    fn numbers_are_in_range() {
        assert_eq!(u16::read(&json!(65535)), Some(65535));
        assert_eq!(u16::read(&json!(65536)), None);
        assert_eq!(u64::read(&json!(u64::MAX)), Some(u64::MAX));
        assert_eq!(u64::read(&json!(-1)), None);
        assert_eq!(u64::read(&json!(1.5)), None);
        assert_eq!(i32::read(&json!(-720)), Some(-720));
        assert_eq!(u64::read(&json!("1")), None);
    }

    #[test]
    fn a_value_that_looks_secret_is_refused_and_not_shown() {
        let problem = read::<String>(&json!("https://user:hunter2@host")).unwrap_err();
        assert!(problem.starts_with("looks like a secret"), "{problem}");
        assert!(!problem.contains("hunter2"));
    }
}
