//! Each request as UptimeRobot expects it.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::monitor::{
    CreateMaintenanceRequest, HeartbeatSpec, HttpMethod, HttpTarget, MonitorSpec, MonitorTarget,
    StatusUpdate,
};
use ops_core::{Secret, id::Region};
use serde_json::{Value, json};

use super::*;
use crate::model::maintenance::Offset;

const LEAST: Duration = Duration::from_secs(30);

/// Method, path and query, and body of a request.
fn sent<T>(request: &ApiRequest<T>) -> (String, Value) {
    let method = request.operation().method();
    let line = format!("{method} {}", request.path_and_query());
    let body = request.body().unwrap_or_default();
    (line, serde_json::from_slice(body).unwrap_or_default())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn check(target: MonitorTarget) -> MonitorBody {
    MonitorBody::check(&MonitorSpec::new("shop", target), LEAST).unwrap()
}

#[test]
fn what_is_asked_for() {
    let period = Period::new(at("2026-11-20T00:00:00.2Z"), at("2026-11-21T00:00:00.2Z")).unwrap();
    let span = "from=2026-11-20T00%3A00%3A00Z&to=2026-11-21T00%3A00%3A01Z";
    let table = [
        (sent(&account()), "GET /user/me".to_owned()),
        (sent(&beat("m1-key", "1")), "GET /m1-key".to_owned()),
        (sent(&delete_monitor(7)), "DELETE /monitors/7".to_owned()),
        (
            sent(&delete_window(7)),
            "DELETE /maintenance-windows/7".to_owned(),
        ),
        (sent(&monitor(7)), "GET /monitors/7".to_owned()),
        (
            sent(monitors(None).first()),
            "GET /monitors?limit=200".to_owned(),
        ),
        (
            sent(monitors(Some("ops-key-shop")).first()),
            "GET /monitors?limit=200&tags=ops-key-shop".to_owned(),
        ),
        (sent(&page(7)), "GET /psps/7".to_owned()),
        (sent(pages().first()), "GET /psps".to_owned()),
        (
            sent(&response_times(7, period)),
            format!("GET /monitors/7/stats/response-time?{span}"),
        ),
        (
            sent(&uptime(7, period)),
            format!("GET /monitors/7/stats/uptime?{span}"),
        ),
        (
            sent(windows().first()),
            "GET /maintenance-windows".to_owned(),
        ),
    ];
    for ((line, body), expected) in table {
        assert_eq!((line, body), (expected, Value::Null));
    }
}

#[test]
fn what_is_sent_for_each_kind_of_check() {
    let plain = json!({
        "friendlyName": "shop", "interval": 300, "timeout": 30, "tagNames": ["ops-key-shop"],
    });
    let with = |more: Value| {
        let mut body = plain.clone();
        let fields = body.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        body
    };
    let db = MonitorTarget::Tcp {
        host: "db.example".to_owned(),
        port: 5432,
    };
    let ping = MonitorTarget::Ping {
        host: "db.example".to_owned(),
    };
    let mut dns = with(json!({ "type": "DNS", "url": "shop.example", "config": {} }));
    dns.as_object_mut().unwrap().remove("timeout");
    let table = [
        (
            db,
            with(json!({ "type": "PORT", "url": "db.example", "port": 5432 })),
        ),
        (ping, with(json!({ "type": "PING", "url": "db.example" }))),
        (
            MonitorTarget::Dns {
                name: "shop.example".to_owned(),
            },
            dns,
        ),
        (
            MonitorTarget::Http(HttpTarget::new("http://shop.example/?a=1&b=2")),
            with(json!({
                "type": "HTTP", "url": "http://shop.example/?a=1&b=2", "httpMethodType": "GET",
                "successHttpResponseCodes": ["2xx", "3xx"], "customHttpHeaders": {},
            })),
        ),
    ];
    for (target, expected) in table {
        let body = check(target);
        let (line, sent) = sent(&create_monitor(&body));
        assert_eq!((line.as_str(), sent), ("POST /monitors", expected));
    }
}

#[test]
fn a_check_with_everything_is_made_and_changed() {
    let headers = BTreeMap::from([("X-Probe".to_owned(), Secret::from("s3cret"))]);
    let target = HttpTarget::new("https://shop.example/health")
        .with_method(HttpMethod::Post)
        .with_expected_status(vec![204, 200])
        .with_keyword(" healthy ")
        .with_headers(headers)
        .with_certificate_expiry_days(vec![30, 7]);
    let spec = MonitorSpec::new("shop", MonitorTarget::Http(target))
        .with_name("The shop")
        .with_interval(Duration::from_secs(60))
        .with_timeout(Duration::from_secs(10))
        .with_regions(vec![Region::new("eu").unwrap(), Region::new("as").unwrap()])
        .with_tags(vec!["web".to_owned()]);
    let body = MonitorBody::check(&spec, LEAST).unwrap();
    let mut expected = json!({
        "friendlyName": "The shop",
        "type": "KEYWORD",
        "url": "https://shop.example/health",
        "interval": 60,
        "timeout": 10,
        "httpMethodType": "POST",
        "successHttpResponseCodes": ["200", "204"],
        "customHttpHeaders": { "x-probe": "s3cret" },
        "keywordType": "ALERT_NOT_EXISTS",
        "keywordCaseType": "CaseSensitive",
        "keywordValue": "healthy",
        "sslExpirationReminder": true,
        "config": { "sslExpirationPeriodDays": [7, 30] },
        "regionData": { "REGION": ["as", "eu"], "MANUAL_SELECTED": true },
        "tagNames": ["ops-key-shop", "web"],
    });
    assert_eq!(
        sent(&create_monitor(&body)),
        ("POST /monitors".to_owned(), expected.clone())
    );

    // A change never says what type it is, and says the case by a number.
    let fields = expected.as_object_mut().unwrap();
    fields.remove("type");
    fields.insert("keywordCaseType".to_owned(), json!(0));
    let change = update_monitor(7, &body.as_change());
    assert_eq!(sent(&change), ("PATCH /monitors/7".to_owned(), expected));
}

#[test]
fn a_heartbeat_is_made() {
    let spec = HeartbeatSpec::new("nightly", Duration::from_secs(86_400))
        .with_grace(Duration::from_millis(900_500));
    let body = MonitorBody::heartbeat(&spec).unwrap();
    let mut expected = json!({
        "friendlyName": "nightly", "type": "HEARTBEAT", "interval": 86_400, "gracePeriod": 901,
        "tagNames": ["ops-key-nightly"],
    });
    let line = "POST /monitors".to_owned();
    assert_eq!(
        sent(&create_monitor(&body)),
        (line.clone(), expected.clone())
    );
    expected["assignedAlertContacts"] = json!([]);
    assert_eq!(
        sent(&create_monitor(&body.without_alerts())),
        (line, expected)
    );
}

#[test]
fn what_changes_a_state_carries_a_body() {
    for (call, line) in [
        (pause_monitor(7), "POST /monitors/7/pause"),
        (start_monitor(7), "POST /monitors/7/start"),
    ] {
        assert_eq!(sent(&call), (line.to_owned(), json!({})));
    }
}

#[test]
fn windows_and_announcements_are_made() {
    let now = at("2026-11-21T04:05:06Z");
    let two_hours = Duration::from_secs(7_200);
    let request = CreateMaintenanceRequest::new("Deploy", at("2026-11-21T22:00:00Z"), two_hours);
    let body = WindowBody::new(&request, Vec::new(), Offset(0), now).unwrap();
    let expected = json!({
        "name": "Deploy", "autoAddMonitors": true, "interval": "once", "date": "2026-11-21",
        "time": "22:00:00", "duration": 120,
    });
    let line = "POST /maintenance-windows".to_owned();
    assert_eq!(sent(&create_window(&body)), (line, expected));

    let update = StatusUpdate::new("Slow", "We are looking into it.");
    let body = AnnouncementBody::new(&update, now).unwrap();
    let expected = json!({
        "title": "Slow", "content": "We are looking into it.", "status": "Published",
        "type": "Info", "startDate": "2026-11-21T04:05:06.000Z",
    });
    let line = "POST /psps/7/announcements".to_owned();
    assert_eq!(sent(&create_announcement(7, &body)), (line, expected));
}

#[test]
fn only_what_makes_something_new_is_sent_once() {
    let once: Vec<_> = OPERATIONS
        .iter()
        .filter(|it| it.class() == ops_http::Idempotency::Once)
        .map(|it| it.id())
        .collect();
    assert_eq!(
        once,
        [
            "PspAnnouncementsController_create",
            "MonitorsController_create",
            "MaintenanceWindowsController_create",
        ]
    );
}
