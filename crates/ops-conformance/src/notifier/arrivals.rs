//! What people read.

use futures_util::future::join_all;
use ops_core::notifier::{Link, Notification, NotificationEvent};

use super::{Desk, NotifierFixture, UNSEEN};
use crate::case::Outcome;
use crate::support::eventually;

/// What is read of a notification whose title nothing else has, where there is room for it.
async fn text(
    desk: &Desk<'_>,
    change: impl FnOnce(Notification) -> Notification,
) -> Result<String, Outcome> {
    let limit = desk.notifier.limits().max_text_chars;
    if limit.is_some_and(|max| max < 300) {
        return Err(Outcome::NotOffered("a text is too short for it"));
    }
    let title = desk.fixture.unique("title");
    let alert = change(desk.alert(&title));
    desk.reads(alert, &title).await.ok_or(UNSEEN)
}

/// People read all of this.
async fn read(
    fixture: &dyn NotifierFixture,
    change: impl FnOnce(Notification) -> Notification,
    wanted: &[&str],
) -> Outcome {
    match text(&Desk::new(fixture), change).await {
        Err(outcome) => outcome,
        Ok(text) => {
            for wanted in wanted {
                assert!(text.contains(wanted), "{wanted:?} is not in {text:?}");
            }
            Outcome::Passed
        }
    }
}

pub(super) async fn n_020_the_title_is_read(fixture: &dyn NotifierFixture) -> Outcome {
    let desk = Desk::new(fixture);
    let title = fixture.unique("the-disk-is-full");
    match desk.reads(desk.alert(&title), &title).await {
        Some(_) => Outcome::Passed,
        None => UNSEEN,
    }
}

pub(super) async fn n_021_the_event_is_read(fixture: &dyn NotifierFixture) -> Outcome {
    let resolved = |alert: Notification| alert.with_event(NotificationEvent::Resolved);
    match text(&Desk::new(fixture), resolved).await {
        Err(outcome) => outcome,
        Ok(text) => {
            assert!(text.to_lowercase().contains("resolved"), "{text:?}");
            Outcome::Passed
        }
    }
}

pub(super) async fn n_022_the_source_is_read(fixture: &dyn NotifierFixture) -> Outcome {
    read(fixture, |it| it.with_source("store:west"), &["store:west"]).await
}

pub(super) async fn n_023_the_body_is_read(fixture: &dyn NotifierFixture) -> Outcome {
    let body = "It fills by 1 GB per hour.\nIt is full at noon.";
    let lines: Vec<_> = body.lines().collect();
    read(fixture, |it| it.with_body(body), &lines).await
}

pub(super) async fn n_024_a_detail_is_read(fixture: &dyn NotifierFixture) -> Outcome {
    let detail = |it: Notification| it.with_detail("threshold", "90 %");
    read(fixture, detail, &["threshold", "90 %"]).await
}

pub(super) async fn n_025_the_runbook_and_the_links_are_read(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    let [runbook, graph] = ["https://wiki.example/disk", "https://graphs.example/disk"];
    let links = |it: Notification| {
        it.with_runbook(runbook)
            .with_links(vec![Link::new("the graph", graph)])
    };
    read(fixture, links, &[runbook, "the graph", graph]).await
}

pub(super) async fn n_026_a_notification_is_read_once(fixture: &dyn NotifierFixture) -> Outcome {
    let desk = Desk::new(fixture);
    let title = fixture.unique("once");
    if desk.reads(desk.alert(&title), &title).await.is_none() {
        return UNSEEN;
    }
    let texts = fixture.received().await.unwrap();
    let seen = texts.iter().filter(|text| text.contains(&title)).count();
    assert_eq!(seen, 1);
    Outcome::Passed
}

/// Waits until people have read something about all of these.
async fn read_all(fixture: &dyn NotifierFixture, titles: &[String]) -> Vec<String> {
    eventually!(fixture, "all of them are read", {
        let texts = fixture.received().await.unwrap();
        let is_read = |title: &String| texts.iter().any(|text| text.contains(title));
        titles.iter().all(is_read).then_some(texts)
    })
}

pub(super) async fn n_027_notifications_are_read_in_their_order(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    if fixture.received().await.is_none() {
        return UNSEEN;
    }
    let desk = Desk::new(fixture);
    let titles = ["first", "second", "third"].map(|what| fixture.unique(what));
    for title in &titles {
        desk.sends(desk.alert(title)).await;
    }
    let texts = read_all(fixture, &titles).await;
    let places = titles
        .iter()
        .map(|title| texts.iter().position(|text| text.contains(title)));
    let places: Vec<_> = places.collect();
    assert!(places.is_sorted(), "{places:?}");
    Outcome::Passed
}

pub(super) async fn n_028_concurrent_notifications_do_not_mix(
    fixture: &dyn NotifierFixture,
) -> Outcome {
    if fixture.received().await.is_none() {
        return UNSEEN;
    }
    let desk = Desk::new(fixture);
    let titles: Vec<_> = (0..6).map(|_| fixture.unique("concurrent")).collect();
    let alerts = titles.iter().map(|title| desk.alert(title));
    join_all(alerts.map(|alert| desk.sends(alert))).await;
    for text in read_all(fixture, &titles).await {
        let titles = titles.iter().filter(|title| text.contains(*title)).count();
        assert!(titles <= 1, "several in one: {text:?}");
    }
    Outcome::Passed
}

pub(super) async fn n_029_what_looks_secret_is_not_sent(fixture: &dyn NotifierFixture) -> Outcome {
    let desk = Desk::new(fixture);
    let canary = fixture.unique("canary");
    let title = fixture.unique("scrubbed");
    let alert = desk
        .alert(&title)
        .with_detail("api_token", canary.as_str())
        .with_detail(
            "address",
            format!("postgres://app:{canary}@db.example/shop"),
        );
    let Some(text) = desk.reads(alert, &title).await else {
        return UNSEEN;
    };
    assert!(!text.contains(&canary), "a secret is read");
    Outcome::Passed
}
