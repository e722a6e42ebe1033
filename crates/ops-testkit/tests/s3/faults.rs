//! What goes wrong.

use std::time::{Duration, Instant};

use ops_testkit::s3::{CAPTURED, Fault};
use ops_testkit::wait_until;

use crate::kit::{BUCKET, begin, complete, ok, part, refusal, refused, request, send, shop};

#[tokio::test]
async fn errors_come_as_often_as_they_shall_and_nothing_is_applied() {
    let (s3, client) = shop().await;
    let pause = Duration::from_secs(3);
    let busy = s3.inject(
        Fault::slow_down()
            .on("PutObject")
            .key("k")
            .times(2)
            .retry_after(pause),
    );
    for _ in 0..2 {
        let refusal_of = send(&client, "PUT /shop/k", &[], vec![0; 1 << 20]).await;
        assert_eq!(refusal(&refusal_of), refused(503, "SlowDown"));
        assert_eq!(refusal_of.header("retry-after"), Some("3"));
    }
    assert_eq!(s3.keys(BUCKET), Vec::<String>::new());
    ok(send(&client, "PUT /shop/k", &[], "x").await);
    assert_eq!(busy.happened(), 2);

    s3.inject(Fault::internal_error());
    let failed = send(&client, "GET /shop/k", &[], "").await;
    assert_eq!(refusal(&failed), refused(500, "InternalError"));
    s3.inject(Fault::unavailable().always());
    assert_eq!(send(&client, "GET /shop/k", &[], "").await.status, 503);
    s3.heal();
    ok(send(&client, "GET /shop/k", &[], "").await);
}

#[tokio::test]
async fn a_copy_may_fail_under_the_status_200() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "x");
    s3.inject(Fault::error_under_200("InternalError").on("CopyObject"));
    let copy = [("x-amz-copy-source", "shop/k")];
    let failed = send(&client, "PUT /shop/to", &copy, "").await;
    assert_eq!(refusal(&failed), refused(200, "InternalError"));
    assert_eq!(s3.keys(BUCKET), ["k"]);
}

#[tokio::test]
async fn resets_before_an_answer_leave_nothing_or_everything_done() {
    let (s3, client) = shop().await;
    for (fault, key, applied) in [
        (Fault::reset(), "a", false),
        (Fault::reset_upload(100_000), "b", false),
        (Fault::lose_answer(), "c", true),
    ] {
        s3.inject(fault);
        let put = request(&format!("PUT /shop/{key}"), &[], vec![7; 1 << 20]);
        assert!(client.send(put).await.is_err(), "{key}");
        assert_eq!(s3.content(BUCKET, key).is_some(), applied, "{key}");
    }
    let lost = s3.requests().pop().unwrap();
    assert_eq!(
        (lost.body_bytes, lost.status, lost.faulted),
        (1 << 20, None, true)
    );
}

#[tokio::test]
async fn an_upload_may_be_completed_without_an_answer() {
    let (s3, client) = shop().await;
    let upload = begin(&client, "k", &[]).await;
    let only = part(&client, "k", &upload, 1, "x").await;
    s3.inject(Fault::lose_answer().on("CompleteMultipartUpload"));
    let line = format!("POST /shop/k?uploadId={upload}");
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{only}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    assert!(client.send(request(&line, &[], body)).await.is_err());
    assert_eq!(s3.content(BUCKET, "k").unwrap(), "x");
    let again = complete(&client, "k", &upload, &[], &[(1, &only)]).await;
    assert_eq!(refusal(&again), refused(404, "NoSuchUpload"));
}

#[tokio::test]
async fn answers_break_off_after_exactly_so_many_bytes() {
    let (s3, client) = shop().await;
    let content = vec![7; 300_000];
    s3.put(BUCKET, "k", content.clone());
    for after in [0, 1, 100_000] {
        s3.inject(Fault::truncate_answer(after));
        let get = send(&client, "GET /shop/k", &[], "").await;
        assert_eq!((get.status, get.body.len() as u64), (200, after));
        assert_eq!(get.header("content-length"), Some("300000"));
        assert!(get.cut.is_some());
    }
    s3.inject(Fault::reset_answer(1000));
    let reset = client.send(request("GET /shop/k", &[], "")).await;
    assert!(reset.map_or_else(|_| true, |get| get.cut.is_some() && get.body.len() <= 1000));
    assert_eq!(s3.requests().pop().unwrap().answer_bytes, 1000);
    assert_eq!(
        ok(send(&client, "GET /shop/k", &[], "").await).body,
        content
    );
}

#[tokio::test]
async fn one_bit_is_flipped_on_the_way_and_the_checksum_tells() {
    let (s3, client) = shop().await;
    let sum = [("x-amz-checksum-crc32", "NhCmhg==")];
    s3.inject(Fault::corrupt_upload(4).on("PutObject"));
    let unsigned = client.clone().unsigned_payload();
    let put = send(&unsigned, "PUT /shop/k", &sum, "hello").await;
    assert_eq!(refusal(&put), refused(400, "BadDigest"));
    ok(send(&unsigned, "PUT /shop/k", &sum, "hello").await);

    s3.inject(Fault::corrupt_answer(4).on("GetObject"));
    let get = ok(send(
        &client,
        "GET /shop/k",
        &[("x-amz-checksum-mode", "ENABLED")],
        "",
    )
    .await);
    assert_eq!(
        (get.text().as_str(), get.header(sum[0].0)),
        ("helln", Some(sum[0].1))
    );
    s3.damage(BUCKET, "k", 0);
    assert_eq!(
        ok(send(&client, "GET /shop/k", &[], "").await).text(),
        "iello"
    );
}

#[tokio::test]
async fn answers_may_lie_about_their_content() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "hello");
    let asked = [("x-amz-checksum-mode", "ENABLED")];
    s3.inject(Fault::wrong_checksum());
    let lie = ok(send(&client, "GET /shop/k", &asked, "").await);
    assert_eq!(lie.header("x-amz-checksum-crc64nvme"), Some("03eFcAZSQlc="));
    assert_eq!(lie.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    s3.inject(Fault::wrong_etag());
    let lie = ok(send(&client, "GET /shop/k", &asked, "").await);
    assert_eq!(
        lie.header("etag"),
        Some("\"0d41402abc4b2a76b9719d911017c592\"")
    );
    assert_eq!(lie.text(), "hello");
}

#[tokio::test]
async fn answers_may_be_late_and_slow() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "0123456789");
    let begun = Instant::now();
    s3.inject(Fault::delay(Duration::from_millis(80)));
    ok(send(&client, "GET /shop/k", &[], "").await);
    assert!(begun.elapsed() >= Duration::from_millis(80));
    let begun = Instant::now();
    s3.inject(Fault::drip(2, Duration::from_millis(20)));
    assert_eq!(
        ok(send(&client, "GET /shop/k", &[], "").await).text(),
        "0123456789"
    );
    assert!(begun.elapsed() >= Duration::from_millis(5 * 20));
}

#[tokio::test]
async fn requests_are_written_down_as_they_were_sent() {
    let (s3, client) = shop().await;
    let put = [("x-amz-meta-a", "b")];
    ok(send(&client, "PUT /shop/a%20b", &put, vec![7; 300_000]).await);
    ok(send(&client, "GET /shop?list-type=2&prefix=a%20", &[], "").await);
    let requests = s3.requests();
    assert_eq!(requests[0].operation, "PutObject");
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("PUT", "/shop/a%20b")
    );
    assert_eq!(requests[0].header("X-Amz-Meta-A"), Some("b"));
    assert_eq!(
        (requests[0].body_bytes, requests[0].body.len()),
        (300_000, CAPTURED)
    );
    assert_eq!(
        (requests[0].status, requests[0].faulted),
        (Some(200), false)
    );
    assert!(requests[0].answer_header("etag").is_some());
    assert_eq!(requests[1].query, "list-type=2&prefix=a%20");
    assert!(requests[1].answer.starts_with(b"<?xml"));
    s3.forget_requests();
    assert_eq!(s3.requests().len(), 0);
}

#[tokio::test]
async fn connections_and_requests_under_way_are_counted() {
    let (s3, client) = shop().await;
    s3.put(BUCKET, "k", "x");
    s3.inject(Fault::delay(Duration::from_millis(300)).times(3));
    let all = (0..3).map(|_| send(&client, "GET /shop/k", &[], ""));
    futures_util::future::join_all(all).await;
    assert_eq!((s3.stats().accepted, s3.stats().most_in_flight), (3, 3));
    wait_until(
        "all connections to end",
        Duration::from_secs(5),
        async || s3.stats().open == 0 && s3.stats().in_flight == 0,
    )
    .await;
}
