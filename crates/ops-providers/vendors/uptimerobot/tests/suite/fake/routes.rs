//! What the fake does with a request.

use ops_http::test_util::Recorded;
use serde_json::{Value, json};

use super::answers::{self, failure};
use super::monitors;
use super::state::State;

pub(super) type Answer = (u16, Value);

/// How many items a page has, whatever was asked for.
pub(super) const PAGE: usize = 3;

pub(super) fn not_found(what: &str) -> Answer {
    (404, failure(&format!("{what} not found"), "not_found"))
}

pub(super) fn answer(state: &mut State, request: &Recorded) -> Answer {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    let body = request.json();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["user", "me"]) => (200, answers::account(state)),
        ("GET", ["monitors"]) => monitors::list(state, request),
        ("POST", ["monitors"]) => monitors::create(state, &body),
        (_, ["monitors", id, rest @ ..]) => monitors::on_one(state, id, request, rest),
        ("GET", ["maintenance-windows"]) => {
            let (data, link) = page(&state.windows, request, "maintenance-windows");
            (200, json!({ "nextLink": link, "data": data }))
        }
        ("POST", ["maintenance-windows"]) => create_window(state, &body),
        ("DELETE", ["maintenance-windows", id]) => {
            let before = state.windows.len();
            let id: u64 = id.parse().unwrap();
            state.windows.retain(|it| it["id"] != id);
            if state.windows.len() == before {
                return not_found("maintenance window");
            }
            (204, Value::Null)
        }
        ("GET", ["psps"]) => {
            let pages: Vec<Value> = state.pages.iter().map(answers::page).collect();
            let (data, link) = page(&pages, request, "psps");
            (200, json!({ "nextLink": link, "data": data }))
        }
        ("GET", ["psps", id]) => {
            let found = state.pages.iter().find(|it| it.id.to_string() == *id);
            found.map_or_else(|| not_found("psp"), |it| (200, answers::page(it)))
        }
        ("POST", ["psps", id, "announcements"]) => announce(state, id, &body),
        _ => not_found("route"),
    }
}

/// A page of a listing that is in the order of its ids, and the link to the next.
fn page(items: &[Value], request: &Recorded, what: &str) -> (Vec<Value>, Option<String>) {
    let cursor = request.query("cursor");
    let cursor: u64 = cursor.map_or(0, |it| it.parse().unwrap());
    let rest = items.iter().filter(|it| it["id"].as_u64() > Some(cursor));
    let rest: Vec<Value> = rest.cloned().collect();
    let page: Vec<Value> = rest.iter().take(PAGE).cloned().collect();
    let last = page.last().map(|it| it["id"].to_string());
    let last = last.filter(|_| rest.len() > PAGE);
    let link = last.map(|id| format!("https://api.uptimerobot.com/v3/{what}?cursor={id}"));
    (page, link)
}

fn create_window(state: &mut State, body: &Value) -> Answer {
    let id = state.next_id();
    let window = json!({
        "id": id,
        "userId": 1,
        "name": answers::escaped(body["name"].as_str().unwrap_or_default()),
        "interval": body["interval"],
        "date": body["date"],
        "time": body["time"],
        "duration": body["duration"],
        "autoAddMonitors": body["autoAddMonitors"],
        "monitorIds": body["monitorIds"].as_array().cloned().unwrap_or_default(),
        "days": [],
        "status": "active",
        "created": state.now().to_string(),
    });
    state.windows.push(window.clone());
    (201, window)
}

fn announce(state: &mut State, id: &str, body: &Value) -> Answer {
    let announcement = state.next_id();
    let now = state.now();
    let Some(page) = state.pages.iter_mut().find(|it| it.id.to_string() == id) else {
        return not_found("psp");
    };
    let told = json!({
        "id": announcement,
        "pspId": page.id,
        "userId": 1,
        "title": body["title"],
        "content": body["content"],
        "status": body["status"],
        "type": body["type"],
        "deliveryStatus": "InQueue",
        "startDate": body["startDate"],
        "endDate": null,
        "creationDate": now.to_string(),
        "submitDate": null,
        "sentCount": 0,
    });
    page.announcements.push(told.clone());
    (201, told)
}
