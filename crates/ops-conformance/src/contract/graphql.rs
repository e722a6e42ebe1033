//! GraphQL: documents held against a schema, and variables against their types.

mod document;
mod introspection;
mod selection;
mod types;

use apollo_compiler::executable::{Operation, Selection};
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node, Schema};
use http::Method;
use serde_json::{Map, Value, json};

use super::answer::{Answer, schema_answers};
use super::request::Request;
use super::rewrite::Flavor;
use super::route::pairs;
use super::schema::Schemas;
use super::violation::{Place, Rule, Violation};

/// A GraphQL schema.
#[derive(Debug)]
pub(crate) struct Graphql {
    schema: Valid<Schema>,
}

/// A request whose document is valid.
struct Call {
    document: Valid<ExecutableDocument>,
    operation: Node<Operation>,
    variables: Map<String, Value>,
}

impl Graphql {
    /// Reads a schema, as SDL or as the answer to an introspection query.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let sdl = if text.trim_start().starts_with('{') {
            let document = serde_json::from_str(text).map_err(|error| error.to_string())?;
            introspection::to_sdl(&document)?
        } else {
            text.to_owned()
        };
        let schema = Schema::parse_and_validate(sdl, "schema.graphql")
            .map_err(|error| first_line(&error.errors.to_string()))?;
        Ok(Self { schema })
    }

    /// The fields of the root types: type, and name.
    pub(crate) fn root_fields(&self) -> Vec<(String, String)> {
        let definition = &self.schema.schema_definition;
        let roots = [
            &definition.query,
            &definition.mutation,
            &definition.subscription,
        ];
        let mut fields = Vec::new();
        for root in roots.into_iter().flatten() {
            if let Some(object) = self.schema.get_object(root.as_str()) {
                let names = object.fields.keys();
                fields.extend(names.map(|name| (root.to_string(), name.to_string())));
            }
        }
        fields
    }

    /// Checks a request. The operation is named after the fields of the root that it asks
    /// for, for a document can have any name.
    pub(crate) fn check(&self, request: &Request) -> Result<String, Vec<Violation>> {
        let call = self.call(request)?;
        let violations = self.check_variables(&call);
        if violations.is_empty() {
            return Ok(root_names(&call.operation).join("+"));
        }
        Err(violations)
    }

    fn call(&self, request: &Request) -> Result<Call, Vec<Violation>> {
        let one = |place, pointer: &str, rule, message: &str| {
            vec![Violation::new(place, pointer, rule, message)]
        };
        if request.method != Method::POST {
            let message = "GraphQL is sent by POST";
            return Err(one(Place::Operation, "", Rule::Undescribed, message));
        }
        if let Some((name, _)) = pairs(request.query()).into_iter().next() {
            let message = "GraphQL has no query parameters";
            let violation = Violation::new(Place::Query, "", Rule::Unknown, message);
            return Err(vec![violation.below(Place::Query, &name)]);
        }
        if request.media_type().as_deref() != Some("application/json") {
            let message = "GraphQL is sent as application/json";
            return Err(one(
                Place::Header,
                "/content-type",
                Rule::ContentType,
                message,
            ));
        }
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|error| one(Place::Body, "", Rule::Syntax, &error.to_string()))?;
        let envelope = Schemas::new(envelope());
        let violations = envelope.check("", Flavor::Request, &body, Place::Body);
        if !violations.is_empty() {
            return Err(violations);
        }
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let query = text("query").unwrap_or_default();
        let document = ExecutableDocument::parse_and_validate(&self.schema, query, "query.graphql")
            .map_err(|error| diagnostics(&error.errors))?;
        let operation = document
            .operations
            .get(text("operationName"))
            .map_err(|error| {
                let message = error.message().to_string();
                one(Place::Body, "/operationName", Rule::Undescribed, &message)
            })?
            .clone();
        let variables = body.get("variables").and_then(Value::as_object);
        Ok(Call {
            document,
            operation,
            variables: variables.cloned().unwrap_or_default(),
        })
    }

    /// Checks the variables against their types. The pointers come from the types as JSON
    /// schemas; the coercion of the specification has the last word.
    fn check_variables(&self, call: &Call) -> Vec<Violation> {
        let variables = Value::Object(call.variables.clone());
        let schemas = types::variables(&self.schema, &call.operation);
        let violations = schemas.check("/root", Flavor::Request, &variables, Place::Variables);
        if !violations.is_empty() {
            return violations;
        }
        let map = match serde_json_bytes_map(&variables) {
            Ok(map) => map,
            Err(message) => {
                return vec![Violation::new(Place::Variables, "", Rule::Syntax, message)];
            }
        };
        match coerce_variable_values(&self.schema, &call.operation, &map) {
            Ok(_) => Vec::new(),
            Err(error) => {
                let message = first_line(&error.message().to_string());
                vec![Violation::new(Place::Variables, "", Rule::Type, message)]
            }
        }
    }

    /// Answers to a request: those that its selection allows, and failures under status 200.
    pub(crate) fn answers(&self, request: &Request) -> Vec<Answer> {
        let Ok(call) = self.call(request) else {
            return Vec::new();
        };
        let schemas = selection::answer(&self.schema, &call.document, &call.operation);
        let mut answers = schema_answers(&schemas, "/good", 200, "application/json");
        let error = json!({
            "message": "text",
            "locations": [{ "line": 1, "column": 1 }],
            "path": root_names(&call.operation),
            "extensions": { "code": "text" },
        });
        let failures = [
            ("errors", json!({ "errors": [error], "data": null })),
            (
                "errors without data",
                json!({ "errors": [{ "message": "text" }] }),
            ),
        ];
        for (label, body) in failures {
            let label = format!("200 {label}");
            answers.push(Answer::new(
                label,
                200,
                "application/json",
                body.to_string(),
            ));
        }
        answers
    }

    /// Holds an answer against what a request has selected.
    pub(crate) fn check_answer(
        &self,
        request: &Request,
        status: u16,
        body: &[u8],
    ) -> Vec<Violation> {
        let call = match self.call(request) {
            Ok(call) => call,
            Err(violations) => return violations,
        };
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            // What stands before the server may answer failures in a form of its own.
            Err(_) if status >= 400 => return Vec::new(),
            Err(error) => {
                let message = format!("not JSON: {error}");
                return vec![Violation::new(Place::Body, "", Rule::Syntax, message)];
            }
        };
        let schemas = selection::answer(&self.schema, &call.document, &call.operation);
        schemas.check("/root", Flavor::Answer, &value, Place::Body)
    }

    /// A request of one field of the root, with all its arguments as variables.
    pub(crate) fn sample_requests(&self, field: &str) -> Vec<Request> {
        let roots = self.root_fields();
        let root = roots.iter().find(|(_, name)| name == field);
        let root = root.map(|(root, _)| root.as_str());
        root.map(|root| document::requests(&self.schema, root, field))
            .unwrap_or_default()
    }
}

/// What a request consists of.
fn envelope() -> Value {
    json!({
        "type": "object",
        "required": ["query"],
        "properties": {
            "query": { "type": "string" },
            "operationName": { "type": ["string", "null"] },
            "variables": { "type": ["object", "null"] },
            "extensions": { "type": ["object", "null"] },
        },
    })
}

fn root_names(operation: &Operation) -> Vec<String> {
    let fields = operation.selection_set.selections.iter();
    let names = fields.filter_map(|selection| match selection {
        Selection::Field(field) => Some(field.name.to_string()),
        _ => None,
    });
    names.collect()
}

fn serde_json_bytes_map(variables: &Value) -> Result<apollo_compiler::response::JsonMap, String> {
    serde_json::from_value(variables.clone()).map_err(|error| error.to_string())
}

fn diagnostics(errors: &apollo_compiler::validation::DiagnosticList) -> Vec<Violation> {
    let violations = errors.iter().map(|diagnostic| {
        let at = diagnostic.line_column_range().map(|range| range.start);
        let at = at.map(|at| format!("line {} column {}: ", at.line, at.column));
        let message = format!(
            "{}{}",
            at.unwrap_or_default(),
            first_line(&diagnostic.error.to_string())
        );
        Violation::new(Place::Document, "", Rule::Schema, message)
    });
    violations.collect()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Whether a type is an object, an interface or a union: something to select from.
fn is_composite(schema: &Schema, name: &str) -> bool {
    matches!(
        schema.types.get(name),
        Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
    )
}
