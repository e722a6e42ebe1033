//! Schemas compiled when they are first used, and their errors as violations.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::Value;

use super::rewrite::{Flavor, rewrite};
use super::violation::{Place, Rule, Violation, escape, unescape};

/// A document full of schemas, and those of them that were compiled.
#[derive(Debug)]
pub(crate) struct Schemas {
    document: Value,
    compiled: Mutex<HashMap<(String, Flavor), Build>>,
}

type Build = Result<Arc<Compiled>, String>;

/// A schema ready for use.
#[derive(Debug)]
struct Compiled {
    validator: Validator,
    /// Every name of a field that occurs in the schema, at any place.
    names: HashSet<String>,
}

impl Schemas {
    pub(crate) fn new(document: Value) -> Self {
        Self {
            document,
            compiled: Mutex::default(),
        }
    }

    pub(crate) const fn document(&self) -> &Value {
        &self.document
    }

    /// The schema at a pointer; one that accepts anything where there is none.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.document.pointer(pointer).unwrap_or(&Value::Bool(true))
    }

    fn compiled(&self, pointer: &str, flavor: Flavor) -> Build {
        let key = (pointer.to_owned(), flavor);
        let lock = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = lock().get(&key) {
            return found.clone();
        }
        let schema = rewrite(&self.document, pointer, flavor);
        let mut names = HashSet::new();
        collect_names(&schema, &mut names);
        let built = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(flavor == Flavor::Request)
            .build(&schema)
            .map(|validator| Arc::new(Compiled { validator, names }))
            .map_err(|error| format!("the schema at {pointer} is not valid: {error}"));
        lock().insert(key, built.clone());
        built
    }

    /// Whether a value keeps to the schema at `pointer`.
    pub(crate) fn accepts(&self, pointer: &str, flavor: Flavor, value: &Value) -> bool {
        self.compiled(pointer, flavor)
            .is_ok_and(|compiled| compiled.validator.is_valid(value))
    }

    /// What is wrong with a value by the schema at `pointer`.
    pub(crate) fn check(
        &self,
        pointer: &str,
        flavor: Flavor,
        value: &Value,
        place: Place,
    ) -> Vec<Violation> {
        let compiled = match self.compiled(pointer, flavor) {
            Ok(compiled) => compiled,
            Err(message) => return vec![Violation::new(place, "", Rule::Schema, message)],
        };
        if compiled.validator.is_valid(value) {
            return Vec::new();
        }
        let mut violations = Vec::new();
        for error in compiled.validator.iter_errors(value) {
            translate(&error, place, &mut violations);
        }
        settle(&violations, &compiled.names)
    }
}

fn collect_names(schema: &Value, names: &mut HashSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if key == "properties"
                    && let Value::Object(fields) = value
                {
                    names.extend(fields.keys().cloned());
                }
                collect_names(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        _ => {}
    }
}

/// One error of the validator as violations.
fn translate(error: &ValidationError<'_>, place: Place, violations: &mut Vec<Violation>) {
    let pointer = error.instance_path().as_str();
    let mut add = |pointer: String, rule: Rule, message: String| {
        violations.push(Violation::new(place, pointer, rule, message));
    };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for name in unexpected {
                let pointer = format!("{pointer}/{}", escape(name));
                add(
                    pointer,
                    Rule::Unknown,
                    "the description has no such field".to_owned(),
                );
            }
        }
        Kind::FalseSchema => {
            let message = "the description has this field in answers only";
            add(pointer.to_owned(), Rule::ReadOnly, message.to_owned());
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let pointer = format!("{pointer}/{}", escape(name));
            add(pointer, Rule::Required, "required and missing".to_owned());
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            match closest(error, context) {
                Some(branch) => {
                    for error in branch {
                        translate(error, place, violations);
                    }
                }
                None => add(
                    pointer.to_owned(),
                    Rule::Type,
                    format!("{} is none of {} alternatives", short(error), context.len()),
                ),
            }
        }
        kind => add(pointer.to_owned(), rule(kind), message(error)),
    }
}

/// The alternative that the value was probably meant to be: the right type, the right
/// discriminator, and then the fewest errors. `None` if it has the type of none.
fn closest<'a, 'e>(
    error: &ValidationError<'_>,
    branches: &'a [Vec<ValidationError<'e>>],
) -> Option<&'a Vec<ValidationError<'e>>> {
    let here = error.instance_path().as_str();
    let depth = |error: &ValidationError<'_>| {
        let below = error.instance_path().as_str().strip_prefix(here);
        below.unwrap_or_default().matches('/').count()
    };
    let other_type = |branch: &Vec<ValidationError<'_>>| {
        let mut errors = branch.iter();
        errors.any(|error| matches!(error.kind(), Kind::Type { .. }) && depth(error) == 0)
    };
    let discriminators = |branch: &Vec<ValidationError<'_>>| {
        let errors = branch.iter().filter(|error| {
            let listed = matches!(error.kind(), Kind::Enum { .. } | Kind::Constant { .. });
            listed && depth(error) <= 1
        });
        errors.count()
    };
    let right = branches.iter().filter(|branch| !other_type(branch));
    right.min_by_key(|branch| (discriminators(branch), branch.len()))
}

const fn rule(kind: &Kind) -> Rule {
    match kind {
        Kind::Type { .. } => Rule::Type,
        Kind::Enum { .. } | Kind::Constant { .. } => Rule::Enum,
        Kind::Format { .. } | Kind::Pattern { .. } => Rule::Format,
        Kind::Minimum { .. }
        | Kind::Maximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::ExclusiveMaximum { .. }
        | Kind::MinLength { .. }
        | Kind::MaxLength { .. }
        | Kind::MinItems { .. }
        | Kind::MaxItems { .. }
        | Kind::MinProperties { .. }
        | Kind::MaxProperties { .. }
        | Kind::MultipleOf { .. } => Rule::Range,
        _ => Rule::Schema,
    }
}

/// The start of a value as text, for messages.
fn short(error: &ValidationError<'_>) -> String {
    let text = error.instance().to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn message(error: &ValidationError<'_>) -> String {
    let masked = error.masked_with(short(error)).to_string();
    masked.replace('\n', " ")
}

/// Takes out what is only a consequence: where a part of a schema fails, the fields that
/// it names look unknown, too.
fn settle(violations: &[Violation], names: &HashSet<String>) -> Vec<Violation> {
    let depth = |one: &Violation| one.pointer.matches('/').count();
    let consequence = |one: &Violation| {
        let (object, name) = one.pointer.rsplit_once('/').unwrap_or_default();
        let object = format!("{object}/");
        one.rule == Rule::Unknown
            && names.contains(&unescape(name))
            && violations.iter().any(|other| {
                let cause = other.rule != Rule::Unknown || depth(other) > depth(one);
                cause && format!("{}/", other.pointer).starts_with(&object)
            })
    };
    let mut settled: Vec<Violation> = Vec::new();
    for one in violations {
        if !consequence(one) && !settled.contains(one) {
            settled.push(one.clone());
        }
    }
    settled
}
