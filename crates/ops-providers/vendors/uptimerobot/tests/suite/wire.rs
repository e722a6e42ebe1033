//! UptimeRobot that refuses, breaks and talks nonsense.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use ops_conformance::wire::{Endpoint, Failure, Page, Wire};
use ops_core::Timestamp;
use ops_core::id::{MaintenanceId, MonitorId, StatusPageId};
use ops_core::monitor::{
    CreateMaintenanceRequest, MaintenanceWindows as _, Monitor as _, MonitorSpec, StatusPages as _,
    StatusUpdate, UptimeMonitors as _, UptimeReport as _,
};
use ops_core::usage::Period;
use ops_core::{MonitorExt as _, Result};
use ops_http::Paging;
use ops_http::test_util::{Recorded, Reply, respond};
use ops_uptimerobot::UptimeRobot;
use ops_uptimerobot::api::OPERATIONS;
use serde_json::{Value, json};

/// Ids of UptimeRobot are numbers.
const ID: &str = "7";

const PAGES: Paging = Paging::Cursor("cursor");

fn robot(at: &Endpoint) -> UptimeRobot {
    UptimeRobot::builder(at.token())
        .base_url(at.base_url())
        .heartbeat_url(at.base_url())
        .allow_http(true)
        .http_client(at.http_client())
        .limits(at.limits())
        .retry(at.retry())
        .build()
        .unwrap()
}

fn wire() -> Wire<UptimeRobot> {
    let wire = Wire::new(OPERATIONS, robot).failures(failure);
    with_the_rest(with_monitors(wire))
}

fn with_monitors(wire: Wire<UptimeRobot>) -> Wire<UptimeRobot> {
    wire.call(
        "MonitorsController_create",
        respond(201).json(&monitor(7)),
        |it, _| async move { it.ensure_monitor(shop("missing")).await },
    )
    .call(
        "MonitorsController_update",
        respond(200).json(&monitor(7)),
        |it, _| async move { it.ensure_monitor(shop("differs")).await },
    )
    .call(
        "MonitorsController_delete",
        respond(200),
        |it, _| async move { it.delete_monitor(&check()).await },
    )
    .absent_is_success()
    .ignores_answer()
    .call(
        "MonitorsController_get",
        respond(200).json(&monitor(7)),
        |it, _| async move { it.monitor(&check()).await },
    )
    .call_answered("MonitorsController_list", listed, |it, _| {
        it.list_monitors().try_collect::<Vec<_>>()
    })
    .paged(PAGES, monitors)
    .call(
        "MonitorsController_pause",
        respond(200),
        |it, _| async move { it.pause_monitor(&check()).await },
    )
    .ignores_answer()
    .call(
        "MonitorsController_start",
        respond(200),
        |it, _| async move { it.resume_monitor(&check()).await },
    )
    .ignores_answer()
    .call(
        "MonitorsController_getMonitorUptimeStats",
        respond(200).json(&json!({
            "uptime": 99.5,
            "total_downtime_seconds": 90,
            "incident_count": 2,
            "from": "2026-11-20T00:00:00Z",
            "to": "2026-11-21T00:00:00Z",
        })),
        |it, _| async move { it.uptime(&check(), day()).await },
    )
    .call(
        "MonitorsController_getMonitorResponseTimeStats",
        respond(200).json(&json!({ "summary": { "min": 1, "max": 9, "avg": 120.5 } })),
        |it, _| async move { it.uptime(&check(), day()).await },
    )
}

fn with_the_rest(wire: Wire<UptimeRobot>) -> Wire<UptimeRobot> {
    wire.call(
        "MaintenanceWindowsController_create",
        respond(201).json(&window(3)),
        |it, _| async move { create_maintenance(&it).await },
    )
    .call(
        "MaintenanceWindowsController_delete",
        respond(200),
        |it, _| async move {
            let window = MaintenanceId::new(ID)?;
            it.delete_maintenance(&window).await
        },
    )
    .absent_is_success()
    .ignores_answer()
    .call(
        "MaintenanceWindowsController_list",
        windows(&Page::last(0)),
        |it, _| it.list_maintenance().try_collect::<Vec<_>>(),
    )
    .paged(PAGES, windows)
    .call(
        "PspAnnouncementsController_create",
        respond(201),
        |it, _| async move {
            let update = StatusUpdate::new("Slow", "We are looking into it.");
            it.post_status_update(&StatusPageId::new(ID)?, update).await
        },
    )
    .ignores_answer()
    .call(
        "PspController_get",
        respond(200).json(&status_page(7)),
        |it, _| async move { it.status_page(&StatusPageId::new(ID)?).await },
    )
    .call("PspController_list", pages(&Page::last(0)), |it, _| {
        it.list_status_pages().try_collect::<Vec<_>>()
    })
    .paged(PAGES, pages)
    .call(
        "UserController_getMe",
        respond(200).json(&json!({
            "email": "casey@shop.example",
            "activeSubscription": { "plan": "Free" },
        })),
        |it, _| async move { it.describe().await },
    )
}

async fn create_maintenance(robot: &UptimeRobot) -> Result<()> {
    let request = CreateMaintenanceRequest::new("deploy", noon(), Duration::from_secs(3_600));
    robot.create_maintenance(request).await.map(drop)
}

fn check() -> MonitorId {
    MonitorId::new(ID).unwrap()
}

fn shop(key: &str) -> MonitorSpec {
    MonitorSpec::http(key, "https://shop.example/health")
}

fn noon() -> Timestamp {
    "2126-11-21T12:00:00Z".parse().unwrap()
}

fn day() -> Period {
    let end: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    Period::new(end.saturating_sub(Duration::from_secs(86_400)), end).unwrap()
}

fn monitor(id: usize) -> Value {
    json!({
        "id": id,
        "type": "HTTP",
        "friendlyName": "shop",
        "status": "UP",
        "url": "https://shop.example/health",
        "interval": 60,
        "tags": [{ "name": "ops-key-differs" }],
        "createDateTime": "2026-11-01T00:00:00Z",
    })
}

fn window(id: usize) -> Value {
    json!({
        "id": id,
        "name": "deploy",
        "status": "active",
        "interval": "once",
        "date": "2126-11-21",
        "time": "12:00:00",
        "duration": 60,
        "monitorIds": [7],
    })
}

fn status_page(id: usize) -> Value {
    json!({ "id": id, "friendlyName": "Shop", "customDomain": null, "urlKey": "shop" })
}

/// Those of one tag alone, where it is asked for.
fn listed(request: &Recorded) -> Reply {
    match request.query("tags") {
        Some(tag) if tag != "ops-key-differs" => {
            respond(200).json(&json!({ "nextLink": null, "data": [] }))
        }
        _ => monitors(&Page::last(0)),
    }
}

fn page(page: &Page<'_>, item: fn(usize) -> Value) -> Reply {
    let link = |cursor: &str| {
        let mut link = url::Url::parse("https://api.uptimerobot.com/v3/any").unwrap();
        link.query_pairs_mut().append_pair("cursor", cursor);
        link.to_string()
    };
    let next = page.next.map(link);
    respond(200).json(&json!({ "nextLink": next, "data": [item(page.number)] }))
}

fn monitors(at: &Page<'_>) -> Reply {
    page(at, monitor)
}

fn windows(at: &Page<'_>) -> Reply {
    page(at, window)
}

fn pages(at: &Page<'_>) -> Reply {
    page(at, status_page)
}

fn failure(failure: &Failure) -> Reply {
    respond(failure.status)
        .header("x-request-id", failure.request_id)
        .json(&json!({ "message": failure.message, "code": "refused" }))
}

ops_conformance::wire!(wire());
