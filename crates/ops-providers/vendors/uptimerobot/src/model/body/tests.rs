//! What is refused, and what counts as the same.

use ops_core::ErrorKind;
use ops_core::id::Region;
use ops_core::monitor::{HttpMethod, HttpTarget, MonitorTarget};
use serde_json::{Value, from_value, json};

use super::*;

const LEAST: Duration = Duration::from_secs(60);

fn http(target: HttpTarget) -> MonitorSpec {
    MonitorSpec::new("shop", MonitorTarget::Http(target))
}

fn shop() -> HttpTarget {
    HttpTarget::new("https://shop.example/health")
}

/// The answer to a check as it was asked for, with something changed.
fn seen(change: &Value) -> Monitor {
    let mut monitor = json!({
        "id": 1, "friendlyName": "shop &amp; co", "type": "KEYWORD", "interval": 300.0,
        "url": "https://shop.example/health?a=1&amp;b=2", "timeout": 30, "port": null,
        "httpMethodType": "GET", "successHttpResponseCodes": ["3xx", "2xx"],
        "customHttpHeaders": { "X-Probe": "s3cret", "x-number": 5 },
        "keywordType": "ALERT_NOT_EXISTS", "keywordCaseType": 0, "keywordValue": "&lt;ok&gt;",
        "sslExpirationReminder": true, "config": { "sslExpirationPeriodDays": [14, 7] },
        "regionalData": { "REGION": ["na"], "MANUAL_SELECTED": false },
        "tags": [{ "name": "web" }, { "name": "ops-key-shop" }],
    });
    let fields = monitor.as_object_mut().unwrap();
    fields.extend(change.as_object().unwrap().clone());
    from_value(monitor).unwrap()
}

fn wanted() -> MonitorBody {
    let header = |name: &str, value: &str| (name.to_owned(), Secret::from(value));
    let headers = [header("x-probe", "s3cret"), header("X-Number", "5")];
    let target = HttpTarget::new("https://shop.example/health?a=1&b=2")
        .with_keyword("<ok>")
        .with_headers(headers.into())
        .with_certificate_expiry_days(vec![7, 14]);
    let spec = http(target)
        .with_name("shop & co")
        .with_tags(vec!["web".to_owned()]);
    MonitorBody::check(&spec, LEAST).unwrap()
}

#[test]
fn order_case_and_escapes_are_no_difference() {
    assert!(wanted().is(&seen(&json!({}))));
    // Regions that were not asked for are left as they are.
    assert!(wanted().is(&seen(&json!({ "regionalData": { "REGION": ["eu"] } }))));
}

#[test]
fn each_field_that_differs_is_a_difference() {
    for change in [
        json!({ "friendlyName": "shop" }),
        json!({ "url": "https://shop.example/" }),
        json!({ "url": null }),
        json!({ "interval": 60 }),
        json!({ "interval": null }),
        json!({ "timeout": 5 }),
        json!({ "httpMethodType": "HEAD" }),
        json!({ "successHttpResponseCodes": ["2xx"] }),
        json!({ "customHttpHeaders": null }),
        json!({ "customHttpHeaders": { "x-probe": "s3cret", "x-number": 6 } }),
        json!({ "customHttpHeaders": { "x-probe": "s3cret", "x-number": 5, "x-more": "1" } }),
        json!({ "keywordType": "ALERT_EXISTS" }),
        json!({ "keywordCaseType": 1 }),
        json!({ "keywordValue": "ok" }),
        json!({ "sslExpirationReminder": false }),
        json!({ "config": { "sslExpirationPeriodDays": [7] } }),
        json!({ "config": null }),
        json!({ "tags": [{ "name": "ops-key-shop" }] }),
    ] {
        assert!(!wanted().is(&seen(&change)), "{change}");
    }
}

#[test]
fn regions_that_were_asked_for_are_compared() {
    let spec = http(shop()).with_regions(vec![Region::new("eu").unwrap()]);
    let body = MonitorBody::check(&spec, LEAST).unwrap();
    let there = |names: Value| seen(&json!({ "regionalData": { "REGION": names } }));
    assert!(body.has_regions_of(&there(json!(["eu"]))));
    assert!(!body.has_regions_of(&there(json!(["eu", "na"]))));
}

#[test]
fn a_check_that_cannot_be_is_refused() {
    let seconds = Duration::from_secs;
    let fast = Confirmation::default().with_down_after(seconds(60));
    let long = "x".repeat(251);
    let tag = |tag: &str| http(shop()).with_tags(vec![tag.to_owned()]);
    let tcp = |host: &str, port| {
        let host = host.to_owned();
        MonitorSpec::new("db", MonitorTarget::Tcp { host, port })
    };
    let invalid = [
        http(shop()).with_interval(seconds(59)),
        http(shop()).with_interval(Duration::from_millis(60_500)),
        http(shop()).with_interval(seconds(MAX_INTERVAL + 1)),
        http(shop()).with_timeout(seconds(0)),
        http(shop()).with_timeout(seconds(61)),
        http(shop()).with_name(""),
        http(shop()).with_name(long),
        MonitorSpec::http("", "https://shop.example"),
        http(shop()).with_regions(vec![Region::new("fra").unwrap()]),
        tag(""),
        tag("Web"),
        tag("a,b"),
        tag("ops-key-other"),
        http(HttpTarget::new("gopher://shop.example")),
        http(HttpTarget::new("shop.example")),
        http(HttpTarget::new(format!(
            "https://shop.example/{}",
            "x".repeat(10_000)
        ))),
        http(shop().with_expected_status(vec![200, 42])),
        http(shop().with_keyword("  ")),
        http(shop().with_keyword("x".repeat(501))),
        http(shop().with_keyword("ok").with_method(HttpMethod::Head)),
        http(shop().with_certificate_expiry_days((1..=11).collect())),
        http(shop().with_certificate_expiry_days(vec![366])),
        http(HttpTarget::new("http://shop.example").with_certificate_expiry_days(vec![7])),
        tcp("db.example", 0),
        tcp("", 5432),
        tcp("https://db.example/", 5432),
        tcp("casey@db.example", 5432),
    ];
    for spec in invalid {
        let refused = MonitorBody::check(&spec, LEAST).err();
        let kind = refused.map(|err| err.kind());
        assert_eq!(kind, Some(ErrorKind::InvalidInput), "{spec:?}");
    }
    let slow = http(shop()).with_confirmation(fast);
    let refused = MonitorBody::check(&slow, LEAST).err();
    assert_eq!(refused.map(|err| err.kind()), Some(ErrorKind::Unsupported));
}

#[test]
fn a_heartbeat_that_cannot_be_is_refused() {
    let seconds = Duration::from_secs;
    for spec in [
        HeartbeatSpec::new("x", seconds(29)),
        HeartbeatSpec::new("x", Duration::from_millis(30_500)),
        HeartbeatSpec::new("x", seconds(MAX_INTERVAL + 1)).with_grace(seconds(60)),
        HeartbeatSpec::new("x", seconds(3_600)).with_grace(seconds(MAX_GRACE + 1)),
        HeartbeatSpec::new("", seconds(3_600)),
    ] {
        let refused = MonitorBody::heartbeat(&spec).err();
        let kind = refused.map(|err| err.kind());
        assert_eq!(kind, Some(ErrorKind::InvalidInput), "{spec:?}");
    }
    // A fifth of a month is more than a day.
    let monthly = HeartbeatSpec::new("x", seconds(MAX_INTERVAL));
    assert!(MonitorBody::heartbeat(&monthly).is_err());
    MonitorBody::heartbeat(&monthly.with_grace(seconds(MAX_GRACE))).unwrap();
}
