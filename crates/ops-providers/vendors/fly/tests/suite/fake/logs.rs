//! The logs of the fake.

use ops_http::test_util::Recorded;
use serde_json::{Value, json};

use super::state::{App, Line};

/// How many lines a page has that says where it begins.
const PAGE: usize = 2;

pub(super) fn answer(app: &App, request: &Recorded) -> (u16, Value) {
    let token = request.query("next_token");
    let begin: Option<i128> = token.as_deref().and_then(|it| it.parse().ok());
    let behind = app
        .lines
        .iter()
        .filter(|it| begin.is_none_or(|begin| it.nanos > begin));
    let lines: Vec<&Line> = match begin {
        Some(_) => behind.take(PAGE).collect(),
        None => behind.skip(app.lines.len().saturating_sub(100)).collect(),
    };
    let next = lines.last().map(|it| it.nanos.to_string()).or(token);
    let data: Vec<Value> = lines.into_iter().map(line).collect();
    let meta = match next {
        Some(next) => json!({ "next_token": next }),
        None => json!({}),
    };
    (200, json!({ "data": data, "meta": meta }))
}

fn line(line: &Line) -> Value {
    json!({
        "id": line.nanos.to_string(),
        "type": "log",
        "attributes": {
            "timestamp": line.at.to_string(),
            "message": line.text,
            "level": "info",
            "instance": line.instance,
            "region": "fra",
            "meta": { "event": { "provider": line.provider } },
        },
    })
}
