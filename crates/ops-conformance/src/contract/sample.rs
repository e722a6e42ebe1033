//! Values made from a schema.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use super::merged::Merged;
use super::pattern;
use super::rewrite::Flavor;
use super::schema::Schemas;

/// The name of the field that no description has.
pub(crate) const UNKNOWN_FIELD: &str = "opsUnknownField";
/// The value that no description lists.
pub(crate) const UNKNOWN_VALUE: &str = "OPS_UNKNOWN_VALUE";

/// What values are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Only what is required.
    Minimal,
    /// Every field.
    Full,
    /// Every field, null where null is allowed.
    Null,
    /// Every field that is not required is null, whether that is allowed or not.
    AbsentAsNull,
    /// Every field, and in place of each listed text one that is not listed.
    UnknownValue,
    /// Every field, and in each object one more.
    ExtraField,
}

/// How many values are made before only what is required is.
const BUDGET: usize = 4000;
/// How deep all fields are filled.
const DEPTH: usize = 7;
/// How many alternatives of a union are tried.
const PICKS: usize = 6;

struct Sampler<'a> {
    schemas: &'a Schemas,
    want: Want,
    flavor: Flavor,
    pick: usize,
    left: Cell<usize>,
}

/// A value as wanted for the schema at `pointer`, and whether the schema accepts it. Those
/// that are not meant to break a rule are accepted wherever a value could be found.
pub(crate) fn sample(
    schemas: &Schemas,
    pointer: &str,
    want: Want,
    flavor: Flavor,
) -> (Value, bool) {
    let mut first = None;
    for pick in 0..PICKS {
        let sampler = Sampler {
            schemas,
            want,
            flavor,
            pick,
            left: Cell::new(BUDGET),
        };
        let value = sampler.value(&[pointer.to_owned()], 0, &mut Vec::new());
        if schemas.accepts(pointer, flavor, &value) {
            return (value, true);
        }
        first.get_or_insert(value);
        if !matches!(want, Want::Minimal | Want::Full) {
            break;
        }
    }
    (first.unwrap_or_default(), false)
}

impl Sampler<'_> {
    fn value(&self, pointers: &[String], depth: usize, stack: &mut Vec<String>) -> Value {
        self.left.set(self.left.get().saturating_sub(1));
        let merged = Merged::of(self.schemas, pointers, self.pick);
        if let Some(listed) = &merged.listed {
            return self.listed(&merged, listed);
        }
        let repeats = |pointer: &String| stack.iter().filter(|it| *it == pointer).count() > 1;
        let again = depth > 40 || pointers.iter().any(repeats);
        stack.extend(pointers.iter().cloned());
        let value = match merged.kind() {
            "object" => self.object(&merged, depth, again, stack),
            "array" => self.array(&merged, depth, again, stack),
            "string" => Value::String(text(&merged)),
            "integer" => integer(&merged),
            "number" => number(&merged),
            "boolean" => Value::Bool(true),
            "null" => Value::Null,
            _ => merged
                .examples
                .first()
                .cloned()
                .unwrap_or_else(|| json!("anything")),
        };
        stack.truncate(stack.len() - pointers.len());
        value
    }

    fn listed(&self, merged: &Merged, listed: &[Value]) -> Value {
        let text = listed.iter().find(|value| value.is_string());
        if self.want == Want::UnknownValue && text.is_some() {
            return json!(UNKNOWN_VALUE);
        }
        let kind = merged.kind();
        let fits = |value: &&Value| match kind {
            "string" => value.is_string(),
            "integer" | "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            _ => !value.is_null(),
        };
        let value = listed.iter().find(fits).or_else(|| listed.first());
        value.cloned().unwrap_or_default()
    }

    fn object(&self, merged: &Merged, depth: usize, again: bool, stack: &mut Vec<String>) -> Value {
        let all = self.want != Want::Minimal && !again && depth < DEPTH && self.left.get() > 0;
        let request = self.flavor == Flavor::Request;
        let least = merged.count("minProperties").unwrap_or(0);
        let most = merged.count("maxProperties").unwrap_or(usize::MAX);
        let mut object = Map::new();
        for (name, pointers) in &merged.fields {
            let required = merged.required.contains(name);
            let wanted = required || (all && object.len() < most);
            if wanted && !(request && merged.read_only.contains(name)) {
                let value = self.field(pointers, required, depth, stack);
                object.insert(name.clone(), value);
            }
        }
        for name in &merged.required {
            if !merged.fields.contains_key(name) {
                let value = if merged.values.is_empty() {
                    json!("text")
                } else {
                    self.value(&merged.values, depth + 1, stack)
                };
                object.insert(name.clone(), value);
            }
        }
        for (name, pointers) in &merged.fields {
            if object.len() < least && !merged.read_only.contains(name) {
                object.insert(name.clone(), self.value(pointers, depth + 1, stack));
            }
        }
        let entries = least.max(usize::from(all)).min(most);
        for index in 0..entries {
            if !merged.values.is_empty() && object.len() < entries {
                let value = self.value(&merged.values, depth + 1, stack);
                object.insert(self.key(merged, index), value);
            }
        }
        if self.want == Want::ExtraField {
            object.insert(UNKNOWN_FIELD.to_owned(), json!({ "more": [1] }));
        }
        Value::Object(object)
    }

    fn field(
        &self,
        pointers: &[String],
        required: bool,
        depth: usize,
        stack: &mut Vec<String>,
    ) -> Value {
        let null = match self.want {
            Want::Null => Merged::of(self.schemas, pointers, self.pick).nullable,
            Want::AbsentAsNull => !required,
            _ => false,
        };
        if null {
            return Value::Null;
        }
        self.value(pointers, depth + 1, stack)
    }

    /// The name of an entry of a map.
    fn key(&self, merged: &Merged, index: usize) -> String {
        let names = Merged::of(self.schemas, &merged.names, self.pick);
        let listed = names.listed.as_ref().and_then(|it| it.get(index)?.as_str());
        if let Some(listed) = listed {
            return listed.to_owned();
        }
        let key = if merged.names.is_empty() {
            "key".to_owned()
        } else {
            text(&names)
        };
        if index == 0 {
            key
        } else {
            format!("{key}{index}")
        }
    }

    fn array(&self, merged: &Merged, depth: usize, again: bool, stack: &mut Vec<String>) -> Value {
        let all = self.want != Want::Minimal && !again && depth < DEPTH && self.left.get() > 0;
        let least = merged.count("minItems").unwrap_or(0);
        let most = merged.count("maxItems").unwrap_or(usize::MAX);
        let count = least.max(usize::from(all)).min(most);
        let unique = merged.words.get("uniqueItems") == Some(&Value::Bool(true));
        let mut items: Vec<Value> = Vec::new();
        for index in 0..count {
            let mut item = self.value(&merged.items, depth + 1, stack);
            if unique && items.contains(&item) {
                item = other(
                    &Merged::of(self.schemas, &merged.items, self.pick),
                    item,
                    index,
                );
            }
            items.push(item);
        }
        Value::Array(items)
    }
}

/// Another value than the one given.
fn other(merged: &Merged, value: Value, index: usize) -> Value {
    let listed = merged.listed.as_ref().and_then(|listed| listed.get(index));
    match (listed, value) {
        (Some(listed), _) => listed.clone(),
        (None, Value::String(text)) => Value::String(format!("{text}{index}")),
        (None, value) => value,
    }
}

fn integer(merged: &Merged) -> Value {
    let exact = |word: &str| merged.words.get(word).and_then(Value::as_i64);
    let low = exact("minimum").or_else(|| exact("exclusiveMinimum").map(|it| it.saturating_add(1)));
    let high =
        exact("maximum").or_else(|| exact("exclusiveMaximum").map(|it| it.saturating_sub(1)));
    let step = exact("multipleOf").unwrap_or(1).max(1);
    let mut value = low.unwrap_or(1).max(1);
    if let Some(low) = low
        && high.is_some_and(|high| value > high)
    {
        value = low;
    }
    if let Some(high) = high {
        value = value.min(high);
    }
    let rest = value.rem_euclid(step);
    if rest != 0 {
        value = value.saturating_add(step - rest);
    }
    json!(value)
}

fn number(merged: &Merged) -> Value {
    let low = merged.number("minimum");
    let above = merged.number("exclusiveMinimum").map(|it| it + 0.5);
    let high = merged.number("maximum");
    let below = merged.number("exclusiveMaximum").map(|it| it - 0.5);
    let value = low.or(above).unwrap_or(1.0).max(1.0);
    let value = value.min(high.or(below).unwrap_or(f64::MAX));
    // Most vendors call whole numbers numbers, too.
    let whole = serde_json::from_str(&format!("{value}"));
    whole.unwrap_or_else(|_| json!(value))
}

/// A text of the format, pattern and length that is wanted.
fn text(merged: &Merged) -> String {
    let least = merged.count("minLength").unwrap_or(0);
    let most = merged.count("maxLength").unwrap_or(usize::MAX);
    if let Some(pattern) = merged.text("pattern").map(pattern::expression) {
        if let Some(found) = pattern::text(pattern, least..=most) {
            return found;
        }
        let mut examples = merged.examples.iter().chain(merged.words.get("default"));
        if let Some(example) = examples.find_map(Value::as_str) {
            return example.to_owned();
        }
    }
    let formatted = match merged.text("format") {
        Some("date-time" | "google-datetime") => "2026-01-02T03:04:05Z",
        Some("date") => "2026-01-02",
        Some("time") => "03:04:05Z",
        Some("duration") => "PT1S",
        Some("google-duration") => "1.5s",
        Some("uuid") => "01234567-89ab-4def-8123-456789abcdef",
        Some("email") => "someone@example.com",
        Some("uri" | "url" | "uri-reference" | "iri") => "https://example.com/x",
        Some("hostname" | "idn-hostname") => "host.example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("regex") => "a",
        Some("byte" | "base64") => "b3Bz",
        Some("int64" | "uint64" | "int32" | "uint32") => "1",
        _ => "text",
    };
    let mut made = formatted.to_owned();
    while made.chars().count() < least {
        made.push('x');
    }
    made.chars().take(most).collect()
}
