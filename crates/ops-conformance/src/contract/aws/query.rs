//! The Query protocol: trees as the pairs of a form, and back.

use serde_json::{Map, Value};

use super::shapes::Model;
use super::xml::scalar;

/// The tree of a shape out of the pairs below `prefix`, which are taken out. `None` if there
/// are none.
pub(super) fn unflatten(
    model: &Model,
    shape: &str,
    prefix: &str,
    pairs: &mut Vec<(String, String)>,
) -> Option<Value> {
    match model.kind(shape) {
        "structure" => {
            let mut object = Map::new();
            for member in model.members(shape) {
                let name = join(prefix, member.wire_name());
                if let Some(value) = unflatten(model, member.shape(), &name, pairs) {
                    object.insert(member.wire_name().to_owned(), value);
                }
            }
            take_unknown(prefix, pairs, &mut object);
            (!object.is_empty() || prefix.is_empty()).then_some(Value::Object(object))
        }
        "list" => {
            let (item, name) = model.item(shape);
            let start = if model.is_flattened(shape) {
                prefix.to_owned()
            } else {
                join(prefix, name.unwrap_or("member"))
            };
            let mut items = Vec::new();
            while let Some(value) = unflatten(
                model,
                item,
                &join(&start, &(items.len() + 1).to_string()),
                pairs,
            ) {
                items.push(value);
            }
            if items.is_empty() {
                // An empty list is written as the name alone.
                return take(prefix, pairs).map(|_| Value::Array(items));
            }
            Some(Value::Array(items))
        }
        "map" => unflatten_map(model, shape, prefix, pairs),
        kind => take(prefix, pairs).map(|text| scalar(kind, &text)),
    }
}

fn unflatten_map(
    model: &Model,
    shape: &str,
    prefix: &str,
    pairs: &mut Vec<(String, String)>,
) -> Option<Value> {
    let start = if model.is_flattened(shape) {
        prefix.to_owned()
    } else {
        join(prefix, "entry")
    };
    let [(_, key), (value, value_name)] = model.entry(shape);
    let mut object = Map::new();
    for index in 1.. {
        let entry = join(&start, &index.to_string());
        let Some(name) = take(&join(&entry, key), pairs) else {
            break;
        };
        let value = unflatten(model, value, &join(&entry, value_name), pairs);
        object.insert(name, value.unwrap_or_default());
    }
    (!object.is_empty()).then_some(Value::Object(object))
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        return name.to_owned();
    }
    format!("{prefix}.{name}")
}

fn take(name: &str, pairs: &mut Vec<(String, String)>) -> Option<String> {
    let at = pairs.iter().position(|(key, _)| key == name)?;
    Some(pairs.swap_remove(at).1)
}

/// What is left below a structure becomes fields that its schema does not know.
fn take_unknown(prefix: &str, pairs: &mut Vec<(String, String)>, object: &mut Map<String, Value>) {
    let start = if prefix.is_empty() {
        String::new()
    } else {
        format!("{prefix}.")
    };
    pairs.retain(|(key, text)| {
        let Some(rest) = key.strip_prefix(&start) else {
            return true;
        };
        object.insert(rest.to_owned(), Value::String(text.clone()));
        false
    });
}

/// The pairs of a tree.
pub(super) fn flatten(
    model: &Model,
    shape: &str,
    prefix: &str,
    value: &Value,
    pairs: &mut Vec<(String, String)>,
) {
    match (model.kind(shape), value) {
        ("structure", Value::Object(fields)) => {
            for member in model.members(shape) {
                if let Some(value) = fields.get(member.wire_name()) {
                    let name = join(prefix, member.wire_name());
                    flatten(model, member.shape(), &name, value, pairs);
                }
            }
        }
        ("list", Value::Array(items)) => {
            let (item, name) = model.item(shape);
            let start = if model.is_flattened(shape) {
                prefix.to_owned()
            } else {
                join(prefix, name.unwrap_or("member"))
            };
            if items.is_empty() {
                pairs.push((prefix.to_owned(), String::new()));
            }
            for (index, value) in items.iter().enumerate() {
                flatten(
                    model,
                    item,
                    &join(&start, &(index + 1).to_string()),
                    value,
                    pairs,
                );
            }
        }
        ("map", Value::Object(fields)) => {
            let [(_, key), (inner, value_name)] = model.entry(shape);
            for (index, (name, value)) in fields.iter().enumerate() {
                let entry = join(&join(prefix, "entry"), &(index + 1).to_string());
                pairs.push((join(&entry, key), name.clone()));
                flatten(model, inner, &join(&entry, value_name), value, pairs);
            }
        }
        (_, Value::String(text)) => pairs.push((prefix.to_owned(), text.clone())),
        (_, value) => pairs.push((prefix.to_owned(), value.to_string())),
    }
}
