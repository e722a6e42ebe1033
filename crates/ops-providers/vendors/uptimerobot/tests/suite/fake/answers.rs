//! What the fake answers, in UptimeRobot's form.

use ops_core::Timestamp;
use serde_json::{Value, json};

use super::state::{Monitor, State, StatusPage};

pub(super) fn failure(message: &str, code: &str) -> Value {
    json!({ "message": message, "code": code })
}

/// Names come back escaped for HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

pub(super) fn account(state: &State) -> Value {
    json!({
        "email": "casey@shop.example",
        "fullName": "Casey",
        "monitorsCount": state.monitors.len(),
        "monitorLimit": 50,
        "smsCredits": 0,
        "activeSubscription": { "plan": "Free", "monitorLimit": 50, "status": "active" },
    })
}

pub(super) fn monitor(state: &State, monitor: &Monitor) -> Value {
    let now = state.now();
    let field = |name: &str, default: Value| monitor.fields.get(name).cloned().unwrap_or(default);
    let url = if monitor.is_heartbeat() {
        format!("{}/beat/{}", state.base_url, monitor.beat_key())
    } else {
        escaped(monitor.text("url"))
    };
    let case = monitor.fields.contains_key("keywordCaseType").then_some(0);
    let keyword = monitor.fields.get("keywordValue").and_then(Value::as_str);
    let tags = monitor.tags().into_iter();
    let tags = tags
        .zip(1_u64..)
        .map(|(name, id)| json!({ "id": id, "name": name, "color": "#fff" }));
    let mut told = json!({
        "type": monitor.text("type"),
        "interval": field("interval", json!(300)),
        "sslBrand": null,
        "sslExpiryDateTime": null,
        "domainExpireDate": null,
        "checkSSLErrors": false,
        "sslExpirationReminder": field("sslExpirationReminder", json!(false)),
        "domainExpirationReminder": false,
        "followRedirections": true,
        "authType": "NONE",
        "customHttpHeaders": field("customHttpHeaders", json!({})),
        "httpMethodType": field("httpMethodType", json!("HEAD")),
        "successHttpResponseCodes": field("successHttpResponseCodes", json!(["2xx", "3xx"])),
        "timeout": field("timeout", Value::Null),
        "postValueData": null,
        "postValueType": null,
        "port": field("port", Value::Null),
        "gracePeriod": field("gracePeriod", Value::Null),
        "keywordValue": keyword.map(escaped),
        "keywordCaseType": case,
        "keywordType": field("keywordType", Value::Null),
        "responseTimeThreshold": 0,
        "config": field("config", Value::Null),
        "regionalData": field("regionData", json!({ "REGION": ["na"], "MANUAL_SELECTED": false })),
        "maintenanceWindows": [],
        "psps": [],
    });
    let more = json!({
        "id": monitor.id,
        "friendlyName": escaped(monitor.text("friendlyName")),
        "status": monitor.status(now),
        "url": url,
        "currentStateDuration": 60,
        "lastIncidentId": null,
        "userId": 1,
        "tags": tags.collect::<Vec<_>>(),
        "assignedAlertContacts": field("assignedAlertContacts", json!([])),
        "lastIncident": incident(monitor),
        "lastDayUptimes": { "bucketSize": 3_600, "histogram": [] },
        "createDateTime": monitor.made_at.to_string(),
        "apiKey": null,
        "groupId": 0,
    });
    if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
        told.extend(more);
    }
    told
}

fn incident(monitor: &Monitor) -> Value {
    let mut log = monitor.log.iter().rev();
    let began: Option<Timestamp> = log.find(|(_, found)| *found == "DOWN").map(|(at, _)| *at);
    began.map_or(Value::Null, |at| {
        json!({
            "id": "inc-1",
            "status": "Ongoing",
            "cause": 333_333,
            "reason": "Connection Timeout",
            "startedAt": at.to_string(),
            "duration": null,
        })
    })
}

pub(super) fn page(page: &StatusPage) -> Value {
    json!({
        "id": page.id,
        "friendlyName": escaped(&page.name),
        "customDomain": null,
        "isPasswordSet": false,
        "monitorIds": [],
        "tagIds": [],
        "monitorsCount": 0,
        "status": "ENABLED",
        "urlKey": format!("key{}", page.id),
        "homepageLink": null,
        "gaCode": null,
        "shareAnalyticsConsent": false,
        "useSmallCookieConsentModal": false,
        "icon": null,
        "noIndex": false,
        "logo": null,
        "hideUrlLinks": false,
        "subscription": false,
        "showCookieBar": false,
        "pinnedAnnouncementId": null,
        "customSettings": null,
    })
}
