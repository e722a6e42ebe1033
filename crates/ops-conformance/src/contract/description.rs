//! One description of whatever kind, and the questions that can be put to it.

use std::fmt;
use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::answer::{self, Answer};
use super::aws::Aws;
use super::discovery;
use super::free_form;
use super::graphql::Graphql;
use super::openapi;
use super::recorded::Exchange;
use super::request::Request;
use super::request_sample;
use super::rest::Rest;
use super::violation::{Place, Rule, Violation};

/// A vendor's description of its interface. Cheap to clone: clones share what is compiled.
#[derive(Clone)]
pub struct Description {
    name: Arc<str>,
    prefix: Option<String>,
    bucket_in_host: bool,
    kind: Arc<Kind>,
}

#[derive(Debug)]
enum Kind {
    Rest(Rest),
    Aws(Box<Aws>),
    Graphql(Graphql),
}

/// A request that keeps to the description.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// The operation that it is a call of.
    pub operation_id: String,
}

/// An operation of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationInfo {
    /// The vendor's id of the operation. For GraphQL the field of the root.
    pub id: String,
    /// The method.
    pub method: String,
    /// The path template. For GraphQL the type at the root that has the field.
    pub path: String,
}

/// A description that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    name: String,
    message: String,
}

impl LoadError {
    pub(crate) fn new(name: &str, message: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            message: message.into(),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for LoadError {}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description")
            .field("name", &self.name)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Description {
    /// Whether a file of this name is a description.
    pub(crate) fn knows(name: &str) -> bool {
        let endings = [
            ".openapi.json",
            ".discovery.json",
            ".c2j.json",
            ".graphql",
            ".graphql.json",
        ];
        endings.iter().any(|ending| name.ends_with(ending))
    }

    /// A description out of its text. What kind it is, the ending of the name says:
    /// `.openapi.json` for OpenAPI 3.1, `.discovery.json` for a discovery document of Google,
    /// `.c2j.json` for a service model of AWS,
    /// `.graphql` for the schema language of GraphQL and
    /// `.graphql.json` for the answer to its introspection query.
    ///
    /// # Errors
    /// If it cannot be read as that kind.
    pub fn parse(name: &str, text: &str) -> Result<Self, LoadError> {
        let fail = |message: String| LoadError::new(name, message);
        let document =
            || serde_json::from_str::<Value>(text).map_err(|error| fail(error.to_string()));
        let kind = if name.ends_with(".openapi.json") {
            Kind::Rest(openapi::parse(document()?).map_err(fail)?)
        } else if name.ends_with(".discovery.json") {
            Kind::Rest(discovery::parse(&document()?).map_err(fail)?)
        } else if name.ends_with(".c2j.json") {
            Kind::Aws(Box::new(Aws::parse(document()?).map_err(fail)?))
        } else if name.ends_with(".graphql") || name.ends_with(".graphql.json") {
            Kind::Graphql(Graphql::parse(text).map_err(fail)?)
        } else {
            return Err(fail("the name has no known ending".to_owned()));
        };
        Ok(Self {
            name: Arc::from(name),
            prefix: None,
            bucket_in_host: false,
            kind: Arc::new(kind),
        })
    }

    /// The name of its file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, served below another path than that of the servers it names: `/v1`, or an
    /// empty text for the root.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.trim_end_matches('/').to_owned());
        self
    }

    /// The same, for requests whose host starts with the name of the bucket, which is the
    /// first segment of the path otherwise.
    #[must_use]
    pub fn with_bucket_in_host(mut self) -> Self {
        self.bucket_in_host = true;
        self
    }

    /// All operations, sorted by id.
    #[must_use]
    pub fn operations(&self) -> Vec<OperationInfo> {
        let mut operations: Vec<OperationInfo> = match &*self.kind {
            Kind::Rest(rest) => rest
                .operations
                .iter()
                .map(|operation| OperationInfo {
                    id: operation.id.clone(),
                    method: operation.method.to_string(),
                    path: operation.route.template().to_owned(),
                })
                .collect(),
            Kind::Aws(aws) => aws
                .operations()
                .into_iter()
                .map(|(id, method, path)| OperationInfo { id, method, path })
                .collect(),
            Kind::Graphql(graphql) => graphql
                .root_fields()
                .into_iter()
                .map(|(root, field)| OperationInfo {
                    id: field,
                    method: Method::POST.to_string(),
                    path: root,
                })
                .collect(),
        };
        operations.sort_by(|one, other| one.id.cmp(&other.id));
        operations
    }

    /// Finds the operation of a request and checks everything about it but its credentials.
    /// Of GraphQL the path is not checked: a schema does not say where it is served.
    ///
    /// # Errors
    /// Every rule of the description that the request breaks.
    pub fn check(&self, request: &Request) -> Result<Checked, Vec<Violation>> {
        if self.bucket_in_host {
            let request = request.with_bucket_in_path();
            return Self {
                bucket_in_host: false,
                ..self.clone()
            }
            .check(&request);
        }
        let operation_id = match &*self.kind {
            Kind::Rest(rest) => rest.check(request, self.prefix.as_deref())?.to_owned(),
            Kind::Aws(aws) => aws.check(request, self.prefix.as_deref())?,
            Kind::Graphql(graphql) => graphql.check(request)?,
        };
        Ok(Checked { operation_id })
    }

    /// Answers that the vendor may give to an operation, made from what is described: with
    /// required fields only, with all, with nulls, with unlisted values, with fields that
    /// are not described, and the examples. For each status, those of failures included.
    /// Empty if there is no such operation. What GraphQL answers depends on what is asked
    /// for: see [`answers_to`](Self::answers_to).
    #[must_use]
    pub fn answers(&self, operation_id: &str) -> Vec<Answer> {
        match &*self.kind {
            Kind::Rest(rest) => rest
                .operation(operation_id)
                .map(|operation| answer::answers(&rest.schemas, operation))
                .unwrap_or_default(),
            Kind::Aws(aws) => aws.answers(operation_id),
            Kind::Graphql(graphql) => graphql
                .sample_requests(operation_id)
                .last()
                .map(|request| graphql.answers(request))
                .unwrap_or_default(),
        }
    }

    /// Answers that the vendor may give to a request: those to its operation, and for
    /// GraphQL those that its document selects. Empty if the request is not accepted.
    #[must_use]
    pub fn answers_to(&self, request: &Request) -> Vec<Answer> {
        let Ok(checked) = self.check(request) else {
            return Vec::new();
        };
        match &*self.kind {
            Kind::Rest(_) | Kind::Aws(_) => self.answers(&checked.operation_id),
            Kind::Graphql(graphql) => graphql.answers(request),
        }
    }

    /// The recorded answers to an operation.
    #[must_use]
    pub fn recorded_answers(&self, exchanges: &[Exchange], operation_id: &str) -> Vec<Answer> {
        let operations = self.operations();
        let Some(operation) = operations.iter().find(|it| it.id == operation_id) else {
            return Vec::new();
        };
        let wanted = format!("{} {}", operation.method, operation.path);
        let exchanges = exchanges.iter().filter(|it| it.operation == wanted);
        exchanges.map(|it| it.answer.clone()).collect()
    }

    /// Holds an answer, of a fake or a recorded one, against the description. Fields that
    /// are described must have their types and listed values, or be null, or be missing;
    /// fields that are not described are refused, for a fake must not invent them. An
    /// answer of failure that is not described at all is accepted.
    ///
    /// # Errors
    /// Every rule that the answer breaks.
    pub fn check_answer(
        &self,
        operation_id: &str,
        status: u16,
        body: &[u8],
    ) -> Result<(), Vec<Violation>> {
        let violations = match &*self.kind {
            Kind::Rest(rest) => match rest.operation(operation_id) {
                Some(operation) => answer::check(rest, operation, status, body),
                None => vec![unknown_operation(operation_id)],
            },
            Kind::Aws(aws) => aws.check_answer(operation_id, status, body),
            Kind::Graphql(graphql) => match graphql.sample_requests(operation_id).last() {
                Some(request) => graphql.check_answer(request, status, body),
                None => vec![unknown_operation(operation_id)],
            },
        };
        if violations.is_empty() {
            return Ok(());
        }
        Err(violations)
    }

    /// [`check_answer`](Self::check_answer) for the answer to a request. For GraphQL it is
    /// held against what the document selects.
    ///
    /// # Errors
    /// Every rule that the answer breaks, or the request itself.
    pub fn check_answer_to(
        &self,
        request: &Request,
        status: u16,
        body: &[u8],
    ) -> Result<(), Vec<Violation>> {
        let checked = self.check(request)?;
        let violations = match &*self.kind {
            Kind::Rest(_) | Kind::Aws(_) => {
                return self.check_answer(&checked.operation_id, status, body);
            }
            Kind::Graphql(graphql) => graphql.check_answer(request, status, body),
        };
        if violations.is_empty() {
            return Ok(());
        }
        Err(violations)
    }

    /// Whether the description says of the place at `pointer` in the body of a request that
    /// anything may stand there.
    #[must_use]
    pub fn is_free_form(&self, operation_id: &str, pointer: &str) -> bool {
        let rest = match &*self.kind {
            Kind::Rest(rest) => rest,
            Kind::Aws(aws) => return aws.is_free_form(operation_id, pointer),
            Kind::Graphql(_) => return false,
        };
        let body = rest.operation(operation_id).and_then(|it| it.body.as_ref());
        let mut schemas = body
            .into_iter()
            .flat_map(|body| &body.media)
            .filter_map(|it| it.schema.as_ref());
        schemas.any(|schema| free_form::is_free_form(&rest.schemas, schema, pointer))
    }

    /// Bodies that the description allows for an operation: one with what is required, one
    /// with every field. For tests of the kit, and to see what a vendor takes.
    #[must_use]
    pub fn sample_requests(&self, operation_id: &str) -> Vec<Request> {
        match &*self.kind {
            Kind::Rest(rest) => rest
                .operation(operation_id)
                .map(|operation| request_sample::requests(rest, operation))
                .unwrap_or_default(),
            Kind::Aws(aws) => aws.sample_requests(operation_id),
            Kind::Graphql(graphql) => graphql.sample_requests(operation_id),
        }
    }
}

fn unknown_operation(id: &str) -> Violation {
    let message = format!("the description has no operation {id}");
    Violation::new(Place::Operation, "", Rule::Undescribed, message)
}
