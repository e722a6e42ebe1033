//! Google's API discovery documents.

use http::Method;
use serde_json::{Map, Value, json};

use super::operation::{Body, In, Media, Operation, Parameter, Response, Status, Style};
use super::rest::Rest;
use super::route::Route;
use super::schema::Schemas;
use super::violation::escape;

/// Reads a description.
pub(crate) fn parse(document: &Value) -> Result<Rest, String> {
    let mut schemas = Map::new();
    for (name, schema) in fields(document, "schemas") {
        schemas.insert(name.clone(), convert(schema));
    }
    let mut reader = Reader {
        document,
        parameters: Map::new(),
        bodies: Map::new(),
        operations: Vec::new(),
    };
    reader.resources(document)?;
    let converted = json!({
        "schemas": schemas,
        "parameters": reader.parameters,
        "bodies": reader.bodies,
        "error": error(),
    });
    let service = document
        .get("servicePath")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let prefix = match service.trim_matches('/') {
        "" => String::new(),
        path => format!("/{path}"),
    };
    Ok(Rest::new(
        Schemas::new(converted),
        reader.operations,
        vec![prefix],
        Vec::new(),
    ))
}

/// The fields of an object within an object.
fn fields<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object
        .get(key)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// How all these interfaces answer failures.
fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": { "type": "integer" },
                    "message": { "type": "string" },
                    "status": { "type": "string" },
                    "details": { "type": "array", "items": { "type": "object" } },
                    "errors": { "type": "array", "items": { "type": "object" } },
                },
            },
        },
    })
}

/// A schema of discovery as a JSON schema. Fields that only answers have are kept, for
/// these interfaces ignore them in requests: what was read may be sent back.
fn convert(schema: &Value) -> Value {
    let mut converted = Map::new();
    if let Some(name) = text(schema, "$ref") {
        converted.insert(
            "$ref".to_owned(),
            json!(format!("#/schemas/{}", escape(name))),
        );
        return Value::Object(converted);
    }
    let kind = text(schema, "type").unwrap_or("any");
    if kind != "any" {
        converted.insert("type".to_owned(), json!(kind));
    }
    for key in ["enum", "pattern"] {
        if let Some(value) = schema.get(key) {
            converted.insert(key.to_owned(), value.clone());
        }
    }
    for key in ["minimum", "maximum"] {
        let bound = text(schema, key).and_then(|it| serde_json::from_str(it).ok());
        if let Some(bound) = bound.filter(|_: &Value| kind != "string") {
            converted.insert(key.to_owned(), bound);
        }
    }
    if let Some((key, value)) = text(schema, "format").and_then(|it| format(kind, it)) {
        converted.insert(key.to_owned(), json!(value));
    }
    if let Some(items) = schema.get("items") {
        converted.insert("items".to_owned(), convert(items));
    }
    if let Some(values) = schema.get("additionalProperties") {
        converted.insert("additionalProperties".to_owned(), convert(values));
    } else if kind == "object" {
        // A message without fields has none.
        let properties: Map<String, Value> = fields(schema, "properties")
            .map(|(name, it)| (name.clone(), convert(it)))
            .collect();
        let required: Vec<&String> = fields(schema, "properties")
            .filter(|(_, it)| it.get("required") == Some(&Value::Bool(true)))
            .map(|(name, _)| name)
            .collect();
        converted.insert("required".to_owned(), json!(required));
        converted.insert("properties".to_owned(), Value::Object(properties));
    }
    Value::Object(converted)
}

/// A format as a keyword. Whole numbers of 64 bits are texts in JSON.
fn format(kind: &str, format: &str) -> Option<(&'static str, &'static str)> {
    match format {
        "google-datetime" | "date-time" => Some(("format", "date-time")),
        "date" => Some(("format", "date")),
        "google-duration" => Some(("pattern", r"^-?[0-9]+(\.[0-9]{1,9})?s$")),
        "int64" if kind == "string" => Some(("pattern", "^-?[0-9]+$")),
        "uint64" if kind == "string" => Some(("pattern", "^[0-9]+$")),
        "byte" => Some(("pattern", "^[A-Za-z0-9+/_-]*={0,2}$")),
        _ => None,
    }
}

struct Reader<'a> {
    document: &'a Value,
    /// Schemas of parameters, by method and name.
    parameters: Map<String, Value>,
    /// Schemas of bodies, by method.
    bodies: Map<String, Value>,
    operations: Vec<Operation>,
}

impl Reader<'_> {
    fn resources(&mut self, owner: &Value) -> Result<(), String> {
        for (_, method) in fields(owner, "methods") {
            self.method(method)?;
        }
        for (_, resource) in fields(owner, "resources") {
            self.resources(resource)?;
        }
        Ok(())
    }

    fn method(&mut self, method: &Value) -> Result<(), String> {
        let id = text(method, "id").ok_or("a method without id")?.to_owned();
        let template = format!("/{}", text(method, "path").unwrap_or_default());
        let body = self.body(&id, method);
        let json = body.map(|schema| Body {
            required: true,
            media: vec![Media {
                content_type: "application/json".to_owned(),
                schema: Some(schema),
                examples: Vec::new(),
            }],
        });
        let operation = self.operation(&id, method, &template, json)?;
        self.operations.push(operation);
        let uploads: Vec<String> = method
            .get("mediaUpload")
            .into_iter()
            .flat_map(|it| fields(it, "protocols"))
            .filter_map(|(_, it)| text(it, "path").map(ToOwned::to_owned))
            .collect();
        for upload in uploads {
            let raw = Body {
                required: false,
                media: vec![Media {
                    content_type: "*/*".to_owned(),
                    schema: None,
                    examples: Vec::new(),
                }],
            };
            let mut operation = self.operation(&id, method, &upload, Some(raw))?;
            operation.servers = vec![String::new()];
            self.operations.push(operation);
        }
        Ok(())
    }

    /// Where the schema of the body is, with what only this method requires.
    fn body(&mut self, id: &str, method: &Value) -> Option<String> {
        let name = method.get("request").and_then(|it| text(it, "$ref"))?;
        let schema = self.document.get("schemas")?.get(name)?;
        let required: Vec<&String> = fields(schema, "properties")
            .filter(|(_, it)| {
                let annotated = it
                    .pointer("/annotations/required")
                    .and_then(Value::as_array);
                annotated
                    .into_iter()
                    .flatten()
                    .any(|it| it.as_str() == Some(id))
            })
            .map(|(name, _)| name)
            .collect();
        let reference = format!("#/schemas/{}", escape(name));
        let body = json!({ "allOf": [{ "$ref": reference }, { "required": required }] });
        self.bodies.insert(id.to_owned(), body);
        Some(format!("/bodies/{}", escape(id)))
    }

    fn operation(
        &mut self,
        id: &str,
        method: &Value,
        template: &str,
        body: Option<Body>,
    ) -> Result<Operation, String> {
        let mut parameters = Vec::new();
        for owner in [method, self.document] {
            for (name, parameter) in fields(owner, "parameters") {
                parameters.push(self.parameter(id, name, parameter));
            }
        }
        let pattern = |name: &str| {
            let parameter = method.get("parameters").and_then(|it| it.get(name))?;
            let pattern = text(parameter, "pattern")?;
            let inner = pattern.trim_start_matches('^').trim_end_matches('$');
            // A group of its own would be taken for a parameter.
            (!inner.contains('(')).then(|| inner.to_owned())
        };
        let http = text(method, "httpMethod").unwrap_or_default();
        Ok(Operation {
            id: id.to_owned(),
            method: http
                .parse::<Method>()
                .map_err(|_| format!("{id} has no method"))?,
            route: Route::new(template, pattern)?,
            parameters,
            further_headers: Vec::new(),
            body,
            responses: responses(method),
            servers: Vec::new(),
        })
    }

    fn parameter(&mut self, id: &str, name: &str, parameter: &Value) -> Parameter {
        let repeated = parameter.get("repeated") == Some(&Value::Bool(true));
        let one = convert(parameter);
        let schema = if repeated {
            json!({ "type": "array", "items": one })
        } else {
            one
        };
        let key = format!("{id} {name}");
        let pointer = format!("/parameters/{}", escape(&key));
        self.parameters.insert(key, schema);
        let in_path = text(parameter, "location") == Some("path");
        Parameter {
            name: name.to_owned(),
            place: if in_path { In::Path } else { In::Query },
            required: parameter.get("required") == Some(&Value::Bool(true)),
            schema: Some(pointer),
            style: Style::Exploded,
        }
    }
}

fn responses(method: &Value) -> Vec<Response> {
    let json = |schema: String| Media {
        content_type: "application/json".to_owned(),
        schema: Some(schema),
        examples: Vec::new(),
    };
    let of = |status: Status, media: Vec<Media>| Response {
        status,
        media,
        headers: Vec::new(),
    };
    let named = method.get("response").and_then(|it| text(it, "$ref"));
    let success = match named {
        Some(name) => of(
            Status::Exact(200),
            vec![json(format!("/schemas/{}", escape(name)))],
        ),
        None => of(Status::Exact(204), Vec::new()),
    };
    let failure = |class: u16| of(Status::Class(class), vec![json("/error".to_owned())]);
    vec![success, failure(4), failure(5)]
}
