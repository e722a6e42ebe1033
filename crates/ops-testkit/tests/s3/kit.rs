//! What the tests have in common.

use bytes::Bytes;
use http::Request;
use ops_testkit::s3::{S3Answer, S3Client, S3Fake};

pub(crate) const BUCKET: &str = "shop";

/// The least size of a part that is not the last.
pub(crate) const PART: usize = 5 << 20;

/// A server with one bucket, and a client.
pub(crate) async fn shop() -> (S3Fake, S3Client) {
    let s3 = S3Fake::start().await;
    s3.create_bucket(BUCKET);
    let client = s3.client();
    (s3, client)
}

/// A request of `GET /shop/key?query` and its like, with headers.
pub(crate) fn request(
    line: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Bytes> {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).expect("a valid request")
}

/// Sends such a request.
pub(crate) async fn send(
    client: &S3Client,
    line: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> S3Answer {
    client
        .send(request(line, headers, body))
        .await
        .expect("an answer")
}

/// Sends such a request, which must succeed.
#[track_caller]
pub(crate) fn ok(answer: S3Answer) -> S3Answer {
    assert!(answer.status < 300, "{} {}", answer.status, answer.text());
    answer
}

/// Status and error code.
pub(crate) fn refusal(answer: &S3Answer) -> (u16, String) {
    (answer.status, answer.code().unwrap_or_default())
}

/// The same, for comparison.
pub(crate) fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Begins an upload, and tells its id.
pub(crate) async fn begin(client: &S3Client, key: &str, headers: &[(&str, &str)]) -> String {
    let answer = ok(send(
        client,
        &format!("POST /{BUCKET}/{key}?uploads"),
        headers,
        "",
    )
    .await);
    answer.texts_of("UploadId").remove(0)
}

/// Uploads a part, and tells its entity tag.
pub(crate) async fn part(
    client: &S3Client,
    key: &str,
    upload: &str,
    number: usize,
    body: impl Into<Bytes>,
) -> String {
    let line = format!("PUT /{BUCKET}/{key}?partNumber={number}&uploadId={upload}");
    let answer = ok(send(client, &line, &[], body).await);
    answer.header("etag").expect("an entity tag").to_owned()
}

/// Completes an upload with these parts.
pub(crate) async fn complete(
    client: &S3Client,
    key: &str,
    upload: &str,
    headers: &[(&str, &str)],
    parts: &[(usize, &str)],
) -> S3Answer {
    let part = |(number, etag): &(usize, &str)| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    let parts: Vec<_> = parts.iter().map(part).collect();
    let parts = parts.concat();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let line = format!("POST /{BUCKET}/{key}?uploadId={upload}");
    send(client, &line, headers, body).await
}
