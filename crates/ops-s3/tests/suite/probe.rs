//! What is found out when a store is opened.

use std::time::Duration;

use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{ErrorKind, ObjectStore};
use ops_s3::{ChecksumKind, EtagForm, S3Credentials, S3Store, S3StoreBuilder, StoreProfile};
use ops_testkit::s3::contract::Held;
use ops_testkit::s3::{Condition, Fault};

use crate::support::{Server, error, key, noise, pieces};

#[tokio::test(flavor = "multi_thread")]
async fn abilities_are_found_by_trying_and_nothing_is_left() {
    let server = Server::start().await;
    let store = server.builder().open().await.unwrap();
    let profile = store.profile();
    assert_eq!(profile.checksum, ChecksumKind::Crc32c);
    assert_eq!(profile.put_if_match, Some(EtagForm::Quoted));
    assert!(profile.complete_if_none_match && profile.upload_part_copy && profile.delete_many);
    // s3s-fs looks first and writes then, and has neither of these.
    assert!(!profile.copy_if_none_match && !profile.list_uploads && !profile.versions);
    assert!(store.as_versions().is_none() && store.as_lifecycle().is_none());
    let report = store.probe_report().unwrap().to_string();
    assert!(
        report.contains("no  CopyObject If-None-Match, object there"),
        "{report}"
    );
    assert!(profile.to_string().contains("checksum: Crc32c"));

    assert!(
        crate::support::keys(&store, ListOptions::default())
            .await
            .is_empty()
    );
    let begun = server.requests("?uploads").len();
    let ended = server
        .requests("DELETE")
        .iter()
        .filter(|line| line.contains("uploadId"))
        .count();
    let completed = server
        .requests("POST")
        .iter()
        .filter(|line| line.contains("uploadId="))
        .count();
    assert!(begun > 0 && ended > 0 && ended + completed >= begun);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_weakness_of_a_store_is_found_out() {
    let server = Held::start().await;
    server.create_bucket("bucket");
    let probed = async || at(&server).open().await.unwrap().profile().clone();
    let strong = probed().await;
    assert!(strong.put_if_none_match && strong.complete_if_none_match && strong.complete_if_match);
    assert!(strong.full_object_checksum && strong.list_uploads && strong.versions);
    assert_eq!(strong.part_checksum, ChecksumKind::Crc32c);

    server.behave(|it| it.if_none_match = Condition::Ignored);
    assert!(!probed().await.put_if_none_match);
    server.behave(|it| it.if_match = Condition::AlwaysFails);
    assert_eq!(probed().await.put_if_match, None);
    server.behave(|it| it.conditional_complete = Condition::Ignored);
    let weak = probed().await;
    assert!(!weak.complete_if_none_match && !weak.complete_if_match);
    server.behave(|it| it.verifies_checksums = false);
    assert_eq!(probed().await.checksum, ChecksumKind::Md5);
    server.behave(|it| (it.copies, it.lists_uploads, it.bucket_features) = (false, false, false));
    let weak = probed().await;
    assert!(!weak.copy && !weak.upload_part_copy && !weak.list_uploads);
    assert!(!weak.versions && !weak.lifecycle && !weak.object_lock);
    assert!(server.keys("bucket").is_empty() && server.open_uploads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_checksums_is_used_with_md5() {
    let server = Held::start().await;
    server.create_bucket("bucket");
    server.behave(|it| it.accepts_request_checksums = false);
    let store = at(&server).open().await.unwrap();
    let profile = store.profile();
    assert_eq!(
        (profile.checksum, profile.part_checksum),
        (ChecksumKind::Md5, ChecksumKind::Md5)
    );
    assert!(profile.delete_many && profile.complete_if_none_match);
    server.inject(Fault::corrupt_upload(0).on("PutObject"));
    let written = store
        .put(&key("a"), "content".into(), PutOptions::default())
        .await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Integrity);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_uploads_that_are_old_and_ours_are_swept() {
    let server = Held::start().await;
    server.create_bucket("bucket");
    let begin = async |prefix: &str| {
        let store = at(&server)
            .prefix(prefix)
            .profile(StoreProfile::aws())
            .open()
            .await
            .unwrap();
        server.inject(
            Fault::error(403, "AccessDenied")
                .on("AbortMultipartUpload")
                .times(1),
        );
        let data = pieces(noise(12 << 20), 1 << 20);
        server.inject(Fault::error(403, "AccessDenied").on("CompleteMultipartUpload"));
        let err = store
            .put_stream(&key("big"), data, PutOptions::default())
            .await
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::PermissionDenied);
        store
    };
    let ours = begin("ours/").await;
    begin("theirs/").await;
    assert_eq!(server.open_uploads().len(), 2);
    assert_eq!(
        ours.sweep_uploads(Duration::from_hours(1)).await.unwrap(),
        0
    );
    server.behave(|it| it.clock_ahead_seconds = -60);
    assert_eq!(ours.sweep_uploads(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(server.open_uploads()[0].key, "theirs/big");
}

fn at(server: &Held) -> S3StoreBuilder {
    S3Store::builder("bucket")
        .endpoint(server.endpoint())
        .allow_http(true)
        .initial_backoff(Duration::from_millis(1))
        .credentials(S3Credentials::new(server.access_key(), server.secret_key()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_about_the_store_ends_the_probe() {
    for (fault, kind) in [
        (error(403, "AccessDenied"), ErrorKind::PermissionDenied),
        (error(404, "NoSuchBucket"), ErrorKind::NotFound),
        (
            error(403, "SignatureDoesNotMatch"),
            ErrorKind::Unauthenticated,
        ),
        (error(503, "SlowDown"), ErrorKind::RateLimited),
    ] {
        let server = Server::start().await;
        server.fault(3, "PutObject", fault);
        let err = server.builder().open().await.unwrap_err();
        assert_eq!(
            (err.kind(), err.operation()),
            (kind, Some("object_store.open"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_dropped_cleans_up_behind_itself() {
    let server = Server::start().await;
    tokio::select! {
        _ = server.builder().open() => panic!("the probe was too fast"),
        () = server.wait_for("CopyObject") => {}
    }
    let store = server.store().await;
    let clean = async {
        while store.head(&key("x")).await.is_ok()
            || !crate::support::keys(&store, ListOptions::default())
                .await
                .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), clean)
        .await
        .unwrap();
}

#[tokio::test]
async fn all_problems_of_a_configuration_are_named_at_once() {
    let err = S3Store::builder("no/bucket")
        .endpoint("ftp://user:pw@host/?x")
        .part_bytes(0)
        .concurrency(0)
        .open()
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    for problem in [
        "bucket",
        "neither https",
        "contains credentials",
        "query",
        "part_bytes",
        "concurrency",
        "credentials are missing",
    ] {
        assert!(err.message().contains(problem), "{problem}: {err}");
    }
}
