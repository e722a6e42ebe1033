//! `Logs`.

use std::time::Duration;

use futures_util::StreamExt;
use ops_core::hosting::{Hosting, LogLine, LogQuery, LogSource};
use ops_core::id::AppId;

use super::{HostingFixture, release};
use crate::case::Outcome;
use crate::support::{done, drain, eventually, missing_stream};

const SILENT: &str = "the fixture makes no app print";

/// An app that is live and has printed two lines, a second apart.
async fn with_lines(fixture: &dyn HostingFixture) -> Option<AppId> {
    let app = fixture.new_app().await;
    release(fixture, &app, 1).await;
    for line in ["line one", "line two"] {
        fixture.advance(Duration::from_secs(1)).await;
        if !fixture.print(&app, line).await {
            return None;
        }
    }
    Some(app)
}

/// What the app itself has printed, by a query that waits for nothing.
async fn lines(hosting: &dyn Hosting, app: &AppId, query: LogQuery) -> Vec<LogLine> {
    let logs = hosting.as_logs().unwrap();
    let lines = drain(logs.logs(app, query)).await;
    lines
        .into_iter()
        .filter(|line| line.message.starts_with("line "))
        .collect()
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.message.as_str()).collect()
}

/// Waits until both lines have reached the vendor's log.
async fn both(fixture: &dyn HostingFixture, app: &AppId) -> Vec<LogLine> {
    let hosting = fixture.hosting();
    eventually!(
        fixture,
        "both lines are in the log",
        Some(lines(&*hosting, app, LogQuery::default()).await).filter(|lines| lines.len() >= 2)
    )
}

pub(super) async fn h_110_lines_are_read_oldest_first_and_end(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let Some(app) = with_lines(fixture).await else {
        return Outcome::NotOffered(SILENT);
    };
    assert_eq!(texts(&both(fixture, &app).await), ["line one", "line two"]);
    Outcome::Passed
}

pub(super) async fn h_111_the_last_lines_alone_can_be_read(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let Some(app) = with_lines(fixture).await else {
        return Outcome::NotOffered(SILENT);
    };
    both(fixture, &app).await;
    let last = LogQuery::default().with_tail(1);
    let seen = lines(&*fixture.hosting(), &app, last).await;
    assert_eq!(texts(&seen), ["line two"]);
    Outcome::Passed
}

/// The instant of the later line; `None` where the two cannot be told apart.
async fn later(fixture: &dyn HostingFixture, app: &AppId) -> Option<ops_core::Timestamp> {
    let lines = both(fixture, app).await;
    let first = lines.iter().map(|line| line.at).min()?;
    let last = lines.iter().map(|line| line.at).max()?;
    (first < last).then_some(last)
}

const ONE_INSTANT: &str = "both lines have one instant: the fixture does not advance a clock";

pub(super) async fn h_112_lines_since_an_instant_can_be_read(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let Some(app) = with_lines(fixture).await else {
        return Outcome::NotOffered(SILENT);
    };
    let Some(later) = later(fixture, &app).await else {
        return Outcome::NotOffered(ONE_INSTANT);
    };
    let since = LogQuery::default().with_since(later);
    let seen = lines(&*fixture.hosting(), &app, since).await;
    assert_eq!(texts(&seen), ["line two"]);
    Outcome::Passed
}

pub(super) async fn h_113_lines_before_an_instant_can_be_read(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let Some(app) = with_lines(fixture).await else {
        return Outcome::NotOffered(SILENT);
    };
    let Some(later) = later(fixture, &app).await else {
        return Outcome::NotOffered(ONE_INSTANT);
    };
    let until = LogQuery::default().with_until(later);
    let seen = lines(&*fixture.hosting(), &app, until).await;
    assert_eq!(texts(&seen), ["line one"]);
    Outcome::Passed
}

pub(super) async fn h_114_lines_of_one_source_can_be_read(fixture: &dyn HostingFixture) -> Outcome {
    let Some(app) = with_lines(fixture).await else {
        return Outcome::NotOffered(SILENT);
    };
    both(fixture, &app).await;
    let mut query = LogQuery::default().with_source(LogSource::System);
    let seen = lines(&*fixture.hosting(), &app, query.clone()).await;
    assert!(
        seen.is_empty(),
        "no line of the app is the system's: {seen:?}"
    );
    query.source = Some(LogSource::Stdout);
    let seen = lines(&*fixture.hosting(), &app, query).await;
    assert_eq!(texts(&seen), ["line one", "line two"]);
    Outcome::Passed
}

pub(super) async fn h_115_a_follower_sees_a_later_line(fixture: &dyn HostingFixture) -> Outcome {
    let Some(app) = with_lines(fixture).await else {
        return Outcome::NotOffered(SILENT);
    };
    both(fixture, &app).await;
    let hosting = fixture.hosting();
    let query = LogQuery::default().following();
    let mut follower = hosting.as_logs().unwrap().logs(&app, query);
    let mut is_printed = false;
    loop {
        let Some(line) = follower.next().await else {
            panic!("the follower ends while the app is there");
        };
        match done(line).message.as_str() {
            "line two" if !is_printed => {
                is_printed = true;
                fixture.print(&app, "line three").await;
            }
            "line three" => return Outcome::Passed,
            _ => {}
        }
    }
}

pub(super) async fn h_116_a_follower_ends_when_the_app_is_deleted(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let Some(app) = with_lines(fixture).await else {
        return Outcome::NotOffered(SILENT);
    };
    let hosting = fixture.hosting();
    let query = LogQuery::default().following();
    let mut follower = hosting.as_logs().unwrap().logs(&app, query);
    let first = follower.next().await;
    assert!(first.is_some(), "the follower ends while the app is there");
    done(hosting.delete_app(&app).await);
    // An error is an end as well: the vendor may cut the connection.
    while let Some(Ok(_)) = follower.next().await {}
    Outcome::Passed
}

pub(super) async fn h_117_logs_of_a_missing_app_are_not_found(fixture: &dyn HostingFixture) {
    let hosting = fixture.hosting();
    let logs = hosting.as_logs().unwrap();
    missing_stream(logs.logs(&fixture.missing_app(), LogQuery::default())).await;
}

pub(super) async fn h_118_lines_of_one_deployment_can_be_read(
    fixture: &dyn HostingFixture,
) -> Outcome {
    let Some(app) = with_lines(fixture).await else {
        return Outcome::NotOffered(SILENT);
    };
    both(fixture, &app).await;
    let second = release(fixture, &app, 2).await;
    fixture.print(&app, "line three").await;
    let hosting = fixture.hosting();
    let query = LogQuery::default().with_deployment(second.id);
    let seen = eventually!(
        fixture,
        "the line of the second deployment is in the log",
        Some(lines(&*hosting, &app, query.clone()).await).filter(|lines| !lines.is_empty())
    );
    assert_eq!(texts(&seen), ["line three"]);
    Outcome::Passed
}
