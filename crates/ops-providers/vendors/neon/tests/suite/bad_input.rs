//! Nonsense from both sides: what callers ask for, and what servers answer.

use ops_core::database::{
    Branching, CreateDatabaseRequest, Database, DatabaseSize, Engine, NativeBackups, Provision,
};
use ops_core::id::{BranchId, DatabaseId, IdempotencyKey, NativeBackupId};
use ops_core::{Error, ErrorKind, ProviderId};
use ops_http::RetryPolicy;
use ops_http::test_util::{MockServer, Reply, respond};
use ops_neon::Neon;
use serde_json::json;

use crate::fake::{Fake, PROJECT, TOKEN};

const AWKWARD: [&str; 7] = ["a/b", "a?b=c", "a#b", "a%2Fb", "a b", "ünï", "日本"];

fn neon(server: &MockServer) -> Neon {
    Neon::builder(TOKEN, PROJECT)
        .base_url(server.base_url())
        .allow_http(true)
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

/// What comes of reading the project where the server answers this.
async fn described(reply: Reply) -> Error {
    let server = MockServer::start([reply]);
    neon(&server).describe().await.unwrap_err()
}

#[tokio::test]
async fn a_refused_key_is_unauthenticated_and_not_tried_again() {
    let fake = Fake::start();
    let stranger = Neon::builder("napi_wrong", PROJECT)
        .base_url(fake.base_url())
        .allow_http(true)
        .build()
        .unwrap();
    let err = stranger.describe().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unauthenticated);
    assert_eq!(err.request_id(), Some("r-0001"));
    assert_eq!(fake.requests().len(), 1);
}

#[test]
fn what_cannot_work_is_refused_with_all_problems() {
    let err = Neon::builder("", "")
        .base_url("nowhere")
        .branch("")
        .build()
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    let text = err.to_string();
    for part in ["API key", "the project", "branch", "URL"] {
        assert!(text.contains(part), "{part} is not named: {text}");
    }
    let err = Neon::builder("napi\nkey", PROJECT).build().unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    let err = Neon::builder(TOKEN, PROJECT)
        .base_url("http://neon.example")
        .build();
    assert_eq!(err.unwrap_err().kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn an_awkward_id_stays_one_segment_and_is_not_found() {
    let fake = Fake::start();
    let neon = fake.neon();
    for awkward in AWKWARD {
        let project = DatabaseId::new(awkward).unwrap();
        let branch = BranchId::new(awkward).unwrap();
        let backup = NativeBackupId::new(awkward).unwrap();
        let errors = [
            neon.instance(&project).await.unwrap_err(),
            neon.connect_info_of(&project).await.unwrap_err(),
            neon.branch(&branch).await.unwrap_err(),
            neon.branch_connect_info(&branch).await.unwrap_err(),
            neon.backup(&backup).await.unwrap_err(),
            fake.builder_of(awkward)
                .build()
                .unwrap()
                .describe()
                .await
                .unwrap_err(),
        ];
        for err in errors {
            assert_eq!(err.kind(), ErrorKind::NotFound, "{awkward}: {err:?}");
        }
        neon.delete_branch(&branch).await.unwrap();
        neon.delete_database(&project).await.unwrap();
    }
    for request in fake.requests() {
        let depth = request.matches('/').count();
        assert!(depth <= 5, "an id became several segments: {request}");
    }
}

#[tokio::test]
async fn what_neon_does_not_have_is_refused_before_anything_is_sent() {
    let fake = Fake::start();
    let neon = fake.neon();
    let new = || CreateDatabaseRequest::new("shop", Engine::Postgres);
    let sized = |size| new().with_size(size);
    let key = IdempotencyKey::new("k").unwrap();
    let size = DatabaseSize::default;
    let cases = [
        (
            CreateDatabaseRequest::new("shop", Engine::Redis),
            ErrorKind::Unsupported,
        ),
        (new().with_dimensions(3), ErrorKind::Unsupported),
        (new().with_idempotency_key(key), ErrorKind::Unsupported),
        (new().with_version("16.2"), ErrorKind::InvalidInput),
        (sized(size().with_plan("large")), ErrorKind::Unsupported),
        (sized(size().with_storage_bytes(1)), ErrorKind::Unsupported),
        (sized(size().with_replicas(1)), ErrorKind::Unsupported),
        (
            sized(size().with_max_cpu_millis(100)),
            ErrorKind::InvalidInput,
        ),
        (
            sized(size().with_max_cpu_millis(0)),
            ErrorKind::InvalidInput,
        ),
    ];
    for (request, kind) in cases {
        let told = format!("{request:?}");
        let err = neon.create_database(request).await.unwrap_err();
        assert_eq!(err.kind(), kind, "{told}: {err:?}");
        assert_eq!(
            err.provider().map(ProviderId::as_str),
            Some("neon"),
            "{told}"
        );
    }
    assert_eq!(fake.requests(), [""; 0]);
}

#[tokio::test]
async fn a_field_that_is_not_what_it_should_be_is_named() {
    let answer = json!({ "project": { "id": PROJECT, "name": "shop", "pg_version": "new" } });
    let err = described(respond(200).json(&answer)).await;
    assert_eq!(err.kind(), ErrorKind::Decode);
    assert!(err.message().contains("project.pg_version"), "{err}");
}

#[tokio::test]
async fn a_limit_of_the_plan_is_an_exhausted_quota() {
    let body = json!({ "code": "BRANCHES_LIMIT_EXCEEDED", "message": "branches limit exceeded" });
    let err = described(respond(422).json(&body)).await;
    assert_eq!(err.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(err.code(), Some("BRANCHES_LIMIT_EXCEEDED"));
}
