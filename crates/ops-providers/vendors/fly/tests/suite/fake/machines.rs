//! Machines of the fake.

use ops_core::{Clock, Timestamp};
use ops_http::test_util::Recorded;
use serde_json::{Value, json};

use super::answers;
use super::failure;
use super::routes::Answer;
use super::state::{Machine, State};

pub(super) fn list(state: &mut State, app: &str, request: &Recorded) -> Answer {
    let with_deleted = request.query("include_deleted").as_deref() == Some("true");
    let machines = &state.app(app).machines;
    let shown = machines
        .iter()
        .filter(|it| with_deleted || it.state != "destroyed");
    (200, shown.map(answers::machine).collect())
}

pub(super) fn create(state: &mut State, app: &str, body: &Value) -> Answer {
    let (serial, now) = (state.serial(), state.now());
    let app = state.app(app);
    if body["config"]["image"].as_str().is_none_or(str::is_empty) {
        return (400, failure("", "config.image is required"));
    }
    let region = body["region"].as_str().unwrap_or("fra");
    let mut machine = Machine::new(serial, region, body["config"].clone());
    machine.is_cordoned = body["skip_service_registration"] == true;
    launch(app, &mut machine);
    let mut told = answers::machine(&machine);
    if let Some(seconds) = body["lease_ttl"].as_u64() {
        let lease = machine.hold(now, serial, Some(seconds));
        told["nonce"] = lease.nonce.into();
    }
    app.machines.push(machine);
    (200, told)
}

/// Gives a new version its fate.
fn launch(app: &mut super::App, machine: &mut Machine) {
    machine.looks = app.slowness;
    machine.sickness = app.sickness;
    machine.is_doomed = app.doomed > 0;
    app.doomed = app.doomed.saturating_sub(1);
}

pub(super) fn on_machine(
    state: &mut State,
    app: &str,
    id: &str,
    request: &Recorded,
    path: &[&str],
) -> Answer {
    let (now, serial) = (state.clock.now(), state.serial());
    let app = state.app(app);
    let found = app
        .machines
        .iter()
        .position(|it| it.id == id && it.state != "destroyed");
    let Some(at) = found else {
        return (404, failure("", "machine not found"));
    };
    // It is taken out so that it and the app can both be changed.
    let mut machine = app.machines.remove(at);
    let answer = if request.method != "GET" && is_held_by_another(&machine, now, request) {
        let text = format!("machine ID {id} lease currently held by somebody@fly.io, expires soon");
        (409, failure("", &text))
    } else {
        change(app, &mut machine, (now, serial), request, path)
    };
    app.machines.insert(at, machine);
    answer
}

fn is_held_by_another(machine: &Machine, now: Timestamp, request: &Recorded) -> bool {
    let lease = machine.lease.as_ref().filter(|it| it.expires_at > now);
    lease.is_some_and(|it| request.header("fly-machine-lease-nonce") != Some(&it.nonce))
}

fn change(
    app: &mut super::App,
    machine: &mut Machine,
    (now, serial): (Timestamp, u64),
    request: &Recorded,
    path: &[&str],
) -> Answer {
    let body = request.json();
    match (request.method.as_str(), path) {
        ("GET", []) => {
            machine.step();
            (200, answers::machine(machine))
        }
        ("POST", []) => update(app, machine, serial, &body),
        ("DELETE", []) => {
            if machine.state == "started" && request.query("force").as_deref() != Some("true") {
                return (412, failure("", "the machine is running"));
            }
            "destroyed".clone_into(&mut machine.state);
            (200, json!({ "ok": true }))
        }
        ("GET", ["wait"]) => wait(machine, request),
        ("POST", ["cordon" | "uncordon"]) => {
            machine.is_cordoned = path == ["cordon"];
            (200, json!({ "ok": true }))
        }
        ("POST", ["stop"]) => {
            "stopping".clone_into(&mut machine.state);
            (200, json!({ "ok": true }))
        }
        ("POST", ["restart"]) => {
            machine.restarts += 1;
            machine.looks = app.slowness;
            "restarting".clone_into(&mut machine.state);
            (200, json!({ "ok": true }))
        }
        ("POST", ["lease"]) => {
            let lease = machine.hold(now, serial, body["ttl"].as_u64());
            let told = json!({
                "nonce": lease.nonce, "expires_at": lease.expires_at.unix_seconds(),
                "owner": "somebody@fly.io", "description": body["description"],
                "version": machine.instance_id,
            });
            (201, told)
        }
        ("DELETE", ["lease"]) => {
            machine.lease = None;
            (200, json!({ "ok": true }))
        }
        _ => (404, failure("", "no such route")),
    }
}

fn update(app: &mut super::App, machine: &mut Machine, serial: u64, body: &Value) -> Answer {
    let wanted = body["current_version"].as_str();
    if wanted.is_some_and(|wanted| wanted != machine.instance_id) {
        return (412, failure("", "current_version does not match"));
    }
    machine.config = body["config"].clone();
    machine.instance_id = format!("01HEPA{serial:020}");
    if body["skip_launch"] != true {
        launch(app, machine);
        "replacing".clone_into(&mut machine.state);
    }
    (200, answers::machine(machine))
}

fn wait(machine: &mut Machine, request: &Recorded) -> Answer {
    let wanted = request.query("state").unwrap_or_default();
    let version = request.query("version");
    if version.is_some_and(|version| version != machine.instance_id) {
        return (404, failure("", "no such version"));
    }
    machine.step();
    if machine.state == wanted {
        return (200, json!({ "ok": true, "state": machine.state }));
    }
    (
        408,
        failure("", "deadline_exceeded: the machine did not reach the state"),
    )
}
