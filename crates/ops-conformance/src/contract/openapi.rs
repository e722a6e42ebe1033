//! OpenAPI 3.1.

use serde_json::{Map, Value};

use super::operation::{Body, In, Media, Operation, Parameter, Response, Status, Style};
use super::request::essence;
use super::rest::Rest;
use super::rewrite::local_reference;
use super::route::Route;
use super::schema::Schemas;
use super::violation::escape;

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Reads a description.
pub(crate) fn parse(document: Value) -> Result<Rest, String> {
    let reader = Reader {
        document: &document,
    };
    let mut operations = Vec::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (template, item) in paths.ok_or("there are no paths")? {
        for method in METHODS {
            if item.get(method).is_some() {
                operations.push(reader.operation(template, method)?);
            }
        }
    }
    let prefixes = server_paths(&document);
    let free_query = reader.keys_in_query();
    Ok(Rest::new(
        Schemas::new(document),
        operations,
        prefixes,
        free_query,
    ))
}

/// The paths of the servers, without a slash at the end.
fn server_paths(object: &Value) -> Vec<String> {
    let servers = object.get("servers").and_then(Value::as_array);
    let urls = servers
        .into_iter()
        .flatten()
        .filter_map(|server| server.get("url")?.as_str());
    let mut paths: Vec<String> = urls
        .map(|url| {
            let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
            let path = rest.find('/').and_then(|at| rest.get(at..));
            path.unwrap_or_default().trim_end_matches('/').to_owned()
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

struct Reader<'a> {
    document: &'a Value,
}

impl Reader<'_> {
    /// Follows references from one pointer to the object that is meant.
    fn resolve(&self, pointer: String) -> String {
        let mut pointer = pointer;
        for _ in 0..8 {
            let object = self.document.pointer(&pointer).and_then(Value::as_object);
            match object.and_then(local_reference) {
                Some(target) => pointer = target,
                None => break,
            }
        }
        pointer
    }

    fn object(&self, pointer: &str) -> Option<&Map<String, Value>> {
        self.document.pointer(pointer)?.as_object()
    }

    fn operation(&self, template: &str, method: &str) -> Result<Operation, String> {
        let item = format!("/paths/{}", escape(template));
        let pointer = format!("{item}/{method}");
        let operation = self.document.pointer(&pointer).unwrap_or(&Value::Null);
        let upper = method.to_ascii_uppercase();
        let id = operation
            .get("operationId")
            .and_then(Value::as_str)
            .map_or_else(|| format!("{upper} {template}"), ToOwned::to_owned);
        let mut servers = server_paths(operation);
        if servers.is_empty() {
            servers = server_paths(self.document.pointer(&item).unwrap_or(&Value::Null));
        }
        Ok(Operation {
            id,
            method: upper.parse().map_err(|_| format!("{upper} is no method"))?,
            route: Route::new(template, |_| None)?,
            parameters: self.parameters(&item, &pointer),
            further_headers: Vec::new(),
            body: self.body(&pointer),
            responses: self.responses(&pointer),
            servers,
        })
    }

    /// The parameters of an operation before those of the whole path of the same name.
    fn parameters(&self, item: &str, operation: &str) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for owner in [operation, item] {
            let list = format!("{owner}/parameters");
            let count = self.document.pointer(&list).and_then(Value::as_array);
            for index in 0..count.map_or(0, Vec::len) {
                let pointer = self.resolve(format!("{list}/{index}"));
                if let Some(parameter) = self.parameter(&pointer) {
                    let same = |one: &Parameter| {
                        one.name == parameter.name && one.place == parameter.place
                    };
                    if !parameters.iter().any(same) {
                        parameters.push(parameter);
                    }
                }
            }
        }
        parameters
    }

    fn parameter(&self, pointer: &str) -> Option<Parameter> {
        let parameter = self.object(pointer)?;
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let name = text("name")?.to_owned();
        let place = match text("in")? {
            "path" => In::Path,
            "query" => In::Query,
            "header" => In::Header,
            _ => return None,
        };
        // The specification says that descriptions of these three have no effect.
        let ignored = ["accept", "content-type", "authorization"];
        if place == In::Header && ignored.contains(&name.to_ascii_lowercase().as_str()) {
            return None;
        }
        let form = matches!(text("style"), Some("form" | "deepObject") | None);
        let explode = parameter
            .get("explode")
            .and_then(Value::as_bool)
            .unwrap_or(form && place == In::Query);
        let content = parameter.get("content").and_then(Value::as_object);
        let (style, schema) = match content.and_then(|content| content.keys().next()) {
            Some(media) => (
                Style::Json,
                format!("{pointer}/content/{}/schema", escape(media)),
            ),
            None => (style(text("style"), explode), format!("{pointer}/schema")),
        };
        Some(Parameter {
            name,
            place,
            required: place == In::Path || parameter.get("required") == Some(&Value::Bool(true)),
            schema: self.document.pointer(&schema).is_some().then_some(schema),
            style,
        })
    }

    fn body(&self, operation: &str) -> Option<Body> {
        let pointer = self.resolve(format!("{operation}/requestBody"));
        let body = self.object(&pointer)?;
        Some(Body {
            required: body.get("required") == Some(&Value::Bool(true)),
            media: self.media(&pointer),
        })
    }

    fn media(&self, owner: &str) -> Vec<Media> {
        let content = self.object(&format!("{owner}/content"));
        let media = content.into_iter().flatten().map(|(name, media)| {
            let schema = format!("{owner}/content/{}/schema", escape(name));
            Media {
                content_type: essence(name),
                schema: self.document.pointer(&schema).is_some().then_some(schema),
                examples: self.examples(media),
            }
        });
        media.collect()
    }

    fn examples(&self, media: &Value) -> Vec<(String, Value)> {
        let mut examples = Vec::new();
        if let Some(example) = media.get("example") {
            examples.push(("example".to_owned(), example.clone()));
        }
        let named = media.get("examples").and_then(Value::as_object);
        for (name, example) in named.into_iter().flatten() {
            let target = example.as_object().and_then(local_reference);
            let example = target
                .and_then(|target| self.document.pointer(&target))
                .unwrap_or(example);
            if let Some(value) = example.get("value") {
                examples.push((format!("example {name}"), value.clone()));
            }
        }
        examples
    }

    fn responses(&self, operation: &str) -> Vec<Response> {
        let list = format!("{operation}/responses");
        let responses = self.object(&list).into_iter().flatten();
        let responses = responses.map(|(status, _)| {
            let pointer = self.resolve(format!("{list}/{status}"));
            let headers = self.object(&format!("{pointer}/headers"));
            let headers = headers.into_iter().flatten().map(|(name, _)| {
                let header = self.resolve(format!("{pointer}/headers/{}", escape(name)));
                let schema = format!("{header}/schema");
                let schema = self.document.pointer(&schema).is_some().then_some(schema);
                (name.clone(), schema)
            });
            Response {
                status: Status::parse(status),
                media: self.media(&pointer),
                headers: headers.collect(),
            }
        });
        responses.collect()
    }

    /// Query parameters that carry a key: every operation may have them.
    fn keys_in_query(&self) -> Vec<String> {
        let schemes = self.object("/components/securitySchemes");
        let schemes = schemes.into_iter().flatten().filter_map(|(_, scheme)| {
            let in_query = scheme.get("in")?.as_str()? == "query";
            in_query.then(|| scheme.get("name")?.as_str().map(ToOwned::to_owned))?
        });
        schemes.collect()
    }
}

fn style(name: Option<&str>, explode: bool) -> Style {
    match name {
        Some("deepObject") => Style::DeepObject,
        Some("spaceDelimited") if !explode => Style::Separated(' '),
        Some("pipeDelimited") if !explode => Style::Separated('|'),
        _ if explode => Style::Exploded,
        _ => Style::Separated(','),
    }
}
