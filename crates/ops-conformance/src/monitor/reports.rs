//! `UptimeReport`.

use std::time::Duration;

use ops_core::monitor::MonitorState;
use ops_core::usage::Period;

use super::MonitorFixture;
use super::checks::make;
use crate::case::Outcome;
use crate::support::{done, missing};

const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

/// The last hour by the provider's clock.
fn last_hour(fixture: &dyn MonitorFixture) -> Period {
    let now = fixture.now();
    Period::new(now.saturating_sub(2 * HALF_AN_HOUR), now).unwrap()
}

pub(super) async fn m_120_half_an_hour_down_is_half_of_an_hour(
    fixture: &dyn MonitorFixture,
) -> Outcome {
    let check = make(fixture).await.id;
    for found in [MonitorState::Up, MonitorState::Down] {
        if !fixture.observe(&check, found).await {
            return Outcome::NotOffered("the fixture makes no check find something");
        }
        if !fixture.advance(HALF_AN_HOUR).await {
            return Outcome::NotOffered("the fixture does not advance the vendor's clock");
        }
    }
    let monitor = fixture.monitor();
    let report = monitor.as_uptime_report().unwrap();
    let summary = done(report.uptime(&check, last_hour(fixture)).await);
    let ratio = summary.ratio.unwrap_or(f64::NAN);
    assert!((0.49..=0.51).contains(&ratio), "{summary:?}");
    Outcome::Passed
}

pub(super) async fn m_121_what_was_not_watched_has_no_ratio(fixture: &dyn MonitorFixture) {
    let check = make(fixture).await.id;
    let monitor = fixture.monitor();
    let report = monitor.as_uptime_report().unwrap();
    let summary = done(report.uptime(&check, last_hour(fixture)).await);
    assert_eq!(summary.ratio, None);
}

pub(super) async fn m_122_the_report_of_a_missing_check_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let report = monitor.as_uptime_report().unwrap();
    missing(
        report
            .uptime(&fixture.missing_monitor(), last_hour(fixture))
            .await,
    );
}

pub(super) async fn m_123_a_report_answers_for_the_period(fixture: &dyn MonitorFixture) {
    let check = make(fixture).await.id;
    let monitor = fixture.monitor();
    let report = monitor.as_uptime_report().unwrap();
    let period = last_hour(fixture);
    let answered = done(report.uptime(&check, period).await).period;
    // A vendor may round to days; it may not answer for another time.
    assert!(
        answered.start <= period.start && period.end <= answered.end,
        "{answered:?}"
    );
}
