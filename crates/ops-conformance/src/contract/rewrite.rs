//! Schemas rewritten to say what we mean: closed for requests, lenient for answers.
//!
//! A schema of a vendor seldom says `additionalProperties: false`, so a misspelt field
//! passes. A definition itself cannot be closed, for it may be one part of an `allOf`. What
//! is closed is every *position* at which a value stands: the root, the value of a property,
//! an item of a list, the value of a map. There the whole schema is in view, and
//! `unevaluatedProperties: false` sees through `$ref`, `allOf`, `anyOf` and `oneOf`. So each
//! definition exists twice: open, to be composed, and closed, to stand at a position.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

/// What a schema is rewritten for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Flavor {
    /// As the description says it.
    Described,
    /// Closed. Fields that only answers have are refused. Of several alternatives more than
    /// one may match, for vendors say `oneOf` where they mean `anyOf`.
    Request,
    /// Closed, but every field may be missing or null, and only types and listed values
    /// count.
    Answer,
}

/// Keywords that say nothing about a value.
const PROSE: [&str; 12] = [
    "description",
    "title",
    "example",
    "examples",
    "default",
    "deprecated",
    "discriminator",
    "xml",
    "externalDocs",
    "$comment",
    "readOnly",
    "writeOnly",
];

/// Keywords that an answer need not keep.
const BOUNDS: [&str; 15] = [
    "required",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// The schema at `pointer` in `document`, rewritten, with everything that it refers to.
pub(crate) fn rewrite(document: &Value, pointer: &str, flavor: Flavor) -> Value {
    let mut rewriter = Rewriter {
        document,
        flavor,
        definitions: BTreeMap::new(),
        waiting: Vec::new(),
    };
    let root = rewriter.reference(pointer, true);
    while let Some((pointer, closed)) = rewriter.waiting.pop() {
        let schema = document.pointer(&pointer).unwrap_or(&Value::Bool(true));
        let rewritten = if closed {
            rewriter.position(schema)
        } else {
            rewriter.open(schema)
        };
        let name = definition_name(&pointer, closed);
        rewriter.definitions.insert(name, Some(rewritten));
    }
    let definitions: Map<String, Value> = rewriter
        .definitions
        .into_iter()
        .map(|(name, schema)| (name, schema.unwrap_or(Value::Bool(true))))
        .collect();
    json!({ "$ref": root, "$defs": definitions })
}

fn definition_name(pointer: &str, closed: bool) -> String {
    let name: String = pointer
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c.to_string()
            } else {
                format!("_{:x}_", u32::from(c))
            }
        })
        .collect();
    format!("{}{name}", if closed { "closed" } else { "open" })
}

struct Rewriter<'a> {
    document: &'a Value,
    flavor: Flavor,
    definitions: BTreeMap<String, Option<Value>>,
    waiting: Vec<(String, bool)>,
}

impl Rewriter<'_> {
    /// A reference to a definition, which is rewritten later if it was not before.
    fn reference(&mut self, pointer: &str, closed: bool) -> String {
        let closed = closed && self.flavor != Flavor::Described;
        let name = definition_name(pointer, closed);
        if !self.definitions.contains_key(&name) {
            self.definitions.insert(name.clone(), None);
            self.waiting.push((pointer.to_owned(), closed));
        }
        format!("#/$defs/{name}")
    }

    /// A schema at a position of its own.
    fn position(&mut self, schema: &Value) -> Value {
        let Some(object) = schema.as_object() else {
            return schema.clone();
        };
        if self.flavor == Flavor::Described {
            return self.open(schema);
        }
        let says = |key: &str| object.contains_key(key);
        if let Some(target) = local_reference(object)
            && !object.keys().any(|key| concerns_fields(key))
        {
            let target = self.reference(&target, true);
            let mut rewritten = self.keywords(object);
            rewritten.insert("$ref".to_owned(), Value::String(target));
            return Value::Object(rewritten);
        }
        let union = says("anyOf") != says("oneOf");
        let others = [
            "properties",
            "patternProperties",
            "additionalProperties",
            "allOf",
            "$ref",
            "if",
        ];
        if union && !others.iter().any(|key| says(key)) {
            let mut rewritten = self.keywords(object);
            rewritten.remove("anyOf");
            let branches = object.get("anyOf").or_else(|| object.get("oneOf"));
            let branches = branches.and_then(Value::as_array).into_iter().flatten();
            let branches = branches.map(|branch| self.position(branch)).collect();
            rewritten.insert("anyOf".to_owned(), Value::Array(branches));
            return Value::Object(rewritten);
        }
        let mut rewritten = self.open(schema);
        if let Value::Object(rewritten) = &mut rewritten
            && !rewritten.contains_key("additionalProperties")
            && self.names_fields(schema, &mut HashSet::new())
        {
            rewritten.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
        }
        rewritten
    }

    /// A schema that is one part of what stands at a position. One that is closed on its
    /// own account would refuse the fields of the other parts; the position is closed
    /// instead.
    fn open(&mut self, schema: &Value) -> Value {
        let Some(object) = schema.as_object() else {
            return schema.clone();
        };
        let mut rewritten = self.keywords(object);
        if let Some(target) = local_reference(object) {
            let target = self.reference(&target, false);
            rewritten.insert("$ref".to_owned(), Value::String(target));
        }
        let closed = rewritten.get("additionalProperties") == Some(&Value::Bool(false));
        if closed && self.flavor != Flavor::Described {
            rewritten.remove("additionalProperties");
        }
        Value::Object(rewritten)
    }

    /// Everything but `$ref` and the closing.
    fn keywords(&mut self, object: &Map<String, Value>) -> Map<String, Value> {
        let mut rewritten = Map::new();
        for (key, value) in object {
            let dropped = PROSE.contains(&key.as_str())
                || key.starts_with("x-")
                || (self.flavor == Flavor::Answer && BOUNDS.contains(&key.as_str()));
            if !dropped && let Some(value) = self.keyword(key, value) {
                rewritten.insert(key.clone(), value);
            }
        }
        match self.flavor {
            Flavor::Described => {}
            Flavor::Request => {
                one_of_as_any_of(&mut rewritten);
                refuse_read_only(object, &mut rewritten);
            }
            Flavor::Answer => {
                one_of_as_any_of(&mut rewritten);
                allow_null(&mut rewritten);
            }
        }
        rewritten
    }

    fn keyword(&mut self, key: &str, value: &Value) -> Option<Value> {
        let value = match (key, value) {
            ("$ref", _) => return None,
            ("properties" | "patternProperties" | "dependentSchemas", Value::Object(fields)) => {
                let fields = fields.iter();
                let fields = fields.map(|(name, schema)| (name.clone(), self.position(schema)));
                Value::Object(fields.collect())
            }
            (
                "items"
                | "contains"
                | "propertyNames"
                | "additionalProperties"
                | "unevaluatedProperties",
                schema,
            ) => self.position(schema),
            ("prefixItems", Value::Array(schemas)) => {
                schemas.iter().map(|schema| self.position(schema)).collect()
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                parts.iter().map(|part| self.open(part)).collect()
            }
            ("if" | "then" | "else" | "not", schema) => self.open(schema),
            ("pattern", Value::String(pattern)) if !is_usable(pattern) => return None,
            (_, value) => value.clone(),
        };
        Some(value)
    }

    /// Whether a schema names fields, directly or through what it is composed of. One that
    /// names none, and does not say that there are none, is free-form.
    fn names_fields(&self, schema: &Value, seen: &mut HashSet<String>) -> bool {
        let Some(object) = schema.as_object() else {
            return false;
        };
        let says = |key: &str| object.contains_key(key);
        let closed = object.get("additionalProperties") == Some(&Value::Bool(false));
        if closed || says("properties") || says("patternProperties") {
            return true;
        }
        if let Some(target) = local_reference(object)
            && seen.insert(target.clone())
            && let Some(schema) = self.document.pointer(&target)
            && self.names_fields(schema, seen)
        {
            return true;
        }
        ["allOf", "anyOf", "oneOf"].iter().any(|key| {
            let parts = object.get(*key).and_then(Value::as_array).into_iter();
            parts.flatten().any(|part| self.names_fields(part, seen))
        })
    }
}

/// The JSON pointer of a reference within the document.
pub(crate) fn local_reference(schema: &Map<String, Value>) -> Option<String> {
    let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
    let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8();
    Some(decoded.map_or_else(|_| pointer.to_owned(), std::borrow::Cow::into_owned))
}

/// Whether a keyword beside `$ref` matters for which fields there may be.
fn concerns_fields(key: &str) -> bool {
    matches!(
        key,
        "properties"
            | "patternProperties"
            | "additionalProperties"
            | "allOf"
            | "anyOf"
            | "oneOf"
            | "if"
    )
}

/// Whether the regular expression is one that can be compiled here. Some vendors write
/// those of their own language.
fn is_usable(pattern: &str) -> bool {
    jsonschema::options()
        .build(&json!({ "pattern": pattern }))
        .is_ok()
}

fn one_of_as_any_of(schema: &mut Map<String, Value>) {
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

fn refuse_read_only(original: &Map<String, Value>, rewritten: &mut Map<String, Value>) {
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

fn allow_null(schema: &mut Map<String, Value>) {
    match schema.get_mut("type") {
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(Value::String(one)) => {
            let types = json!([one, "null"]);
            schema.insert("type".to_owned(), types);
        }
        _ => {}
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    if let Some(value) = schema.remove("const") {
        schema.insert("enum".to_owned(), json!([value, null]));
    }
}
