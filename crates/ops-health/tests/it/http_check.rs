//! The HTTP check against a real server.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Redirect;
use axum::routing::get;
use ops_core::Secret;
use ops_core::database::TlsVersion;
use ops_health::checks::Http;
use ops_health::{Check, CheckCtx, Code, Outcome, Status};
use ops_testkit::RefusedPort;
use rustls::version::{TLS12, TLS13};
use tokio::net::TcpListener;

use crate::certificates::{Authority, serve as serve_tls};
use crate::support::seconds;

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://127.0.0.1:{port}")
}

async fn look(check: &Http) -> Outcome {
    check.run(&CheckCtx::new(seconds(5))).await
}

async fn found(check: Http) -> (Status, Code) {
    let outcome = look(&check).await;
    (outcome.status(), outcome.code())
}

const GOOD: (Status, Code) = (Status::Healthy, Code::Ok);

#[tokio::test]
async fn status_headers_and_words_are_judged() {
    let headers = [
        (
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        ),
        ("x-content-type-options", "NoSniff"),
    ];
    let app = Router::new()
        .route("/ok", get(move || async move { (headers, "all is well") }))
        .route("/teapot", get(|| async { StatusCode::IM_A_TEAPOT }))
        .route(
            "/far",
            get(|| async { "x".repeat(64 * 1024) + "all is well" }),
        )
        .route(
            "/near",
            get(|| async { "x".repeat(64 * 1024 - 11) + "all is well" }),
        );
    let base = serve(app).await;
    let at = |path: &str| Http::get(&format!("{base}{path}"));
    let year = seconds(31_536_000);

    assert_eq!(found(at("/ok")).await, GOOD);
    let all = at("/ok")
        .expect_hsts(year)
        .expect_header("X-Content-Type-Options", "nosniff")
        .expect_body("is well");
    assert_eq!(found(all).await, GOOD);
    assert_eq!(
        found(Http::head(&format!("{base}/ok")).expect_hsts(year)).await,
        GOOD
    );
    let header = (Status::Degraded, Code::UnexpectedHeader);
    assert_eq!(
        found(at("/ok").expect_hsts(year + seconds(1))).await,
        header
    );
    assert_eq!(
        found(at("/ok").expect_header("x-frame-options", "DENY")).await,
        header
    );
    let body = (Status::Unhealthy, Code::UnexpectedBody);
    assert_eq!(found(at("/ok").expect_body("all is lost")).await, body);
    assert_eq!(found(at("/near").expect_body("all is well")).await, GOOD);
    assert_eq!(found(at("/far").expect_body("all is well")).await, body);
    let status = (Status::Unhealthy, Code::UnexpectedStatus);
    assert_eq!(found(at("/teapot")).await, status);
    assert_eq!(found(at("/teapot").expect_status(418..=418)).await, GOOD);
    assert_eq!(found(at("/ok").expect_status(418..=418)).await, status);
    let slow = at("/ok").warn_after(Duration::ZERO);
    assert_eq!(found(slow).await, (Status::Degraded, Code::ThresholdWarn));
    let seen = look(&at("/ok")).await;
    assert!(
        seen.observations()
            .iter()
            .any(|o| o.name == "status" && (o.value - 200.0).abs() < 0.1)
    );
}

#[tokio::test]
async fn what_does_not_answer_is_told_from_what_is_not_there() {
    let hang = get(std::future::pending::<&'static str>);
    let base = serve(Router::new().route("/", hang)).await;
    let ctx = CheckCtx::new(Duration::from_millis(200));
    let outcome = Http::get(&base).run(&ctx).await;
    assert_eq!(
        (outcome.status(), outcome.code()),
        (Status::Unhealthy, Code::Timeout)
    );
    let refused = RefusedPort::take();
    let nobody = Http::get(&format!("http://{}", refused.addr()));
    assert_eq!(found(nobody).await, (Status::Unhealthy, Code::Refused));
}

#[tokio::test]
async fn a_redirect_is_an_answer_unless_it_may_be_followed() {
    let seen = |headers: HeaderMap| async move {
        headers
            .get("authorization")
            .map_or(StatusCode::OK, |_| StatusCode::IM_A_TEAPOT)
    };
    let other = serve(Router::new().route("/seen", get(seen))).await;
    let to = format!("{other}/seen");
    let app = Router::new()
        .route("/here", get(|| async { Redirect::temporary("/there") }))
        .route("/there", get(seen))
        .route(
            "/away",
            get(move || async move { Redirect::temporary(&to) }),
        )
        .route("/loop", get(|| async { Redirect::temporary("/loop") }));
    let base = serve(app).await;
    let at = |path: &str| Http::get(&format!("{base}{path}")).bearer(&Secret::from("token"));
    let status = (Status::Unhealthy, Code::UnexpectedStatus);
    assert_eq!(found(at("/here")).await, status);
    assert_eq!(found(at("/here").expect_status(300..=399)).await, GOOD);
    // The same origin gets the token again, another one never.
    assert_eq!(
        found(at("/here").follow_redirects(1).expect_status(418..=418)).await,
        GOOD
    );
    assert_eq!(found(at("/away").follow_redirects(1)).await, GOOD);
    assert_eq!(found(at("/loop").follow_redirects(5)).await, status);
}

#[tokio::test]
async fn only_public_addresses_are_asked_where_that_is_demanded() {
    let hit = get(|| async { "a service that nobody outside may see" });
    let base = serve(Router::new().route("/", hit)).await;
    assert_eq!(found(Http::get(&base)).await, GOOD);
    let forbidden = (Status::Unhealthy, Code::Forbidden);
    let port = base.rsplit(':').next().unwrap();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0x7f000001",
        "2130706433",
        "127.1",
    ] {
        let check = Http::get(&format!("http://{host}:{port}")).public_only();
        assert_eq!(found(check).await, forbidden, "{host}");
    }
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/",
        "http://10.0.0.1/",
    ] {
        assert_eq!(
            found(Http::get(url).public_only()).await,
            forbidden,
            "{url}"
        );
    }
}

#[tokio::test]
async fn https_is_verified() {
    let root = Authority::new("root");
    let leaf = root.leaf("localhost", (1, 1), (12, 31));
    let port = serve_tls(leaf, None, &[&TLS13, &TLS12]).await;
    let url = format!("https://localhost:{port}/");
    let invalid = (Status::Unhealthy, Code::TlsInvalid);
    let stranger = Authority::new("stranger").root_pem();
    let with = |pem: String| Http::get(&url).root_certificates_pem(pem);
    assert_eq!(found(with(stranger)).await, invalid);
    // The client reads the time of the machine: this holds while that is the year 2026.
    let outcome = look(&with(root.root_pem()).expect_hsts(seconds(100))).await;
    let expected = [
        (Status::Healthy, Code::Ok),
        (Status::Unhealthy, Code::TlsExpired),
    ];
    assert!(
        expected.contains(&(outcome.status(), outcome.code())),
        "{outcome:?}"
    );
    let by_address =
        Http::get(&format!("https://127.0.0.1:{port}/")).root_certificates_pem(root.root_pem());
    assert_eq!(found(by_address).await, invalid);
    let expired = root.leaf("localhost", (1, 1), (1, 2));
    let port = serve_tls(expired, None, &[&TLS12]).await;
    let check = Http::get(&format!("https://localhost:{port}/"))
        .min_tls(TlsVersion::V1_2)
        .root_certificates_pem(root.root_pem());
    assert_eq!(found(check).await, (Status::Unhealthy, Code::TlsExpired));
    let strict =
        Http::get(&format!("https://localhost:{port}/")).root_certificates_pem(root.root_pem());
    assert_eq!(found(strict).await, invalid, "TLS 1.2 was accepted");
}

#[test]
fn what_cannot_be_sent_is_a_problem_of_the_build() {
    for (check, expected) in [
        (Http::get("not a url"), "the URL cannot be read"),
        (Http::get("ftp://x/"), "neither http:// nor https://"),
        (
            Http::get("http://app:hunter2@x/"),
            "the URL holds credentials",
        ),
        (
            Http::get("http://x/").header("a b", "x"),
            "\"a b\" is no header",
        ),
        (
            Http::get("http://x/").header("a", "hunter2\n"),
            "cannot be sent",
        ),
        (
            Http::get("http://x/").expect_header("a b", "x"),
            "\"a b\" is no header",
        ),
        (
            Http::get("http://x/").expect_status(700..=800),
            "no status codes",
        ),
        (Http::head("http://x/").expect_body("x"), "no body"),
    ] {
        let problems = Check::problems(&check).join("; ");
        assert!(problems.contains(expected), "{expected}: {problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
        assert!(!format!("{check:?}").contains("hunter2"), "{check:?}");
    }
}
