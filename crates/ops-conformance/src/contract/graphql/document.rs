//! Requests made from a schema.

use apollo_compiler::Schema;
use apollo_compiler::schema::{ExtendedType, FieldDefinition};
use http::Method;
use serde_json::{Map, json};

use super::types::{document, of_type};
use crate::contract::request::Request;
use crate::contract::rewrite::Flavor;
use crate::contract::sample::{Want, sample};

/// How deep objects within objects are selected.
const DEPTH: usize = 3;

/// A request with the arguments that are required, and one with all of them.
pub(super) fn requests(schema: &Schema, root: &str, field: &str) -> Vec<Request> {
    let Some(definition) = schema.get_object(root).and_then(|it| it.fields.get(field)) else {
        return Vec::new();
    };
    let wants = [Want::Minimal, Want::Full].into_iter();
    wants
        .map(|want| request(schema, root, definition, want))
        .collect()
}

fn request(schema: &Schema, root: &str, field: &FieldDefinition, want: Want) -> Request {
    let mut declared = Vec::new();
    let mut passed = Vec::new();
    let mut variables = Map::new();
    for argument in &field.arguments {
        if !argument.is_required() && want == Want::Minimal {
            continue;
        }
        let name = argument.name.as_str();
        declared.push(format!("${name}: {}", argument.ty));
        passed.push(format!("{name}: ${name}"));
        let schemas = document(schema, &of_type(schema, &argument.ty));
        let (value, _) = sample(&schemas, "/root", want, Flavor::Request);
        variables.insert(name.to_owned(), value);
    }
    let braces = |items: &[String]| {
        let items = items.join(", ");
        if items.is_empty() {
            items
        } else {
            format!("({items})")
        }
    };
    let definition = &schema.schema_definition;
    let is = |it: &Option<apollo_compiler::schema::ComponentName>| {
        it.as_ref().is_some_and(|it| it.as_str() == root)
    };
    let kind = if is(&definition.mutation) {
        "mutation"
    } else if is(&definition.subscription) {
        "subscription"
    } else {
        "query"
    };
    let selected = select(schema, field.ty.inner_named_type().as_str(), DEPTH);
    let query = format!(
        "{kind} Sample{} {{ {}{} {selected} }}",
        braces(&declared),
        field.name,
        braces(&passed),
    );
    let body = json!({ "query": query, "variables": variables, "operationName": "Sample" });
    Request::new(Method::POST, "/graphql").with_json(&body)
}

/// The fields of a type that need no arguments.
fn select(schema: &Schema, name: &str, depth: usize) -> String {
    let fields = match schema.types.get(name) {
        Some(ExtendedType::Object(object)) => &object.fields,
        Some(ExtendedType::Interface(interface)) => &interface.fields,
        Some(ExtendedType::Union(_)) => return "{ __typename }".to_owned(),
        _ => return String::new(),
    };
    let mut selected = vec!["__typename".to_owned()];
    for (name, field) in fields {
        let inner = field.ty.inner_named_type();
        let composite = super::is_composite(schema, inner.as_str());
        let required = field.arguments.iter().any(|it| it.is_required());
        if required || (composite && depth == 0) {
            continue;
        }
        let below = select(schema, inner.as_str(), depth.saturating_sub(1));
        selected.push(format!("{name} {below}"));
    }
    format!("{{ {} }}", selected.join(" "))
}
