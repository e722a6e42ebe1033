//! Regular expressions of descriptions: whether they can be used, and texts that they match.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A regular expression without the slashes that some vendors leave around it.
pub(crate) fn expression(pattern: &str) -> &str {
    let inner = pattern
        .strip_prefix("/^")
        .and_then(|it| it.strip_suffix("$/"));
    match inner {
        Some(_) => pattern.trim_matches('/'),
        None => pattern,
    }
}

/// Remembers what was found out about a pattern: to compile one can take long.
struct Memory<T>(Mutex<Option<HashMap<String, T>>>);

impl<T: Clone> Memory<T> {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn get(&self, pattern: &str, find: impl FnOnce() -> T) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(found) = known.get(pattern) {
            return found.clone();
        }
        let found = find();
        known.insert(pattern.to_owned(), found.clone());
        found
    }
}

/// Whether the validator of schemas can use a pattern. Some vendors write those of their
/// own language.
pub(crate) fn is_usable(pattern: &str) -> bool {
    static KNOWN: Memory<bool> = Memory::new();
    let schema = serde_json::json!({ "pattern": pattern });
    KNOWN.get(pattern, || jsonschema::options().build(&schema).is_ok())
}

/// A text that matches a pattern and has a length as wanted.
pub(crate) fn text(pattern: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<String> {
    static KNOWN: Memory<Option<Regex>> = Memory::new();
    let regex = KNOWN.get(pattern, || Regex::new(pattern).ok());
    let exact = u32::try_from(*lengths.start()).unwrap_or(0);
    let extras = [0, 1, 2, 3, 5, 8, 12, 20, 31, 36, 63, 100];
    let extras = extras.into_iter().chain([exact, exact.saturating_sub(1)]);
    let mut samples = extras.filter_map(|extra| sample(pattern, extra));
    samples.find(|text| {
        let matches = regex.as_ref().is_none_or(|regex| regex.is_match(text));
        lengths.contains(&text.chars().count()) && matches
    })
}

/// A text that matches, with every repetition taken `extra` times more than it must be,
/// where it may be. `None` if the expression is none that can be turned around.
fn sample(pattern: &str, extra: u32) -> Option<String> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let mut text = String::new();
    write(&hir, extra, &mut text).then_some(text)
}

fn write(hir: &Hir, extra: u32, text: &mut String) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(literal) => {
                text.push_str(literal);
                true
            }
            Err(_) => false,
        },
        HirKind::Class(class) => character(class).is_some_and(|character| {
            text.push(character);
            true
        }),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX);
            let count = repetition.min.saturating_add(extra).min(most);
            (0..count).all(|_| write(&repetition.sub, extra, text))
        }
        HirKind::Capture(capture) => write(&capture.sub, extra, text),
        HirKind::Concat(parts) => parts.iter().all(|part| write(part, extra, text)),
        HirKind::Alternation(branches) => branches
            .first()
            .is_some_and(|branch| write(branch, extra, text)),
    }
}

/// A character of a class: a letter or digit if it has one.
fn character(class: &Class) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class
            .ranges()
            .iter()
            .map(|it| (it.start(), it.end()))
            .collect(),
        Class::Bytes(class) => {
            let ranges = class.ranges().iter();
            ranges
                .map(|it| (char::from(it.start()), char::from(it.end())))
                .collect()
        }
    };
    let has = |wanted: char| {
        ranges
            .iter()
            .any(|(start, end)| (*start..=*end).contains(&wanted))
    };
    let plain = ['a', 'A', '1', '0', 'e', '-', '/', ' '];
    let plain = plain.into_iter().find(|wanted| has(*wanted));
    let last = || ranges.last().map(|(start, _)| *start);
    plain.or_else(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_matches_its_pattern() {
        for pattern in [
            "^[a-z][a-z0-9-]{2,30}$",
            r"^arn:aws:[^:]+:\d{12}:role/.+$",
            "^(yes|no)?x*$",
            r"[\w+=,.@-]{1,64}",
        ] {
            for extra in [0, 3] {
                let text = sample(pattern, extra).unwrap();
                assert!(
                    Regex::new(pattern).unwrap().is_match(&text),
                    "{pattern}: {text}"
                );
            }
        }
        assert_eq!(sample("(?=a)b", 0), None);
    }
}
