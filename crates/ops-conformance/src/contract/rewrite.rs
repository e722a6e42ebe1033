//! Schemas rewritten to say what we mean: closed for requests, lenient for answers.
//!
//! A schema of a vendor seldom says `additionalProperties: false`, so a misspelt field
//! passes. A definition itself cannot be closed, for it may be one part of an `allOf`. What
//! is closed is every *position* at which a value stands: the root, the value of a property,
//! an item of a list, the value of a map. There the whole schema is in view, and
//! `unevaluatedProperties: false` sees through `$ref`, `allOf`, `anyOf` and `oneOf`. So each
//! definition exists twice: open, to be composed, and closed, to stand at a position.

mod keywords;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use super::pattern::{expression, is_usable};
pub(crate) use keywords::is_read_only;
use keywords::{allow_null, name_required, one_of_as_any_of, refuse_read_only};

/// What a schema is rewritten for. Whatever it is, of several alternatives more than one may
/// match: vendors say `oneOf` where they mean `anyOf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Flavor {
    /// As the description says it.
    Described,
    /// Closed. Fields that only answers have are refused.
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
        loose: BTreeSet::new(),
    };
    let root = rewriter.reference(pointer, Form::Closed);
    while let Some((pointer, form)) = rewriter.waiting.pop() {
        let schema = document.pointer(&pointer).unwrap_or(&Value::Bool(true));
        let name = definition_name(&pointer, &form);
        let rewritten = match form {
            Form::Closed => rewriter.position(schema),
            Form::Open(loose) => rewriter.within(loose, |it| it.open(schema)),
        };
        rewriter.definitions.insert(name, Some(rewritten));
    }
    let definitions: Map<String, Value> = rewriter
        .definitions
        .into_iter()
        .map(|(name, schema)| (name, schema.unwrap_or(Value::Bool(true))))
        .collect();
    json!({ "$ref": root, "$defs": definitions })
}

fn definition_name(pointer: &str, form: &Form) -> String {
    let text = match form {
        Form::Closed => format!("closed{pointer}"),
        Form::Open(loose) if loose.is_empty() => format!("open{pointer}"),
        Form::Open(loose) => format!("open{loose:?}{pointer}"),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let escape = |c: char| {
        if plain(c) {
            c.to_string()
        } else {
            format!("_{:x}_", u32::from(c))
        }
    };
    text.chars().map(escape).collect()
}

struct Rewriter<'a> {
    document: &'a Value,
    flavor: Flavor,
    definitions: BTreeMap<String, Option<Value>>,
    waiting: Vec<(String, Form)>,
    /// Fields of the composition at hand that several of its parts name.
    loose: BTreeSet<String>,
}

/// How a definition is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// To stand at a position.
    Closed,
    /// To be composed. The values of the fields named here are not closed, for other parts
    /// say something of them, too.
    Open(BTreeSet<String>),
}

impl Rewriter<'_> {
    /// A reference to a definition, which is rewritten later if it was not before.
    fn reference(&mut self, pointer: &str, form: Form) -> String {
        let form = match self.flavor {
            Flavor::Described => Form::Open(BTreeSet::new()),
            _ => form,
        };
        let name = definition_name(pointer, &form);
        if !self.definitions.contains_key(&name) {
            self.definitions.insert(name.clone(), None);
            self.waiting.push((pointer.to_owned(), form));
        }
        format!("#/$defs/{name}")
    }

    /// Rewrites something with these fields left open.
    fn within<T>(&mut self, loose: BTreeSet<String>, rewrite: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.loose, loose);
        let result = rewrite(self);
        self.loose = before;
        result
    }

    /// A schema at a position of its own.
    fn position(&mut self, schema: &Value) -> Value {
        self.within(BTreeSet::new(), |it| it.close(schema))
    }

    fn close(&mut self, schema: &Value) -> Value {
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
            let target = self.reference(&target, Form::Closed);
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
        let shared = if self.flavor == Flavor::Described {
            BTreeMap::new()
        } else {
            self.shared_fields(object)
        };
        if shared.is_empty() {
            return self.open_parts(object);
        }
        let mut loose = self.loose.clone();
        loose.extend(shared.keys().cloned());
        let rewritten = self.within(loose, |it| it.open_parts(object));
        let mut fields = Map::new();
        for (name, schemas) in shared {
            if !self.loose.contains(&name) {
                fields.insert(name, self.position(&json!({ "allOf": schemas })));
            }
        }
        json!({ "allOf": [rewritten, { "properties": fields }] })
    }

    fn open_parts(&mut self, object: &Map<String, Value>) -> Value {
        let mut rewritten = self.keywords(object);
        if let Some(target) = local_reference(object) {
            let target = self.reference(&target, Form::Open(self.loose.clone()));
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
        let contradicted = self.is_contradicted(object);
        for (key, value) in object {
            let dropped = PROSE.contains(&key.as_str())
                || (key == "type" && contradicted)
                || key.starts_with("x-")
                || (self.flavor == Flavor::Answer && BOUNDS.contains(&key.as_str()));
            if !dropped && let Some(value) = self.keyword(key, value) {
                rewritten.insert(key.clone(), value);
            }
        }
        match self.flavor {
            Flavor::Described => one_of_as_any_of(&mut rewritten),
            Flavor::Request => {
                one_of_as_any_of(&mut rewritten);
                name_required(object, &mut rewritten);
                refuse_read_only(object, &mut rewritten);
            }
            Flavor::Answer => {
                one_of_as_any_of(&mut rewritten);
                name_required(object, &mut rewritten);
                allow_null(&mut rewritten);
            }
        }
        rewritten
    }

    /// Whether the type that stands beside a reference is none that the definition has.
    /// Generators of descriptions write `type: object` before references to listed texts;
    /// no value would be valid, and it is the definition that is right.
    fn is_contradicted(&self, object: &Map<String, Value>) -> bool {
        let Some(here) = object.get("type").and_then(Value::as_str) else {
            return false;
        };
        let parts = object.get("allOf").and_then(Value::as_array);
        let mut parts = parts.into_iter().flatten().filter_map(Value::as_object);
        parts.any(|part| {
            let target = local_reference(part).and_then(|it| self.document.pointer(&it));
            let there = target.and_then(|it| it.get("type")?.as_str());
            there.is_some_and(|there| there != here)
        })
    }

    fn keyword(&mut self, key: &str, value: &Value) -> Option<Value> {
        let value = match (key, value) {
            ("$ref", _) => return None,
            ("properties" | "patternProperties" | "dependentSchemas", Value::Object(fields)) => {
                let fields = fields.iter();
                let fields = fields.map(|(name, schema)| {
                    let rewritten = if self.loose.contains(name) {
                        self.within(BTreeSet::new(), |it| it.open(schema))
                    } else {
                        self.position(schema)
                    };
                    (name.clone(), rewritten)
                });
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
            ("pattern", Value::String(pattern)) => {
                let pattern = expression(pattern);
                return is_usable(pattern).then(|| Value::from(pattern));
            }
            (_, value) => value.clone(),
        };
        Some(value)
    }

    /// The fields that more than one part of a composition names, with all their schemas.
    fn shared_fields(&self, object: &Map<String, Value>) -> BTreeMap<String, Vec<Value>> {
        let mut fields = BTreeMap::new();
        if object.contains_key("allOf") || object.contains_key("$ref") {
            self.collect_fields(object, &mut fields, &mut HashSet::new());
        }
        fields.retain(|_, schemas: &mut Vec<Value>| {
            schemas.dedup();
            schemas.len() > 1
        });
        fields
    }

    fn collect_fields(
        &self,
        object: &Map<String, Value>,
        fields: &mut BTreeMap<String, Vec<Value>>,
        seen: &mut HashSet<String>,
    ) {
        let named = object.get("properties").and_then(Value::as_object);
        for (name, schema) in named.into_iter().flatten() {
            fields.entry(name.clone()).or_default().push(schema.clone());
        }
        if let Some(target) = local_reference(object)
            && seen.insert(target.clone())
            && let Some(Value::Object(target)) = self.document.pointer(&target)
        {
            self.collect_fields(target, fields, seen);
        }
        let parts = object.get("allOf").and_then(Value::as_array);
        for part in parts.into_iter().flatten().filter_map(Value::as_object) {
            self.collect_fields(part, fields, seen);
        }
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
