//! Values to URLs: encoded once, here and nowhere else.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A template with its segments filled in, and what is wrong with one of them.
pub(crate) fn path<'a>(
    template: &str,
    value: impl Fn(&str) -> Option<&'a str>,
) -> (String, Option<String>) {
    let mut path = String::with_capacity(template.len() + 32);
    let mut problem = None;
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        path.push_str(before);
        rest = after;
        let found = value(name).ok_or("is not there").and_then(checked);
        match found {
            Ok(value) => path.extend(utf8_percent_encode(value, RESERVED)),
            Err(why) => {
                problem.get_or_insert_with(|| format!("the segment {name} {why}"));
                path.extend(["{", name, "}"]);
            }
        }
    }
    path.push_str(rest);
    (path, problem)
}

/// An empty segment and dots would make another path of it.
fn checked(value: &str) -> Result<&str, &'static str> {
    match value {
        "" => Err("is empty"),
        "." | ".." => Err("is a relative path"),
        value => Ok(value),
    }
}

/// A path with its query.
pub(crate) fn with_query(mut path: String, query: &[(String, String)]) -> String {
    for (index, (name, value)) in query.iter().enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.extend(utf8_percent_encode(name, RESERVED));
        path.push('=');
        path.extend(utf8_percent_encode(value, RESERVED));
    }
    path
}
