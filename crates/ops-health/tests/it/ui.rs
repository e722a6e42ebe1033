//! The page for people.

use ops_core::monitor::IncidentSeverity;
use ops_health::alert::standard_rules;
use ops_health::incident::{Actor, IncidentLog, NewIncident};
use ops_health::slo::Slo;
use ops_health::{Code, Health, Outcome, StatusPage, Watch};
use tokio::time::sleep;

use crate::support::{Scripted, TOKEN, request, seconds, service};

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn ask(page: &StatusPage, method: &str, uri: &str, login: Option<&str>) -> http::Response<String> {
    let login = login.map(|login| format!("Basic {}", base64(login)));
    let headers: Vec<_> = login
        .iter()
        .map(|value| ("authorization", value.as_str()))
        .collect();
    let response = page.respond(&request(method, uri, &headers));
    response.map(|body| String::from_utf8(body.to_vec()).unwrap())
}

fn good() -> String {
    format!("anybody:{TOKEN}")
}

#[tokio::test(start_paused = true)]
async fn only_who_has_the_token_sees_the_page_and_its_data() {
    let health = service().check(Scripted::healthy("db")).build().unwrap();
    let page = StatusPage::new(&health);
    for uri in StatusPage::PATHS {
        let wrong = format!("anybody:{}x", &TOKEN[1..]);
        for login in [None, Some(""), Some(TOKEN), Some(wrong.as_str())] {
            let refused = ask(&page, "GET", uri, login);
            assert_eq!(refused.status(), 401, "{uri} {login:?}");
            assert!(!refused.body().contains("db"));
            let login = refused.headers()["www-authenticate"].to_str().unwrap();
            assert!(login.starts_with("Basic "), "{login}");
        }
        let shown = ask(&page, "GET", uri, Some(good().as_str()));
        assert_eq!(shown.status(), 200, "{uri}");
        assert_eq!(shown.headers()["cache-control"], "no-store");
        assert_eq!(ask(&page, "HEAD", uri, Some(good().as_str())).body(), "");
        assert_eq!(ask(&page, "POST", uri, Some(good().as_str())).status(), 405);
        let open = StatusPage::new(&health).for_everybody();
        assert_eq!(ask(&open, "GET", uri, None).status(), 200);
    }
    assert_eq!(
        ask(&page, "GET", "/health", Some(good().as_str())).status(),
        404
    );
    // Where nobody can be let through, there is nothing to log in to.
    let closed = Health::builder().build().unwrap();
    let page = StatusPage::new(&closed);
    assert_eq!(ask(&page, "GET", "/health/ui", None).status(), 404);
}

#[test]
fn the_page_loads_nothing_and_runs_nothing_but_itself() {
    let health = service().build().unwrap();
    let page = ask(
        &StatusPage::new(&health),
        "GET",
        "/health/ui",
        Some(good().as_str()),
    );
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; connect-src 'self'"),
        "{policy}"
    );
    assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = page.body();
    for outside in [
        "http:",
        "https:",
        "src=",
        "@import",
        "url(",
        "innerHTML",
        "onclick",
        "style=",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("width=device-width"));
}

#[tokio::test(start_paused = true)]
async fn the_data_hold_checks_changes_objectives_and_incidents() {
    let db = Scripted::healthy("db");
    let health = service()
        .check(db.clone())
        .redact("c4n4ry")
        .build()
        .unwrap();
    let incidents = IncidentLog::in_memory();
    let watch = Watch::builder(&health)
        .rules(standard_rules(seconds(86_400)))
        .slo(Slo::builder("available").objective(0.999).build().unwrap())
        .incidents(incidents.clone())
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    let _watching = watch.start().unwrap();
    sleep(seconds(30)).await;
    db.returns(Outcome::unhealthy(Code::Refused).with_detail("c4n4ry <b>bold</b>"));
    sleep(seconds(300)).await;
    let new = NewIncident::new("orders", "orders is down", IncidentSeverity::P0);
    incidents.open(new, Actor::Service).await.unwrap();
    let page = StatusPage::new(&health).watch(&watch);
    let body = ask(&page, "GET", "/health/ui/data", Some(good().as_str())).into_body();
    assert!(!body.contains("c4n4ry"), "{body}");
    let data: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        data["health"]["checks"]["db"]["detail"],
        "[redacted] <b>bold</b>"
    );
    let changes = data["history"].as_array().unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(
        (&changes[0]["to"], &changes[0]["code"]),
        (&"unhealthy".into(), &"refused".into())
    );
    assert_eq!(changes[1]["from"], "unknown");
    assert_eq!(data["slos"][0]["name"], "available");
    assert!(
        data["slos"][0]["remaining"].as_f64().unwrap() < 1.0,
        "{body}"
    );
    assert_eq!(data["alerts"][0]["severity"], "p0", "{body}");
    assert_eq!(data["incidents"][0]["state"], "detected", "{body}");
}

#[tokio::test(start_paused = true)]
async fn changes_are_kept_up_to_a_bound() {
    let db = Scripted::healthy("db");
    let health = service()
        .check(db.clone())
        .policy(|policy| policy.with_thresholds(1, 1))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    for round in 0..300 {
        db.returns(if round % 2 == 0 {
            Outcome::unhealthy(Code::Failed)
        } else {
            Outcome::healthy()
        });
        sleep(seconds(11)).await;
    }
    let page = StatusPage::new(&health);
    let body = ask(&page, "GET", "/health/ui/data", Some(good().as_str())).into_body();
    let data: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(data["history"].as_array().unwrap().len(), 200);
    assert_eq!(data["history"][0]["to"], "healthy");
}
