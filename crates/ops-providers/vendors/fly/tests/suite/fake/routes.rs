//! What the fake does with a request.

use ops_http::test_util::Recorded;
use serde_json::{Value, json};

use super::state::{App, Certificate, State};
use super::{answers, failure, graphql, logs, machines};

pub(super) type Answer = (u16, Value);

/// How many host names a page has, whatever was asked for.
const PAGE: usize = 3;

pub(super) fn answer(state: &mut State, request: &Recorded) -> Answer {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("POST", ["graphql"]) => (200, graphql::answer(state, &request.json())),
        ("GET", ["api", "v1", "apps", name, "logs"]) => {
            match state.apps.iter().find(|it| it.name == *name) {
                Some(app) => logs::answer(app, request),
                None => (404, failure("", "app not found")),
            }
        }
        ("GET", ["v1", "apps"]) => {
            let slug = request.query("org_slug").unwrap_or_default();
            let apps = state.apps.iter().filter(|it| it.organization == slug);
            let apps: Vec<Value> = apps.map(answers::app).collect();
            (200, json!({ "total_apps": apps.len(), "apps": apps }))
        }
        ("POST", ["v1", "apps"]) => create_app(state, &request.json()),
        (_, ["v1", "apps", name, rest @ ..]) => {
            if !state.apps.iter().any(|it| it.name == *name) {
                return (404, failure("", "app not found"));
            }
            in_app(state, name, request, rest)
        }
        _ => (404, failure("", "no such route")),
    }
}

fn create_app(state: &mut State, body: &Value) -> Answer {
    let name = body["name"].as_str().unwrap_or_default();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_name {
        return (422, failure("", "Name is invalid"));
    }
    if state.apps.iter().any(|it| it.name == name) {
        return (
            422,
            json!({ "error": "Validation failed: Name has already been taken" }),
        );
    }
    let organization = body["org_slug"].as_str().unwrap_or_default();
    state.add_app(name, organization);
    (201, Value::Null)
}

fn in_app(state: &mut State, name: &str, request: &Recorded, path: &[&str]) -> Answer {
    let body = request.json();
    match (request.method.as_str(), path) {
        ("GET", []) => (200, answers::app(state.app(name))),
        ("DELETE", []) => {
            state.apps.retain(|it| it.name != name);
            (202, Value::Null)
        }
        ("GET", ["machines"]) => machines::list(state, name, request),
        ("POST", ["machines"]) => machines::create(state, name, &body),
        (_, ["machines", id, rest @ ..]) => machines::on_machine(state, name, id, request, rest),
        ("GET", ["ip_assignments"]) => (200, json!({ "ips": state.app(name).addresses })),
        ("POST", ["ip_assignments"]) => {
            let ip = if body["type"] == "v6" {
                "2a09:8280:1::1"
            } else {
                "137.66.0.1"
            };
            let address = json!({ "ip": ip, "shared": body["type"] == "shared_v4" });
            state.app(name).addresses.push(address.clone());
            (200, address)
        }
        (_, ["secrets", rest @ ..]) => secrets(state, name, request, rest),
        (_, ["certificates", rest @ ..]) => certificates(state, name, request, rest),
        _ => (404, failure("", "no such route")),
    }
}

fn secrets(state: &mut State, app: &str, request: &Recorded, path: &[&str]) -> Answer {
    let now = state.now();
    let app = state.app(app);
    let shows = request.query("show_secrets").as_deref() == Some("true");
    match (request.method.as_str(), path) {
        ("GET", []) => {
            let told = app.secrets.iter();
            let told: Vec<Value> = told
                .map(|(name, value)| answers::secret(name, shows.then_some(value), now))
                .collect();
            (200, json!({ "secrets": told }))
        }
        ("POST", []) => {
            for (name, value) in request.json()["values"].as_object().unwrap() {
                let value = value.as_str().unwrap().to_owned();
                app.secrets.insert(name.clone(), value);
            }
            app.secrets_version += 1;
            (
                200,
                json!({ "version": app.secrets_version, "secrets": [] }),
            )
        }
        ("GET", [name]) => match app.secrets.get(*name) {
            Some(value) => (200, answers::secret(name, shows.then_some(value), now)),
            None => (404, failure("", "secret not found")),
        },
        ("DELETE", [name]) => match app.secrets.remove(*name) {
            Some(_) => {
                app.secrets_version += 1;
                (200, json!({ "version": app.secrets_version }))
            }
            None => (404, failure("", "secret not found")),
        },
        _ => (404, failure("", "no such route")),
    }
}

fn certificates(state: &mut State, name: &str, request: &Recorded, path: &[&str]) -> Answer {
    match (request.method.as_str(), path) {
        ("GET", []) => list_certificates(state.app(name), request),
        ("POST", ["acme"]) => {
            let hostname = request.json()["hostname"].as_str().unwrap().to_owned();
            let mut all = state.apps.iter().flat_map(|it| &it.certificates);
            if all.any(|it| it.hostname == hostname) {
                return (422, failure("", "Hostname already exists on an app"));
            }
            let made = Certificate {
                hostname,
                checks: 0,
            };
            let told = answers::certificate(name, &made);
            state.app(name).certificates.push(made);
            (201, told)
        }
        (method, [hostname, rest @ ..]) => {
            let all = &mut state.app(name).certificates;
            let Some(at) = all.iter().position(|it| it.hostname == *hostname) else {
                return (404, failure("", "certificate not found"));
            };
            match (method, rest) {
                ("GET", []) => (200, answers::certificate(name, &all[at])),
                ("POST", ["check"]) => {
                    all[at].checks += 1;
                    (200, answers::certificate(name, &all[at]))
                }
                ("DELETE", []) => {
                    all.remove(at);
                    (204, Value::Null)
                }
                _ => (404, failure("", "no such route")),
            }
        }
        _ => (404, failure("", "no such route")),
    }
}

fn list_certificates(app: &App, request: &Recorded) -> Answer {
    let begin = request.query("cursor").and_then(|it| it.parse().ok());
    let begin: usize = begin.unwrap_or(0);
    let page: Vec<Value> = app
        .certificates
        .iter()
        .skip(begin)
        .take(PAGE)
        .map(answers::summary)
        .collect();
    let mut told = json!({ "certificates": page, "total_count": app.certificates.len() });
    if begin + PAGE < app.certificates.len() {
        told["next_cursor"] = (begin + PAGE).to_string().into();
    }
    (200, told)
}
