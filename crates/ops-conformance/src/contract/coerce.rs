//! Text as the value that a schema wants: parameters and forms know only text.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::operation::{Parameter, Style};
use super::rewrite::local_reference;
use super::schema::Schemas;
use super::violation::escape;

/// What a schema says of a value's type, all alternatives together.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    types: HashSet<String>,
    /// Pointers to the schemas of named fields.
    fields: Vec<(String, String)>,
    /// Pointers to the schemas of items.
    items: Vec<String>,
    /// Pointers to the schemas of the values of a map.
    values: Vec<String>,
}

impl Shape {
    pub(crate) fn of(schemas: &Schemas, pointer: &str) -> Self {
        let mut shape = Self::default();
        shape.collect(schemas, pointer, &mut HashSet::new());
        shape
    }

    fn collect(&mut self, schemas: &Schemas, pointer: &str, seen: &mut HashSet<String>) {
        if !seen.insert(pointer.to_owned()) {
            return;
        }
        let Some(schema) = schemas.at(pointer).as_object() else {
            return;
        };
        if let Some(target) = local_reference(schema) {
            self.collect(schemas, &target, seen);
        }
        self.collect_types(schema);
        let fields = schema.get("properties").and_then(Value::as_object);
        for name in fields.into_iter().flat_map(Map::keys) {
            let field = format!("{pointer}/properties/{}", escape(name));
            self.fields.push((name.clone(), field));
        }
        if schema.contains_key("items") {
            self.items.push(format!("{pointer}/items"));
        }
        if schema
            .get("additionalProperties")
            .is_some_and(Value::is_object)
        {
            self.values.push(format!("{pointer}/additionalProperties"));
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            let parts = schema.get(key).and_then(Value::as_array);
            for index in 0..parts.map_or(0, Vec::len) {
                self.collect(schemas, &format!("{pointer}/{key}/{index}"), seen);
            }
        }
    }

    fn collect_types(&mut self, schema: &Map<String, Value>) {
        match schema.get("type") {
            Some(Value::String(one)) => {
                self.types.insert(one.clone());
            }
            Some(Value::Array(several)) => {
                let several = several.iter().filter_map(Value::as_str);
                self.types.extend(several.map(ToOwned::to_owned));
            }
            _ => {}
        }
        let listed = schema.get("enum").and_then(Value::as_array);
        for value in listed.into_iter().flatten().chain(schema.get("const")) {
            let name = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            self.types.insert(name.to_owned());
        }
    }

    fn allows(&self, name: &str) -> bool {
        self.types.contains(name)
    }

    fn is_list(&self) -> bool {
        self.allows("array") || !self.items.is_empty()
    }

    fn is_object(&self) -> bool {
        self.allows("object") || !self.fields.is_empty() || !self.values.is_empty()
    }

    fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        let field = field.map(|(_, pointer)| pointer.as_str());
        field.or_else(|| self.values.first().map(String::as_str))
    }
}

/// One text as what a schema wants, most particular type first. The text itself where it
/// is nothing of that kind, so that the schema then refuses it by name.
pub(crate) fn scalar(schemas: &Schemas, pointer: Option<&str>, text: &str) -> Value {
    let Some(pointer) = pointer else {
        return Value::String(text.to_owned());
    };
    let shape = Shape::of(schemas, pointer);
    let number = shape.allows("integer") || shape.allows("number");
    if number
        && let Ok(number) = serde_json::from_str(text)
        && matches!(number, Value::Number(_))
    {
        return number;
    }
    match text {
        "true" if shape.allows("boolean") => Value::Bool(true),
        "false" if shape.allows("boolean") => Value::Bool(false),
        "null" | "" if shape.allows("null") && !shape.allows("string") => Value::Null,
        _ => {
            // An object or list as the value of one parameter is JSON with all vendors.
            let nested = shape.is_object() && !shape.allows("string");
            let parsed = nested.then(|| serde_json::from_str(text).ok()).flatten();
            parsed.unwrap_or_else(|| Value::String(text.to_owned()))
        }
    }
}

/// The value of a parameter out of the pairs of a query string or form, which are taken
/// out. `None` if it is not there.
pub(crate) fn parameter(
    schemas: &Schemas,
    parameter: &Parameter,
    pairs: &mut Vec<(String, String)>,
) -> Option<Value> {
    let pointer = parameter.schema.as_deref();
    let shape = pointer
        .map(|pointer| Shape::of(schemas, pointer))
        .unwrap_or_default();
    let name = parameter.name.as_str();
    if parameter.style == Style::DeepObject {
        let plain = pairs.iter().any(|(key, _)| key == name);
        let nested = deep_object(schemas, pointer, name, pairs);
        if nested.is_some() || !plain {
            return nested;
        }
    }
    let exploded_object =
        parameter.style == Style::Exploded && shape.is_object() && !shape.is_list();
    if exploded_object && !pairs.iter().any(|(key, _)| key == name) {
        return exploded(schemas, &shape, pairs);
    }
    let texts = take(pairs, |key| key == name);
    let first = texts.first()?;
    if parameter.style == Style::Json {
        let parsed = serde_json::from_str(first);
        return Some(parsed.unwrap_or_else(|_| Value::String(first.clone())));
    }
    let item = shape.items.first().map(String::as_str);
    let list = |texts: Vec<&str>| {
        let items = texts.into_iter().map(|text| scalar(schemas, item, text));
        Some(Value::Array(items.collect()))
    };
    match parameter.style {
        Style::Separated(separator) if shape.is_list() => list(first.split(separator).collect()),
        _ if shape.is_list() && !(texts.len() == 1 && shape.allows("string")) => {
            list(texts.iter().map(String::as_str).collect())
        }
        // A name that may stand once and stands twice is no scalar any more.
        _ if texts.len() > 1 => list(texts.iter().map(String::as_str).collect()),
        _ => Some(scalar(schemas, pointer, first)),
    }
}

/// Takes the values of the pairs whose name is wanted.
fn take(pairs: &mut Vec<(String, String)>, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut taken = Vec::new();
    pairs.retain(|(name, value)| {
        let want = wanted(name);
        if want {
            taken.push(value.clone());
        }
        !want
    });
    taken
}

/// An object whose fields are parameters of their own.
fn exploded(schemas: &Schemas, shape: &Shape, pairs: &mut Vec<(String, String)>) -> Option<Value> {
    let mut object = Map::new();
    for (name, pointer) in &shape.fields {
        let texts = take(pairs, |key| key == name);
        if let Some(text) = texts.first() {
            object.insert(name.clone(), scalar(schemas, Some(pointer), text));
        }
    }
    (!object.is_empty()).then_some(Value::Object(object))
}

/// `name[field]=...` and `name[field][field]=...`, or `name.field=...` as some vendors have it.
fn deep_object(
    schemas: &Schemas,
    pointer: Option<&str>,
    name: &str,
    pairs: &mut Vec<(String, String)>,
) -> Option<Value> {
    let (bracket, dot) = (format!("{name}["), format!("{name}."));
    let mut object = Map::new();
    let mut found = Vec::new();
    pairs.retain(|(key, value)| {
        let keys: Vec<&str> = if let Some(rest) = key.strip_prefix(&bracket) {
            rest.trim_end_matches(']').split("][").collect()
        } else if let Some(rest) = key.strip_prefix(&dot) {
            rest.split('.').collect()
        } else {
            return true;
        };
        let keys: Vec<String> = keys.into_iter().map(ToOwned::to_owned).collect();
        found.push((keys, value.clone()));
        false
    });
    for (keys, text) in &found {
        insert(schemas, pointer, &mut object, keys, text);
    }
    (!object.is_empty()).then_some(Value::Object(object))
}

fn insert(
    schemas: &Schemas,
    pointer: Option<&str>,
    object: &mut Map<String, Value>,
    keys: &[String],
    text: &str,
) {
    let Some((first, rest)) = keys.split_first() else {
        return;
    };
    let shape = pointer
        .map(|pointer| Shape::of(schemas, pointer))
        .unwrap_or_default();
    let field = shape.field(first);
    if rest.is_empty() {
        object.insert(first.clone(), scalar(schemas, field, text));
        return;
    }
    let inner = object
        .entry(first.clone())
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        insert(schemas, field, inner, rest, text);
    }
}

/// A form as the object that a schema describes: each field is like an exploded parameter.
pub(crate) fn form(schemas: &Schemas, pointer: &str, pairs: Vec<(String, String)>) -> Value {
    let shape = Shape::of(schemas, pointer);
    let mut pairs = pairs;
    let mut object = Map::new();
    for (name, field) in &shape.fields {
        let field = Parameter {
            name: name.clone(),
            place: super::operation::In::Query,
            required: false,
            schema: Some(field.clone()),
            style: Style::Exploded,
        };
        let stands = pairs.iter().any(|(key, _)| key == name);
        if stands && let Some(value) = parameter(schemas, &field, &mut pairs) {
            object.insert(name.clone(), value);
        }
    }
    for (name, text) in pairs {
        let value = scalar(schemas, shape.values.first().map(String::as_str), &text);
        object.insert(name, value);
    }
    Value::Object(object)
}
