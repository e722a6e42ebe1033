use std::sync::Arc;
use std::time::Duration;

use ops_health::{Code, DrainPlan, Groups, Health, Outcome, Scheduler, Visibility};
use ops_testkit::ManualClock;

use crate::support::{
    Scripted, TOKEN, exact, get, get_authorized, request, seconds, send, service, settle,
};

async fn running(builder: ops_health::HealthBuilder) -> (Health, Scheduler) {
    let health = builder.build().unwrap();
    let scheduler = health.start().unwrap();
    settle().await;
    (health, scheduler)
}

const ROUTES: [&str; 5] = [
    "/health",
    "/api/health",
    "/health/live",
    "/health/ready",
    "/health/startup",
];

#[tokio::test(start_paused = true)]
async fn head_answers_as_get_without_the_body() {
    let builder = service().clock(Arc::new(ManualClock::default()));
    let (health, _scheduler) = running(builder.check(Scripted::failing("db")).aliases()).await;
    for uri in ROUTES
        .into_iter()
        .chain(["/livez", "/readyz", "/healthz", "/health/checks/db"])
    {
        let got = get(&health, uri);
        let head = send(&health, &request("HEAD", uri, &[]));
        assert_eq!(
            (head.status, &head.headers, &*head.body),
            (got.status, &got.headers, ""),
            "{uri}"
        );
        assert_eq!(
            got.header("content-length"),
            Some(&*got.body.len().to_string()),
            "{uri}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_refused_and_told_what_is_allowed() {
    let (health, _scheduler) = running(service()).await;
    for uri in ROUTES.into_iter().chain(["/health/checks/db"]) {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
            let reply = send(&health, &request(method, uri, &[]));
            assert_eq!(reply.code(), 405, "{method} {uri}");
            assert_eq!(reply.header("allow"), Some("GET, HEAD"), "{method} {uri}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_may_be_cached() {
    let (health, _scheduler) = running(service()).await;
    for uri in ROUTES.into_iter().chain(["/health/checks/db", "/nothing"]) {
        assert_eq!(
            get(&health, uri).header("cache-control"),
            Some("no-store"),
            "{uri}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn probes_answer_in_one_word() {
    let (health, _scheduler) = running(service().check(Scripted::failing("db"))).await;
    assert_eq!(get(&health, "/health/live").body, r#"{"alive":true}"#);
    assert_eq!(get(&health, "/health/ready").body, r#"{"ready":false}"#);
    assert_eq!(get(&health, "/health/startup").body, r#"{"started":true}"#);
}

#[tokio::test(start_paused = true)]
async fn other_paths_are_not_found() {
    let (health, _scheduler) = running(service()).await;
    for uri in [
        "/",
        "/healthy",
        "/health/",
        "/health/nothing",
        "/health/checks/",
        "/livez",
        "/healthz",
    ] {
        assert_eq!(get(&health, uri).code(), 404, "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn aliases_speak_the_text_of_kubernetes() {
    let builder = service()
        .check(Scripted::healthy("cache"))
        .check(Scripted::failing("db"))
        .aliases();
    let (health, _scheduler) = running(builder).await;
    assert_eq!(
        (get(&health, "/livez").code(), &*get(&health, "/livez").body),
        (200, "ok")
    );
    let reply = get(&health, "/readyz?verbose");
    assert_eq!((reply.code(), &*reply.body), (503, "readyz check failed\n"));
    let reply = get_authorized(&health, "/readyz?verbose");
    let lines = "[+]cache ok\n[-]db failed: reason withheld\nreadyz check failed\n";
    assert_eq!((reply.code(), &*reply.body), (503, lines));
}

#[tokio::test(start_paused = true)]
async fn the_draft_is_chosen_by_accept_or_format() {
    let (health, _scheduler) = running(service()).await;
    let draft = "application/health+json";
    for (uri, accept, expected) in [
        ("/health", "*/*", "application/json"),
        ("/health", draft, draft),
        ("/health?format=draft", "*/*", draft),
        ("/health?format=native", draft, "application/json"),
        ("/health?format=unheard", "*/*", "application/json"),
        ("/health?format=unheard", draft, draft),
    ] {
        let reply = send(&health, &request("GET", uri, &[("accept", accept)]));
        assert_eq!(
            reply.header("content-type"),
            Some(expected),
            "{uri} {accept}"
        );
        assert_eq!(reply.code(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn one_check_is_shown_to_authorized_callers_alone() {
    let builder = service().check(Scripted::new("db", Outcome::unhealthy(Code::Refused)));
    let (health, _scheduler) = running(builder).await;
    let there = get(&health, "/health/checks/db");
    let missing = get(&health, "/health/checks/nothing");
    assert_eq!(
        (there.code(), there.header("www-authenticate")),
        (401, Some("Bearer"))
    );
    assert_eq!(
        (there.status, &there.headers, &there.body),
        (missing.status, &missing.headers, &missing.body)
    );

    let reply = get_authorized(&health, "/health/checks/db");
    assert_eq!(
        (reply.code(), &reply.json()["code"]),
        (503, &"refused".into())
    );
    assert_eq!(
        get_authorized(&health, "/health/checks/nothing").code(),
        404
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_right_token_opens_the_details() {
    let second = "fedcba9876543210fedcba9876543210";
    let builder = service()
        .bearer_token(second)
        .check(Scripted::healthy("db"));
    let (health, _scheduler) = running(builder).await;
    let open = |value: &str| {
        let parts = request("GET", "/health", &[("authorization", value)]);
        send(&health, &parts).body.contains("1.4.2")
    };
    assert!(open(&format!("Bearer {TOKEN}")));
    assert!(open(&format!("bearer {second}")));
    let wrong = format!("Bearer {}x", &TOKEN[..31]);
    let long = format!("Bearer {TOKEN}x");
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        TOKEN,
        &wrong,
        &long,
        &format!("Basic {TOKEN}"),
    ] {
        assert!(!open(value), "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn visibility_decides_with_or_without_a_token() {
    let shows = |health: &Health, uri: &str| get_authorized(health, uri).body.contains("1.4.2");
    let (never, _a) = running(service().visibility(Visibility::Never)).await;
    assert!(!shows(&never, "/health"));
    assert_eq!(get_authorized(&never, "/health/checks/db").code(), 404);
    let (always, _b) = running(service().visibility(Visibility::Always)).await;
    assert!(get(&always, "/health").body.contains("1.4.2"));
    let (nobody, _c) = running(Health::builder().version("1.4.2")).await;
    assert!(!shows(&nobody, "/health"));
    let closure = Health::builder().version("1.4.2").authorize(|parts| {
        assert!(
            parts.uri.path() != "/api/health",
            "an authorizer panics on purpose"
        );
        parts.headers.contains_key("x-operator")
    });
    let (closure, _d) = running(closure).await;
    let parts = request("GET", "/health", &[("x-operator", "1")]);
    assert!(send(&closure, &parts).body.contains("1.4.2"));
    assert!(!get(&closure, "/health").body.contains("1.4.2"));
    let panics = request("GET", "/api/health", &[("x-operator", "1")]);
    assert!(!send(&closure, &panics).body.contains("1.4.2"));
}

#[tokio::test(start_paused = true)]
async fn only_authorized_callers_may_narrow_the_question() {
    let builder = service()
        .check(Scripted::failing("db"))
        .check(Scripted::failing("report"))
        .policy(|_| exact().with_groups(Groups::HEALTH));
    let (health, _scheduler) = running(builder).await;
    for uri in [
        "/health?exclude=db,report",
        "/health?exclude=db&exclude=report",
        "/health?group=startup",
    ] {
        assert_eq!(get(&health, uri).code(), 503, "{uri}");
        assert_eq!(get_authorized(&health, uri).code(), 200, "{uri}");
    }
    assert_eq!(
        get_authorized(&health, "/health?exclude=report").code(),
        503
    );
    assert_eq!(
        get_authorized(&health, "/health?exclude=db&group=ready").code(),
        200
    );
    assert_eq!(get(&health, "/health/ready?exclude=db").code(), 503);
}

#[tokio::test(start_paused = true)]
async fn an_anonymous_caller_cannot_ask_for_a_kinder_group() {
    let builder = service()
        .check(Scripted::failing("report"))
        .policy(|_| exact().with_groups(Groups::HEALTH));
    let (health, _scheduler) = running(builder).await;
    assert_eq!(get(&health, "/health?group=ready").code(), 503);
    assert_eq!(get_authorized(&health, "/health?group=ready").code(), 200);
}

#[tokio::test(start_paused = true)]
async fn names_are_shown_to_everybody_only_on_request() {
    let (hidden, _a) = running(service().check(Scripted::failing("db"))).await;
    assert!(!get(&hidden, "/health").body.contains("db"));
    let (shown, _b) = running(service().check(Scripted::failing("db")).expose_names()).await;
    let body = get(&shown, "/health").json();
    assert_eq!(
        body["checks"]["db"].to_string(),
        r#"{"ok":false,"status":"unhealthy"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn draining_sends_clients_elsewhere() {
    let plan = DrainPlan::new(Duration::from_millis(2500), seconds(1));
    let (health, _scheduler) = running(service().drain_plan(plan)).await;
    for uri in ROUTES {
        let reply = get(&health, uri);
        assert_eq!(
            (reply.header("connection"), reply.header("retry-after")),
            (None, None),
            "{uri}"
        );
    }
    let _drain = health.drain();
    for (uri, retry_after) in [
        ("/health/ready", Some("3")),
        ("/health", Some("3")),
        ("/health/live", None),
    ] {
        let reply = get(&health, uri);
        assert_eq!(reply.header("connection"), Some("close"), "{uri}");
        assert_eq!(reply.header("retry-after"), retry_after, "{uri}");
        let mut http2 = request("GET", uri, &[]);
        http2.version = http::Version::HTTP_2;
        assert_eq!(send(&health, &http2).header("connection"), None, "{uri}");
    }
}
