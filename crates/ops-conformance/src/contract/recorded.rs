//! Real exchanges that a vendor has recorded and published.

use http::Method;
use serde_json::Value;

use super::answer::Answer;
use super::request::Request;
use super::{Descriptions, LoadError};

/// A request that a vendor has recorded, and the answer to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Exchange {
    /// What was sent, without credentials. A vendor's prefix may be missing from the path.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
    /// Method and path template, such as `GET /disks/{diskId}`.
    pub operation: String,
}

impl Descriptions {
    /// The exchanges in the file `name` of the folder `recorded`.
    ///
    /// # Errors
    /// If there is no such file, or it has another form.
    pub fn recorded(&self, name: &str) -> Result<Vec<Exchange>, LoadError> {
        let fail = |message: String| LoadError::new(name, message);
        let path = self.folder().join("recorded").join(name);
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let document: Value =
            serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        let exchanges = document.get("exchanges").and_then(Value::as_array);
        let exchanges = exchanges.ok_or_else(|| fail("there are no exchanges".to_owned()))?;
        let read = exchanges.iter().map(|it| exchange(it).map_err(&fail));
        read.collect()
    }
}

fn exchange(recorded: &Value) -> Result<Exchange, String> {
    let text = |key: &str| {
        recorded
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let method: Method = text("method")
        .parse()
        .map_err(|_| "an exchange without method")?;
    let mut path = text("path").to_owned();
    let query = text("query");
    if !query.is_empty() {
        path = format!("{path}?{query}");
    }
    let mut request = Request::new(method, path);
    match recorded.get("request") {
        None | Some(Value::Null) => {}
        Some(body) => request = request.with_json(body),
    }
    let status = recorded.get("status").and_then(Value::as_u64);
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.ok_or("an exchange without status")?;
    let body = match recorded.get("response") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(body) => body.to_string(),
    };
    let mut answer = Answer::new(
        format!("{status} recorded"),
        status,
        "application/json",
        body,
    );
    let headers = recorded.get("headers").and_then(Value::as_object);
    for (name, value) in headers.into_iter().flatten() {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        let value = http::HeaderValue::from_str(value.as_str().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            answer.headers.insert(name, value);
        }
    }
    Ok(Exchange {
        request,
        answer,
        operation: text("operation").to_owned(),
    })
}
