//! The shapes of a service model, and the same as JSON schemas.

use serde_json::{Map, Value, json};

use crate::contract::violation::escape;

/// A service model.
#[derive(Debug)]
pub(super) struct Model {
    document: Value,
}

/// A member of a structure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    definition: &'a Value,
}

impl<'a> Member<'a> {
    /// The name on the wire.
    pub(super) fn wire_name(&self) -> &'a str {
        text(self.definition, "locationName").unwrap_or(self.name)
    }

    pub(super) fn shape(&self) -> &'a str {
        text(self.definition, "shape").unwrap_or_default()
    }

    /// `uri`, `querystring`, `header` or `headers`; `None` for the body.
    pub(super) fn location(&self) -> Option<&'a str> {
        text(self.definition, "location")
    }

    pub(super) fn is_flattened(&self) -> bool {
        flag(self.definition, "flattened")
    }
}

pub(super) fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

fn flag(object: &Value, key: &str) -> bool {
    object.get(key) == Some(&Value::Bool(true))
}

impl Model {
    pub(super) const fn new(document: Value) -> Self {
        Self { document }
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        text(self.document.get("metadata")?, key)
    }

    pub(super) fn has_protocol(&self, name: &str) -> bool {
        let several = self
            .document
            .pointer("/metadata/protocols")
            .and_then(Value::as_array);
        let mut several = several.into_iter().flatten();
        self.metadata("protocol") == Some(name) || several.any(|it| it == name)
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.document
            .get("operations")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    pub(super) fn operation(&self, name: &str) -> Option<&Value> {
        self.document.get("operations")?.get(name)
    }

    /// The shape of the input or output of an operation.
    pub(super) fn io(&self, operation: &str, key: &str) -> Option<&str> {
        text(self.operation(operation)?.get(key)?, "shape")
    }

    pub(super) fn shape(&self, name: &str) -> &Value {
        let shape = self.document.get("shapes").and_then(|it| it.get(name));
        shape.unwrap_or(&Value::Null)
    }

    pub(super) fn kind(&self, shape: &str) -> &str {
        text(self.shape(shape), "type").unwrap_or_default()
    }

    pub(super) fn members<'a>(&'a self, shape: &str) -> impl Iterator<Item = Member<'a>> + use<'a> {
        let members = self.shape(shape).get("members").and_then(Value::as_object);
        let members = members.into_iter().flatten();
        members.map(|(name, definition)| Member { name, definition })
    }

    /// The name of the member that is the whole body.
    pub(super) fn payload(&self, shape: &str) -> Option<&str> {
        text(self.shape(shape), "payload")
    }

    pub(super) fn is_required(&self, shape: &str, member: &str) -> bool {
        let required = self.shape(shape).get("required").and_then(Value::as_array);
        required.into_iter().flatten().any(|it| it == member)
    }

    pub(super) fn is_flattened(&self, shape: &str) -> bool {
        flag(self.shape(shape), "flattened")
    }

    /// The shape of an item of a list and its name on the wire, if it has one.
    pub(super) fn item(&self, shape: &str) -> (&str, Option<&str>) {
        let item = self.shape(shape).get("member").unwrap_or(&Value::Null);
        (
            text(item, "shape").unwrap_or_default(),
            text(item, "locationName"),
        )
    }

    /// The shapes of key and value of a map with their names on the wire.
    pub(super) fn entry(&self, shape: &str) -> [(&str, &str); 2] {
        ["key", "value"].map(|part| {
            let definition = self.shape(shape).get(part).unwrap_or(&Value::Null);
            let name = text(definition, "locationName").unwrap_or(part);
            (text(definition, "shape").unwrap_or_default(), name)
        })
    }

    /// All shapes as JSON schemas, below `shapes`. `as_text` is for protocols without types
    /// of their own, whose timestamps are texts.
    pub(super) fn schemas(&self, as_text: bool) -> Value {
        let shapes = self.document.get("shapes").and_then(Value::as_object);
        let shapes = shapes.into_iter().flatten();
        let schemas = shapes.map(|(name, _)| (name.clone(), self.schema(name, as_text)));
        json!({ "shapes": schemas.collect::<Map<_, _>>() })
    }

    fn schema(&self, name: &str, as_text: bool) -> Value {
        let shape = self.shape(name);
        let mut schema = Map::new();
        let kind = match self.kind(name) {
            "structure" if flag(shape, "document") => return json!({}),
            "structure" => return self.structure(name),
            "list" => {
                schema.insert("items".to_owned(), reference(self.item(name).0));
                bounds(shape, &mut schema, ["minItems", "maxItems"]);
                if as_text && self.is_flattened(name) {
                    // Without an element there is no list.
                    schema.entry("minItems").or_insert(json!(1));
                }
                "array"
            }
            "map" => {
                let [(key, _), (value, _)] = self.entry(name);
                schema.insert("additionalProperties".to_owned(), reference(value));
                schema.insert("propertyNames".to_owned(), reference(key));
                bounds(shape, &mut schema, ["minProperties", "maxProperties"]);
                "object"
            }
            "integer" | "long" | "short" | "byte" => {
                bounds(shape, &mut schema, ["minimum", "maximum"]);
                "integer"
            }
            "double" | "float" => {
                bounds(shape, &mut schema, ["minimum", "maximum"]);
                "number"
            }
            "boolean" => "boolean",
            "timestamp" if !as_text => "number",
            "timestamp" => {
                schema.insert("format".to_owned(), json!("x-timestamp"));
                "string"
            }
            "blob" => {
                schema.insert("format".to_owned(), json!("byte"));
                "string"
            }
            _ => {
                bounds(shape, &mut schema, ["minLength", "maxLength"]);
                for key in ["enum", "pattern"] {
                    if let Some(value) = shape.get(key) {
                        schema.insert(key.to_owned(), anchored(key, value));
                    }
                }
                "string"
            }
        };
        schema.insert("type".to_owned(), json!(kind));
        Value::Object(schema)
    }

    /// The part of a structure that is in the body.
    fn structure(&self, name: &str) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for member in self.members(name).filter(|it| it.location().is_none()) {
            let wire_name = member.wire_name();
            properties.insert(wire_name.to_owned(), reference(member.shape()));
            if self.is_required(name, member.name) {
                required.push(wire_name);
            }
        }
        let mut schema =
            json!({ "type": "object", "properties": properties, "required": required });
        if flag(self.shape(name), "union")
            && let Value::Object(schema) = &mut schema
        {
            schema.insert("minProperties".to_owned(), json!(1));
            schema.insert("maxProperties".to_owned(), json!(1));
        }
        schema
    }
}

/// Where the schema of a shape is.
pub(super) fn pointer(shape: &str) -> String {
    format!("/shapes/{}", escape(shape))
}

fn reference(shape: &str) -> Value {
    json!({ "$ref": format!("#{}", pointer(shape)) })
}

fn bounds(shape: &Value, schema: &mut Map<String, Value>, names: [&str; 2]) {
    for (key, name) in ["min", "max"].into_iter().zip(names) {
        if let Some(bound) = shape.get(key) {
            schema.insert(name.to_owned(), bound.clone());
        }
    }
}

/// A pattern of a model has to match the whole text.
fn anchored(key: &str, value: &Value) -> Value {
    match value.as_str() {
        Some(pattern) if key == "pattern" => {
            let inner = pattern.trim_start_matches('^').trim_end_matches('$');
            // A dollar sign that is escaped ends no pattern.
            if inner.ends_with('\\') || inner.contains('|') {
                return value.clone();
            }
            json!(format!("^{inner}$"))
        }
        _ => value.clone(),
    }
}
