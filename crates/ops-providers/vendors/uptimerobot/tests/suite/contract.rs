//! Every operation that this crate can send, held to UptimeRobot's own description.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use ops_conformance::contract::{Answer, Coverage, Sends, skipped};
use ops_core::id::{IdempotencyKey, MaintenanceId, MonitorId, Region, StatusPageId};
use ops_core::monitor::{
    CreateMaintenanceRequest, HeartbeatSpec, Heartbeats, HttpMethod, HttpTarget,
    MaintenanceWindows, Monitor, MonitorSpec, MonitorTarget, StatusPages, StatusUpdate,
    UptimeMonitors, UptimeReport,
};
use ops_core::usage::Period;
use ops_core::{Clock, ErrorKind, MonitorExt, Result, Secret, Timestamp};
use ops_uptimerobot::UptimeRobot;
use ops_uptimerobot::api::OPERATIONS;
use serde_json::Value;

use crate::fake::{Fake, description};

/// What is there when an operation is tried.
struct Scene {
    robot: UptimeRobot,
    now: Timestamp,
    check: MonitorId,
    window: MaintenanceId,
    page: StatusPageId,
}

type Drive = fn(&Scene) -> BoxFuture<'_, Result<()>>;

const HOUR: Duration = Duration::from_secs(3_600);

/// A check with everything that a check can have.
fn full(key: &str) -> MonitorSpec {
    let headers = BTreeMap::from([("X-Probe".to_owned(), Secret::from("ä/?#%"))]);
    let target = HttpTarget::new("https://shop.example/health?a=1&b=%2F")
        .with_method(HttpMethod::Post)
        .with_expected_status(vec![200, 204])
        .with_keyword("<all> is \"well\" & good")
        .with_headers(headers)
        .with_certificate_expiry_days(vec![7, 30]);
    MonitorSpec::new(key, MonitorTarget::Http(target))
        .with_name("shop & co/7?#%é")
        .with_regions(vec![Region::new("eu").unwrap()])
        .with_tags(vec!["web".to_owned()])
}

/// A check of each kind.
fn every_kind() -> Vec<MonitorSpec> {
    let host = || "db.example".to_owned();
    let spec = |key: &str, target| MonitorSpec::new(key, target);
    vec![
        full("Shop/ünï?#%"),
        MonitorSpec::http("plain", "http://shop.example"),
        spec(
            "tcp",
            MonitorTarget::Tcp {
                host: host(),
                port: 5432,
            },
        ),
        spec("ping", MonitorTarget::Ping { host: host() }),
        spec("dns", MonitorTarget::Dns { name: host() }),
    ]
}

/// Ensures checks of each kind, the second time so that each differs.
async fn ensure_twice(robot: &UptimeRobot) -> Result<()> {
    for interval in [300, 600].map(Duration::from_secs) {
        let specs = every_kind().into_iter();
        let specs = specs.map(|spec| spec.with_interval(interval)).collect();
        for answer in robot.ensure_monitors(specs).await? {
            answer?;
        }
    }
    Ok(())
}

/// A call of the provider that sends the operation.
const DRIVES: &[(&str, Drive)] = &[
    ("MaintenanceWindowsController_create", |it| {
        let request = CreateMaintenanceRequest::new("work ä/7?#%", it.now, HOUR)
            .with_monitors(vec![it.check.clone()])
            .with_idempotency_key(IdempotencyKey::new("k/1?").unwrap());
        async { it.robot.create_maintenance(request).await.map(drop) }.boxed()
    }),
    ("MaintenanceWindowsController_delete", |it| {
        async { it.robot.delete_maintenance(&it.window).await.map(drop) }.boxed()
    }),
    ("MaintenanceWindowsController_list", |it| {
        let listing = it.robot.list_maintenance().try_collect::<Vec<_>>();
        async { listing.await.map(drop) }.boxed()
    }),
    ("MonitorsController_create", |it| {
        ensure_twice(&it.robot).boxed()
    }),
    ("MonitorsController_delete", |it| {
        async { it.robot.delete_monitor(&it.check).await.map(drop) }.boxed()
    }),
    ("MonitorsController_get", |it| {
        async { it.robot.monitor(&it.check).await.map(drop) }.boxed()
    }),
    ("MonitorsController_getMonitorResponseTimeStats", |it| {
        uptime(it).boxed()
    }),
    ("MonitorsController_getMonitorUptimeStats", |it| {
        uptime(it).boxed()
    }),
    ("MonitorsController_list", |it| {
        let checks = it.robot.list_monitors().try_collect::<Vec<_>>();
        async { checks.await.map(drop) }.boxed()
    }),
    ("MonitorsController_pause", |it| {
        it.robot.pause_monitor(&it.check)
    }),
    ("MonitorsController_start", |it| {
        it.robot.resume_monitor(&it.check)
    }),
    ("MonitorsController_update", |it| {
        ensure_twice(&it.robot).boxed()
    }),
    ("PspAnnouncementsController_create", |it| {
        let update = StatusUpdate::new("Slow ä/7?#%", "We are looking into it.");
        it.robot.post_status_update(&it.page, update)
    }),
    ("PspController_get", |it| {
        async { it.robot.status_page(&it.page).await.map(drop) }.boxed()
    }),
    ("PspController_list", |it| {
        let pages = it.robot.list_status_pages().try_collect::<Vec<_>>();
        async { pages.await.map(drop) }.boxed()
    }),
    ("UserController_getMe", |it| {
        async { it.robot.describe().await.map(drop) }.boxed()
    }),
];

/// What the description calls a text and is more, with a text that it can be.
const TEXTS: [(&str, &str); 4] = [
    ("date", "2026-11-21"),
    ("from", "2026-11-21T03:05:06Z"),
    (
        "nextLink",
        "https://api.uptimerobot.com/v3/monitors?cursor=1",
    ),
    ("to", "2026-11-21T04:05:06Z"),
];

/// Puts what it can be in the place of each such text.
fn mend(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let text = TEXTS.iter().find(|(field, _)| field == name);
                match text.filter(|_| value.is_string()) {
                    Some((_, text)) => *value = Value::from(*text),
                    None => mend(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mend),
        _ => {}
    }
}

/// The same answer with texts that can be, where that makes a difference.
fn mended(answer: &Answer) -> Option<Answer> {
    let made: Value = serde_json::from_slice(&answer.body).ok()?;
    let mut body = made.clone();
    mend(&mut body);
    let mut answer = answer.clone();
    answer.label.push_str(", mended");
    answer.body = body.to_string().into();
    (body != made).then_some(answer)
}

async fn uptime(scene: &Scene) -> Result<()> {
    let period = Period::new(scene.now.saturating_sub(HOUR), scene.now)?;
    scene.robot.uptime(&scene.check, period).await.map(drop)
}

/// A fresh account with a check that has looked, a window and a page, and a provider whose
/// limits are fresh, too.
async fn scene(fake: &Fake) -> Scene {
    fake.reset();
    let robot = fake.robot();
    let now = fake.clock.now();
    let check = robot
        .ensure_monitor(full("check"))
        .await
        .unwrap()
        .resource
        .id;
    let heartbeat = HeartbeatSpec::new("Nightly/backup", 24 * HOUR);
    robot.ensure_heartbeat(heartbeat).await.unwrap();
    let request = CreateMaintenanceRequest::new("soon", now, HOUR);
    let window = robot.create_maintenance(request).await.unwrap().id;
    let page = {
        let mut state = fake.state();
        let before = now.saturating_sub(2 * HOUR);
        let monitor = state.monitor(check.as_str()).unwrap();
        monitor.made_at = before;
        monitor.log.push((before, "UP"));
        state.seed_page("Shop").to_string()
    };
    let page = StatusPageId::new(page).unwrap();
    Scene {
        robot,
        now,
        check,
        window,
        page,
    }
}

/// An answer is understood, or refused by the name of what is not.
async fn answered(fake: &Fake, drive: Drive, id: &str, answer: Answer) {
    let scene = scene(fake).await;
    let (status, allowed) = (answer.status, answer.allowed);
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let what = format!("{id}: {}: {body}", answer.label);
    fake.state().planned = Some((id.to_owned(), answer.clone()));
    let outcome = drive(&scene).await;
    assert!(fake.state().planned.is_none(), "{what}: never asked for");
    match outcome {
        // A failure that may be over is not seen: the request is sent again.
        Ok(()) => assert!(status < 400 || status == 429 || status >= 500, "{what}"),
        Err(err) if status >= 400 => assert_eq!(err.status(), Some(status), "{what}: {err:?}"),
        Err(err) => {
            assert_eq!(err.kind(), ErrorKind::Decode, "{what}: {err:?}");
            assert!(err.message().contains("the field "), "{what}: {err:?}");
            let is_mended = answer.label.ends_with("mended");
            let is_text = |(field, _): &(&str, &str)| {
                let named = format!("the field {field} ");
                !is_mended && err.message().starts_with(&named)
            };
            // A window may have no date at all, and then lies nowhere in time.
            let is_nowhere = answer.label.contains("null") && err.message().contains("date");
            let is_known = is_nowhere || TEXTS.iter().any(is_text);
            assert!(!allowed || is_known, "{what}: {err:?}");
        }
    }
}

#[tokio::test]
async fn every_operation_is_sent_and_every_answer_is_understood_or_refused_by_name() {
    let Some(description) = description() else {
        skipped("there is no description of UptimeRobot");
        return;
    };
    let sends = OPERATIONS.iter().map(|it| Sends {
        operation_id: it.id(),
        method: it.method().as_str(),
        path: it.template(),
        serves: it.served(),
    });
    let coverage = Coverage::new("uptimerobot", sends);
    let fake = Fake::start();
    for (id, drive) in DRIVES {
        drive(&scene(&fake).await).await.unwrap();
        for request in &std::mem::take(&mut fake.state().sent) {
            coverage.check(&description, request).unwrap();
        }
        for answer in description.answers(id) {
            if let Some(mended) = mended(&answer) {
                answered(&fake, *drive, id, mended).await;
            }
            answered(&fake, *drive, id, answer).await;
            coverage.answered(id).unwrap();
        }
    }
    coverage.finish().unwrap();
}
