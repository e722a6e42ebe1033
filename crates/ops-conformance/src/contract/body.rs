//! Bodies: JSON, forms, multipart and raw bytes, as values that a schema can check.

use serde_json::{Map, Value};

use super::coerce;
use super::operation::{Body, Media, is_json};
use super::request::Request;
use super::rewrite::Flavor;
use super::route::pairs;
use super::schema::Schemas;
use super::violation::{Place, Rule, Violation};

/// Checks the body of a request against what is described, if anything is.
pub(crate) fn check(
    schemas: &Schemas,
    described: Option<&Body>,
    request: &Request,
) -> Vec<Violation> {
    let one = |pointer: &str, rule, message: String| {
        vec![Violation::new(Place::Body, pointer, rule, message)]
    };
    let Some(described) = described else {
        if request.body.is_empty() {
            return Vec::new();
        }
        return one("", Rule::Unknown, "the operation has no body".to_owned());
    };
    if request.body.is_empty() {
        let raw = described
            .media
            .iter()
            .all(|media| is_raw(&media.content_type));
        if described.required && !raw {
            return one(
                "",
                Rule::Required,
                "the body is required and missing".to_owned(),
            );
        }
        return Vec::new();
    }
    let sent = request.media_type().unwrap_or_default();
    let Some(media) = described.media.iter().find(|media| media.covers(&sent)) else {
        let known: Vec<&str> = described
            .media
            .iter()
            .map(|m| m.content_type.as_str())
            .collect();
        let message = format!("the content type is `{sent}`, not {}", known.join(" or "));
        return vec![Violation::new(
            Place::Header,
            "/content-type",
            Rule::ContentType,
            message,
        )];
    };
    match decode(schemas, media, request, &sent) {
        Err(message) => one("", Rule::Syntax, message),
        Ok(None) => Vec::new(),
        Ok(Some(value)) => match &media.schema {
            Some(schema) => schemas.check(schema, Flavor::Request, &value, Place::Body),
            None => Vec::new(),
        },
    }
}

fn is_raw(media_type: &str) -> bool {
    let form = media_type == "application/x-www-form-urlencoded";
    !is_json(media_type) && !form && !media_type.starts_with("multipart/")
}

/// The body as a value; `None` for bytes that no schema can describe.
fn decode(
    schemas: &Schemas,
    media: &Media,
    request: &Request,
    sent: &str,
) -> Result<Option<Value>, String> {
    if is_json(sent) {
        let value = serde_json::from_slice(&request.body);
        return value
            .map(Some)
            .map_err(|error| format!("not JSON: {error}"));
    }
    let schema = media.schema.as_deref().unwrap_or_default();
    if sent == "application/x-www-form-urlencoded" {
        let text = std::str::from_utf8(&request.body).map_err(|_| "not UTF-8")?;
        return Ok(Some(coerce::form(schemas, schema, pairs(text))));
    }
    if sent == "multipart/form-data" {
        let parts = multipart(request)?;
        return Ok(Some(coerce_parts(schemas, schema, parts)));
    }
    Ok(None)
}

struct Part {
    name: String,
    content_type: String,
    bytes: Vec<u8>,
}

/// Parts of JSON are what they say, all others are text, as in a form.
fn coerce_parts(schemas: &Schemas, schema: &str, parts: Vec<Part>) -> Value {
    let mut object = Map::new();
    let mut texts = Vec::new();
    for part in parts {
        if is_json(&part.content_type)
            && let Ok(value) = serde_json::from_slice(&part.bytes)
        {
            object.insert(part.name, value);
        } else {
            let text = String::from_utf8_lossy(&part.bytes).into_owned();
            texts.push((part.name, text));
        }
    }
    if let Value::Object(form) = coerce::form(schemas, schema, texts) {
        object.extend(form);
    }
    Value::Object(object)
}

/// The parts of a multipart body (RFC 7578).
fn multipart(request: &Request) -> Result<Vec<Part>, String> {
    let content_type = request.header("content-type").unwrap_or_default();
    let boundary = attribute(&content_type, "boundary").ok_or("multipart without a boundary")?;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line before it.
    let mut body = b"\r\n".to_vec();
    body.extend_from_slice(&request.body);
    let (_, mut rest) = find(&body, delimiter.as_bytes()).ok_or("the boundary does not occur")?;
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        let Some((part, after)) = find(rest, delimiter.as_bytes()) else {
            return Err("the last boundary is missing".to_owned());
        };
        parts.push(one_part(part)?);
        rest = after;
    }
}

fn one_part(part: &[u8]) -> Result<Part, String> {
    // What is left of the line of the boundary stands before the headers.
    let (head, bytes) = find(part, b"\r\n\r\n").ok_or("a part without headers")?;
    let head = String::from_utf8_lossy(head);
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| value.trim().to_owned())
        })
    };
    let disposition = header("content-disposition").ok_or("a part without a disposition")?;
    Ok(Part {
        name: attribute(&disposition, "name").ok_or("a part without a name")?,
        content_type: header("content-type")
            .map_or_else(String::new, |it| super::request::essence(&it)),
        bytes: bytes.to_vec(),
    })
}

/// The value of an attribute such as `boundary="x"`.
fn attribute(header: &str, wanted: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.to_owned())
    })
}

/// What stands before and after the first occurrence.
fn find<'a>(text: &'a [u8], wanted: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text
        .windows(wanted.len())
        .position(|window| window == wanted)?;
    Some((text.get(..at)?, text.get(at + wanted.len()..)?))
}
