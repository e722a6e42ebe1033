//! Everything that several schemas say of one value, put together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::rewrite::{is_read_only, local_reference};
use super::schema::Schemas;
use super::violation::escape;

/// What all parts of a schema say together, with one alternative of each union.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// The types that every part allows. `None` if no part says.
    pub(crate) types: Option<Vec<String>>,
    /// Fields, and where their schemas are.
    pub(crate) fields: BTreeMap<String, Vec<String>>,
    pub(crate) read_only: BTreeSet<String>,
    pub(crate) required: BTreeSet<String>,
    /// Where the schemas of items are.
    pub(crate) items: Vec<String>,
    /// Where the schemas of the values of a map are.
    pub(crate) values: Vec<String>,
    /// Where the schemas of the names of a map are.
    pub(crate) names: Vec<String>,
    /// The values listed, by `enum` or `const`.
    pub(crate) listed: Option<Vec<Value>>,
    pub(crate) examples: Vec<Value>,
    /// The other keywords: `format`, `pattern` and bounds.
    pub(crate) words: Map<String, Value>,
    /// Whether any alternative allows null.
    pub(crate) nullable: bool,
}

impl Merged {
    /// Merges the schemas at `pointers`. Of each union the alternative `pick` is taken,
    /// counted round; one of null only if there is no other.
    pub(crate) fn of(schemas: &Schemas, pointers: &[String], pick: usize) -> Self {
        let mut merged = Self::default();
        for pointer in pointers {
            merged.add(schemas, pointer, pick, 0);
        }
        if let Some(types) = &merged.types
            && types.iter().any(|name| name == "null")
        {
            merged.nullable = true;
        }
        merged
    }

    fn add(&mut self, schemas: &Schemas, pointer: &str, pick: usize, depth: usize) {
        let Some(schema) = schemas.at(pointer).as_object() else {
            return;
        };
        if depth > 16 {
            return;
        }
        if let Some(target) = local_reference(schema) {
            self.add(schemas, &target, pick, depth + 1);
        }
        self.add_types(schema);
        self.add_fields(schema, pointer);
        self.add_listed(schema);
        if schema.contains_key("items") {
            self.items.push(format!("{pointer}/items"));
        }
        if schema
            .get("additionalProperties")
            .is_some_and(|it| !it.is_boolean())
        {
            self.values.push(format!("{pointer}/additionalProperties"));
        }
        if schema.contains_key("propertyNames") {
            self.names.push(format!("{pointer}/propertyNames"));
        }
        self.examples.extend(schema.get("example").cloned());
        let examples = schema.get("examples").and_then(Value::as_array);
        self.examples
            .extend(examples.into_iter().flatten().cloned());
        for (key, value) in schema {
            self.words.insert(key.clone(), value.clone());
        }
        let parts = schema.get("allOf").and_then(Value::as_array);
        for index in 0..parts.map_or(0, Vec::len) {
            self.add(
                schemas,
                &format!("{pointer}/allOf/{index}"),
                pick,
                depth + 1,
            );
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(key).and_then(Value::as_array) {
                self.add_union(
                    schemas,
                    &format!("{pointer}/{key}"),
                    branches,
                    (pick, depth),
                );
            }
        }
    }

    fn add_union(
        &mut self,
        schemas: &Schemas,
        pointer: &str,
        branches: &[Value],
        (pick, depth): (usize, usize),
    ) {
        let null = |branch: &Value| branch.get("type").is_some_and(|it| it == "null");
        self.nullable |= branches.iter().any(null);
        let real: Vec<usize> = (0..branches.len())
            .filter(|index| branches.get(*index).is_some_and(|branch| !null(branch)))
            .collect();
        let chosen = match real.len() {
            0 => 0,
            count => real.get(pick % count).copied().unwrap_or_default(),
        };
        self.add(schemas, &format!("{pointer}/{chosen}"), pick, depth + 1);
    }

    fn add_types(&mut self, schema: &Map<String, Value>) {
        let here: Vec<String> = match schema.get("type") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => {
                let several = several.iter().filter_map(Value::as_str);
                several.map(ToOwned::to_owned).collect()
            }
            _ => return,
        };
        let both = |types: &Vec<String>| {
            let both = types.iter().filter(|name| {
                let narrower = **name == "integer" && here.iter().any(|it| it == "number");
                here.contains(name) || narrower
            });
            both.cloned().collect()
        };
        let both: Vec<String> = self.types.as_ref().map_or_else(|| here.clone(), both);
        // Where two parts contradict each other, the definition is right, which comes later.
        self.types = Some(if both.is_empty() { here } else { both });
    }

    fn add_fields(&mut self, schema: &Map<String, Value>, pointer: &str) {
        let fields = schema.get("properties").and_then(Value::as_object);
        for (name, field) in fields.into_iter().flatten() {
            let place = format!("{pointer}/properties/{}", escape(name));
            self.fields.entry(name.clone()).or_default().push(place);
            if is_read_only(field) {
                self.read_only.insert(name.clone());
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        self.required.extend(required.map(ToOwned::to_owned));
    }

    fn add_listed(&mut self, schema: &Map<String, Value>) {
        let listed = match (schema.get("const"), schema.get("enum")) {
            (Some(one), _) => vec![one.clone()],
            (None, Some(Value::Array(several))) => several.clone(),
            _ => return,
        };
        let both = |before: &Vec<Value>| {
            let both = before.iter().filter(|value| listed.contains(value));
            both.cloned().collect()
        };
        self.listed = Some(self.listed.as_ref().map_or_else(|| listed.clone(), both));
    }

    /// The type to make a value of: the first that is not null, else what the other
    /// keywords tell.
    pub(crate) fn kind(&self) -> &str {
        let named = self.types.iter().flatten().map(String::as_str);
        let named: Vec<&str> = named.collect();
        match named.iter().find(|name| **name != "null") {
            Some(name) => name,
            None if !named.is_empty() => "null",
            None if !self.fields.is_empty() || !self.values.is_empty() => "object",
            None if !self.items.is_empty() => "array",
            None if ["format", "pattern", "minLength"]
                .iter()
                .any(|it| self.words.contains_key(*it)) =>
            {
                "string"
            }
            None => "any",
        }
    }

    pub(crate) fn number(&self, word: &str) -> Option<f64> {
        self.words.get(word).and_then(Value::as_f64)
    }

    pub(crate) fn count(&self, word: &str) -> Option<usize> {
        let count = self.words.get(word).and_then(Value::as_u64)?;
        usize::try_from(count).ok()
    }

    pub(crate) fn text(&self, word: &str) -> Option<&str> {
        self.words.get(word).and_then(Value::as_str)
    }
}
