//! What only a log or an authorized caller may read.

use std::fmt;

use ops_core::Secret;

/// Proof that the reader is a log or an authorized caller.
///
/// Made by the authorizer and by the log alone; [`Private`] opens only to it.
pub(crate) struct Authorized(());

impl Authorized {
    /// For the caller whom the authorizer let through.
    pub(crate) const fn caller() -> Self {
        Self(())
    }

    /// For the log.
    pub(crate) const fn log() -> Self {
        Self(())
    }
}

/// A value that reaches logs and authorized callers only.
///
/// There is no `Display` and no `Serialize`; `Debug` prints `[redacted]`.
#[derive(Clone, Default)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    pub(crate) const fn expose(&self, _proof: &Authorized) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The longest diagnostic that is shown, in characters.
const MAX_CHARS: usize = 512;

pub(crate) const REDACTED: &str = "[redacted]";

/// Words that end the name of a setting whose value is a secret.
const SECRET_KEYS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "pass",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "authorization",
    "credential",
    "signature",
];

/// A diagnostic as it may be shown to those who may see it: one bounded line without
/// the user information of URLs, without values of settings that sound secret, without
/// HTTP credentials and without the secrets that are known.
///
/// The second line of defense: what holds a secret should not get here at all.
pub(crate) fn scrub(text: &str, known: &[Secret]) -> String {
    scrub_to(text, known, MAX_CHARS)
}

/// As [`scrub`], with another limit of characters.
pub(crate) fn scrub_to(text: &str, known: &[Secret], max_chars: usize) -> String {
    let mut out = text.to_owned();
    for secret in known.iter().filter(|secret| !secret.is_empty()) {
        out = out.replace(secret.expose(), REDACTED);
    }
    out = url_credentials(&out);
    out = http_credentials(&out);
    out = secret_settings(&out);
    one_bounded_line(&out, max_chars)
}

fn one_bounded_line(text: &str, max_chars: usize) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = chars.by_ref().take(max_chars).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// Whether a setting of that name holds a secret.
pub(crate) fn is_secret_key(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_KEYS.iter().any(|secret| name.ends_with(secret))
}

fn ends_word(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '"' | '\'' | '`' | '<' | '>' | ',' | ';' | ')' | ']' | '}'
        )
}

/// Everything from `://` to the last `@` of the word: a password may hold any other sign.
fn url_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>'))
            .unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        match url.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str(REDACTED);
                out.push('@');
                rest = host;
            }
            None => rest = url,
        }
        // Queries carry signatures and tokens under many names.
        match rest.split_once('?') {
            Some((path, _)) => {
                out.push_str(path);
                out.push('?');
                out.push_str(REDACTED);
            }
            None => out.push_str(rest),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The word after `Bearer` or `Basic`.
fn http_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hide = false;
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if hide && !bare.is_empty() {
            out.push_str(REDACTED);
            out.push_str(word.get(bare.len()..).unwrap_or_default());
            hide = false;
        } else {
            out.push_str(word);
        }
        let scheme = bare
            .rsplit(['=', ':', '"', '\''])
            .next()
            .unwrap_or_default();
        hide |= scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic");
    }
    out
}

/// The value after `password=`, `"api_key": "…"` and the like.
fn secret_settings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, after) = rest.split_at(at);
        let key = before.trim_end_matches([' ', '"', '\'']);
        let mut chars = after.chars();
        out.push_str(before);
        out.extend(chars.next());
        rest = chars.as_str();
        if !is_secret_key(key) {
            continue;
        }
        let start = rest.trim_start();
        out.push_str(rest.get(..rest.len() - start.len()).unwrap_or_default());
        rest = hide_value(start, &mut out);
    }
    out.push_str(rest);
    out
}

/// Writes the mark for the value at the start of `text`, and returns what follows it.
fn hide_value<'a>(text: &'a str, out: &mut String) -> &'a str {
    let quoted = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let end = match quoted {
        Some(quote) => text
            .get(1..)
            .and_then(|inner| inner.find(quote))
            .map_or(text.len(), |i| i + 2),
        None => text
            .find(|c: char| ends_word(c) || c == '&')
            .unwrap_or(text.len()),
    };
    if end > 0 {
        out.push_str(REDACTED);
    }
    text.get(end..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_value_does_not_print() {
        assert_eq!(format!("{:?}", Private::new("hunter2")), "[redacted]");
    }

    #[test]
    fn secrets_in_the_usual_places_are_scrubbed() {
        for text in [
            "connecting to postgres://app:hunter2@db:5432/shop failed",
            "postgres://app:hun/ter2@hunter2@db refused",
            "GET https://store/backup?X-Signature=hunter2&x=hunter2 answered 403",
            "password=hunter2 host=db",
            "host=db PGPASSWORD = 'hunter2 hunter2' port=1",
            r#"{"api_key": "hunter2", "a": 1}"#,
            "authorization: Bearer hunter2",
            "sent Basic hunter2 and got 401",
            "refresh_token:hunter2,next",
        ] {
            let shown = scrub(text, &[]);
            assert!(!shown.contains("hunter2"), "{text} -> {shown}");
            assert!(shown.contains("[redacted]"), "{text} -> {shown}");
        }
    }

    #[test]
    fn a_known_secret_is_scrubbed_wherever_it_stands() {
        let shown = scrub(
            "the key hunter2 is wrong",
            &[Secret::from("hunter2"), Secret::from("")],
        );
        assert_eq!(shown, "the key [redacted] is wrong");
    }

    #[test]
    fn text_without_secrets_stays_as_it_is() {
        for text in [
            "connect: connection refused (os error 111)",
            "password authentication failed for user \"app\"",
            "http://db:5432/shop answered 500",
            "relation \"tokens\" does not exist; hint: none",
        ] {
            assert_eq!(scrub(text, &[]), text);
        }
    }

    #[test]
    fn a_diagnostic_is_one_bounded_line() {
        let shown = scrub(&format!("a\nb\u{1b}[31m{}", "x".repeat(10_000)), &[]);
        assert!(shown.starts_with("a b [31mxxx") && shown.ends_with('…'));
        assert_eq!(shown.chars().count(), MAX_CHARS + 1);
    }
}
