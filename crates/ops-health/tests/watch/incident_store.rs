//! The file with one JSON object per line.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ops_core::ErrorKind;
use ops_core::monitor::IncidentSeverity::P1;
use ops_health::incident::{
    Actor, IncidentEvent, IncidentLog, IncidentState, JsonLinesIncidents, NewIncident,
};
use ops_testkit::ManualClock;
use tempfile::TempDir;

use crate::support::seconds;

fn rule() -> Actor {
    Actor::rule("r")
}

fn file() -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (folder.path().join("incidents.jsonl"), folder)
}

async fn open(path: &Path, clock: &ManualClock) -> IncidentLog {
    let store = JsonLinesIncidents::new(path);
    let builder = IncidentLog::builder()
        .clock(Arc::new(clock.clone()))
        .store(store);
    builder.open().await.unwrap()
}

#[tokio::test]
async fn timelines_are_there_after_a_restart() {
    let (path, _folder) = file();
    let clock = ManualClock::default();
    let log = open(&path, &clock).await;
    let id = log
        .open(NewIncident::new("k", "x", P1), rule())
        .await
        .unwrap();
    log.acknowledge(&id, Actor::person("ann")).await.unwrap();
    let again = open(&path, &clock).await;
    assert_eq!(again.list(), log.list());
    // And it is the same incident still, whichever process goes on.
    assert_eq!(
        again
            .open(NewIncident::new("k", "x", P1), rule())
            .await
            .unwrap(),
        id
    );
    again.resolve(&id, rule()).await.unwrap();
    let other = again
        .open(NewIncident::new("other", "x", P1), rule())
        .await
        .unwrap();
    assert_ne!(other, id);
    assert_eq!(open(&path, &clock).await.list(), again.list());
}

#[tokio::test]
async fn a_line_that_a_crash_cut_off_costs_that_line_alone() {
    let (path, _folder) = file();
    let clock = ManualClock::default();
    let log = open(&path, &clock).await;
    let id = log
        .open(NewIncident::new("k", "x", P1), rule())
        .await
        .unwrap();
    log.acknowledge(&id, Actor::person("ann")).await.unwrap();
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in first..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let log = open(&path, &clock).await;
        let incident = log.get(&id).unwrap();
        let complete = cut + 1 == whole.len();
        assert_eq!(
            incident.state() == IncidentState::Acknowledged,
            complete,
            "cut at {cut}"
        );
        // What comes next stands on a line of its own.
        log.resolve(&id, rule()).await.unwrap();
        assert_eq!(open(&path, &clock).await.list(), log.list(), "cut at {cut}");
    }
}

#[tokio::test]
async fn lines_that_are_no_records_are_left_out() {
    let (path, _folder) = file();
    let clock = ManualClock::default();
    fs::write(&path, b"\xff\xfe\n\n{\"incident\":1}\n[]\n").unwrap();
    let log = open(&path, &clock).await;
    assert!(log.list().is_empty());
    log.open(NewIncident::new("k", "x", P1), rule())
        .await
        .unwrap();
    assert_eq!(open(&path, &clock).await.list().len(), 1);
}

#[tokio::test]
async fn the_file_does_not_grow_with_incidents_that_are_gone() {
    let (path, _folder) = file();
    let clock = ManualClock::default();
    let log = open(&path, &clock).await;
    for at in 0..700 {
        let new = NewIncident::new(format!("k{at}"), "x", P1);
        let id = log.open(new, rule()).await.unwrap();
        clock.advance(seconds(1));
        log.resolve(&id, rule()).await.unwrap();
    }
    let lines = fs::read_to_string(&path).unwrap().lines().count();
    assert!(lines <= 1000, "{lines}");
    let again = open(&path, &clock).await;
    assert_eq!(again.list(), log.list());
    assert_eq!(again.list().len(), 100);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error_that_names_the_file() {
    let (path, _folder) = file();
    let log = open(
        &path.join("nowhere").join("x.jsonl"),
        &ManualClock::default(),
    )
    .await;
    let err = log
        .open(NewIncident::new("k", "x", P1), rule())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert!(err.message().contains("x.jsonl"), "{err}");
    let id = log.open_with_key("k").unwrap().id().clone();
    let text = "still here".to_owned();
    assert!(
        log.record(&id, rule(), IncidentEvent::Note { text })
            .await
            .is_err()
    );
    assert_eq!(log.get(&id).unwrap().entries().len(), 2);
}
