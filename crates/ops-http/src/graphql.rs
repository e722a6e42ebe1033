//! GraphQL over the same transport.

use ops_core::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::decode;
use crate::errors::ErrorBody;
use crate::operation::Operation;
use crate::request::{ApiRequest, Response};

#[derive(Serialize)]
struct Call<'a, V> {
    query: &'static str,
    variables: &'a V,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default, deserialize_with = "decode::or_default")]
    errors: Vec<GraphqlError>,
}

#[derive(Deserialize)]
struct GraphqlError {
    message: Option<String>,
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Extensions {
    code: Option<serde_json::Value>,
}

impl ApiRequest {
    /// A GraphQL call: the document and its variables in one POST. Errors that come under
    /// HTTP 200 are errors, partial data or not; a vendor's rows see the `code` of their
    /// `extensions`. The class is that of the operation, so a query is declared `safe()`
    /// there.
    pub fn graphql<T: DeserializeOwned>(
        operation: &'static Operation,
        document: &'static str,
        variables: &impl Serialize,
    ) -> ApiRequest<T> {
        let mut request = Self::new(operation).body_json(&Call {
            query: document,
            variables,
        });
        request.under_success = Some(errors);
        request.decoded_by(data)
    }
}

fn data<T: DeserializeOwned>(response: &Response) -> Result<T> {
    decode::json::<Answer<T>>(response).map(|answer| answer.data)
}

/// The first of the errors.
fn errors(body: &[u8]) -> Option<ErrorBody> {
    let Errors { errors } = serde_json::from_slice(body).ok()?;
    let first = errors.into_iter().next()?;
    let message = first
        .message
        .unwrap_or_else(|| "the call failed".to_owned());
    let code = first
        .extensions
        .and_then(|it| it.code)
        .map(|code| match code {
            serde_json::Value::String(code) => code,
            other => other.to_string(),
        });
    Some(match code {
        Some(code) => ErrorBody::new(message).with_code(code),
        None => ErrorBody::new(message),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_beside_data() {
        let body = br#"{"data": {"a": 1}, "errors": [
            {"message": "no", "extensions": {"code": "FORBIDDEN"}}, {"message": "more"}]}"#;
        let found = errors(body).unwrap();
        assert_eq!(found.message.as_deref(), Some("no"));
        assert_eq!(found.code.as_deref(), Some("FORBIDDEN"));
    }

    #[test]
    fn no_errors_are_no_failure() {
        for body in [
            &br#"{"data": {}}"#[..],
            br#"{"data": {}, "errors": null}"#,
            br#"{"data": {}, "errors": []}"#,
            b"<html>",
        ] {
            assert_eq!(errors(body), None);
        }
    }
}
