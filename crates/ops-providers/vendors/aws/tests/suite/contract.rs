//! Every operation that this crate can send, held to the vendor's own description: the
//! requests, and all that may be answered.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use ops_aws::{AwsS3, S3_OPERATIONS, S3Credentials, S3Operation, S3Store, S3StoreBuilder};
use ops_conformance::contract::{Answer, Coverage, Sends};
use ops_core::ObjectStore;
use ops_testkit::s3::contract::{S3Contract, call_everything, call_presigned};
use ops_testkit::s3::{S3Client, S3Fake};

fn sends(operation: &'static S3Operation) -> Sends {
    Sends {
        operation_id: operation.name,
        method: operation.method,
        path: operation.path,
        serves: operation.serves,
    }
}

/// A server with a bucket that locks objects, as such a bucket has every ability.
async fn server() -> S3Fake {
    let server = S3Fake::start().await;
    lock_bucket(&server.client()).await;
    server.forget_requests();
    server
}

async fn lock_bucket(client: &S3Client) {
    let create = http::Request::put("/bucket").header("x-amz-bucket-object-lock-enabled", "true");
    let created = client.send(create.body("".into()).unwrap()).await.unwrap();
    assert_eq!(created.status, 200, "{}", created.text());
}

fn builder(server: &S3Fake) -> S3StoreBuilder {
    AwsS3::builder("bucket", server.region())
        .endpoint(server.endpoint())
        .allow_http(true)
        .max_attempts(1)
        .stall_timeout(Duration::from_secs(1))
        .part_bytes(5 << 20)
        .credentials(S3Credentials::new(server.access_key(), server.secret_key()))
}

/// Everything that can be sent, with the first error of each call.
async fn send_everything(store: &S3Store) -> Vec<(&'static str, ops_core::Error)> {
    let mut failed = call_everything(store).await;
    let swept = store.sweep_uploads(Duration::from_hours(1)).await;
    failed.extend(swept.err().map(|err| ("sweep_uploads", err)));
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_sent_and_every_answer_is_understood_or_refused_by_name() {
    let Some(contract) = S3Contract::find_or_skip() else {
        return;
    };
    let coverage = Coverage::new("aws", S3_OPERATIONS.iter().map(sends));
    send_all(&contract, &coverage).await;
    let answers = S3_OPERATIONS.iter().flat_map(|operation| {
        let answers = contract.answers(operation.name).into_iter();
        answers.map(move |answer| (operation, answer))
    });
    let counted = &coverage;
    stream::iter(answers)
        .for_each_concurrent(8, |(operation, answer)| async move {
            answer_with(operation, &answer).await;
            counted.answered(operation.name).unwrap();
        })
        .await;
    coverage.finish().unwrap();
}

/// Sends everything to the fake, once with a known profile and once probed, and checks each
/// request.
async fn send_all(contract: &S3Contract, coverage: &Coverage) {
    let server = server().await;
    let store = builder(&server).open().await.unwrap();
    let mut profile = store.profile().clone();
    let failed = send_everything(&store).await;
    assert!(failed.is_empty(), "{failed:?}");
    for request in call_presigned(&store).await.unwrap() {
        coverage.check(contract.description(), &request).unwrap();
    }
    // A copy in parts, and a bucket elsewhere.
    profile.copy = false;
    let elsewhere = builder(&server).profile(profile).region("eu-central-1");
    let failed = call_everything(&elsewhere.open().await.unwrap()).await;
    assert!(
        failed
            .iter()
            .all(|(_, err)| err.kind() != ops_core::ErrorKind::Decode),
        "{failed:?}"
    );
    contract.count(coverage, &server);

    let server = self::server().await;
    let probed = S3Store::builder("bucket")
        .endpoint(server.endpoint())
        .allow_http(true)
        .credentials(S3Credentials::new(server.access_key(), server.secret_key()));
    let probed = probed.open().await.unwrap();
    assert!(probed.as_object_lock().is_some());
    contract.count(coverage, &server);
}

/// Answers one operation with one generated answer, and all others as they should be.
async fn answer_with(operation: &S3Operation, answer: &Answer) {
    let label = format!("{} {}", operation.name, answer.label);
    let server = server().await;
    S3Contract::answer_with(&server, operation.name, answer);
    let mut store = builder(&server).open().await.unwrap();
    if operation.name == "UploadPartCopy" {
        let mut profile = store.profile().clone();
        profile.copy = false;
        store = builder(&server).profile(profile).open().await.unwrap();
    }
    let failed = if operation.name == "GetObjectLockConfiguration" {
        // Only a probe asks for it.
        let probed = S3Store::builder("bucket")
            .endpoint(server.endpoint())
            .allow_http(true)
            .max_attempts(1)
            .credentials(S3Credentials::new(server.access_key(), server.secret_key()));
        let failed = probed.open().await.err();
        failed.map(|err| ("open", err)).into_iter().collect()
    } else {
        send_everything(&store).await
    };
    let broken = S3Contract::broken(&server);
    assert!(!broken.is_empty(), "{label}: never asked");
    for (call, err) in failed {
        // What another answer refused, for want of what this one should have made.
        let follows = err.request_id().is_some_and(|id| !broken.contains(id));
        let fits = follows || S3Contract::is_fitting(answer, &err);
        assert!(fits, "{label}: {call}: {err:?}");
    }
}
