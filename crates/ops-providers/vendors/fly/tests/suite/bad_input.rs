//! Nonsense from both sides: what callers ask for, and what servers answer.

use futures_util::{StreamExt, TryStreamExt};
use ops_core::hosting::{
    AppSecrets, AppSettings, CreateAppRequest, CreateApps, DeployRequest, DeploySource, Domains,
    EnvVars, GitReference, HealthCheck, Hosting, LogQuery, Logs, MachineSize, PlainEnv, Replicas,
    Restart, Rollback, RollbackRequest, Scale, ScaleRequest,
};
use ops_core::id::{AppId, DeploymentId, DomainId, IdempotencyKey, Region};
use ops_core::{Error, ErrorKind, ProviderId};
use ops_fly::Fly;
use ops_http::RetryPolicy;
use ops_http::test_util::{MockServer, Reply, respond};
use serde_json::json;

use crate::fake::{Fake, TOKEN};

const AWKWARD: [&str; 7] = ["a/b", "a?b=c", "a#b", "a%2Fb", "a b", "ünï", "日本"];

fn fly(server: &MockServer) -> Fly {
    Fly::builder(TOKEN)
        .base_url(server.base_url())
        .platform_url(server.base_url())
        .allow_http(true)
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

fn image(name: &str) -> DeployRequest {
    DeployRequest::new(DeploySource::image(name))
}

/// What comes of reading the machines of an app where the server answers this.
async fn scaled(reply: Reply) -> Error {
    let server = MockServer::start([reply]);
    fly(&server).scale_state(&app("shop")).await.unwrap_err()
}

/// What comes of listing releases where the server answers this.
async fn deployments(reply: Reply) -> Error {
    let server = MockServer::start([reply]);
    let listing = fly(&server).list_deployments(&app("shop"));
    listing.try_collect::<Vec<_>>().await.unwrap_err()
}

#[tokio::test]
async fn a_refused_token_is_unauthenticated_and_not_tried_again() {
    let fake = Fake::start();
    for token in ["wrong", "FlyV1 fm2_wrong", "fm1r_wrong,fm2_more"] {
        let earlier = fake.requests().len();
        let stranger = Fly::builder(token)
            .base_url(fake.url())
            .platform_url(fake.url())
            .allow_http(true)
            .build()
            .unwrap();
        let err = stranger.scale_state(&app("shop")).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unauthenticated);
        let err = stranger.list_deployments(&app("shop")).next().await;
        assert_eq!(err.unwrap().unwrap_err().kind(), ErrorKind::Unauthenticated);
        assert_eq!(fake.requests_since(earlier).len(), 2);
    }
}

#[tokio::test]
async fn a_macaroon_has_a_scheme_of_its_own_with_and_without_its_prefix() {
    for (token, header) in [
        ("fm2_abc", "FlyV1 fm2_abc"),
        ("FlyV1 fm2_abc,fm2_def", "FlyV1 fm2_abc,fm2_def"),
        ("fo1_abc", "Bearer fo1_abc"),
    ] {
        let server = MockServer::start([respond(200).json(&json!([]))]);
        let fly = Fly::builder(token)
            .base_url(server.base_url())
            .allow_http(true);
        fly.build()
            .unwrap()
            .scale_state(&app("shop"))
            .await
            .unwrap();
        assert_eq!(server.requests()[0].header("authorization"), Some(header));
    }
}

#[test]
fn what_cannot_work_is_refused_with_all_problems() {
    let err = Fly::builder("")
        .organization("")
        .port(0)
        .size(MachineSize::named("huge"))
        .base_url("nowhere")
        .build()
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    let text = err.to_string();
    for part in ["token", "organization", "port", "huge", "URL"] {
        assert!(text.contains(part), "{part} is not named: {text}");
    }
    let plain = "http://fly.example";
    for builder in [
        Fly::builder("fm2\ntoken"),
        Fly::builder(TOKEN).base_url(plain),
        Fly::builder(TOKEN).platform_url(plain),
    ] {
        let err = builder.build().unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    }
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_url_changes_nothing() {
    let fake = Fake::start();
    let shop = fake.app_with("shop:1").await;
    let mut each = Vec::new();
    for slash in ["", "/"] {
        let earlier = fake.requests().len();
        let fly = fake
            .builder()
            .base_url(format!("{}/v1{slash}", fake.url()))
            .platform_url(format!("{}{slash}", fake.url()))
            .build()
            .unwrap();
        fly.app(&shop).await.unwrap();
        fly.logs(&shop, LogQuery::default())
            .try_collect::<Vec<_>>()
            .await
            .unwrap();
        each.push(fake.requests_since(earlier));
    }
    assert_eq!(each[0], each[1]);
}

#[tokio::test]
async fn an_awkward_id_stays_one_segment_and_is_not_found() {
    let fake = Fake::start();
    let shop = fake.app_with("shop:1").await;
    let fly = fake.fly();
    for awkward in AWKWARD {
        let nobody = app(awkward);
        let domain = DomainId::new(awkward).unwrap();
        let deployment = DeploymentId::new(awkward).unwrap();
        let errors = [
            fly.app(&nobody).await.unwrap_err(),
            fly.deploy(&nobody, image("shop:2")).await.unwrap_err(),
            fly.deployment(&nobody, &deployment).await.unwrap_err(),
            fly.deployment(&shop, &deployment).await.unwrap_err(),
            fly.roll_back(&shop, RollbackRequest::to(deployment))
                .await
                .unwrap_err(),
            fly.env(&nobody).await.unwrap_err(),
            fly.list_secrets(&nobody).await.unwrap_err(),
            fly.scale_state(&nobody).await.unwrap_err(),
            fly.restart(&nobody).await.unwrap_err(),
            fly.domain(&shop, &domain).await.unwrap_err(),
            fly.check_domain(&shop, &domain).await.unwrap_err(),
            fly.logs(&nobody, LogQuery::default())
                .next()
                .await
                .unwrap()
                .unwrap_err(),
        ];
        for err in errors {
            assert_eq!(err.kind(), ErrorKind::NotFound, "{awkward}: {err:?}");
        }
        fly.delete_app(&nobody).await.unwrap();
        fly.remove_domain(&shop, &domain).await.unwrap();
    }
    for request in fake.requests() {
        let depth = request.matches('/').count();
        assert!(depth <= 6, "an id became several segments: {request}");
    }
    assert_eq!(fake.state().app("shop").images(), ["shop:1"]);
}

#[tokio::test]
async fn an_odd_image_reaches_fly_as_it_is() {
    let fake = Fake::start();
    let shop = fake.app_with("shop:1").await;
    let odd = "registry.example/a b/ü:1?x=2#%2F";
    fake.fly().deploy(&shop, image(odd)).await.unwrap();
    assert_eq!(fake.state().app("shop").images(), [odd]);
    let err = fake.fly().deploy(&shop, image(" ")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_fly_does_not_have_is_refused_before_anything_is_sent() {
    let fake = Fake::start();
    let shop = app("shop");
    let fly = fake.fly();
    let with = |settings: AppSettings| image("shop:1").with_settings(settings);
    let settings = AppSettings::default;
    let replicas = |replicas| with(settings().with_replicas(replicas));
    let sized = |size| with(settings().with_size(size));
    let bytes = |memory_bytes| MachineSize::Resources {
        cpu_millis: 1000,
        memory_bytes,
    };
    let git = DeploySource::Git {
        repository: None,
        reference: GitReference::Tag("v1".to_owned()),
    };
    let unsupported = [
        DeployRequest::new(git),
        DeployRequest::new(DeploySource::Archive("x.tar.gz".into())),
        DeployRequest::new(DeploySource::Directory(".".into())),
        image("shop:1").with_environment("preview"),
        replicas(Replicas::Total(0)),
        replicas(Replicas::PerRegion(std::collections::BTreeMap::new())),
    ];
    let invalid = [
        replicas(Replicas::Auto { min: 2, max: 1 }),
        replicas(Replicas::Auto { min: 0, max: 0 }),
        sized(MachineSize::named("shared-cpu-3x")),
        sized(MachineSize::named("shared-cpu-x")),
        sized(bytes(1)),
        sized(bytes(0)),
        with(settings().with_port(0)),
        with(settings().with_health_check(HealthCheck::new("ready"))),
    ];
    let cases = unsupported
        .into_iter()
        .map(|it| (it, ErrorKind::Unsupported));
    let cases = cases.chain(invalid.into_iter().map(|it| (it, ErrorKind::InvalidInput)));
    for (request, kind) in cases {
        let told = format!("{request:?}");
        let err = fly.deploy(&shop, request).await.unwrap_err();
        assert_eq!(err.kind(), kind, "{told}: {err:?}");
        assert_eq!(
            err.provider().map(ProviderId::as_str),
            Some("fly"),
            "{told}"
        );
    }
    assert_eq!(fake.requests(), [""; 0]);
}

#[tokio::test]
async fn an_app_without_machines_has_no_settings_no_key_and_no_place() {
    let fake = Fake::start();
    let fly = fake.fly();
    let key = IdempotencyKey::new("k").unwrap();
    let settled =
        CreateAppRequest::new("new").with_settings(AppSettings::default().with_port(3000));
    for request in [
        CreateAppRequest::new("new").with_idempotency_key(key),
        settled,
    ] {
        let err = fly.create_app(request).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported);
    }
    let none = ScaleRequest::default().with_regions(Vec::<Region>::new());
    let err = fly.set_scale(&app("shop"), none).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert_eq!(fake.requests(), [""; 0]);
}

#[test]
fn a_variable_that_looks_secret_is_refused_with_the_right_ability_named() {
    let err = PlainEnv::new([("FLY_API_TOKEN", "fm2_x")]).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert!(err.message().contains("AppSecrets"), "{err}");
}

#[tokio::test]
async fn scaling_what_was_never_deployed_is_a_conflict() {
    let fake = Fake::start();
    fake.state().add_app("shop", crate::fake::ORGANIZATION);
    let two = ScaleRequest::default().with_replicas(Replicas::Total(2));
    let err = fake.fly().set_scale(&app("shop"), two).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_field_that_is_not_what_it_should_be_is_named() {
    let err = scaled(respond(200).json(&json!([{ "id": "1", "state": 7 }]))).await;
    assert_eq!(err.kind(), ErrorKind::Decode);
    assert!(err.message().contains("[0].state"), "{err}");
}

#[tokio::test]
async fn a_failure_under_a_status_of_success_is_a_failure() {
    let told = |code: &str, message: &str| {
        let errors = json!([{ "message": message, "extensions": { "code": code } }]);
        respond(200).json(&json!({ "data": { "app": null }, "errors": errors }))
    };
    for (code, message, kind) in [
        ("NOT_FOUND", "no such app", ErrorKind::NotFound),
        ("SERVER_ERROR", "Could not find App", ErrorKind::NotFound),
        ("UNAUTHORIZED", "who are you", ErrorKind::Unauthenticated),
    ] {
        assert_eq!(
            deployments(told(code, message)).await.kind(),
            kind,
            "{code}"
        );
    }
    let nothing = respond(200).json(&json!({ "data": { "app": null } }));
    let err = deployments(nothing).await;
    assert_eq!(
        (err.kind(), err.resource()),
        (ErrorKind::NotFound, Some("shop"))
    );
}

#[tokio::test]
async fn a_next_page_without_a_cursor_ends_a_listing_with_an_error() {
    let node = json!({ "id": "r1", "version": 1, "status": "complete" });
    let page = json!({ "endCursor": null, "hasNextPage": true });
    let app = json!({ "releases": { "nodes": [node], "pageInfo": page } });
    let err = deployments(respond(200).json(&json!({ "data": { "app": app } }))).await;
    assert_eq!(err.kind(), ErrorKind::Decode, "{err:?}");
}

#[tokio::test]
async fn a_log_that_goes_round_in_circles_ends_with_an_error() {
    let line = json!({ "timestamp": "2026-11-21T04:05:06Z", "message": "again" });
    let page = json!({ "data": [{ "attributes": line }], "meta": { "next_token": "7" } });
    let server = MockServer::serving(move |request| match request.path() {
        "/apps/shop/machines" => respond(200).json(&json!([])),
        _ => respond(200).json(&page),
    });
    let lines = fly(&server).logs(&app("shop"), LogQuery::default());
    let err = lines.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Decode);
    assert!(server.requests().len() <= 4);
}

#[tokio::test]
async fn a_region_without_room_is_unavailable_and_a_taken_name_exists() {
    let body = json!({ "error": "no room", "status": "insufficient_capacity" });
    let err = scaled(respond(422).json(&body)).await;
    assert_eq!(
        (err.kind(), err.code()),
        (ErrorKind::Unavailable, Some("insufficient_capacity"))
    );
    let body = json!({ "error": "somebody has it", "status": "name_taken" });
    assert_eq!(
        scaled(respond(422).json(&body)).await.kind(),
        ErrorKind::AlreadyExists
    );
}
