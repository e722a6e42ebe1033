//! Single keywords of a schema, changed.

use serde_json::{Map, Value, json};

pub(super) fn one_of_as_any_of(schema: &mut Map<String, Value>) {
    let Some(branches) = schema.remove("oneOf") else {
        return;
    };
    if !schema.contains_key("anyOf") {
        schema.insert("anyOf".to_owned(), branches);
        return;
    }
    let any_of = json!({ "anyOf": branches });
    match schema.get_mut("allOf") {
        Some(Value::Array(parts)) => parts.push(any_of),
        _ => {
            schema.insert("allOf".to_owned(), json!([any_of]));
        }
    }
}

pub(super) fn refuse_read_only(original: &Map<String, Value>, rewritten: &mut Map<String, Value>) {
    let Some(properties) = original.get("properties").and_then(Value::as_object) else {
        return;
    };
    let read_only = |name: &str| properties.get(name).is_some_and(is_read_only);
    if let Some(Value::Array(required)) = rewritten.get_mut("required") {
        required.retain(|name| !name.as_str().is_some_and(read_only));
    }
    if let Some(Value::Object(fields)) = rewritten.get_mut("properties") {
        for (name, schema) in fields {
            if read_only(name) {
                *schema = Value::Bool(false);
            }
        }
    }
}

pub(crate) fn is_read_only(schema: &Value) -> bool {
    schema.get("readOnly") == Some(&Value::Bool(true))
}

/// A field that is required is described, if only by its name.
pub(super) fn name_required(original: &Map<String, Value>, rewritten: &mut Map<String, Value>) {
    let required = original.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        let fields = rewritten.entry("properties").or_insert_with(|| json!({}));
        if let Value::Object(fields) = fields {
            fields.entry(name).or_insert(Value::Bool(true));
        }
    }
}

pub(super) fn allow_null(schema: &mut Map<String, Value>) {
    let types = match schema.remove("type") {
        Some(Value::Array(types)) => types,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    if !types.is_empty() {
        schema.insert("type".to_owned(), with(types, json!("null")));
    }
    let values = match (schema.remove("enum"), schema.remove("const")) {
        (Some(Value::Array(values)), _) => values,
        (_, Some(value)) => vec![value],
        _ => return,
    };
    schema.insert("enum".to_owned(), with(values, Value::Null));
}

fn with(values: Vec<Value>, one: Value) -> Value {
    let mut values = values;
    if !values.contains(&one) {
        values.push(one);
    }
    Value::Array(values)
}
