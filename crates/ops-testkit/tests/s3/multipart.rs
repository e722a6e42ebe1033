//! Multipart uploads.

use crate::kit::{BUCKET, PART, begin, complete, ok, part, refusal, refused, send, shop};

#[tokio::test]
async fn parts_in_any_order_become_one_object() {
    let (s3, client) = shop().await;
    let upload = begin(&client, "k", &[("content-type", "text/plain")]).await;
    let last = part(&client, "k", &upload, 7, "end").await;
    let first = part(&client, "k", &upload, 2, vec![b'a'; PART]).await;
    assert_eq!(s3.open_uploads()[0].parts, [(2, PART as u64), (7, 3)]);

    let done = ok(complete(&client, "k", &upload, &[], &[(2, &first), (7, &last)]).await);
    assert!(
        done.texts_of("ETag")[0].ends_with("-2\""),
        "{}",
        done.text()
    );
    assert_eq!(done.texts_of("ChecksumType"), ["FULL_OBJECT"]);
    let content = s3.content(BUCKET, "k").unwrap();
    assert_eq!((content.len(), &content[PART..]), (PART + 3, &b"end"[..]));
    assert_eq!(s3.open_uploads(), []);
    let head = ok(send(&client, "HEAD /shop/k?partNumber=2", &[], "").await);
    assert_eq!(head.header("x-amz-mp-parts-count"), Some("2"));
    assert_eq!(head.header("content-length"), Some("3"));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_upload_stays() {
    let (s3, client) = shop().await;
    let upload = begin(&client, "k", &[]).await;
    let small = part(&client, "k", &upload, 1, "small").await;
    let last = part(&client, "k", &upload, 2, "last").await;
    let try_with =
        async |parts: &[(usize, &str)]| refusal(&complete(&client, "k", &upload, &[], parts).await);
    assert_eq!(
        try_with(&[(1, &small), (2, &last)]).await,
        refused(400, "EntityTooSmall")
    );
    assert_eq!(
        try_with(&[(1, "\"00\"")]).await,
        refused(400, "InvalidPart")
    );
    assert_eq!(try_with(&[(3, &last)]).await, refused(400, "InvalidPart"));
    assert_eq!(
        try_with(&[(2, &last), (1, &small)]).await,
        refused(400, "InvalidPartOrder")
    );
    assert_eq!(try_with(&[]).await, refused(400, "MalformedXML"));
    assert_eq!(s3.open_uploads().len(), 1);
    ok(complete(&client, "k", &upload, &[], &[(2, &last)]).await);
    assert_eq!(s3.content(BUCKET, "k").unwrap(), "last");
    assert_eq!(try_with(&[(2, &last)]).await, refused(404, "NoSuchUpload"));
}

#[tokio::test]
async fn an_aborted_upload_is_no_more() {
    let (s3, client) = shop().await;
    let upload = begin(&client, "k", &[]).await;
    part(&client, "k", &upload, 1, "x").await;
    let abort = format!("DELETE /shop/k?uploadId={upload}");
    assert_eq!(send(&client, &abort, &[], "").await.status, 204);
    let late = format!("PUT /shop/k?partNumber=2&uploadId={upload}");
    let late = send(&client, &late, &[], "y").await;
    assert_eq!(refusal(&late), refused(404, "NoSuchUpload"));
    assert_eq!(s3.open_uploads(), []);
}

#[tokio::test]
async fn completing_may_be_conditional() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "old");
    let upload = begin(&client, "k", &[]).await;
    let only = part(&client, "k", &upload, 1, "new").await;
    let create = [("if-none-match", "*")];
    let exists = complete(&client, "k", &upload, &create, &[(1, &only)]).await;
    assert_eq!(refusal(&exists), refused(412, "PreconditionFailed"));
    assert_eq!(s3.content(BUCKET, "k").unwrap(), "old");
    send(&client, "DELETE /shop/k", &[], "").await;
    ok(complete(&client, "k", &upload, &create, &[(1, &only)]).await);
}

#[tokio::test]
async fn a_composite_checksum_is_one_of_the_checksums_of_the_parts() {
    let (_s3, client) = shop().await;
    let upload = begin(&client, "k", &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let line = format!("PUT /shop/k?partNumber=1&uploadId={upload}");
    let sum = [(
        "x-amz-checksum-sha256",
        "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    )];
    let wrong = send(&client, &line, &sum, "hallo").await;
    assert_eq!(refusal(&wrong), refused(400, "BadDigest"));
    let right = ok(send(&client, &line, &sum, "hello").await);
    let etag = right.header("etag").unwrap();
    let done = ok(complete(&client, "k", &upload, &[], &[(1, etag)]).await);
    // printf hello | sha256sum | xxd -r -p | sha256sum | xxd -r -p | base64
    let expected = "lZXJ35AHUUjrBoYDZd8zWEt1v/eCpRDGzUiDpBmDPVA=-1";
    assert_eq!(done.texts_of("ChecksumSHA256"), [expected]);
    assert_eq!(done.texts_of("ChecksumType"), ["COMPOSITE"]);
}

#[tokio::test]
async fn uploads_and_parts_are_listed_in_pages() {
    let (_s3, client) = shop().await;
    let upload = begin(&client, "a", &[]).await;
    for number in 1..=3 {
        part(&client, "a", &upload, number, "x").await;
    }
    begin(&client, "b", &[]).await;
    let first = ok(send(&client, "GET /shop?uploads&max-uploads=1", &[], "").await);
    assert_eq!(first.texts_of("Key"), ["a"]);
    let (key, id) = (
        first.texts_of("NextKeyMarker"),
        first.texts_of("NextUploadIdMarker"),
    );
    let line = format!(
        "GET /shop?uploads&key-marker={}&upload-id-marker={}",
        key[0], id[0]
    );
    let second = ok(send(&client, &line, &[], "").await);
    assert_eq!(
        (second.texts_of("Key"), second.texts_of("IsTruncated")),
        (vec!["b".into()], vec!["false".into()])
    );

    let parts = format!("GET /shop/a?uploadId={upload}&max-parts=2");
    let page = ok(send(&client, &parts, &[], "").await);
    assert_eq!(page.texts_of("PartNumber"), ["1", "2"]);
    assert_eq!(page.texts_of("NextPartNumberMarker"), ["2"]);
    let rest = ok(send(&client, &format!("{parts}&part-number-marker=2"), &[], "").await);
    assert_eq!(rest.texts_of("PartNumber"), ["3"]);
}

#[tokio::test]
async fn a_part_can_be_a_piece_of_another_object() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "from", "0123456789");
    let upload = begin(&client, "to", &[]).await;
    let line = format!("PUT /shop/to?partNumber=1&uploadId={upload}");
    let from = ("x-amz-copy-source", "shop/from");
    let beyond = [from, ("x-amz-copy-source-range", "bytes=5-10")];
    let beyond = send(&client, &line, &beyond, "").await;
    assert_eq!(refusal(&beyond), refused(416, "InvalidRange"));
    let copied = [from, ("x-amz-copy-source-range", "bytes=2-4")];
    let copied = ok(send(&client, &line, &copied, "").await);
    let etag = copied.texts_of("ETag").remove(0);
    ok(complete(&client, "to", &upload, &[], &[(1, &etag)]).await);
    assert_eq!(s3.content(BUCKET, "to").unwrap(), "234");
}
