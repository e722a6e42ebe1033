//! Trees as XML, and back, by their shape.

use roxmltree::Node;
use serde_json::{Map, Value};

use super::shapes::{Member, Model};

/// A text as the value of a scalar; the text itself where it is no such value.
pub(super) fn scalar(kind: &str, text: &str) -> Value {
    let parsed = match kind {
        "integer" | "long" | "short" | "byte" | "double" | "float" => {
            serde_json::from_str(text).ok().filter(Value::is_number)
        }
        "boolean" => text.parse().ok().map(Value::Bool),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// An element as the tree of a shape. Elements that the shape does not name become fields
/// that its schema does not know.
pub(super) fn to_json(model: &Model, shape: &str, node: Node<'_, '_>) -> Value {
    match model.kind(shape) {
        "structure" => structure(model, shape, node),
        "list" => {
            let (item, _) = model.item(shape);
            let items = node.children().filter(Node::is_element);
            items.map(|it| to_json(model, item, it)).collect()
        }
        "map" => {
            let entries = node.children().filter(Node::is_element);
            Value::Object(entries.filter_map(|it| entry(model, shape, it)).collect())
        }
        kind => scalar(kind, node.text().unwrap_or_default()),
    }
}

fn is_flattened(model: &Model, member: Member<'_>) -> bool {
    member.is_flattened() || model.is_flattened(member.shape())
}

fn structure(model: &Model, shape: &str, node: Node<'_, '_>) -> Value {
    let mut object = Map::new();
    for child in node.children().filter(Node::is_element) {
        let name = child.tag_name().name();
        let member = model.members(shape).find(|it| it.wire_name() == name);
        let Some(member) = member.filter(|it| it.location().is_none()) else {
            let text = child.text().unwrap_or_default();
            object.insert(name.to_owned(), Value::String(text.to_owned()));
            continue;
        };
        if is_flattened(model, member) && model.kind(member.shape()) == "list" {
            let (item, _) = model.item(member.shape());
            let value = to_json(model, item, child);
            let list = object
                .entry(name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(value);
            }
        } else if object
            .insert(name.to_owned(), to_json(model, member.shape(), child))
            .is_some()
        {
            // What stands twice and is no list has no type that a schema would accept.
            object.insert(name.to_owned(), Value::Array(Vec::new()));
        }
    }
    Value::Object(object)
}

fn entry(model: &Model, shape: &str, node: Node<'_, '_>) -> Option<(String, Value)> {
    let [(_, key), (value, value_name)] = model.entry(shape);
    let child = |name: &str| node.children().find(|it| it.tag_name().name() == name);
    let key = child(key)?.text().unwrap_or_default().to_owned();
    let value = child(value_name).map(|it| to_json(model, value, it));
    Some((key, value.unwrap_or_default()))
}

/// A tree as an element.
pub(super) fn write(model: &Model, shape: &str, name: &str, value: &Value, text: &mut String) {
    if value.is_null() {
        return;
    }
    open(name, text);
    match (model.kind(shape), value) {
        ("structure", Value::Object(fields)) => {
            for (field, value) in fields {
                let member = model.members(shape).find(|it| it.wire_name() == field);
                match member {
                    Some(member) => write_member(model, member, value, text),
                    None => write_plain(field, value, text),
                }
            }
        }
        ("list", Value::Array(items)) => {
            let (item, item_name) = model.item(shape);
            for value in items {
                write(model, item, item_name.unwrap_or("member"), value, text);
            }
        }
        ("map", Value::Object(fields)) => {
            let [(_, key), (inner, value_name)] = model.entry(shape);
            for (field, value) in fields {
                open("entry", text);
                write_plain(key, &Value::String(field.clone()), text);
                write(model, inner, value_name, value, text);
                close("entry", text);
            }
        }
        (_, value) => write_text(value, text),
    }
    close(name, text);
}

fn write_member(model: &Model, member: Member<'_>, value: &Value, text: &mut String) {
    let name = member.wire_name();
    match value {
        Value::Array(items) if is_flattened(model, member) => {
            let (item, _) = model.item(member.shape());
            for value in items {
                write(model, item, name, value, text);
            }
        }
        value => write(model, member.shape(), name, value, text),
    }
}

fn write_plain(name: &str, value: &Value, text: &mut String) {
    open(name, text);
    write_text(value, text);
    close(name, text);
}

fn write_text(value: &Value, text: &mut String) {
    let plain = match value {
        Value::String(plain) => plain.clone(),
        other => other.to_string(),
    };
    text.push_str(&plain.replace('&', "&amp;").replace('<', "&lt;"));
}

fn open(name: &str, text: &mut String) {
    text.extend(["<", name, ">"]);
}

fn close(name: &str, text: &mut String) {
    text.extend(["</", name, ">"]);
}
