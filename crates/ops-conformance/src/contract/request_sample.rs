//! Requests made from a description.

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::operation::{Body, In, Operation, Parameter, Style};
use super::request::Request;
use super::rest::Rest;
use super::rewrite::Flavor;
use super::sample::{Want, sample};

/// A request with what is required, and one with everything; those that the description
/// does not accept itself are left out.
pub(crate) fn requests(rest: &Rest, operation: &Operation) -> Vec<Request> {
    let wants = [Want::Minimal, Want::Full].into_iter();
    wants.map(|want| request(rest, operation, want)).collect()
}

fn request(rest: &Rest, operation: &Operation, want: Want) -> Request {
    let value = |parameter: &Parameter| {
        let schema = parameter.schema.as_ref();
        schema.map_or_else(
            || Value::String("text".to_owned()),
            |it| sample(&rest.schemas, it, Want::Full, Flavor::Request).0,
        )
    };
    let parameters = |place: In| {
        let all = operation.parameters.iter();
        all.filter(move |it| it.place == place && (it.required || want == Want::Full))
    };
    let path = operation.route.fill(|name| {
        let mut parameters = parameters(In::Path);
        let found = parameters.find(|it| it.name == name);
        let text = found.map_or_else(|| "text".to_owned(), |it| plain(&value(it)));
        if operation.route.spans(name) {
            return text;
        }
        utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()
    });
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, literal) in operation.route.literal_query() {
        query.append_pair(name, literal.as_deref().unwrap_or_default());
    }
    for parameter in parameters(In::Query) {
        append(&mut query, parameter, &value(parameter));
    }
    let query = query.finish();
    let prefix = rest.prefix(operation);
    let separator = if query.is_empty() { "" } else { "?" };
    let target = format!("{prefix}{path}{separator}{query}");
    let mut request = Request::new(operation.method.clone(), target);
    for parameter in parameters(In::Header) {
        request = request.with_header(&parameter.name, &plain(&value(parameter)));
    }
    match &operation.body {
        Some(body) if body.required || want == Want::Full => with_body(rest, body, request, want),
        _ => request,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

type Query = form_urlencoded::Serializer<'static, String>;

fn append(query: &mut Query, parameter: &Parameter, value: &Value) {
    let name = parameter.name.as_str();
    match (parameter.style, value) {
        (Style::Json, value) => {
            query.append_pair(name, &value.to_string());
        }
        (Style::Exploded, Value::Array(items)) => {
            for item in items {
                query.append_pair(name, &plain(item));
            }
        }
        (Style::Exploded, Value::Object(fields)) => {
            for (field, value) in fields {
                query.append_pair(field, &plain(value));
            }
        }
        (Style::DeepObject, Value::Object(fields)) => deep(query, name, fields),
        (Style::Separated(separator), Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            query.append_pair(name, &items.join(&separator.to_string()));
        }
        (_, value) => {
            query.append_pair(name, &plain(value));
        }
    }
}

fn deep(query: &mut Query, name: &str, fields: &serde_json::Map<String, Value>) {
    for (field, value) in fields {
        let name = format!("{name}[{field}]");
        match value {
            Value::Object(fields) => deep(query, &name, fields),
            value => {
                query.append_pair(&name, &plain(value));
            }
        }
    }
}

fn with_body(rest: &Rest, body: &Body, request: Request, want: Want) -> Request {
    let json = body.media.iter().find(|media| media.is_json());
    let Some(media) = json.or(body.media.first()) else {
        return request;
    };
    let value = media
        .schema
        .as_ref()
        .map_or(Value::Object(serde_json::Map::new()), |it| {
            sample(&rest.schemas, it, want, Flavor::Request).0
        });
    let content_type = media.content_type.as_str();
    if media.is_json() {
        return request.with_body(content_type, value.to_string());
    }
    let fields = value.as_object().into_iter().flatten();
    if content_type == "application/x-www-form-urlencoded" {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            match value {
                Value::Array(items) => {
                    for item in items {
                        form.append_pair(name, &plain(item));
                    }
                }
                value => {
                    form.append_pair(name, &plain(value));
                }
            }
        }
        return request.with_body(content_type, form.finish());
    }
    if content_type.starts_with("multipart/") {
        return request.with_body("multipart/form-data; boundary=ops", multipart(fields));
    }
    request.with_body(content_type, "raw")
}

fn multipart<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>) -> Bytes {
    let mut text = String::new();
    for (name, value) in fields {
        let value = plain(value);
        let head = "content-disposition: form-data; name=";
        text.extend(["--ops\r\n", head, "\"", name, "\"\r\n\r\n", &value, "\r\n"]);
    }
    text.push_str("--ops--\r\n");
    text.into()
}
