//! What an answer should be.

use std::ops::RangeInclusive;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, StatusCode};

use crate::outcome::Outcome;
use crate::status::Code;

/// How much of a body is read.
const MAX_BODY: usize = 64 * 1024;

#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    pub(super) statuses: Vec<RangeInclusive<u16>>,
    pub(super) headers: Vec<Assertion>,
    pub(super) words: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Assertion {
    Equals(Result<HeaderName, String>, String),
    Hsts(Duration),
}

impl Assertion {
    pub(super) fn equals(name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no header"));
        Self::Equals(name, value.to_owned())
    }

    /// What is missing.
    fn violated(&self, headers: &HeaderMap) -> Option<String> {
        match self {
            Self::Equals(Ok(name), expected) => {
                let holds = headers
                    .get_all(name)
                    .iter()
                    .any(|value| value.as_bytes().eq_ignore_ascii_case(expected.as_bytes()));
                (!holds).then(|| format!("the header {name} is not {expected:?}"))
            }
            Self::Equals(Err(_), _) => None,
            Self::Hsts(at_least) => {
                let age = headers
                    .get(http::header::STRICT_TRANSPORT_SECURITY)
                    .and_then(|value| max_age(value.to_str().ok()?));
                let holds = age.is_some_and(|age| age >= at_least.as_secs());
                (!holds).then(|| format!("there is no HSTS for {} s", at_least.as_secs()))
            }
        }
    }
}

/// The seconds in `max-age=31536000; includeSubDomains` (RFC 6797).
fn max_age(value: &str) -> Option<u64> {
    value.split(';').find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("max-age")
            .then(|| value.trim().trim_matches('"').parse().ok())?
    })
}

impl Expected {
    pub(super) fn problems(&self) -> Vec<String> {
        let names = self.headers.iter().filter_map(|assertion| match assertion {
            Assertion::Equals(Err(problem), _) => Some(problem.clone()),
            _ => None,
        });
        let ranges = self
            .statuses
            .iter()
            .filter(|range| range.is_empty() || *range.start() < 100 || *range.end() > 599)
            .map(|range| format!("{range:?} are no status codes"));
        names.chain(ranges).collect()
    }

    fn accepts(&self, status: StatusCode) -> bool {
        if self.statuses.is_empty() {
            status.is_success()
        } else {
            let status = status.as_u16();
            self.statuses.iter().any(|range| range.contains(&status))
        }
    }

    /// What is wrong with the answer; the worst of it.
    pub(super) async fn judge(&self, response: reqwest::Response) -> Option<Outcome> {
        let status = response.status();
        if !self.accepts(status) {
            return Some(
                Outcome::unhealthy(Code::UnexpectedStatus)
                    .with_detail(format!("answered {status}")),
            );
        }
        let violated = self
            .headers
            .iter()
            .find_map(|assertion| assertion.violated(response.headers()));
        if let Some(words) = &self.words {
            match contains(response, words.as_bytes()).await {
                Ok(true) => {}
                Ok(false) => {
                    return Some(
                        Outcome::unhealthy(Code::UnexpectedBody)
                            .with_detail("the expected words are not in the body"),
                    );
                }
                Err(outcome) => return Some(outcome),
            }
        }
        violated.map(|text| Outcome::degraded(Code::UnexpectedHeader).with_detail(text))
    }
}

/// Whether the words stand in the first 64 KiB of the body.
async fn contains(response: reqwest::Response, words: &[u8]) -> Result<bool, Outcome> {
    let mut stream = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(super::send::outcome)?;
        let room = MAX_BODY - body.len();
        body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        if words.is_empty() || body.windows(words.len()).any(|window| window == words) {
            return Ok(true);
        }
        if body.len() >= MAX_BODY {
            break;
        }
    }
    Ok(words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_hsts_is_read_as_browsers_do() {
        for (value, expected) in [
            (
                "max-age=31536000; includeSubDomains; preload",
                Some(31_536_000),
            ),
            ("includeSubDomains; MAX-AGE=\"7\"", Some(7)),
            ("max-age=x", None),
            ("includeSubDomains", None),
        ] {
            assert_eq!(max_age(value), expected, "{value}");
        }
    }
}
