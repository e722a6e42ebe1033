//! How a store at Amazon is configured, and what it sends.

#![expect(clippy::unwrap_used, reason = "a test fails where it must")]

mod contract;

use ops_aws::AwsS3;
use ops_core::{ErrorKind, ObjectStore};

fn variables<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

const COMPLETE: [(&str, &str); 4] = [
    ("AWS_S3_BUCKET", "backups"),
    ("AWS_ACCESS_KEY_ID", "AKIDCANARY"),
    ("AWS_SECRET_ACCESS_KEY", "secret-canary"),
    ("AWS_REGION", "eu-central-1"),
];

#[tokio::test]
async fn a_store_of_amazon_is_opened_without_a_request() {
    let store = AwsS3::from_variables(variables(&COMPLETE)).unwrap();
    let store = store.open().await.unwrap();
    assert_eq!(
        (store.provider().as_str(), store.bucket()),
        ("aws", "backups")
    );
    assert!(store.probe_report().is_none());
    assert!(store.as_versions().is_some() && store.as_bucket_admin().is_some());
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let err = AwsS3::from_variables(variables(&[("AWS_SECRET_ACCESS_KEY", "secret-canary")]));
    let err = err.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert_eq!(
        err.message(),
        "AWS_S3_BUCKET is not set; AWS_ACCESS_KEY_ID is not set; AWS_REGION is not set"
    );
}

#[tokio::test]
async fn an_endpoint_of_plain_http_must_be_allowed() {
    let mut set = COMPLETE.to_vec();
    set.push(("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"));
    let store = AwsS3::from_variables(variables(&set)).unwrap();
    let err = store.open().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.message().contains("allow_http"), "{err}");
}

#[test]
fn no_credential_is_shown() {
    let builder = AwsS3::from_variables(variables(&COMPLETE)).unwrap();
    let shown = format!("{builder:?}");
    assert!(
        !shown.contains("secret-canary") && !shown.contains("AKIDCANARY"),
        "{shown}"
    );
}
