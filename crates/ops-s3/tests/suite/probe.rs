//! What is found out when a store is opened.

use ops_core::{ErrorKind, ObjectStore};
use ops_s3::{ChecksumKind, EtagForm};

use crate::support::{Fault, Server, error, key};

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
        crate::support::keys(&store, Default::default())
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
async fn a_store_that_takes_any_condition_is_found_out() {
    let server = Server::start().await;
    // Whoever is told 412 is let through instead.
    server.fault(99, "PutObject", Fault::Header("x-unused", "x"));
    let store = server.builder().open().await.unwrap();
    assert_eq!(store.profile().checksum, ChecksumKind::Crc32c);
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
            || !crate::support::keys(&store, Default::default())
                .await
                .is_empty()
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), clean)
        .await
        .unwrap();
}

#[tokio::test]
async fn all_problems_of_a_configuration_are_named_at_once() {
    let err = ops_s3::S3Store::builder("no/bucket")
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
