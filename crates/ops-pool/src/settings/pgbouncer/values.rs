//! Reading values. What is wrong with one never holds the value: on the wrong line, it may
//! be a password.

use std::time::Duration;

use ops_core::database::TlsVersion;

/// What a value should have been.
pub(super) type Wanted = &'static str;

/// A whole number, in the notations of C: decimal, `0x` and octal with a leading 0.
pub(super) fn whole(value: &str) -> Result<usize, Wanted> {
    let (digits, radix) = match value
        .strip_prefix("0x")
        .or_else(|| value.strip_prefix("0X"))
    {
        Some(digits) => (digits, 16),
        None if value.len() > 1 && value.starts_with('0') => (value, 8),
        None => (value, 10),
    };
    let number = digits
        .chars()
        .all(|char| char.is_digit(radix))
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten();
    number
        .filter(|number| i32::try_from(*number).is_ok())
        .and_then(|number| usize::try_from(number).ok())
        .ok_or("is not a whole number")
}

/// As [`whole`]; None for the -1 by which a line says that it does not set it.
pub(super) fn whole_if_set(value: &str) -> Result<Option<usize>, Wanted> {
    if value == "-1" {
        return Ok(None);
    }
    whole(value).map(Some)
}

/// Seconds, with a fraction.
pub(super) fn seconds(value: &str) -> Result<Duration, Wanted> {
    let wanted = "is not a number of seconds";
    let plain = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
    if !value.bytes().all(plain) {
        return Err(wanted);
    }
    let seconds: f64 = value.parse().map_err(|_| wanted)?;
    // PgBouncer counts in microseconds, and does not round.
    let seconds = Duration::try_from_secs_f64(seconds).map_err(|_| wanted)?;
    Ok(Duration::new(
        seconds.as_secs(),
        seconds.subsec_micros() * 1_000,
    ))
}

/// As [`seconds`]; None for the -1 by which a line says that it does not set it.
pub(super) fn seconds_if_set(value: &str) -> Result<Option<Duration>, Wanted> {
    if value == "-1" {
        return Ok(None);
    }
    seconds(value).map(Some)
}

/// A switch: 0 or any other number.
pub(super) fn switch(value: &str) -> Result<bool, Wanted> {
    Ok(whole(value)? != 0)
}

pub(super) fn port(value: &str) -> Result<u16, Wanted> {
    match value.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("is not a port"),
    }
}

/// Whether the mode is the one that this pool has.
pub(super) fn is_session_mode(value: &str) -> Result<bool, Wanted> {
    let is = |mode: &str| value.eq_ignore_ascii_case(mode);
    if is("transaction") || is("statement") {
        return Ok(false);
    }
    if is("session") {
        return Ok(true);
    }
    Err("is none of session, transaction and statement")
}

/// The oldest TLS among PgBouncer's protocols that is still one of ours.
pub(super) fn oldest_tls(value: &str) -> Result<TlsVersion, Wanted> {
    let mut oldest = TlsVersion::V1_3;
    for protocol in value.split([',', ':']).map(str::trim) {
        match protocol.to_ascii_lowercase().as_str() {
            "tlsv1.3" => {}
            "tlsv1.0" | "tlsv1.1" | "tlsv1.2" | "all" | "secure" | "legacy" | "default" => {
                oldest = TlsVersion::V1_2;
            }
            _ => return Err("is no list of TLS protocols"),
        }
    }
    Ok(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_notations_of_c() {
        assert_eq!(whole("20"), Ok(20));
        assert_eq!(whole("0x1F"), Ok(31));
        assert_eq!(whole("0777"), Ok(511));
        assert_eq!(whole("0"), Ok(0));
        for wrong in ["", "-5", "+5", "5 ", "5x", "08", "0x", "2147483648", "１"] {
            assert!(whole(wrong).is_err(), "{wrong}");
        }
        assert_eq!(whole_if_set("-1"), Ok(None));
        assert!(whole_if_set("-2").is_err());
    }

    #[test]
    fn times_have_fractions() {
        assert_eq!(seconds("5"), Ok(Duration::from_secs(5)));
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("1e-3"), Ok(Duration::from_millis(1)));
        assert_eq!(seconds("0.0000019"), Ok(Duration::from_micros(1)));
        for wrong in ["", "-1", "5s", "inf", "nan", "1e99", "0,5"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds_if_set("-1"), Ok(None));
    }
}
