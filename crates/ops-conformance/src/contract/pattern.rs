//! A text that a regular expression matches.

use regex_syntax::hir::{Class, Hir, HirKind};

/// A text that matches, with every repetition taken `extra` times more than it must be,
/// where it may be. `None` if the expression is none that can be turned around.
pub(crate) fn sample(pattern: &str, extra: u32) -> Option<String> {
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
                    regex::Regex::new(pattern).unwrap().is_match(&text),
                    "{pattern}: {text}"
                );
            }
        }
        assert_eq!(sample("(?=a)b", 0), None);
    }
}
