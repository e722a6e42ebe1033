//! Objects: put, get, list, delete, copy.

use std::time::Duration;

use ops_testkit::s3::S3Client;

use crate::kit::{BUCKET, ok, refusal, refused, request, send, shop};

/// The checksums of `hello`, as other programs compute them.
const CHECKSUMS: [(&str, &str); 5] = [
    ("x-amz-checksum-crc32", "NhCmhg=="),
    ("x-amz-checksum-crc32c", "mnG7TA=="),
    ("x-amz-checksum-crc64nvme", "M3eFcAZSQlc="),
    ("x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
    (
        "x-amz-checksum-sha256",
        "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    ),
];

#[tokio::test]
async fn an_object_comes_back_with_its_attributes() {
    let (s3, client) = shop().await;
    let headers = [
        ("content-type", "text/plain"),
        ("cache-control", "no-store"),
        ("x-amz-meta-color", "red"),
    ];
    let put = ok(send(&client, "PUT /shop/a%20b%2Bc/%C3%A9", &headers, "hello").await);
    assert_eq!(
        put.header("etag"),
        Some("\"5d41402abc4b2a76b9719d911017c592\"")
    );
    assert_eq!(s3.keys(BUCKET), ["a b+c/é"]);

    let get = ok(send(&client, "GET /shop/a%20b%2Bc/%C3%A9", &[], "").await);
    assert_eq!(get.text(), "hello");
    for (name, value) in headers {
        assert_eq!(get.header(name), Some(value));
    }
    let head = ok(send(&client, "HEAD /shop/a%20b%2Bc/%C3%A9", &[], "").await);
    assert_eq!(
        (head.header("content-length"), head.body.len()),
        (Some("5"), 0)
    );
    assert_eq!(get.header("last-modified"), head.header("last-modified"));
}

#[tokio::test]
async fn ranges_suffixes_and_what_lies_beyond() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "0123456789");
    for (range, text, shown) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let get = send(&client, "GET /shop/k", &[("range", range)], "").await;
        assert_eq!((get.status, get.text().as_str()), (206, text), "{range}");
        assert_eq!(get.header("content-range"), Some(shown));
    }
    let beyond = send(&client, "GET /shop/k", &[("range", "bytes=10-")], "").await;
    assert_eq!(refusal(&beyond), refused(416, "InvalidRange"));
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let (_s3, client) = shop().await;
    let key = send(&client, "GET /shop/no", &[], "").await;
    assert_eq!(refusal(&key), refused(404, "NoSuchKey"));
    let bucket = send(&client, "GET /other/no", &[], "").await;
    assert_eq!(refusal(&bucket), refused(404, "NoSuchBucket"));
    let gone = send(&client, "DELETE /shop/no", &[], "").await;
    assert_eq!(gone.status, 204);
}

#[tokio::test]
async fn checksums_of_every_kind_are_verified_and_returned() {
    let (s3, client) = shop().await;
    for (name, value) in CHECKSUMS {
        let put = ok(send(&client, "PUT /shop/k", &[(name, value)], "hello").await);
        assert_eq!(put.header(name), Some(value));
        let asked = [("x-amz-checksum-mode", "ENABLED")];
        let get = ok(send(&client, "GET /shop/k", &asked, "").await);
        assert_eq!(get.header(name), Some(value));
        let unasked = ok(send(&client, "GET /shop/k", &[], "").await);
        assert_eq!(unasked.header(name), None);

        let wrong = send(&client, "PUT /shop/wrong", &[(name, value)], "hallo").await;
        assert_eq!(refusal(&wrong), refused(400, "BadDigest"), "{name}");
    }
    assert_eq!(s3.keys(BUCKET), ["k"]);
}

#[tokio::test]
async fn an_object_without_a_checksum_gets_one() {
    let (_s3, client) = shop().await;
    let put = ok(send(&client, "PUT /shop/k", &[], "hello").await);
    assert_eq!(put.header("x-amz-checksum-crc64nvme"), Some("M3eFcAZSQlc="));
    assert_eq!(put.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
}

#[tokio::test]
async fn content_md5_and_the_hash_of_the_payload_are_verified() {
    let (s3, client) = shop().await;
    let right = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    ok(send(&client, "PUT /shop/k", &right, "hello").await);
    let wrong = send(&client, "PUT /shop/no", &right, "hallo").await;
    assert_eq!(refusal(&wrong), refused(400, "BadDigest"));
    let nonsense = send(&client, "PUT /shop/no", &[("content-md5", "x")], "hello").await;
    assert_eq!(refusal(&nonsense), refused(400, "InvalidDigest"));
    let other = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let hash = send(
        &client,
        "PUT /shop/no",
        &[("x-amz-content-sha256", other)],
        "hallo",
    )
    .await;
    assert_eq!(refusal(&hash), refused(400, "XAmzContentSHA256Mismatch"));
    assert_eq!(s3.keys(BUCKET), ["k"]);
}

#[tokio::test]
async fn a_checksum_in_the_trailer_is_verified() {
    let (s3, client) = shop().await;
    let upload = |checksum: &str| {
        let body = format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n");
        let headers = [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        request("PUT /shop/k", &headers, body)
    };
    let wrong = client.send(upload("AAAAAA==")).await.unwrap();
    assert_eq!(refusal(&wrong), refused(400, "BadDigest"));
    assert_eq!(s3.content(BUCKET, "k"), None);
    let right = ok(client.send(upload("NhCmhg==")).await.unwrap());
    assert_eq!(right.header("x-amz-checksum-crc32"), Some("NhCmhg=="));
    assert_eq!(s3.content(BUCKET, "k").unwrap(), "hello");
}

#[tokio::test]
async fn conditions_on_writes_decide() {
    let (s3, client) = shop().await;
    let create = [("if-none-match", "*")];
    let etag = ok(send(&client, "PUT /shop/k", &create, "1").await);
    let etag = etag.header("etag").unwrap().to_owned();
    let again = send(&client, "PUT /shop/k", &create, "2").await;
    assert_eq!(refusal(&again), refused(412, "PreconditionFailed"));
    let stale = send(&client, "PUT /shop/k", &[("if-match", "\"00\"")], "2").await;
    assert_eq!(refusal(&stale), refused(412, "PreconditionFailed"));
    let missing = send(&client, "PUT /shop/other", &[("if-match", &etag)], "2").await;
    assert_eq!(refusal(&missing), refused(404, "NoSuchKey"));
    assert_eq!(s3.content(BUCKET, "k").unwrap(), "1");
    ok(send(&client, "PUT /shop/k", &[("if-match", &etag)], "2").await);
    assert_eq!(s3.content(BUCKET, "k").unwrap(), "2");
}

#[tokio::test]
async fn of_many_who_create_a_key_one_wins() {
    let (_s3, client) = shop().await;
    let create = [("if-none-match", "*")];
    let all = (0..20).map(|n| {
        let client = client.clone();
        async move {
            send(&client, "PUT /shop/k", &create, n.to_string())
                .await
                .status
        }
    });
    let statuses = futures_util::future::join_all(all).await;
    assert_eq!(
        statuses.iter().filter(|it| **it == 200).count(),
        1,
        "{statuses:?}"
    );
}

#[tokio::test]
async fn conditions_on_reads_decide() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "hello");
    let etag = "\"5d41402abc4b2a76b9719d911017c592\"";
    let same = send(&client, "GET /shop/k", &[("if-none-match", etag)], "").await;
    assert_eq!((same.status, same.header("etag")), (304, Some(etag)));
    let other = send(&client, "GET /shop/k", &[("if-match", "\"00\"")], "").await;
    assert_eq!(refusal(&other), refused(412, "PreconditionFailed"));
    let future = [("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")];
    assert_eq!(send(&client, "GET /shop/k", &future, "").await.status, 304);
    let past = [("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT")];
    assert_eq!(send(&client, "GET /shop/k", &past, "").await.status, 412);
}

/// All keys of a list, and how many pages it took.
async fn listed(client: &S3Client, query: &str, element: &str) -> (Vec<String>, usize) {
    let (mut all, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let line = format!("GET /shop?list-type=2&{query}{token}");
        let page = ok(send(client, &line, &[], "").await);
        all.extend(page.texts_of(element));
        pages += 1;
        match page.texts_of("NextContinuationToken").pop() {
            Some(next) => token = format!("&continuation-token={next}"),
            None => return (all, pages),
        }
    }
}

#[tokio::test]
async fn lists_are_cut_into_pages_by_key_and_by_prefix() {
    let (s3, client) = shop().await;
    for number in 0..10 {
        s3.put(BUCKET, &format!("a/{number}/x"), "");
        s3.put(BUCKET, &format!("a/{number}/y"), "");
    }
    s3.put(BUCKET, "b", "");
    let (keys, pages) = listed(&client, "max-keys=7", "Key").await;
    assert_eq!((keys, pages), (s3.keys(BUCKET), 3));

    let (prefixes, pages) = listed(
        &client,
        "max-keys=4&delimiter=/&prefix=a/",
        "CommonPrefixes",
    )
    .await;
    let expected: Vec<_> = (0..10)
        .map(|n| format!("<Prefix>a/{n}/</Prefix>"))
        .collect();
    assert_eq!((prefixes, pages), (expected, 3));

    let (keys, _) = listed(&client, "start-after=a/9/x", "Key").await;
    assert_eq!(keys, ["a/9/y", "b"]);
}

#[tokio::test]
async fn keys_that_xml_cannot_hold_are_listed_encoded() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "a b&<é", "");
    let list = ok(send(&client, "GET /shop?list-type=2&encoding-type=url", &[], "").await);
    assert_eq!(list.texts_of("Key"), ["a%20b%26%3C%C3%A9"]);
    let plain = ok(send(&client, "GET /shop?list-type=2", &[], "").await);
    assert_eq!(plain.texts_of("Key"), ["a b&amp;&lt;é"]);
}

#[tokio::test]
async fn a_batch_deletes_what_is_there_and_what_is_not() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "a", "");
    s3.put(BUCKET, "b", "");
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>no</Key></Object></Delete>";
    let deleted = ok(send(&client, "POST /shop?delete", &[], body).await);
    assert_eq!(deleted.texts_of("Key"), ["a", "no"]);
    assert_eq!(s3.keys(BUCKET), ["b"]);
}

#[tokio::test]
async fn copies_obey_their_conditions() {
    let (s3, client) = shop().await;
    let red = [("x-amz-meta-color", "red")];
    ok(send(&client, "PUT /shop/from", &red, "hello").await);
    let from = ("x-amz-copy-source", "/shop/from");
    ok(send(&client, "PUT /shop/to", &[from], "").await);
    assert_eq!(s3.content(BUCKET, "to").unwrap(), "hello");
    let head = ok(send(&client, "HEAD /shop/to", &[], "").await);
    assert_eq!(head.header("x-amz-meta-color"), Some("red"));

    let stale = [from, ("x-amz-copy-source-if-match", "\"00\"")];
    let refusal_of = refusal(&send(&client, "PUT /shop/no", &stale, "").await);
    assert_eq!(refusal_of, refused(412, "PreconditionFailed"));
    let itself = send(&client, "PUT /shop/from", &[from], "").await;
    assert_eq!(refusal(&itself), refused(400, "InvalidRequest"));
}

#[tokio::test]
async fn signatures_are_verified() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "hello");
    let with =
        |access: &str, secret: &str| S3Client::new(&s3.endpoint(), "us-east-1", access, secret);
    let (access, secret) = (s3.access_key(), s3.secret_key());
    let wrong = send(&with(&access, "other"), "GET /shop/k", &[], "").await;
    assert_eq!(refusal(&wrong), refused(403, "SignatureDoesNotMatch"));
    let unknown = send(&with("other", &secret), "GET /shop/k", &[], "").await;
    assert_eq!(refusal(&unknown), refused(403, "InvalidAccessKeyId"));
    let unsigned = client
        .send_unsigned(request("GET /shop/k", &[], ""))
        .await
        .unwrap();
    assert_eq!(refusal(&unsigned), refused(403, "AccessDenied"));
    ok(send(
        &client.clone().unsigned_payload(),
        "PUT /shop/k",
        &[],
        "free",
    )
    .await);
}

#[tokio::test]
async fn presigned_urls_work_until_they_expire() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "a b", "hello");
    let fetch = async |url: String| {
        let path = url.strip_prefix(&s3.endpoint()).unwrap().to_owned();
        client
            .send_unsigned(request(&format!("GET {path}"), &[], ""))
            .await
            .unwrap()
    };
    let url = client.presign("GET", "/shop/a%20b", Duration::from_mins(1));
    assert_eq!(ok(fetch(url.clone()).await).text(), "hello");
    let changed = fetch(url.replace("a%20b", "other")).await;
    assert_eq!(refusal(&changed), refused(403, "SignatureDoesNotMatch"));
    let early = client.clone().clock_ahead(-120);
    let expired = fetch(early.presign("GET", "/shop/a%20b", Duration::from_mins(1))).await;
    assert_eq!(refusal(&expired), refused(403, "AccessDenied"));
    let wrong_method = client.presign("PUT", "/shop/a%20b", Duration::from_mins(1));
    assert_eq!(fetch(wrong_method).await.status, 403);
}
