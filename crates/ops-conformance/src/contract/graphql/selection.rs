//! What a document selects, as the JSON schema of its answer.

use std::collections::BTreeMap;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use serde_json::{Map, Value, json};

use super::types::{leaf, list, or_null};
use crate::contract::schema::Schemas;

/// How many types behind an interface or a union are told apart.
const MOST_TYPES: usize = 24;

/// The schema of the answer to an operation: at `/root` of any, at `/good` of one without
/// errors.
pub(super) fn answer(
    schema: &Schema,
    document: &ExecutableDocument,
    operation: &Operation,
) -> Schemas {
    let walker = Walker { schema, document };
    let data = walker.object(&[&operation.selection_set]);
    Schemas::new(json!({
        "root": {
            "type": "object",
            "properties": { "data": data, "errors": errors(), "extensions": {} },
        },
        "good": { "type": "object", "required": ["data"], "properties": { "data": data } },
    }))
}

fn errors() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": { "type": "string" },
                "locations": {},
                "path": {},
                "extensions": {},
            },
        },
    })
}

struct Walker<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
}

impl Walker<'_> {
    /// The schema of an object of which all these sets are selected.
    fn object(&self, sets: &[&SelectionSet]) -> Value {
        let Some(first) = sets.first() else {
            return json!({});
        };
        let names = self.possible(first.ty.as_str());
        let mut variants: Vec<Value> = Vec::new();
        for name in names {
            let variant = self.concrete(&name, sets);
            if !variants.contains(&variant) {
                variants.push(variant);
            }
        }
        if variants.len() == 1 {
            return variants.pop().unwrap_or_default();
        }
        json!({ "anyOf": variants })
    }

    /// The object types that a type may be.
    fn possible(&self, name: &str) -> Vec<String> {
        match self.schema.types.get(name) {
            Some(ExtendedType::Union(union)) => union
                .members
                .iter()
                .map(ToString::to_string)
                .take(MOST_TYPES)
                .collect(),
            Some(ExtendedType::Interface(_)) => {
                let implementers = self.schema.implementers_map();
                let of = implementers.get(name).into_iter();
                let mut names: Vec<String> = of
                    .flat_map(|it| it.objects.iter().map(ToString::to_string))
                    .collect();
                names.sort();
                names.truncate(MOST_TYPES);
                names
            }
            _ => vec![name.to_owned()],
        }
    }

    fn concrete(&self, name: &str, sets: &[&SelectionSet]) -> Value {
        let mut fields: BTreeMap<String, Vec<&Field>> = BTreeMap::new();
        for set in sets {
            self.collect(name, set, &mut fields);
        }
        let mut properties = Map::new();
        for (key, fields) in &fields {
            if let Some(first) = fields.first() {
                properties.insert(key.clone(), self.field(name, first, fields));
            }
        }
        let required: Vec<&String> = fields.keys().collect();
        json!({ "type": "object", "required": required, "properties": properties })
    }

    fn collect<'s>(
        &'s self,
        name: &str,
        set: &'s SelectionSet,
        fields: &mut BTreeMap<String, Vec<&'s Field>>,
    ) {
        let applies =
            |condition: &str| condition == name || self.schema.is_subtype(condition, name);
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    let key = field.response_key().to_string();
                    fields.entry(key).or_default().push(field);
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.type_condition.as_ref();
                    if condition.is_none_or(|it| applies(it.as_str())) {
                        self.collect(name, &fragment.selection_set, fields);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name);
                    if let Some(fragment) = fragment
                        && applies(fragment.selection_set.ty.as_str())
                    {
                        self.collect(name, &fragment.selection_set, fields);
                    }
                }
            }
        }
    }

    fn field(&self, parent: &str, first: &Field, fields: &[&Field]) -> Value {
        if first.name == "__typename" {
            return json!({ "type": "string", "enum": [parent] });
        }
        let name = first.definition.ty.inner_named_type();
        let inner = if super::is_composite(self.schema, name.as_str()) {
            let sets: Vec<&SelectionSet> = fields.iter().map(|it| &it.selection_set).collect();
            self.object(&sets)
        } else {
            leaf(name.as_str(), self.schema.types.get(name))
        };
        wrap(&first.definition.ty, inner)
    }
}

/// The lists and nulls of a type around the schema of what is inside.
fn wrap(ty: &Type, inner: Value) -> Value {
    match ty {
        Type::Named(_) => or_null(inner),
        Type::NonNullNamed(_) => inner,
        Type::List(item) => or_null(list(&wrap(item, inner))),
        Type::NonNullList(item) => list(&wrap(item, inner)),
    }
}
