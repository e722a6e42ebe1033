//! A value is kept byte for byte.

use super::{NOT_MADE, SecretStoreFixture, UNSEEN, Vault};
use crate::case::Outcome;

async fn kept(fixture: &dyn SecretStoreFixture, values: &[&str]) -> Outcome {
    let vault = Vault::new(fixture);
    for value in values {
        let Some(name) = vault.given("value", value).await else {
            return NOT_MADE;
        };
        let Some(seen) = vault.value(&name).await else {
            return UNSEEN;
        };
        // A long value is no text to look at.
        let difference = format!("{} bytes and not {}", seen.len(), value.len());
        assert!(seen == *value, "{difference}: {seen:.80?}");
    }
    Outcome::Passed
}

pub(super) async fn s_030_spaces_at_the_ends_of_a_value_are_kept(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    kept(fixture, &[" at both ends  ", "\ttabs\t"]).await
}

pub(super) async fn s_031_line_ends_in_a_value_are_kept(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let key = "-----BEGIN KEY-----\r\nabc\r\n\r\n-----END KEY-----\r\n";
    kept(fixture, &[key, "a\nb\n", "a\rb", "\nb"]).await
}

pub(super) async fn s_032_quotes_and_backslashes_are_kept(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let quoted = ["\"quoted\"", "'quoted'", "`quoted`", "it's \"so\""];
    let escaped = ["a\\b", "a\\nb", "\\", "{\"a\": [1, \"b\\\"c\"]}"];
    match kept(fixture, &quoted).await {
        Outcome::Passed => kept(fixture, &escaped).await,
        other => other,
    }
}

pub(super) async fn s_033_references_in_a_value_are_kept(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    let values = [
        "$HOME", "${HOME}", "$$", "%PATH%", "{{ x }}", "a#b", "a=b", "!x",
    ];
    kept(fixture, &values).await
}

pub(super) async fn s_034_letters_of_every_script_are_kept(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    kept(fixture, &["日本語 🗝", "e\u{301} is not \u{e9}", "ß ﬁ İ"]).await
}

pub(super) async fn s_035_a_value_of_white_space_is_kept(
    fixture: &dyn SecretStoreFixture,
) -> Outcome {
    kept(fixture, &[" ", "\t"]).await
}

pub(super) async fn s_036_the_longest_value_is_kept(fixture: &dyn SecretStoreFixture) -> Outcome {
    let limit = fixture.store().limits().max_value_bytes;
    let Some(limit) = limit.and_then(|max| usize::try_from(max).ok()) else {
        return Outcome::NotOffered("the limits do not tell the longest value");
    };
    kept(fixture, &[&"0123456789".repeat(limit / 10 + 1)[..limit]]).await
}
