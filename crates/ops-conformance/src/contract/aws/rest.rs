//! The rest-xml protocol: paths, queries and headers as with any other interface.

use http::Method;
use serde_json::Value;

use super::shapes::{Member, Model, pointer, text};
use crate::contract::operation::{Body, In, Media, Operation, Parameter, Style};
use crate::contract::rest::Rest;
use crate::contract::route::Route;
use crate::contract::schema::Schemas;

/// Query parameters of signatures, and one that SDKs add to tell operations apart.
const FREE_QUERY: [&str; 8] = [
    "x-id",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// Headers of HTTP, of signatures, and those by which SDKs tell about themselves.
const FREE_HEADERS: [&str; 17] = [
    "accept",
    "accept-encoding",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "transfer-encoding",
    "user-agent",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-user-agent",
];

pub(super) fn parse(model: &Model) -> Result<Rest, String> {
    let mut operations = Vec::new();
    for (name, operation) in model.operations() {
        operations.push(read(model, name, operation)?);
    }
    let schemas = Schemas::new(model.schemas(true));
    let free = FREE_QUERY.map(ToOwned::to_owned).to_vec();
    Ok(Rest::new(schemas, operations, Vec::new(), free).with_headers(&FREE_HEADERS))
}

fn read(model: &Model, name: &str, operation: &Value) -> Result<Operation, String> {
    let http = operation.get("http").unwrap_or(&Value::Null);
    let template = text(http, "requestUri").unwrap_or("/");
    let method = text(http, "method").unwrap_or("POST");
    let input = model.io(name, "input");
    let members = || input.into_iter().flat_map(|input| model.members(input));
    let parameters = members().filter_map(|member| {
        let required = input.is_some_and(|input| model.is_required(input, member.name));
        parameter(model, member, required)
    });
    let has_body = members().any(|member| member.location().is_none());
    Ok(Operation {
        id: name.to_owned(),
        method: method
            .parse::<Method>()
            .map_err(|_| format!("{name} has no method"))?,
        route: Route::new(template, |_| None)?,
        parameters: parameters.collect(),
        further_headers: members()
            .filter(|member| member.location() == Some("headers"))
            .map(|member| member.wire_name().to_ascii_lowercase())
            .chain(checksums(model, operation))
            .collect(),
        // What is in the body is checked by shape, not by schema alone.
        body: has_body.then(|| Body {
            required: false,
            media: vec![Media {
                content_type: "*/*".to_owned(),
                schema: None,
                examples: Vec::new(),
            }],
        }),
        responses: Vec::new(),
        servers: Vec::new(),
    })
}

/// The headers of the checksums that an operation takes by a trait of its own. One that it
/// requires may be an MD5, too, as all were once.
fn checksums(model: &Model, operation: &Value) -> Vec<String> {
    let takes = operation.pointer("/httpChecksum/requestAlgorithmMember");
    let known = takes.and_then(|_| model.shape("ChecksumAlgorithm").get("enum"));
    let known = known.and_then(Value::as_array).into_iter().flatten();
    let names = known.filter_map(Value::as_str);
    let headers = names.map(|name| format!("x-amz-checksum-{}", name.to_ascii_lowercase()));
    let required = operation.pointer("/httpChecksum/requestChecksumRequired");
    let md5 = (required == Some(&Value::Bool(true))).then(|| "content-md5".to_owned());
    headers.chain(md5).collect()
}

fn parameter(model: &Model, member: Member<'_>, required: bool) -> Option<Parameter> {
    let place = match member.location()? {
        "uri" => In::Path,
        "querystring" => In::Query,
        "header" => In::Header,
        // A prefix for any headers.
        _ => return None,
    };
    let list = model.kind(member.shape()) == "list";
    Some(Parameter {
        name: member.wire_name().to_owned(),
        place,
        required,
        schema: Some(pointer(member.shape())),
        style: match place {
            In::Header if list => Style::Separated(','),
            _ => Style::Exploded,
        },
    })
}
