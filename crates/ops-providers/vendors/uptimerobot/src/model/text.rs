//! Texts of UptimeRobot: words of open lists, escaped names, and tags that hold our keys.

use std::fmt::Write as _;

use ops_core::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;

/// What the tag of a check or heartbeat that we made begins with.
pub(crate) const KEY_TAG: &str = "ops-key-";

/// A word of a list that the description leaves open; empty for anything but a text or a
/// number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word(String);

impl Word {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(word) => word,
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        }))
    }
}

/// A time, where it is one: the description says of no time what form it has.
pub(crate) fn time_opt<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let told = Value::deserialize(deserializer)?;
    Ok(ops_http::decode::timestamp(told).ok())
}

/// A number of whole seconds, which the description calls a number.
pub(crate) fn whole_opt<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates, and a fraction of a second says nothing"
    )]
    let whole = |number: f64| number as u64;
    Ok(Option::<f64>::deserialize(deserializer)?.map(whole))
}

/// UptimeRobot escapes what has a meaning in HTML in names, addresses and keywords.
pub(crate) fn unescape(text: &str) -> String {
    const ESCAPES: [(&str, char); 7] = [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&#39;", '\''),
        ("&#x27;", '\''),
        ("&#x2F;", '/'),
    ];
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, escaped) = rest.split_at(at);
        plain.push_str(before);
        let known = ESCAPES.iter().find_map(|(escape, meant)| {
            let rest = escaped.strip_prefix(escape)?;
            Some((*meant, rest))
        });
        let (meant, behind) = known.unwrap_or(('&', escaped.get(1..).unwrap_or_default()));
        plain.push(meant);
        rest = behind;
    }
    plain.push_str(rest);
    plain
}

/// The tag that holds a key. Tags are of small letters, so that everything but `a-z`, `0-9`
/// and `-` is written as `_` and two digits for each byte.
pub(crate) fn tag_of_key(key: &str) -> String {
    let mut tag = KEY_TAG.to_owned();
    for byte in key.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' {
            tag.push(char::from(byte));
        } else {
            // Writing into a text cannot fail.
            let _ = write!(tag, "_{byte:02x}");
        }
    }
    tag
}

/// The key that a tag holds; `None` for any other tag.
pub(crate) fn key_of_tag(tag: &str) -> Option<String> {
    let mut rest = tag.strip_prefix(KEY_TAG)?;
    let mut key = Vec::with_capacity(rest.len());
    while let Some(first) = rest.bytes().next() {
        if first == b'_' {
            key.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            rest = rest.get(3..)?;
        } else {
            key.push(first);
            rest = rest.get(1..)?;
        }
    }
    String::from_utf8(key).ok().filter(|key| !key.is_empty())
}

/// An address without what may be a credential: user, query and fragment.
pub(crate) fn shown(address: &str) -> String {
    match Url::parse(address) {
        Ok(mut url) if url.has_host() => {
            // Only an address without a host has no user.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.into()
        }
        // A host, as checks of ports, pings and names have.
        _ => {
            let end = address.find(['?', '#']).unwrap_or(address.len());
            let bare = address.get(..end).unwrap_or_default();
            bare.rsplit('@').next().unwrap_or_default().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_comes_back_out_of_its_tag() {
        for key in [
            "shop-health",
            "Shop Health",
            "a_b",
            "ünï/日本",
            "a,b",
            "_41",
        ] {
            let tag = tag_of_key(key);
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            assert!(
                tag.chars().all(|c| is_plain(c) || "-_".contains(c)),
                "{tag}"
            );
            assert_eq!(key_of_tag(&tag).as_deref(), Some(key));
        }
        assert_eq!(tag_of_key("shop-health"), "ops-key-shop-health");
        assert_ne!(tag_of_key("Shop"), tag_of_key("shop"));
    }

    #[test]
    fn other_tags_hold_no_key() {
        for tag in [
            "production",
            "ops-key-",
            "ops-key-_",
            "ops-key-_4",
            "ops-key-_zz",
            "ops-key-_ff",
            "ops-key-_é1",
        ] {
            assert_eq!(key_of_tag(tag), None, "{tag}");
        }
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(unescape("a &amp;&amp; b &lt;c&gt;"), "a && b <c>");
        assert_eq!(unescape("&amp;lt;"), "&lt;");
        assert_eq!(unescape("Q&A &é; &"), "Q&A &é; &");
        assert_eq!(unescape("&#39;x&#x27; &quot;&#x2F;"), "'x' \"/");
    }

    #[test]
    fn an_address_is_shown_without_credentials() {
        assert_eq!(
            shown("https://casey:hunter2@shop.example/health?token=hunter2#hunter2"),
            "https://shop.example/health"
        );
        assert_eq!(shown("db.example"), "db.example");
        assert_eq!(shown("casey:hunter2@db.example?hunter2"), "db.example");
    }
}
