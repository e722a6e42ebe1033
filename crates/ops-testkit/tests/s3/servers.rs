//! The servers that others have written.

use std::time::Duration;

use bytes::Bytes;
use ops_testkit::s3::{S3Client, S3Server};
use ops_testkit::wait_until;

use crate::kit::{ok, refusal, refused, request, send};

const ROUNDS: usize = 20;
const RACERS: usize = 16;

/// What every server must do: objects, signatures in URLs, conditions.
async fn serves(s3: &S3Server) {
    let client = s3.client();
    let (bucket, other) = (s3.create_bucket().await, s3.create_bucket().await);
    assert_ne!(bucket, other);
    ok(send(&client, &format!("PUT /{bucket}/a%20b"), &[], "hello").await);
    let get = ok(send(&client, &format!("GET /{bucket}/a%20b"), &[], "").await);
    assert_eq!(get.text(), "hello", "{}", s3.name());
    let create = [("if-none-match", "*")];
    let exists = send(&client, &format!("PUT /{bucket}/a%20b"), &create, "x").await;
    assert_eq!(refusal(&exists), refused(412, "PreconditionFailed"));
    let path = presigned(s3, &client, &bucket);
    let fetched = client
        .send_unsigned(request(&format!("GET {path}"), &[], ""))
        .await;
    assert_eq!(ok(fetched.expect("an answer")).text(), "hello");
    let other = S3Client::new(s3.endpoint(), s3.region(), s3.access_key(), "wrong");
    let path = presigned(s3, &other, &bucket);
    let forged = client
        .send_unsigned(request(&format!("GET {path}"), &[], ""))
        .await
        .expect("an answer");
    assert_eq!(refusal(&forged), refused(403, "SignatureDoesNotMatch"));
}

/// The path and query of a presigned URL.
fn presigned(s3: &S3Server, client: &S3Client, bucket: &str) -> String {
    let path = format!("/{bucket}/a%20b");
    let url = client.presign("GET", &path, Duration::from_mins(1));
    url.replace(s3.endpoint(), "")
}

#[tokio::test]
async fn s3s_fs_serves_and_verifies_signatures_in_headers() {
    let Some(s3) = S3Server::s3s_fs().await else {
        return;
    };
    serves(&s3).await;
    let wrong = S3Client::new(s3.endpoint(), s3.region(), s3.access_key(), "wrong");
    let refusal_of = send(&wrong, "GET /", &[], "").await;
    assert_eq!(refusal(&refusal_of), refused(403, "SignatureDoesNotMatch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_who_write_where_nothing_is_wins_at_s3s_fs() {
    let Some(s3) = S3Server::s3s_fs().await else {
        return;
    };
    let (client, bucket) = (s3.client(), s3.create_bucket().await);
    for round in 0..ROUNDS {
        let put = format!("PUT /{bucket}/{round}");
        let racing = (0..RACERS).map(|_| send(&client, &put, &[("if-none-match", "*")], "x"));
        let answers = futures_util::future::join_all(racing).await;
        let won = answers.iter().filter(|it| it.status == 200);
        assert_eq!(won.count(), 1, "in round {round}");
    }
}

#[tokio::test]
async fn localstack_serves() {
    let Some(s3) = S3Server::localstack().await else {
        return;
    };
    serves(&s3).await;
    let lifecycle = format!("GET /{}?lifecycle", s3.create_bucket().await);
    let absent = send(&s3.client(), &lifecycle, &[], "").await;
    assert_eq!(
        refusal(&absent),
        refused(404, "NoSuchLifecycleConfiguration")
    );
}

#[tokio::test]
async fn localstack_is_shared_by_the_tests_of_a_process() {
    let Some(first) = S3Server::localstack().await else {
        return;
    };
    let second = S3Server::localstack().await.expect("it was there before");
    assert_eq!(first.endpoint(), second.endpoint());
    let endpoint = first.endpoint().to_owned();
    drop(first);
    let client = second.client();
    let health = request("GET /_localstack/health", &[], "");
    ok(client.send_unsigned(health).await.expect(&endpoint));
}

#[tokio::test]
async fn a_server_ends_when_it_is_dropped() {
    let Some(s3) = S3Server::s3s_fs().await else {
        return;
    };
    let client = s3.client();
    drop(s3);
    wait_until("the port to be free", Duration::from_secs(10), async || {
        client
            .send(request("GET /", &[], Bytes::new()))
            .await
            .is_err()
    })
    .await;
}
