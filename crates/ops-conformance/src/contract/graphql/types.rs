//! The types of variables as JSON schemas.

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::Operation;
use apollo_compiler::schema::ExtendedType;
use serde_json::{Map, Value, json};

use crate::contract::schema::Schemas;

/// The schema of the variables of an operation, at `/root`.
pub(super) fn variables(schema: &Schema, operation: &Operation) -> Schemas {
    let variables = operation.variables.iter().map(|it| {
        let needed = it.ty.is_non_null() && it.default_value.is_none();
        (it.name.to_string(), of_type(schema, &it.ty), needed)
    });
    document(schema, &object(variables))
}

/// The schema of an object with these fields: name, schema, and whether it is required.
fn object(fields: impl Iterator<Item = (String, Value, bool)>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema, needed) in fields {
        if needed {
            required.push(name.clone());
        }
        properties.insert(name, schema);
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

/// A document with all input types, and the schema of what is wanted.
pub(super) fn document(schema: &Schema, root: &Value) -> Schemas {
    let mut inputs = Map::new();
    for (name, definition) in &schema.types {
        if let ExtendedType::InputObject(input) = definition {
            let fields = input.fields.values().map(|it| {
                let needed = it.ty.is_non_null() && it.default_value.is_none();
                (it.name.to_string(), of_type(schema, &it.ty), needed)
            });
            inputs.insert(name.to_string(), object(fields));
        }
    }
    Schemas::new(json!({ "root": root, "inputs": inputs }))
}

/// A type as a schema. A single value stands for a list of one, as the specification has
/// it, but a client should not rely on that.
pub(super) fn of_type(schema: &Schema, ty: &Type) -> Value {
    let (inner, nullable) = match ty {
        Type::Named(name) => (named(schema, name), true),
        Type::NonNullNamed(name) => (named(schema, name), false),
        Type::List(item) => (list(&of_type(schema, item)), true),
        Type::NonNullList(item) => (list(&of_type(schema, item)), false),
    };
    if nullable { or_null(inner) } else { inner }
}

pub(super) fn list(item: &Value) -> Value {
    json!({ "type": "array", "items": item })
}

/// The same, or null.
pub(super) fn or_null(schema: Value) -> Value {
    let mut schema = schema;
    let Some(object) = schema.as_object_mut() else {
        return schema;
    };
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.push(Value::Null);
    }
    match object.get("type").cloned() {
        Some(Value::String(one)) => {
            object.insert("type".to_owned(), json!([one, "null"]));
            schema
        }
        _ if object.contains_key("$ref") || object.contains_key("anyOf") => {
            json!({ "anyOf": [schema, { "type": "null" }] })
        }
        _ => schema,
    }
}

fn named(schema: &Schema, name: &str) -> Value {
    match schema.types.get(name) {
        Some(ExtendedType::InputObject(_)) => json!({ "$ref": format!("#/inputs/{name}") }),
        other => leaf(name, other),
    }
}

/// A scalar or an enum as a schema. Of a scalar that the vendor has made itself, only times
/// are known.
pub(super) fn leaf(name: &str, definition: Option<&ExtendedType>) -> Value {
    if let Some(ExtendedType::Enum(definition)) = definition {
        let values: Vec<String> = definition.values.keys().map(ToString::to_string).collect();
        return json!({ "type": "string", "enum": values });
    }
    match name {
        "Int" => json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX }),
        "Float" => json!({ "type": "number" }),
        "Boolean" => json!({ "type": "boolean" }),
        "String" | "ID" => json!({ "type": "string" }),
        "DateTime" | "ISO8601DateTime" => json!({ "type": "string", "format": "date-time" }),
        _ => json!({}),
    }
}
