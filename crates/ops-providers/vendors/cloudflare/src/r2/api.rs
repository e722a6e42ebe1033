//! What is sent about buckets over the REST API.

use ops_http::{ApiRequest, Operation, header::HeaderName};
use ops_s3::S3Operation;
use serde_json::json;

use super::{Bucket, model};
use crate::model::{Accepted, Envelope};

ops_http::operations! {
    /// Makes a bucket. One that is there is refused, so that twice is as once.
    CREATE_BUCKET = Operation::post("r2.buckets.create", "/accounts/{account_id}/r2/buckets")
        .idempotent()
        .serves(&["ObjectStore/BucketAdmin"]);
    /// Removes an empty bucket.
    DELETE_BUCKET = Operation::delete(
        "r2.buckets.delete", "/accounts/{account_id}/r2/buckets/{bucket_name}")
        .serves(&["ObjectStore/BucketAdmin"]);
    /// Removes all CORS rules.
    DELETE_CORS = Operation::delete(
        "r2.buckets.cors.delete", "/accounts/{account_id}/r2/buckets/{bucket_name}/cors")
        .serves(&["ObjectStore"]);
    /// Answers the CORS rules.
    GET_CORS = Operation::get(
        "r2.buckets.cors.get", "/accounts/{account_id}/r2/buckets/{bucket_name}/cors")
        .serves(&["ObjectStore"]);
    /// Answers the lifecycle rules.
    GET_LIFECYCLE = Operation::get(
        "r2.buckets.lifecycle.get", "/accounts/{account_id}/r2/buckets/{bucket_name}/lifecycle")
        .serves(&["ObjectStore/Lifecycle"]);
    /// Replaces all CORS rules.
    PUT_CORS = Operation::put(
        "r2.buckets.cors.update", "/accounts/{account_id}/r2/buckets/{bucket_name}/cors")
        .serves(&["ObjectStore"]);
    /// Replaces all lifecycle rules.
    PUT_LIFECYCLE = Operation::put(
        "r2.buckets.lifecycle.update", "/accounts/{account_id}/r2/buckets/{bucket_name}/lifecycle")
        .serves(&["ObjectStore/Lifecycle"]);
}

/// What is sent about objects over S3: no more than R2 has abilities for.
pub fn s3_operations() -> impl Iterator<Item = &'static S3Operation> {
    let all = ops_s3::OPERATIONS.iter();
    all.filter(|operation| operation.serves.contains(&"ObjectStore"))
}

/// It must name the jurisdiction that a bucket was made in.
const JURISDICTION: HeaderName = HeaderName::from_static("cf-r2-jurisdiction");

/// <https://developers.cloudflare.com/api/resources/r2/subresources/buckets/methods/create>
pub(crate) fn create_bucket(bucket: &Bucket) -> ApiRequest<Accepted> {
    let request = of_account(&CREATE_BUCKET, bucket);
    request.body_json(&json!({ "name": bucket.name })).json()
}

/// Answers whether it was there.
///
/// <https://developers.cloudflare.com/api/resources/r2/subresources/buckets/methods/delete>
pub(crate) fn delete_bucket(bucket: &Bucket) -> ApiRequest<bool> {
    of_bucket(&DELETE_BUCKET, bucket).existed()
}

/// Answers whether there were any.
///
/// <https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/cors/methods/delete>
pub(crate) fn delete_cors(bucket: &Bucket) -> ApiRequest<bool> {
    of_bucket(&DELETE_CORS, bucket).existed()
}

/// <https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/cors/methods/get>
pub(crate) fn get_cors(bucket: &Bucket) -> ApiRequest<Envelope<model::CorsRules>> {
    of_bucket(&GET_CORS, bucket).json()
}

/// <https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/lifecycle/methods/get>
pub(crate) fn get_lifecycle(bucket: &Bucket) -> ApiRequest<Envelope<model::Rules>> {
    of_bucket(&GET_LIFECYCLE, bucket).json()
}

/// <https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/cors/methods/update>
pub(crate) fn put_cors(bucket: &Bucket, rules: Vec<model::CorsRule>) -> ApiRequest<Accepted> {
    of_bucket(&PUT_CORS, bucket)
        .body_json(&model::CorsRules { rules })
        .json()
}

/// <https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/lifecycle/methods/update>
pub(crate) fn put_lifecycle(bucket: &Bucket, rules: Vec<model::Rule>) -> ApiRequest<Accepted> {
    of_bucket(&PUT_LIFECYCLE, bucket)
        .body_json(&model::Rules { rules })
        .json()
}

fn of_bucket(operation: &'static Operation, bucket: &Bucket) -> ApiRequest {
    of_account(operation, bucket).segment("bucket_name", bucket.name.as_str())
}

fn of_account(operation: &'static Operation, bucket: &Bucket) -> ApiRequest {
    let request = ApiRequest::new(operation)
        .segment("account_id", bucket.account.as_str())
        .resource(bucket.name.as_str());
    match &bucket.jurisdiction {
        Some(jurisdiction) => request.header(JURISDICTION, jurisdiction.as_str()),
        None => request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_vendor_expects() {
        let bucket = Bucket {
            account: "a1".to_owned(),
            name: "photos".to_owned(),
            jurisdiction: None,
        };
        let of = "/accounts/a1/r2/buckets/photos";
        for (line, body, expected, sent) in [
            line(
                &create_bucket(&bucket),
                "POST /accounts/a1/r2/buckets",
                r#"{"name":"photos"}"#,
            ),
            line(&delete_bucket(&bucket), &format!("DELETE {of}"), ""),
            line(&delete_cors(&bucket), &format!("DELETE {of}/cors"), ""),
            line(&get_cors(&bucket), &format!("GET {of}/cors"), ""),
            line(&get_lifecycle(&bucket), &format!("GET {of}/lifecycle"), ""),
            line(
                &put_cors(&bucket, Vec::new()),
                &format!("PUT {of}/cors"),
                r#"{"rules":[]}"#,
            ),
            line(
                &put_lifecycle(&bucket, Vec::new()),
                &format!("PUT {of}/lifecycle"),
                r#"{"rules":[]}"#,
            ),
        ] {
            assert_eq!((line, body), (expected, sent));
        }
    }

    fn line<T>(
        request: &ApiRequest<T>,
        expected: &str,
        sent: &str,
    ) -> (String, String, String, String) {
        let line = format!(
            "{} {}",
            request.operation().method(),
            request.path_and_query()
        );
        let body = String::from_utf8(request.body().unwrap().to_vec()).unwrap();
        (line, body, expected.to_owned(), sent.to_owned())
    }
}
