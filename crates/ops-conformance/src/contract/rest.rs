//! Requests matched to an operation and checked, for every description of paths.

use std::collections::HashSet;

use serde_json::Value;

use super::body;
use super::coerce;
use super::operation::{In, Operation, Parameter};
use super::request::Request;
use super::rewrite::Flavor;
use super::route::pairs;
use super::schema::Schemas;
use super::violation::{Place, Rule, Violation};

/// A description of paths, methods and schemas.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) schemas: Schemas,
    /// The most specific first.
    pub(crate) operations: Vec<Operation>,
    /// The paths below which it is served.
    prefixes: Vec<String>,
    /// Query parameters that any operation may have.
    free_query: Vec<String>,
    /// Headers that any operation may have, in lower case; `None` where the description does
    /// not tell all headers, so that any may be sent.
    free_headers: Option<&'static [&'static str]>,
}

impl Rest {
    pub(crate) fn new(
        schemas: Schemas,
        operations: Vec<Operation>,
        prefixes: Vec<String>,
        free_query: Vec<String>,
    ) -> Self {
        let mut operations = operations;
        operations.sort_by(|one, other| one.route.rank().cmp(other.route.rank()));
        Self {
            schemas,
            operations,
            prefixes,
            free_query,
            free_headers: None,
        }
    }

    /// The same where every header but these is described.
    pub(crate) fn with_headers(mut self, free: &'static [&'static str]) -> Self {
        self.free_headers = Some(free);
        self
    }

    pub(crate) fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }

    /// A path below which an operation is served.
    pub(crate) fn prefix<'a>(&'a self, operation: &'a Operation) -> &'a str {
        let prefixes = self.prefixes(operation, None);
        prefixes.first().copied().unwrap_or_default()
    }

    /// The paths below which an operation is served: those given, else those described.
    fn prefixes<'a>(&'a self, operation: &'a Operation, given: Option<&'a str>) -> Vec<&'a str> {
        let described = if operation.servers.is_empty() {
            &self.prefixes
        } else {
            &operation.servers
        };
        match given {
            Some(given) => vec![given],
            None if described.is_empty() => vec![""],
            None => described.iter().map(String::as_str).collect(),
        }
    }

    /// The operations that a path belongs to, with its decoded parameters.
    fn matches<'a>(&'a self, path: &str, given: Option<&str>) -> Vec<Match<'a>> {
        let mut matches = Vec::new();
        for operation in &self.operations {
            let prefixes = self.prefixes(operation, given);
            let rest = prefixes
                .iter()
                .filter_map(|prefix| path.strip_prefix(prefix));
            let found = rest
                .filter(|rest| rest.starts_with('/') || rest.is_empty())
                .find_map(|rest| operation.route.captures(rest));
            if let Some(found) = found {
                matches.push(Match {
                    operation,
                    path: own(found),
                });
            }
        }
        matches
    }

    pub(crate) fn check(
        &self,
        request: &Request,
        given: Option<&str>,
    ) -> Result<&str, Vec<Violation>> {
        let query = pairs(request.query());
        let found = self.matches(request.path(), given);
        let of_method: Vec<&Match<'_>> = found
            .iter()
            .filter(|found| found.operation.method == request.method)
            .filter(|found| has_literals(found.operation, &query))
            .collect();
        // Several operations can share one template and differ in query or headers.
        let best = of_method
            .iter()
            .map(|found| {
                (
                    found.operation.route.rank(),
                    usize::MAX - found.operation.route.literal_query().len(),
                )
            })
            .min();
        let candidates = of_method.iter().filter(|found| {
            let literals = usize::MAX - found.operation.route.literal_query().len();
            Some((found.operation.route.rank(), literals)) == best
        });
        let mut closest: Option<Vec<Violation>> = None;
        let mut accepted: Option<&Operation> = None;
        for candidate in candidates {
            let violations = self.check_one(candidate, request, query.clone());
            if violations.is_empty() {
                // That which requires the most is meant: a copy is also a put.
                let operation = candidate.operation;
                if accepted.is_none_or(|other| demands(operation) > demands(other)) {
                    accepted = Some(operation);
                }
                continue;
            }
            if closest
                .as_ref()
                .is_none_or(|other| violations.len() < other.len())
            {
                closest = Some(violations);
            }
        }
        if let Some(operation) = accepted {
            return Ok(&operation.id);
        }
        Err(closest.unwrap_or_else(|| vec![undescribed(request, &found)]))
    }

    fn check_one(
        &self,
        found: &Match<'_>,
        request: &Request,
        query: Vec<(String, String)>,
    ) -> Vec<Violation> {
        let operation = found.operation;
        let mut violations = self.check_path(found);
        violations.extend(self.check_query(operation, query));
        violations.extend(self.check_headers(operation, request));
        violations.extend(body::check(&self.schemas, operation.body.as_ref(), request));
        violations
    }

    fn check_path(&self, found: &Match<'_>) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (name, value) in &found.path {
            let Some(value) = value else {
                violations.push(
                    Violation::new(Place::Path, "", Rule::Syntax, "not UTF-8")
                        .below(Place::Path, name),
                );
                continue;
            };
            let parameters = found.operation.parameters.iter();
            let mut parameters = parameters.filter(|it| it.place == In::Path && it.name == *name);
            if let Some(parameter) = parameters.next() {
                let mut pairs = vec![(name.clone(), value.clone())];
                violations.extend(self.check_value(parameter, &mut pairs, Place::Path));
            }
        }
        violations
    }

    fn check_query(&self, operation: &Operation, query: Vec<(String, String)>) -> Vec<Violation> {
        let mut query = query;
        for (name, _) in operation.route.literal_query() {
            query.retain(|(key, _)| key != name);
        }
        let mut violations = Vec::new();
        for parameter in operation
            .parameters
            .iter()
            .filter(|it| it.place == In::Query)
        {
            violations.extend(self.check_value(parameter, &mut query, Place::Query));
        }
        let names: HashSet<&String> = query.iter().map(|(name, _)| name).collect();
        for name in names {
            if !self.free_query.contains(name) {
                let message = "the description has no such query parameter";
                violations.push(
                    Violation::new(Place::Query, "", Rule::Unknown, message)
                        .below(Place::Query, name),
                );
            }
        }
        violations
    }

    fn check_headers(&self, operation: &Operation, request: &Request) -> Vec<Violation> {
        let mut violations = Vec::new();
        for parameter in operation
            .parameters
            .iter()
            .filter(|it| it.place == In::Header)
        {
            let value = request.header(&parameter.name);
            let mut pairs: Vec<_> = value
                .map(|value| (parameter.name.clone(), value))
                .into_iter()
                .collect();
            violations.extend(self.check_value(parameter, &mut pairs, Place::Header));
        }
        violations.extend(self.unknown_headers(operation, request));
        violations
    }

    fn unknown_headers(&self, operation: &Operation, request: &Request) -> Vec<Violation> {
        let Some(free) = self.free_headers else {
            return Vec::new();
        };
        let described = |name: &str| {
            let mut parameters = operation.parameters.iter();
            let mut further = operation.further_headers.iter();
            free.contains(&name)
                || parameters.any(|it| it.place == In::Header && it.name.eq_ignore_ascii_case(name))
                || further
                    .any(|it| name == it || (it.ends_with('-') && name.starts_with(it.as_str())))
        };
        let names = request.headers.keys().map(http::HeaderName::as_str);
        let unknown = names.filter(|name| !described(name)).map(|name| {
            let message = "the description has no such header";
            Violation::new(Place::Header, "", Rule::Unknown, message).below(Place::Header, name)
        });
        unknown.collect()
    }

    fn check_value(
        &self,
        parameter: &Parameter,
        pairs: &mut Vec<(String, String)>,
        place: Place,
    ) -> Vec<Violation> {
        let raw: Vec<String> = pairs
            .iter()
            .filter(|(name, _)| *name == parameter.name)
            .map(|(_, text)| text.clone())
            .collect();
        let Some(value) = coerce::parameter(&self.schemas, parameter, pairs) else {
            let missing = || Violation::new(place, "", Rule::Required, "required and missing");
            let missing = parameter
                .required
                .then(|| missing().below(place, &parameter.name));
            return missing.into_iter().collect();
        };
        let Some(schema) = &parameter.schema else {
            return Vec::new();
        };
        let violations = self.schemas.check(schema, Flavor::Request, &value, place);
        // A schema of alternatives may have meant the text as it stands.
        let as_text = || match raw.as_slice() {
            [text] => self
                .schemas
                .accepts(schema, Flavor::Request, &Value::String(text.clone())),
            _ => false,
        };
        if violations.is_empty() || as_text() {
            return Vec::new();
        }
        let violations = violations.into_iter();
        violations
            .map(|one| one.below(place, &parameter.name))
            .collect()
    }
}

struct Match<'a> {
    operation: &'a Operation,
    path: Vec<(String, Option<String>)>,
}

fn own(captures: Vec<(&str, Option<String>)>) -> Vec<(String, Option<String>)> {
    let captures = captures.into_iter();
    captures
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn has_literals(operation: &Operation, query: &[(String, String)]) -> bool {
    operation.route.literal_query().iter().all(|(name, value)| {
        let same = |text: &String| value.as_ref().is_none_or(|value| value == text);
        query.iter().any(|(key, text)| key == name && same(text))
    })
}

/// How many parameters an operation requires.
fn demands(operation: &Operation) -> usize {
    operation.parameters.iter().filter(|it| it.required).count()
}

fn undescribed(request: &Request, found: &[Match<'_>]) -> Violation {
    let path = request.path();
    let mut message = format!("no operation is {} {path}", request.method);
    let others: Vec<String> = found
        .iter()
        .map(|found| format!("{} ({})", found.operation.method, found.operation.id))
        .collect();
    if !others.is_empty() {
        message.push_str("; the path has ");
        message.push_str(&others.join(", "));
    }
    Violation::new(Place::Operation, "", Rule::Undescribed, message)
}
