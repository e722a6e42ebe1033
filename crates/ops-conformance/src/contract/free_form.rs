//! Whether a description says that anything may stand at a place: told from the schema as
//! it is written, so that it can be held against what the rewritten one accepts.

use std::collections::HashSet;

use serde_json::Value;

use super::rewrite::local_reference;
use super::schema::Schemas;
use super::violation::{escape, unescape};

/// Whether the schema at `schema` allows fields that it does not name at the place
/// `pointer` of a value.
pub(crate) fn is_free_form(schemas: &Schemas, schema: &str, pointer: &str) -> bool {
    let mut parts = vec![schema.to_owned()];
    for token in pointer.split('/').skip(1) {
        let below = parts
            .iter()
            .flat_map(|part| step(schemas, part, &unescape(token)));
        parts = below.collect();
        if parts.is_empty() {
            // Below something free-form.
            return true;
        }
    }
    parts.iter().any(|part| allows_more(schemas, part))
}

/// A schema and all that it is composed of.
fn parts(schemas: &Schemas, pointer: &str, found: &mut Vec<String>, seen: &mut HashSet<String>) {
    if !seen.insert(pointer.to_owned()) {
        return;
    }
    found.push(pointer.to_owned());
    let Some(schema) = schemas.at(pointer).as_object() else {
        return;
    };
    if let Some(target) = local_reference(schema) {
        parts(schemas, &target, found, seen);
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let list = schema.get(key).and_then(Value::as_array);
        for index in 0..list.map_or(0, Vec::len) {
            parts(schemas, &format!("{pointer}/{key}/{index}"), found, seen);
        }
    }
}

fn all_parts(schemas: &Schemas, pointer: &str) -> Vec<String> {
    let mut found = Vec::new();
    parts(schemas, pointer, &mut found, &mut HashSet::new());
    found
}

/// The schemas of one field or item.
fn step(schemas: &Schemas, pointer: &str, token: &str) -> Vec<String> {
    let mut below = Vec::new();
    for part in all_parts(schemas, pointer) {
        let schema = schemas.at(&part);
        let name = escape(token);
        let field = format!("{part}/properties/{name}");
        if schemas.document().pointer(&field).is_some() {
            below.push(field);
        } else if schema
            .get("additionalProperties")
            .is_some_and(Value::is_object)
        {
            below.push(format!("{part}/additionalProperties"));
        }
        if schema.get("items").is_some() && token.parse::<usize>().is_ok() {
            below.push(format!("{part}/items"));
        }
    }
    below
}

fn allows_more(schemas: &Schemas, pointer: &str) -> bool {
    let names = |pointer: &String| {
        let schema = schemas.at(pointer);
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        closed || schema.get("properties").is_some()
    };
    let may_be_object = |schema: &Value| match schema.get("type") {
        Some(Value::String(one)) => one == "object",
        Some(Value::Array(several)) => several.iter().any(|it| it == "object"),
        _ => true,
    };
    all_parts(schemas, pointer).iter().any(|part| {
        let schema = schemas.at(part);
        let more = schema
            .get("additionalProperties")
            .is_some_and(|it| it != &Value::Bool(false));
        let silent = !all_parts(schemas, part).iter().any(names);
        more || (silent && may_be_object(schema) && schema.get("required").is_none())
    })
}
