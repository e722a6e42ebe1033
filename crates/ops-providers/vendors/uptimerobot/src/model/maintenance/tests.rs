//! Where windows lie in time.

use serde_json::{Value, from_value, json, to_value};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A window of an hour at 23:30, seen at an instant.
fn seen(told: &Value, offset: i32, now: &str) -> Result<(String, String, MaintenanceState)> {
    let mut window = json!({ "id": 1, "name": "work", "time": "23:30:00", "duration": 60 });
    let fields = window.as_object_mut().unwrap();
    fields.extend(told.as_object().unwrap().clone());
    let window: Window = from_value(window).unwrap();
    let seen = window.seen(Offset(offset), at(now))?;
    Ok((
        seen.starts_at.to_string(),
        seen.ends_at.to_string(),
        seen.state,
    ))
}

#[test]
fn a_window_is_sent_in_the_accounts_time_and_read_back() {
    let hour = Duration::from_secs(3_600);
    let request = CreateMaintenanceRequest::new("work", at("2026-11-21T22:30:00Z"), hour);
    let body = WindowBody::new(&request, vec![7], Offset(120), at("2026-11-21T00:00:00Z"));
    let sent = to_value(body.unwrap()).unwrap();
    assert_eq!(
        sent,
        json!({
            "name": "work", "autoAddMonitors": false, "interval": "once", "date": "2026-11-22",
            "time": "00:30:00", "duration": 60, "monitorIds": [7],
        })
    );
    let told = json!({ "interval": "once", "date": "2026-11-22", "time": "00:30:00" });
    let (starts_at, _, state) = seen(&told, 120, "2026-11-21T23:00:00Z").unwrap();
    assert_eq!(starts_at, "2026-11-21T22:30:00Z");
    assert_eq!(state, MaintenanceState::Active);
    let told = json!({ "interval": "once", "date": "2026-11-21", "time": "14:30:00" });
    let (starts_at, ..) = seen(&told, -480, "2026-11-21T23:00:00Z").unwrap();
    assert_eq!(starts_at, "2026-11-21T22:30:00Z");
}

#[test]
fn the_present_or_next_turn_of_a_window_that_recurs_is_told() {
    // 2026-11-21 is a Saturday.
    let now = "2026-11-21T00:15:00Z";
    let turn = |told: Value| seen(&told, 0, now).unwrap().0;
    assert_eq!(turn(json!({ "interval": "daily" })), "2026-11-20T23:30:00Z");
    let weekly = json!({ "interval": "weekly", "days": [1, 6] });
    assert_eq!(turn(weekly), "2026-11-21T23:30:00Z");
    let weekly = json!({ "interval": "weekly", "days": [1] });
    assert_eq!(turn(weekly), "2026-11-23T23:30:00Z");
    let monthly = json!({ "interval": "monthly", "days": [-1] });
    assert_eq!(turn(monthly), "2026-11-30T23:30:00Z");
    let monthly = json!({ "interval": "monthly", "days": [3] });
    assert_eq!(turn(monthly), "2026-12-03T23:30:00Z");
}

#[test]
fn a_window_is_scheduled_active_over_or_paused() {
    let once = json!({ "interval": "once", "date": "2026-11-21" });
    let state = |now: &str| seen(&once, 0, now).unwrap().2;
    assert_eq!(state("2026-11-21T23:29:59Z"), MaintenanceState::Scheduled);
    assert_eq!(state("2026-11-21T23:30:00Z"), MaintenanceState::Active);
    assert_eq!(state("2026-11-22T00:30:00Z"), MaintenanceState::Ended);
    let paused = json!({ "interval": "once", "date": "2026-11-21", "status": "paused" });
    let (_, _, state) = seen(&paused, 0, "2026-11-21T23:30:00Z").unwrap();
    assert_eq!(state, MaintenanceState::Other("paused".to_owned()));
}

#[test]
fn a_window_that_lies_nowhere_in_time_is_refused_by_name() {
    for (told, field) in [
        (json!({ "interval": "once" }), "date"),
        (json!({ "interval": "once", "date": "soon" }), "date"),
        (
            json!({ "interval": "once", "date": "2026-11-21", "time": "late" }),
            "time",
        ),
        (json!({ "interval": "weekly", "days": [] }), "date"),
    ] {
        let err = seen(&told, 0, "2026-11-21T00:00:00Z").unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Decode);
        assert!(
            err.message().contains(&format!("the field {field} ")),
            "{err}"
        );
    }
}

#[test]
fn the_key_stands_behind_the_title_and_is_not_told() {
    let key = IdempotencyKey::new("k-1").unwrap();
    let name = format!("Deploy &amp; migrate{}", key_mark(&key));
    let told = json!({ "id": 1, "name": name, "time": "01:00:00", "date": "2026-11-21" });
    let window: Window = from_value(told).unwrap();
    assert!(window.has_key(&key));
    assert!(!window.has_key(&IdempotencyKey::new("1").unwrap()));
    let seen = window.seen(Offset(0), at("2026-11-21T00:00:00Z")).unwrap();
    assert_eq!(seen.title, "Deploy & migrate");
}
