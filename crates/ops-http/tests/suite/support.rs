//! A client without waits, and the operations of a vendor that is none.

use std::time::Duration;

use ops_http::test_util::MockServer;
use ops_http::{
    ApiClient, ApiClientBuilder, ApiRequest, Auth, ErrorBody, ErrorRules, Operation, RetryPolicy,
};

pub(crate) static GET: Operation = Operation::get("get-thing", "/things/{id}");
pub(crate) static PUT: Operation = Operation::put("put-thing", "/things/{id}");
pub(crate) static POST: Operation = Operation::post("make-thing", "/things/{id}");

pub(crate) const TOKEN: &str = "canary-4f1c9a7e2b";

/// A policy that retries at once.
pub(crate) fn eager() -> RetryPolicy {
    RetryPolicy::default().with_backoff(Duration::ZERO, Duration::ZERO)
}

pub(crate) fn builder(base_url: impl Into<String>) -> ApiClientBuilder {
    ApiClient::builder("acme", base_url)
        .allow_http(true)
        .auth(Auth::bearer(TOKEN))
        .errors(ErrorRules::new(message))
        .retry(eager())
}

pub(crate) fn client(server: &MockServer) -> ApiClient {
    builder(server.base_url()).build().unwrap()
}

/// `{"message": "..."}`.
fn message(body: &[u8]) -> Option<ErrorBody> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(ErrorBody::new(body.get("message")?.as_str()?))
}

pub(crate) fn call(operation: &'static Operation) -> ApiRequest<String> {
    ApiRequest::new(operation).segment("id", "1").json()
}
