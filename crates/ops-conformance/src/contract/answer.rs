//! Answers made from a description, and answers held against it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::operation::{Media, Operation, Response, Status};
use super::rest::Rest;
use super::rewrite::Flavor;
use super::sample::{Want, sample};
use super::schema::Schemas;
use super::violation::{Place, Rule, Violation};

/// What the vendor may answer, for a client to be tried on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// What is particular about it, such as `200 minimal` or `404 extra field`.
    pub label: String,
    /// The status.
    pub status: u16,
    /// The headers, with the content type.
    pub headers: HeaderMap,
    /// The body; empty if there is none.
    pub body: Bytes,
    /// Whether the description allows this answer. A client must parse one that is allowed;
    /// another it must parse or refuse with an error that names the field.
    pub allowed: bool,
}

impl Answer {
    pub(crate) fn new(
        label: String,
        status: u16,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(content_type)
            && !content_type.is_empty()
        {
            headers.insert(http::header::CONTENT_TYPE, value);
        }
        Self {
            label,
            status,
            headers,
            body: body.into(),
            allowed: true,
        }
    }

    pub(crate) fn with_allowed(mut self, allowed: bool) -> Self {
        self.allowed = allowed;
        self
    }

    /// The body as JSON; `None` if it is none.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// The kinds of answers that are made, and their labels.
pub(crate) const WANTS: [(Want, &str); 6] = [
    (Want::Minimal, "minimal"),
    (Want::Full, "full"),
    (Want::Null, "null"),
    (Want::AbsentAsNull, "absent as null"),
    (Want::UnknownValue, "unknown enum value"),
    (Want::ExtraField, "extra field"),
];

/// Answers to one operation, for each status that is described.
pub(crate) fn answers(schemas: &Schemas, operation: &Operation) -> Vec<Answer> {
    let mut answers = Vec::new();
    for response in &operation.responses {
        let status = sample_status(operation, response.status);
        let json = response.media.iter().find(|media| media.is_json());
        let mut made = match json.or(response.media.first()) {
            Some(media) if media.is_json() => json_answers(schemas, status, media),
            Some(media) => {
                let label = format!("{status} raw");
                vec![Answer::new(label, status, &media.content_type, "raw text")]
            }
            None => vec![Answer::new(format!("{status} empty"), status, "", "")],
        };
        for answer in &mut made {
            add_headers(schemas, response, &mut answer.headers);
        }
        answers.extend(made);
    }
    answers
}

/// A status that is answered as described for `wanted`, and for no other.
fn sample_status(operation: &Operation, wanted: Status) -> u16 {
    let described = |status: &u16| {
        let mut responses = operation.responses.iter();
        responses.any(|it| it.status != wanted && it.status.fit(*status).is_some_and(|fit| fit < 2))
    };
    let candidates = match wanted {
        Status::Exact(status) => return status,
        Status::Class(class) => class * 100..class * 100 + 100,
        Status::Default if operation.responses.len() == 1 => 200..201,
        Status::Default => 500..600,
    };
    let mut candidates = candidates.into_iter();
    candidates.find(|status| !described(status)).unwrap_or(500)
}

/// An answer of each kind for one schema.
pub(crate) fn schema_answers(
    schemas: &Schemas,
    schema: &str,
    status: u16,
    content_type: &str,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (want, label) in WANTS {
        let (value, allowed) = sample(schemas, schema, want, Flavor::Described);
        add(&mut answers, (status, label), content_type, &value, allowed);
    }
    answers
}

/// Adds an answer, if there is none with the same body.
fn add(
    answers: &mut Vec<Answer>,
    (status, label): (u16, &str),
    content_type: &str,
    value: &Value,
    allowed: bool,
) {
    let body = value.to_string();
    if !answers.iter().any(|answer| answer.body == body) {
        let answer = Answer::new(format!("{status} {label}"), status, content_type, body);
        answers.push(answer.with_allowed(allowed));
    }
}

fn json_answers(schemas: &Schemas, status: u16, media: &Media) -> Vec<Answer> {
    let content_type = media.content_type.as_str();
    let mut answers = match &media.schema {
        Some(schema) => schema_answers(schemas, schema, status, content_type),
        None => Vec::new(),
    };
    let mut add = |label: &str, value: &Value, allowed: bool| {
        add(&mut answers, (status, label), content_type, value, allowed);
    };
    for (label, value) in &media.examples {
        let schema = media.schema.as_ref();
        let allowed = schema.is_none_or(|it| schemas.accepts(it, Flavor::Described, value));
        add(label, value, allowed);
    }
    if media.schema.is_none() && media.examples.is_empty() {
        add("empty object", &Value::Object(serde_json::Map::new()), true);
    }
    answers
}

fn add_headers(schemas: &Schemas, response: &Response, headers: &mut HeaderMap) {
    for (name, schema) in &response.headers {
        let value = schema
            .as_ref()
            .map(|it| sample(schemas, it, Want::Full, Flavor::Described).0);
        let text = match value {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => "1".to_owned(),
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&text))
            && name != http::header::CONTENT_TYPE
        {
            headers.insert(name, value);
        }
    }
}

/// Holds an answer against the description of its operation.
pub(crate) fn check(
    rest: &Rest,
    operation: &Operation,
    status: u16,
    body: &[u8],
) -> Vec<Violation> {
    let one = |place, rule, message: String| vec![Violation::new(place, "", rule, message)];
    let responses = operation.responses.iter();
    let fitting = responses.filter_map(|it| it.status.fit(status).map(|fit| (fit, it)));
    let Some((_, response)) = fitting.min_by_key(|(fit, _)| *fit) else {
        // Most descriptions leave failures out.
        if status >= 400 {
            return Vec::new();
        }
        let message = format!(
            "the description has no answer {status} for {}",
            operation.id
        );
        return one(Place::Status, Rule::Undescribed, message);
    };
    let Some(media) = response.media.iter().find(|media| media.is_json()) else {
        return Vec::new();
    };
    let Some(schema) = &media.schema else {
        return Vec::new();
    };
    if body.is_empty() {
        return one(
            Place::Body,
            Rule::Required,
            "the answer has no body".to_owned(),
        );
    }
    match serde_json::from_slice(body) {
        Ok(value) => rest
            .schemas
            .check(schema, Flavor::Answer, &value, Place::Body),
        // Another content type than JSON may be described, too.
        Err(_) if response.media.len() > 1 => Vec::new(),
        Err(error) => one(Place::Body, Rule::Syntax, format!("not JSON: {error}")),
    }
}
