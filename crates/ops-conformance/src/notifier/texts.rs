//! Long texts, and keys.

use ops_core::id::{DedupKey, MAX_DEDUP_KEY_BYTES};

use super::{Desk, EVENTS, NotifierFixture, UNSEEN};
use crate::case::Outcome;

pub(super) async fn n_030_a_long_body_is_not_refused(fixture: &dyn NotifierFixture) {
    let desk = Desk::new(fixture);
    let body = "日本語 and more \n".repeat(20_000);
    desk.sends(desk.alert("a long body").with_body(body)).await;
}

pub(super) async fn n_031_a_long_title_is_not_refused(fixture: &dyn NotifierFixture) {
    let desk = Desk::new(fixture);
    desk.sends(desk.alert(&"日本語 and more ".repeat(5_000)))
        .await;
}

pub(super) async fn n_032_a_long_detail_is_not_refused(fixture: &dyn NotifierFixture) {
    let desk = Desk::new(fixture);
    let mut alert = desk.alert("long details");
    for number in 0..100 {
        alert = alert.with_detail(format!("value {number}"), "日本語 ".repeat(1_000));
    }
    desk.sends(alert).await;
}

/// A title that nothing else has, and what is read of a notification that has a long body.
async fn cut(fixture: &dyn NotifierFixture) -> Option<(String, String)> {
    let desk = Desk::new(fixture);
    let title = fixture.unique("cut");
    let body = "日本語".repeat(50_000);
    let alert = desk.alert(&title).with_body(body);
    // The beginning of the title is what any vendor has room for.
    let text = desk.reads(alert, title.get(..20)?).await?;
    Some((title, text))
}

pub(super) async fn n_033_a_cut_text_keeps_its_title(fixture: &dyn NotifierFixture) -> Outcome {
    let Some((title, text)) = cut(fixture).await else {
        return UNSEEN;
    };
    assert!(text.contains(&title), "{text:.200?}");
    Outcome::Passed
}

pub(super) async fn n_034_a_cut_text_is_within_the_limit(fixture: &dyn NotifierFixture) -> Outcome {
    let Some(max) = fixture.notifier().limits().max_text_chars else {
        return Outcome::NotOffered("the limits do not tell the longest text");
    };
    let Some((_, text)) = cut(fixture).await else {
        return UNSEEN;
    };
    let chars = text.chars().count();
    assert!(chars <= max as usize, "{chars} characters");
    Outcome::Passed
}

pub(super) async fn n_035_a_text_is_cut_between_letters(fixture: &dyn NotifierFixture) -> Outcome {
    let Some((_, text)) = cut(fixture).await else {
        return UNSEEN;
    };
    assert!(!text.contains('\u{fffd}'), "a letter is broken");
    Outcome::Passed
}

pub(super) async fn n_036_letters_of_every_script_are_read(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let desk = Desk::new(fixture);
    let title = format!("日本語 ß é 🗝 {}", fixture.unique("script"));
    match desk.reads(desk.alert(&title), &title).await {
        Some(_) => Outcome::Passed,
        None => UNSEEN,
    }
}

/// All that can happen to an alert of a key is accepted.
async fn takes(fixture: &dyn NotifierFixture, key: String) {
    let desk = Desk::new(fixture);
    let alert = desk.alert_of(DedupKey::new(key).unwrap(), "an odd key");
    for event in EVENTS {
        desk.sends(alert.clone().with_event(event)).await;
    }
}

pub(super) async fn n_037_the_longest_key_is_taken(fixture: &dyn NotifierFixture) {
    let name = fixture.unique("key");
    takes(fixture, format!("{name:k<MAX_DEDUP_KEY_BYTES$}")).await;
}

pub(super) async fn n_038_an_awkward_key_is_taken(fixture: &dyn NotifierFixture) {
    let name = fixture.unique("key");
    for tail in [":<a>&\"b\"", "/?a=b#c", "%2F+ é", "日本語", "'; --", "\\"] {
        takes(fixture, format!("{name}{tail}")).await;
    }
}
