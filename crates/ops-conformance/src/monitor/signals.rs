//! `ErrorSink`, `LogSink`, `MetricSink` and `DeployMarkers`.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::monitor::{DeployMarker, ErrorEvent, LogLevel, LogRecord, Metric};

use super::{MonitorFixture, UNSEEN};
use crate::case::Outcome;
use crate::support::{done, eventually};

const SECOND: Duration = Duration::from_secs(1);

fn error(fixture: &dyn MonitorFixture, message: &str) -> ErrorEvent {
    ErrorEvent::new(fixture.now(), "shop::Error", message)
}

/// Waits until an error has arrived.
async fn arrived(fixture: &dyn MonitorFixture, message: &str) -> Option<ErrorEvent> {
    fixture.received_errors().await?;
    let event = eventually!(
        fixture,
        "the error arrives",
        fixture
            .received_errors()
            .await
            .unwrap()
            .into_iter()
            .find(|event| event.message == message)
    );
    Some(event)
}

pub(super) async fn m_060_an_error_arrives_when_it_is_flushed(
    fixture: &dyn MonitorFixture,
) -> Outcome {
    let monitor = fixture.monitor();
    let sink = monitor.as_error_sink().unwrap();
    let message = fixture.unique("error");
    sink.capture(error(fixture, &message));
    done(sink.flush(10 * SECOND).await);
    match arrived(fixture, &message).await {
        Some(_) => Outcome::Passed,
        None => Outcome::NotOffered(UNSEEN),
    }
}

pub(super) async fn m_061_an_error_arrives_without_credentials(
    fixture: &dyn MonitorFixture,
) -> Outcome {
    if fixture.received_errors().await.is_none() {
        return Outcome::NotOffered(UNSEEN);
    }
    let monitor = fixture.monitor();
    let sink = monitor.as_error_sink().unwrap();
    let canary = fixture.unique("canary");
    let headers = [("cookie", canary.as_str()), ("accept", "text/html")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    sink.capture(error(fixture, "with a cookie").with_headers(BTreeMap::from(headers)));
    done(sink.flush(10 * SECOND).await);
    let received = fixture.received_errors().await.unwrap();
    assert!(
        !format!("{received:?}").contains(&canary),
        "a cookie has arrived"
    );
    Outcome::Passed
}

pub(super) async fn m_062_flushing_nothing_is_success(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    done(monitor.as_error_sink().unwrap().flush(SECOND).await);
}

pub(super) async fn m_063_each_error_has_an_id_of_its_own(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let sink = monitor.as_error_sink().unwrap();
    let ids = [1, 2].map(|_| sink.capture(error(fixture, "the same")));
    assert_ne!(ids[0], ids[1]);
}

fn record(fixture: &dyn MonitorFixture, message: &str) -> LogRecord {
    LogRecord::new(fixture.now(), LogLevel::Info, "shop", message)
}

pub(super) async fn m_070_log_records_arrive(fixture: &dyn MonitorFixture) -> Outcome {
    if fixture.received_logs().await.is_none() {
        return Outcome::NotOffered(UNSEEN);
    }
    let monitor = fixture.monitor();
    let message = fixture.unique("line");
    let records = vec![record(fixture, &message)];
    let _ = done(monitor.as_log_sink().unwrap().send_logs(records).await);
    eventually!(
        fixture,
        "the record arrives",
        fixture
            .received_logs()
            .await
            .unwrap()
            .contains(&message)
            .then_some(())
    );
    Outcome::Passed
}

pub(super) async fn m_071_accepted_log_records_are_counted(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let records = vec![record(fixture, "one"), record(fixture, "two")];
    let answer = done(monitor.as_log_sink().unwrap().send_logs(records).await);
    assert_eq!((answer.accepted, answer.rejected.len()), (2, 0));
}

pub(super) async fn m_072_sending_no_log_records_is_success(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let answer = done(monitor.as_log_sink().unwrap().send_logs(Vec::new()).await);
    assert_eq!(answer.accepted, 0);
}

pub(super) async fn m_073_metrics_arrive(fixture: &dyn MonitorFixture) -> Outcome {
    if fixture.received_metrics().await.is_none() {
        return Outcome::NotOffered(UNSEEN);
    }
    let monitor = fixture.monitor();
    let name = fixture.unique("metric").replace('-', "_");
    let values = vec![Metric::gauge(name.as_str(), fixture.now(), 0.5)];
    let _ = done(monitor.as_metric_sink().unwrap().send_metrics(values).await);
    eventually!(
        fixture,
        "the value arrives",
        fixture
            .received_metrics()
            .await
            .unwrap()
            .contains(&name)
            .then_some(())
    );
    Outcome::Passed
}

pub(super) async fn m_074_a_value_that_is_no_number_is_rejected_alone(
    fixture: &dyn MonitorFixture,
) {
    let monitor = fixture.monitor();
    let now = fixture.now();
    let values = [0.5, f64::NAN, 0.7].map(|value| Metric::gauge("load", now, value));
    let sink = monitor.as_metric_sink().unwrap();
    let answer = done(sink.send_metrics(values.into()).await);
    let rejected: Vec<_> = answer.rejected.iter().map(|each| each.index).collect();
    assert_eq!((answer.accepted, rejected), (2, vec![1]));
}

pub(super) async fn m_075_sending_no_metrics_is_success(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let sink = monitor.as_metric_sink().unwrap();
    assert_eq!(done(sink.send_metrics(Vec::new()).await).accepted, 0);
}

pub(super) async fn m_076_a_deployment_is_marked(fixture: &dyn MonitorFixture) -> Outcome {
    if fixture.received_deploys().await.is_none() {
        return Outcome::NotOffered(UNSEEN);
    }
    let monitor = fixture.monitor();
    let version = fixture.unique("v");
    let marker = DeployMarker::new(version.as_str(), fixture.now());
    done(
        monitor
            .as_deploy_markers()
            .unwrap()
            .mark_deploy(marker)
            .await,
    );
    eventually!(
        fixture,
        "the mark arrives",
        fixture
            .received_deploys()
            .await
            .unwrap()
            .contains(&version)
            .then_some(())
    );
    Outcome::Passed
}
