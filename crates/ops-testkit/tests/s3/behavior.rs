//! The ways of weaker stores.

use std::time::Duration;

use ops_testkit::s3::Condition;

use crate::kit::{BUCKET, PART, begin, complete, ok, part, refusal, refused, send, shop};

#[tokio::test]
async fn conditions_may_be_ignored_broken_or_unknown() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "old");
    let create = [("if-none-match", "*")];
    s3.behave(|it| it.if_none_match = Condition::Ignored);
    ok(send(&client, "PUT /shop/k", &create, "new").await);
    assert_eq!(s3.content(BUCKET, "k").unwrap(), "new");

    s3.behave(|it| it.if_match = Condition::AlwaysFails);
    let head = ok(send(&client, "HEAD /shop/k", &[], "").await);
    let same = [("if-match", head.header("etag").unwrap())];
    let failed = send(&client, "PUT /shop/k", &same, "newer").await;
    assert_eq!(refusal(&failed), refused(412, "PreconditionFailed"));

    s3.behave(|it| it.conditional_complete = Condition::NotImplemented);
    let upload = begin(&client, "other", &[]).await;
    let only = part(&client, "other", &upload, 1, "x").await;
    let unknown = complete(&client, "other", &upload, &create, &[(1, &only)]).await;
    assert_eq!(refusal(&unknown), refused(501, "NotImplemented"));
    ok(complete(&client, "other", &upload, &[], &[(1, &only)]).await);
}

#[tokio::test]
async fn checksums_may_be_neither_verified_nor_returned() {
    let (s3, client) = shop().await;
    s3.behave(|it| {
        it.returns_checksums = false;
        it.verifies_checksums = false;
    });
    let wrong = [("x-amz-checksum-crc32", "AAAAAA==")];
    let put = ok(send(&client, "PUT /shop/k", &wrong, "hello").await);
    assert_eq!(put.header("x-amz-checksum-crc32"), None);
    let asked = [("x-amz-checksum-mode", "ENABLED")];
    let head = ok(send(&client, "HEAD /shop/k", &asked, "").await);
    assert!(
        !head
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("x-amz-checksum"))
    );
}

#[tokio::test]
async fn checksums_of_requests_may_be_refused() {
    let (s3, client) = shop().await;
    s3.behave(|it| it.accepts_request_checksums = false);
    for header in [
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-checksum-crc32", "NhCmhg=="),
    ] {
        let put = send(&client, "PUT /shop/k", &[header], "hello").await;
        assert_eq!(refusal(&put), refused(501, "NotImplemented"), "{header:?}");
    }
    ok(send(&client, "PUT /shop/k", &[], "hello").await);
    let asked = [("x-amz-checksum-mode", "ENABLED")];
    ok(send(&client, "GET /shop/k", &asked, "").await);
}

#[tokio::test]
async fn payloads_in_chunks_and_checksums_of_full_objects_may_be_unknown() {
    let (s3, client) = shop().await;
    s3.behave(|it| {
        it.accepts_chunked_payloads = false;
        it.full_object_crc32 = false;
        it.unknown_operations = vec!["GetObjectAttributes"];
    });
    let chunked = [("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")];
    let put = send(&client, "PUT /shop/k", &chunked, "").await;
    assert_eq!(refusal(&put), refused(501, "NotImplemented"));
    let full = |algorithm| {
        [
            ("x-amz-checksum-algorithm", algorithm),
            ("x-amz-checksum-type", "FULL_OBJECT"),
        ]
    };
    let crc32 = send(&client, "POST /shop/k?uploads", &full("CRC32C"), "").await;
    assert_eq!(refusal(&crc32), refused(501, "NotImplemented"));
    begin(&client, "k", &full("CRC64NVME")).await;
    ok(send(
        &client,
        "PUT /shop/k",
        &[("x-amz-checksum-crc32", "NhCmhg==")],
        "hello",
    )
    .await);
    let attributes = send(&client, "GET /shop/k?attributes", &[], "").await;
    assert_eq!(refusal(&attributes), refused(501, "NotImplemented"));
}

#[tokio::test]
async fn parts_may_have_to_be_equal() {
    let (s3, client) = shop().await;
    let upload = begin(&client, "k", &[]).await;
    let mut etags = Vec::new();
    for (number, size) in [(1, PART), (2, PART + 1), (3, 9)] {
        etags.push(part(&client, "k", &upload, number, vec![0; size]).await);
    }
    let parts: Vec<_> = etags
        .iter()
        .map(String::as_str)
        .zip(1..)
        .map(|(it, n)| (n, it))
        .collect();
    s3.behave(|it| it.equal_part_sizes = true);
    let unequal = complete(&client, "k", &upload, &[], &parts).await;
    assert_eq!(refusal(&unequal), refused(400, "InvalidPart"));
    let longer_last = complete(&client, "k", &upload, &[], &parts[..2]).await;
    assert_eq!(refusal(&longer_last), refused(400, "InvalidPart"));
    s3.behave(|it| it.equal_part_sizes = false);
    ok(complete(&client, "k", &upload, &[], &parts).await);
}

#[tokio::test]
async fn operations_may_be_unknown() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "x");
    s3.behave(|it| {
        it.lists_uploads = false;
        it.copies = false;
        it.bucket_features = false;
        it.max_parts = 10;
    });
    let copy = [("x-amz-copy-source", "shop/k")];
    for (line, headers) in [
        ("GET /shop?uploads", &[][..]),
        ("PUT /shop/copy", &copy),
        ("GET /shop?lifecycle", &[]),
        ("GET /shop?versions", &[]),
        ("GET /shop/k?tagging", &[]),
    ] {
        let answer = send(&client, line, headers, "").await;
        assert_eq!(refusal(&answer), refused(501, "NotImplemented"), "{line}");
    }
    let upload = begin(&client, "new", &[]).await;
    let beyond = format!("PUT /shop/new?partNumber=11&uploadId={upload}");
    let beyond = send(&client, &beyond, &[], "x").await;
    assert_eq!(refusal(&beyond), refused(400, "InvalidArgument"));
}

#[tokio::test]
async fn clocks_may_differ_by_a_quarter_of_an_hour() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "x");
    ok(send(&client.clone().clock_ahead(600), "GET /shop/k", &[], "").await);
    for ahead in [-1000, 1000] {
        let skewed = send(&client.clone().clock_ahead(ahead), "GET /shop/k", &[], "").await;
        assert_eq!(
            refusal(&skewed),
            refused(403, "RequestTimeTooSkewed"),
            "{ahead}"
        );
    }
    s3.behave(|it| it.clock_ahead_seconds = 3600);
    let behind = send(&client, "GET /shop/k", &[], "").await;
    assert_eq!(refusal(&behind), refused(403, "RequestTimeTooSkewed"));
    // A client that believes the server's date gets through.
    ok(send(&client.clone().clock_ahead(3600), "GET /shop/k", &[], "").await);
    let url = client.clone().clock_ahead(3600);
    let url = url.presign("GET", "/shop/k", Duration::from_mins(1));
    let path = url.strip_prefix(&s3.endpoint()).unwrap();
    let request = crate::kit::request(&format!("GET {path}"), &[], "");
    ok(client.send_unsigned(request).await.unwrap());
    let date = behind.header("date").unwrap().to_owned();
    let shown = ops_core::Timestamp::parse_http_date(&date)
        .unwrap()
        .unix_seconds();
    let true_now = ops_core::Clock::now(&ops_core::SystemClock).unix_seconds();
    assert!((shown - true_now - 3600).abs() < 60, "{date}");
}

#[tokio::test]
async fn keys_can_be_changed_under_way() {
    let (s3, client) = shop().await;
    s3.set_credentials("AKIANEW", "new");
    let old = send(&client, "GET /shop/k", &[], "").await;
    assert_eq!(refusal(&old), refused(403, "InvalidAccessKeyId"));
    assert_eq!(send(&s3.client(), "HEAD /shop", &[], "").await.status, 200);
}
