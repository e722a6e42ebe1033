//! Nothing in a notification can be taken for markup, a mention, a header or a recipient.

use ops_core::notifier::Link;

use super::{Desk, NotifierFixture, UNSEEN};
use crate::case::Outcome;

/// People read these titles as they are written.
async fn reads(fixture: &dyn NotifierFixture, titles: &[&str]) -> Outcome {
    let desk = Desk::new(fixture);
    for title in titles {
        let title = format!("{title} {}", fixture.unique("title"));
        if desk.reads(desk.alert(&title), &title).await.is_none() {
            return UNSEEN;
        }
    }
    Outcome::Passed
}

pub(super) async fn n_040_markup_is_read_as_text(fixture: &dyn NotifierFixture) -> Outcome {
    let written = [
        "*bold* _slanted_ ~struck~ `code`",
        "<https://evil.example|here>",
        "[here](https://evil.example)",
        "<b>bold</b><br>",
        "# a heading",
    ];
    reads(fixture, &written).await
}

pub(super) async fn n_041_a_mention_is_read_as_text(fixture: &dyn NotifierFixture) -> Outcome {
    reads(
        fixture,
        &["<!channel> <!here> <@U012AB3CD>", "@everyone @here"],
    )
    .await
}

pub(super) async fn n_042_an_entity_is_read_as_text(fixture: &dyn NotifierFixture) -> Outcome {
    reads(fixture, &["a & b &amp; c &lt; d", "100 % %20 {{x}} ${x}"]).await
}

pub(super) async fn n_043_a_line_end_in_a_title_begins_no_header(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let desk = Desk::new(fixture);
    let name = fixture.unique("header");
    let title = format!("{name}\r\nBcc: {name}@evil.example\r\n\r\nX");
    let Some(text) = desk.reads(desk.alert(&title), &name).await else {
        return UNSEEN;
    };
    let begins = |line: &str| line.starts_with("Bcc:");
    assert!(!text.lines().any(begins), "{text:?}");
    Outcome::Passed
}

pub(super) async fn n_044_a_line_of_one_dot_does_not_end_the_text(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let desk = Desk::new(fixture);
    let (title, last) = (fixture.unique("title"), fixture.unique("last"));
    let alert = desk
        .alert(&title)
        .with_body(format!("before\r\n.\r\n{last}"));
    let Some(text) = desk.reads(alert, &title).await else {
        return UNSEEN;
    };
    assert!(text.contains(&last), "{text:?}");
    Outcome::Passed
}

pub(super) async fn n_045_a_link_is_the_one_that_was_given(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let desk = Desk::new(fixture);
    let title = fixture.unique("title");
    let url = "https://graphs.example/?a=1&b=%3C2%3E&c=x_y*z";
    let link = Link::new("a|b> <c & \"d\"", url);
    let alert = desk.alert(&title).with_links(vec![link]);
    let Some(text) = desk.reads(alert, &title).await else {
        return UNSEEN;
    };
    assert!(text.contains(url), "{text:?}");
    Outcome::Passed
}
