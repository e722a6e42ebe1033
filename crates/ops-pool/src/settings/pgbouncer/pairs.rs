//! The `key=value` pairs of a line in `[databases]` or `[users]`.
//!
//! Pairs are separated by blanks. A value with blanks stands in single quotes, in which two
//! quotes are one. An empty value is an error, as in PgBouncer.

use super::quoted::quoted;

/// What is wrong with a line. It holds nothing of the line, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

pub(super) fn pairs(line: &str) -> Result<Vec<(&str, String)>, Malformed> {
    let mut pairs = Vec::new();
    let mut rest = skip(line);
    while !rest.is_empty() {
        let end = rest.find([' ', '=']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let after = skip(after)
            .strip_prefix('=')
            .filter(|_| !key.is_empty())
            .ok_or(Malformed(
                "a word is no key=value; put a value with blanks into single quotes",
            ))?;
        let (value, after) = value(skip(after))?;
        if value.is_empty() {
            return Err(Malformed("a key has an empty value"));
        }
        pairs.push((key, value));
        rest = skip(after);
    }
    Ok(pairs)
}

fn skip(text: &str) -> &str {
    text.trim_start_matches(' ')
}

fn value(text: &str) -> Result<(String, &str), Malformed> {
    if !text.starts_with('\'') {
        let (value, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
        return Ok((value.to_owned(), rest));
    }
    let (value, rest) =
        quoted(text, '\'').ok_or(Malformed("a value lacks its closing single quote"))?;
    if rest.is_empty() || rest.starts_with(' ') {
        return Ok((value, rest));
    }
    Err(Malformed("something follows a closing single quote"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_as_pgbouncer_does() {
        let read = pairs(" host=db  port = 5433 password='it''s a = secret' user=a'b ").unwrap();
        let expected = [
            ("host", "db"),
            ("port", "5433"),
            ("password", "it's a = secret"),
            ("user", "a'b"),
        ];
        assert_eq!(read, expected.map(|(key, value)| (key, value.to_owned())));
        assert_eq!(pairs("   "), Ok(Vec::new()));
    }

    #[test]
    fn what_pgbouncer_refuses_is_refused() {
        for line in [
            "host",
            "host =",
            "=db",
            "password=''",
            "password='x",
            "a=b c d=e",
        ] {
            assert!(pairs(line).is_err(), "{line}");
        }
        // PgBouncer swallows the character after the quote.
        assert!(pairs("password='x'y=z").is_err());
    }
}
