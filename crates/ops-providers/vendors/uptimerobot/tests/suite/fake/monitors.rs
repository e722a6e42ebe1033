//! What the fake does with monitors.

use std::time::Duration;

use ops_core::Timestamp;
use ops_http::test_util::Recorded;
use serde_json::{Map, Value, json};

use super::answers::{self, failure};
use super::routes::{Answer, PAGE, not_found};
use super::state::State;

pub(super) fn list(state: &State, request: &Recorded) -> Answer {
    let tags = request.query("tags");
    let tags: Option<Vec<&str>> = tags.as_deref().map(|tags| tags.split(',').collect());
    let has_tag = |it: &&super::state::Monitor| {
        let wanted = tags.as_ref();
        wanted.is_none_or(|wanted| it.tags().iter().any(|tag| wanted.contains(tag)))
    };
    let found = state.monitors.iter().filter(has_tag);
    let cursor: u64 = request.query("cursor").map_or(0, |it| it.parse().unwrap());
    let mut rest = found.filter(|it| it.id > cursor).peekable();
    let mut page = Vec::new();
    let mut last = None;
    while let Some(monitor) = rest.next_if(|_| page.len() < PAGE) {
        last = Some(monitor.id);
        page.push(answers::monitor(state, monitor));
    }
    // The link leads where UptimeRobot is, not where the request came to.
    let next = rest.peek().and(last);
    let link = next.map(|id| format!("https://api.uptimerobot.com/v3/monitors?cursor={id}"));
    (200, json!({ "nextLink": link, "data": page }))
}

pub(super) fn create(state: &mut State, body: &Value) -> Answer {
    let Some(fields) = body.as_object() else {
        return (400, failure("no body", "bad_request"));
    };
    if let Err(problem) = taken(fields) {
        return (400, failure(problem, "validation"));
    }
    let id = state.make_monitor(fields.clone());
    answer(state, id, 201)
}

/// What UptimeRobot says of its limits, beside the schema.
fn taken(fields: &Map<String, Value>) -> Result<(), &'static str> {
    let tags = fields.get("tagNames").and_then(Value::as_array);
    let mut tags = tags.into_iter().flatten().filter_map(Value::as_str);
    if tags.any(|tag| tag.chars().any(char::is_uppercase)) {
        return Err("tags must be lowercase");
    }
    let is_web = matches!(
        fields.get("type").and_then(Value::as_str),
        Some("HTTP" | "KEYWORD")
    );
    let url = fields
        .get("url")
        .and_then(Value::as_str)
        .unwrap_or("https://");
    if is_web && !url.starts_with("http") {
        return Err("url must be a URL");
    }
    Ok(())
}

fn answer(state: &State, id: u64, status: u16) -> Answer {
    let monitor = state.monitors.iter().find(|it| it.id == id).unwrap();
    (status, answers::monitor(state, monitor))
}

pub(super) fn on_one(state: &mut State, id: &str, request: &Recorded, path: &[&str]) -> Answer {
    let now = state.now();
    let Some(monitor) = state.monitor(id) else {
        return not_found("monitor");
    };
    let id = monitor.id;
    let body = request.json();
    match (request.method.as_str(), path) {
        ("GET", []) => answer(state, id, 200),
        ("PATCH", []) => {
            let change = body.as_object().cloned().unwrap_or_default();
            if let Err(problem) = taken(&change) {
                return (400, failure(problem, "validation"));
            }
            monitor.change(&change);
            answer(state, id, 200)
        }
        ("DELETE", []) => {
            state.monitors.retain(|it| it.id != id);
            (200, Value::Null)
        }
        ("POST", [what @ ("pause" | "start")]) => {
            monitor.is_paused = *what == "pause";
            if !monitor.is_paused && !monitor.log.is_empty() {
                monitor.log.push((now, "UP"));
            }
            answer(state, id, 201)
        }
        ("GET", ["stats", "uptime"]) => uptime(monitor, request),
        ("GET", ["stats", "response-time"]) => response_time(request),
        _ => not_found("route"),
    }
}

fn span(request: &Recorded) -> (Timestamp, Timestamp) {
    let at = |name| request.query(name).unwrap().parse().unwrap();
    (at("from"), at("to"))
}

fn uptime(monitor: &super::state::Monitor, request: &Recorded) -> Answer {
    let (from, to) = span(request);
    if to.saturating_since(from) > Duration::from_secs(90 * 86_400) {
        return (
            400,
            failure("the range is longer than 90 days", "validation"),
        );
    }
    let (up, down) = (
        monitor.time_in("UP", from, to),
        monitor.time_in("DOWN", from, to),
    );
    let watched = up + down;
    // Of what was never watched it is told that it was up all the time.
    let percent = if watched.is_zero() {
        100.0
    } else {
        100.0 * up.as_secs_f64() / watched.as_secs_f64()
    };
    let incidents = monitor.log.iter().filter(|(_, found)| *found == "DOWN");
    let told = json!({
        "uptime": percent,
        "total_downtime_seconds": down.as_secs(),
        "incident_count": incidents.count(),
        "mtbf": null,
        "from": from.to_string(),
        "to": to.to_string(),
    });
    (200, told)
}

fn response_time(request: &Recorded) -> Answer {
    let (from, to) = span(request);
    let told = json!({
        "summary": { "min": 80, "max": 240, "avg": 120.5 },
        "data_points": 12,
        "from": from.to_string(),
        "to": to.to_string(),
    });
    (200, told)
}
