//! R2: objects against an S3 server with the rules of R2, buckets against the fake.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use ops_cloudflare::r2::{CorsRule, Jurisdiction, api};
use ops_cloudflare::{Cloudflare, R2, R2Builder};
use ops_conformance::contract::{Answer, Coverage, Sends};
use ops_conformance::leak::assert_no_leak;
use ops_conformance::object_store::ObjectStoreFixture;
use ops_conformance::{Fixture, async_trait};
use ops_core::object_store::{BucketAdmin as _, Lifecycle as _, LifecycleRule, ObjectStore};
use ops_core::object_store::{GetOptions, ObjectKey, PutOptions};
use ops_core::{Error, ErrorKind};
use ops_s3::{S3Credentials, StoreProfile};
use ops_testkit::s3::contract::{S3Contract, call_everything, call_presigned};
use ops_testkit::s3::{Condition, S3Fake};
use serde_json::json;

use crate::fake::Fake;

/// What R2 does otherwise than S3.
async fn server() -> S3Fake {
    let server = S3Fake::start().await;
    server.create_bucket("bucket");
    server.behave(|it| {
        it.equal_part_sizes = true;
        it.accepts_request_checksums = false;
        it.returns_checksums = false;
        it.conditional_complete = Condition::Ignored;
    });
    server
}

fn builder(server: &S3Fake) -> R2Builder {
    let credentials = S3Credentials::new(server.access_key(), server.secret_key());
    R2::builder("a1", "bucket", credentials)
        .endpoint(server.endpoint())
        .store(|s3| s3.allow_http(true).region(server.region()))
}

/// A bucket that is only administered: no object goes anywhere.
pub(crate) async fn administered(cloudflare: &Cloudflare) -> R2 {
    let bucket = R2::builder("a1", "bucket", S3Credentials::new("id", "secret"));
    bucket.admin(cloudflare.clone()).open().await.unwrap()
}

/// Calls every method that is about the bucket, with the first error of each.
pub(crate) async fn administer(cloudflare: &Cloudflare) -> Vec<Option<Error>> {
    let bucket = administered(cloudflare).await;
    let rule = LifecycleRule::new("a", "a/")
        .with_expire_after_days(1)
        .with_abort_uploads_after_days(1);
    let cors = CorsRule::new(["https://shop.example"], ["GET"]);
    vec![
        bucket.create_bucket().await.err(),
        bucket.set_lifecycle_rules(vec![rule]).await.err(),
        bucket.lifecycle_rules().await.err(),
        bucket.set_cors_rules(vec![cors]).await.err(),
        bucket.cors_rules().await.err(),
        bucket.set_cors_rules(Vec::new()).await.err(),
        bucket.delete_bucket().await.err(),
    ]
}

/// What is sent about objects.
pub(crate) fn sends() -> impl Iterator<Item = Sends> {
    api::s3_operations().map(|operation| Sends {
        operation_id: operation.name,
        method: operation.method,
        path: operation.path,
        // R2 has no versions.
        serves: &["ObjectStore"],
    })
}

/// How a bucket is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Known,
    Probed,
    /// As one that cannot copy in one piece.
    CopyInParts,
}

/// Sends everything about objects, and answers it with all that may be answered.
pub(crate) async fn cover(coverage: &Coverage) {
    let Some(contract) = S3Contract::find_or_skip() else {
        return;
    };
    for way in [Way::Known, Way::Probed, Way::CopyInParts] {
        let at = server().await;
        let failed = call_objects(&at, way).await;
        assert!(failed.is_empty(), "{way:?}: {failed:?}");
        contract.count(coverage, &at);
    }
    let at = server().await;
    let bucket = builder(&at).open().await.unwrap();
    for request in call_presigned(&bucket).await.unwrap() {
        coverage.check(contract.description(), &request).unwrap();
    }
    let answers = api::s3_operations().flat_map(|operation| {
        let answers = contract.answers(operation.name).into_iter();
        answers.map(|answer| (operation.name, answer))
    });
    let each = futures_util::stream::iter(answers);
    each.for_each_concurrent(8, |(operation, answer)| async move {
        answer_with(operation, &answer).await;
        coverage.answered(operation).unwrap();
    })
    .await;
}

async fn answer_with(operation: &'static str, answer: &Answer) {
    let label = format!("{operation} {}", answer.label);
    let at = server().await;
    S3Contract::answer_with(&at, operation, answer);
    let way = match operation {
        "UploadPartCopy" => Way::CopyInParts,
        _ if operation.starts_with("GetBucket") => Way::Probed,
        "GetObjectLockConfiguration" | "ListObjectVersions" => Way::Probed,
        _ => Way::Known,
    };
    let failed = call_objects(&at, way).await;
    let broken = S3Contract::broken(&at);
    assert!(!broken.is_empty(), "{label}: never asked");
    for (call, err) in failed {
        // What another answer refused, for want of what this one should have made.
        let follows = err.request_id().is_some_and(|id| !broken.contains(id));
        let fits = follows || S3Contract::is_fitting(answer, &err);
        assert!(fits, "{label}: {call}: {err:?}");
    }
}

/// Calls everything, with the first error of each call.
async fn call_objects(at: &S3Fake, way: Way) -> Vec<(&'static str, Error)> {
    let bucket = builder(at).store(|s3| s3.max_attempts(1).part_bytes(5 << 20));
    let bucket = match way {
        Way::Known => bucket,
        Way::Probed => bucket.probed(),
        // A known profile would come before the one that is set here.
        Way::CopyInParts => bucket.probed().store(|s3| {
            let mut profile = StoreProfile::r2();
            profile.copy = false;
            s3.profile(profile)
        }),
    };
    let bucket = match bucket.open().await {
        Ok(bucket) => bucket,
        Err(err) => return vec![("open", err)],
    };
    let mut failed = call_everything(&bucket).await;
    if way == Way::Known {
        let swept = bucket
            .store()
            .sweep_uploads(Duration::from_secs(3600))
            .await;
        failed.extend(swept.err().map(|err| ("sweep_uploads", err)));
    }
    failed
}

struct AtServer {
    _server: S3Fake,
    store: R2,
}

impl AtServer {
    async fn start() -> Self {
        let server = server().await;
        let store = builder(&server).open().await.unwrap();
        Self {
            _server: server,
            store,
        }
    }
}

#[async_trait]
impl Fixture for AtServer {
    /// What is abandoned is abandoned in the background.
    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[async_trait]
impl ObjectStoreFixture for AtServer {
    fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.store.clone())
    }

    fn abilities(&self) -> &'static [&'static str] {
        &["as_presign"]
    }
}

mod objects {
    use super::AtServer;

    ops_conformance::object_store!(AtServer::start().await);
}

#[tokio::test]
async fn lifecycle_rules_are_replaced_and_an_unseen_part_is_kept() {
    let fake = Fake::start(&[]);
    let bucket = administered(&fake.provider()).await;
    bucket.create_bucket().await.unwrap();
    bucket.create_bucket().await.unwrap();
    let listed = bucket.lifecycle_rules().await.unwrap();
    assert_eq!(listed[0].abort_uploads_after_days, Some(7));
    let moves = json!([{"condition": {"type": "Age", "maxAge": 864_000}, "storageClass": "InfrequentAccess"}]);
    let rule = json!({"id": "a", "enabled": true, "conditions": {"prefix": "x/"}, "storageClassTransitions": moves});
    fake.account().buckets.get_mut("bucket").unwrap().lifecycle = json!({"rules": [rule]});
    let wanted = vec![
        LifecycleRule::new("a", "a/").with_expire_after_days(30),
        LifecycleRule::new("b", "b/").with_abort_uploads_after_days(2),
    ];
    bucket.set_lifecycle_rules(wanted.clone()).await.unwrap();
    assert_eq!(bucket.lifecycle_rules().await.unwrap(), wanted);
    let kept = fake.account().buckets["bucket"].lifecycle["rules"][0].clone();
    assert_eq!(kept["storageClassTransitions"], moves);
    let twice = vec![LifecycleRule::new("a", ""), LifecycleRule::new("a", "")];
    let refused = bucket.set_lifecycle_rules(twice).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    bucket.delete_bucket().await.unwrap();
    bucket.delete_bucket().await.unwrap();
    assert!(bucket.lifecycle_rules().await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn cors_rules_come_back_as_they_were_set() {
    let fake = Fake::start(&[]);
    let bucket = administered(&fake.provider()).await;
    assert!(bucket.cors_rules().await.unwrap_err().is_not_found());
    bucket.create_bucket().await.unwrap();
    assert!(bucket.cors_rules().await.unwrap().is_empty());
    let mut rule = CorsRule::new(["https://shop.example"], ["GET", "PUT"]);
    rule.headers = vec!["content-type".to_owned()];
    rule.max_age = Some(Duration::from_secs(3600));
    bucket.set_cors_rules(vec![rule.clone()]).await.unwrap();
    assert_eq!(bucket.cors_rules().await.unwrap(), [rule]);
    bucket.set_cors_rules(Vec::new()).await.unwrap();
    assert!(bucket.cors_rules().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_jurisdiction_is_named_by_every_request() {
    let fake = Fake::start(&[]);
    let bucket = R2::builder("a1", "bucket", S3Credentials::new("id", "secret"))
        .jurisdiction(Jurisdiction::Eu)
        .admin(fake.provider())
        .open()
        .await
        .unwrap();
    bucket.create_bucket().await.unwrap();
    bucket.lifecycle_rules().await.unwrap();
    assert_eq!(fake.account().buckets["bucket"].jurisdiction, "eu");
    let elsewhere = administered(&fake.provider()).await;
    assert!(
        elsewhere
            .lifecycle_rules()
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn a_bucket_has_the_abilities_that_it_was_given() {
    let server = server().await;
    let fake = Fake::start(&[]);
    let plain = builder(&server).open().await.unwrap();
    let admin = builder(&server)
        .admin(fake.provider())
        .open()
        .await
        .unwrap();
    let part = builder(&server)
        .admin(fake.provider())
        .store(|s3| s3.prefix("a/"));
    let part = part.open().await.unwrap();
    for (bucket, has) in [(&plain, false), (&admin, true), (&part, false)] {
        assert_eq!(bucket.as_lifecycle().is_some(), has);
        assert_eq!(bucket.as_bucket_admin().is_some(), has);
        assert!(bucket.as_presign().is_some());
    }
    let refused = plain.cors_rules().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn what_is_probed_is_what_is_known_of_r2() {
    let server = server().await;
    let known = builder(&server).open().await.unwrap();
    assert!(server.requests().is_empty(), "opening sends nothing");
    let probed = builder(&server).probed().open().await.unwrap();
    let (known, probed) = (known.store().profile(), probed.store().profile());
    assert_eq!(known.checksum, probed.checksum);
    assert_eq!(known.complete_if_none_match, probed.complete_if_none_match);
    assert!(known.equal_parts);
}

#[tokio::test]
async fn an_account_that_is_no_part_of_a_host_is_refused() {
    for account in ["", "a/b", "a.b", "a@b", "ä"] {
        let credentials = S3Credentials::new("id", "secret");
        let err = R2::builder(account, "bucket", credentials)
            .open()
            .await
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{account}");
    }
}

#[test]
fn the_secret_key_is_in_no_log_and_no_error() {
    const KEY: &str = "r2-secret-canary-77b0e41c9d";
    assert_no_leak(KEY, |texts| async move {
        let server = server().await;
        let credentials = S3Credentials::new(server.access_key(), KEY);
        let builder = R2::builder("a1", "bucket", credentials)
            .endpoint(server.endpoint())
            .store(|s3| s3.allow_http(true).region(server.region()).max_attempts(1));
        texts.debug("the builder", &builder);
        let bucket = builder.open().await.unwrap();
        texts.debug("the bucket", &bucket);
        let key = ObjectKey::new("a").unwrap();
        let err = bucket
            .put(&key, "x".into(), PutOptions::default())
            .await
            .unwrap_err();
        texts.error("a write with the wrong key", &err);
        let err = bucket.get(&key, GetOptions::default()).await.unwrap_err();
        texts.error("a read with the wrong key", &err);
    });
}
