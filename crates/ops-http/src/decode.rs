//! Bodies to values: lenient to what is not known, exact about what is missing.

use std::fmt;

use http::header::CONTENT_TYPE;
use ops_core::{Error, ErrorKind, Result, Timestamp};
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use crate::request::Response;

/// Decodes JSON. An error names the path of the field, and never its value.
///
/// # Errors
/// `Decode`.
pub fn json<T: DeserializeOwned>(response: &Response) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(&response.body);
    serde_path_to_error::deserialize(&mut json)
        .map_err(|err| not_understood(response, &err.path().to_string(), err.inner()))
}

/// Decodes JSON, and the absence of the thing as `None`.
pub(crate) fn json_or_absent<T: DeserializeOwned>(response: &Response) -> Result<Option<T>> {
    if response.status.is_success() {
        json(response).map(Some)
    } else {
        Ok(None)
    }
}

fn not_understood(response: &Response, path: &str, err: &serde_json::Error) -> Error {
    let content_type = response.headers.get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let message = if response.body.is_empty() {
        "the answer has no body".to_owned()
    } else if content_type.starts_with("text/html") {
        "the answer is a page in HTML, not JSON: check the base URL".to_owned()
    } else {
        match err.classify() {
            serde_json::error::Category::Data if path == "." => {
                format!("the answer {}", problem(err))
            }
            serde_json::error::Category::Data => format!("the field {path} {}", problem(err)),
            _ => "the answer is not JSON".to_owned(),
        }
    };
    Error::new(ErrorKind::Decode, message)
}

/// What is wrong with a field, in words that hold nothing of its value: the text of serde
/// may quote it.
fn problem(err: &serde_json::Error) -> String {
    let text = err.to_string();
    match text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'))
    {
        Some((name, _)) => format!("lacks {name}"),
        None => "is not what it should be".to_owned(),
    }
}

/// A field that is `null` or missing as its default; for `#[serde(default, deserialize_with)]`.
///
/// # Errors
/// What the value's own decoding says.
pub fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A time as RFC 3339, or as seconds or milliseconds since the epoch, as a number or a text.
///
/// Numbers beyond the year 5138 in seconds are taken for milliseconds.
///
/// # Errors
/// Where it is none of them.
pub fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    deserializer.deserialize_any(TimestampVisitor)
}

/// [`timestamp`], where it may be `null`, missing or empty.
///
/// # Errors
/// Where it is none of them.
pub fn timestamp_opt<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    struct Lenient(Option<Timestamp>);

    impl<'de> Deserialize<'de> for Lenient {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match Option::<serde_json::Value>::deserialize(deserializer)? {
                None => Ok(Self(None)),
                Some(serde_json::Value::String(text)) if text.is_empty() => Ok(Self(None)),
                Some(value) => timestamp(value)
                    .map(Some)
                    .map(Self)
                    .map_err(D::Error::custom),
            }
        }
    }

    Lenient::deserialize(deserializer).map(|lenient| lenient.0)
}

/// Seconds beyond this are milliseconds.
const LARGEST_SECONDS: i64 = 100_000_000_000;

struct TimestampVisitor;

impl TimestampVisitor {
    fn number<E: serde::de::Error>(number: i64) -> Result<Timestamp, E> {
        let at = if number.abs() < LARGEST_SECONDS {
            Timestamp::from_unix_seconds(number)
        } else {
            Timestamp::from_unix_millis(number)
        };
        at.map_err(|_| E::custom("the time is out of range"))
    }
}

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Timestamp, E> {
        Self::number(number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Timestamp, E> {
        Self::number(i64::try_from(number).map_err(|_| E::custom("the time is out of range"))?)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "fractions of a millisecond are no loss, and a cast saturates"
    )]
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Timestamp, E> {
        Self::number((number * 1000.0) as i64)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        match text.parse::<i64>() {
            Ok(number) => Self::number(number),
            Err(_) => text.parse().map_err(|_| E::custom("not a time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        size: u32,
    }

    fn answer(content_type: &'static str, body: &'static str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Response {
            status: StatusCode::OK,
            headers,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[track_caller]
    fn refused(content_type: &'static str, body: &'static str) -> String {
        let err = json::<Outer>(&answer(content_type, body)).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Decode);
        err.message().to_owned()
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let body = r#"{"inner": [{"size": 3, "color": "red"}], "more": null}"#;
        let outer: Outer = json(&answer("application/json", body)).unwrap();
        assert_eq!(outer.inner[0].size, 3);
    }

    #[test]
    fn an_error_names_the_field_and_not_its_value() {
        let json = "application/json";
        assert_eq!(
            refused(json, r#"{"inner": [{"size": 1}, {"size": "hunter2"}]}"#),
            "the field inner[1].size is not what it should be"
        );
        assert_eq!(
            refused(json, r#"{"inner": [{}]}"#),
            "the field inner[0] lacks size"
        );
        assert_eq!(refused(json, ""), "the answer has no body");
        assert_eq!(refused(json, "{\"inner"), "the answer is not JSON");
        assert_eq!(
            refused("text/html; charset=utf-8", "<html>hunter2"),
            "the answer is a page in HTML, not JSON: check the base URL"
        );
    }

    #[test]
    fn times_come_in_many_forms() {
        #[derive(Deserialize)]
        struct At(#[serde(deserialize_with = "timestamp")] Timestamp);
        for text in [
            "1767323045",
            "\"1767323045\"",
            "1767323045000",
            "1767323045.0",
            "\"2026-01-02T03:04:05Z\"",
        ] {
            let At(at) = serde_json::from_str(text).unwrap();
            assert_eq!(at.unix_seconds(), 1_767_323_045, "{text}");
        }
        assert!(serde_json::from_str::<At>("\"yesterday\"").is_err());
        assert!(serde_json::from_str::<At>("9223372036854775807").is_err());
    }

    #[test]
    fn a_time_may_be_absent() {
        #[derive(Deserialize)]
        struct Maybe {
            #[serde(default, deserialize_with = "timestamp_opt")]
            at: Option<Timestamp>,
        }
        for text in ["{}", r#"{"at": null}"#, r#"{"at": ""}"#] {
            let maybe: Maybe = serde_json::from_str(text).unwrap();
            assert_eq!(maybe.at, None, "{text}");
        }
        let there: Maybe = serde_json::from_str(r#"{"at": 5}"#).unwrap();
        assert_eq!(there.at.unwrap().unix_seconds(), 5);
    }
}
