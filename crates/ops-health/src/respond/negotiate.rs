//! Content negotiation (RFC 9110, section 12.5.1), as far as two types need it.

use http::HeaderValue;

/// Whether a caller names `application/health+json` and does not like plain JSON more.
/// A wildcard does not name it.
pub(super) fn prefers_draft(accept: Option<&HeaderValue>) -> bool {
    let Some(accept) = accept.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let draft = weight_of(accept, "application/health+json");
    draft > 0.0 && draft >= weight_of(accept, "application/json")
}

/// The weight that `accept` gives to exactly that type; zero where it does not name it.
fn weight_of(accept: &str, media_type: &str) -> f32 {
    accept
        .split(',')
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(media_type);
            named.then(|| parts.find_map(quality).unwrap_or(1.0))
        })
        .fold(0.0, f32::max)
}

fn quality(parameter: &str) -> Option<f32> {
    let (key, value) = parameter.split_once('=')?;
    key.trim()
        .eq_ignore_ascii_case("q")
        .then(|| value.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draft_is_chosen_only_by_a_caller_that_names_it() {
        for (accept, expected) in [
            ("application/health+json", true),
            ("Application/Health+JSON; q=0.5", true),
            ("text/html, application/health+json;q=0.9, */*;q=0.1", true),
            ("application/health+json, application/json", true),
            (
                "application/health+json;q=0.4, application/json;q=0.8",
                false,
            ),
            ("application/health+json;q=0", false),
            ("application/health+json;q=x", false),
            ("application/json", false),
            ("*/*", false),
            ("application/*", false),
            ("", false),
        ] {
            let accept = HeaderValue::from_static(accept);
            assert_eq!(prefers_draft(Some(&accept)), expected, "{accept:?}");
        }
        assert!(!prefers_draft(None));
        assert!(!prefers_draft(Some(
            &HeaderValue::from_bytes(b"\xff").unwrap()
        )));
    }
}
