//! Service models of AWS: the JSON protocols, Query and rest-xml.

mod answers;
mod query;
mod rest;
mod shapes;
mod xml;

use http::Method;
use serde_json::{Map, Value};

use super::request::Request;
use super::request_sample;
use super::rest::Rest;
use super::rewrite::Flavor;
use super::route::pairs;
use super::sample::{Want, sample};
use super::schema::Schemas;
use super::violation::{Place, Rule, Violation};
use shapes::{Model, pointer};

const FORM: &str = "application/x-www-form-urlencoded";

/// A service model.
#[derive(Debug)]
pub(crate) struct Aws {
    model: Model,
    /// With timestamps as numbers.
    json: Schemas,
    /// With timestamps as texts.
    texts: Schemas,
    /// Only with rest-xml.
    rest: Option<Rest>,
}

impl Aws {
    pub(crate) fn parse(document: Value) -> Result<Self, String> {
        let model = Model::new(document);
        let rest = model
            .has_protocol("rest-xml")
            .then(|| rest::parse(&model))
            .transpose()?;
        Ok(Self {
            json: Schemas::new(model.schemas(false)),
            texts: Schemas::new(model.schemas(true)),
            rest,
            model,
        })
    }

    /// Id, method and path template of each operation.
    pub(crate) fn operations(&self) -> Vec<(String, String, String)> {
        let operations = self.model.operations().map(|(name, operation)| {
            let http = |key: &str| {
                operation
                    .pointer(&format!("/http/{key}"))
                    .and_then(Value::as_str)
            };
            let method = http("method").unwrap_or("POST").to_owned();
            let path = http("requestUri").unwrap_or("/").to_owned();
            (name.clone(), method, path)
        });
        operations.collect()
    }

    pub(crate) fn check(
        &self,
        request: &Request,
        prefix: Option<&str>,
    ) -> Result<String, Vec<Violation>> {
        if let Some(rest) = &self.rest {
            // A key is not empty, so that a slash behind the bucket means nothing.
            let name = rest.check(&request.with_bare_bucket(), prefix)?.to_owned();
            let violations = self.check_xml(&name, request);
            return if violations.is_empty() {
                Ok(name)
            } else {
                Err(violations)
            };
        }
        let fail = |place, pointer: &str, rule, message: &str| {
            Err(vec![Violation::new(place, pointer, rule, message)])
        };
        if request.method != Method::POST || request.path() != "/" {
            let message = format!("{} {} is not POST /", request.method, request.path());
            return fail(Place::Operation, "", Rule::Undescribed, &message);
        }
        if let Some((name, _)) = pairs(request.query()).into_iter().next() {
            let message = "the protocol has no query parameters";
            let violation = Violation::new(Place::Query, "", Rule::Unknown, message);
            return Err(vec![violation.below(Place::Query, &name)]);
        }
        let media_type = request.media_type().unwrap_or_default();
        if self.model.has_protocol("json") && media_type.starts_with("application/x-amz-json-") {
            return self.check_json(request, &media_type);
        }
        if self.model.has_protocol("query") && media_type == FORM {
            return self.check_query(request);
        }
        let message =
            format!("the content type is `{media_type}`, of no protocol that is known here");
        fail(Place::Header, "/content-type", Rule::ContentType, &message)
    }

    fn json_type(&self) -> String {
        let version = self.model.metadata("jsonVersion").unwrap_or("1.0");
        format!("application/x-amz-json-{version}")
    }

    fn check_json(&self, request: &Request, media_type: &str) -> Result<String, Vec<Violation>> {
        let fail = |place, pointer: &str, rule, message: String| {
            Err(vec![Violation::new(place, pointer, rule, message)])
        };
        let wanted = self.json_type();
        if media_type != wanted {
            let message = format!("the content type is `{media_type}`, not {wanted}");
            return fail(Place::Header, "/content-type", Rule::ContentType, message);
        }
        let target = request.header("x-amz-target").unwrap_or_default();
        let prefix = self.model.metadata("targetPrefix").unwrap_or_default();
        let name = target
            .strip_prefix(prefix)
            .and_then(|it| it.strip_prefix('.'));
        let name = name.filter(|name| self.model.operation(name).is_some());
        let Some(name) = name else {
            let message = format!("no operation has the target `{target}`");
            return fail(Place::Header, "/x-amz-target", Rule::Undescribed, message);
        };
        match serde_json::from_slice(&request.body) {
            Ok(value) => self.check_input(&self.json, name, &value),
            Err(error) => fail(Place::Body, "", Rule::Syntax, format!("not JSON: {error}")),
        }
    }

    fn check_query(&self, request: &Request) -> Result<String, Vec<Violation>> {
        let text = String::from_utf8_lossy(&request.body);
        let mut pairs = pairs(&text);
        let mut take = |wanted: &str| {
            let at = pairs.iter().position(|(name, _)| name == wanted)?;
            Some(pairs.remove(at).1)
        };
        let (name, version) = (take("Action"), take("Version"));
        let name = name.unwrap_or_default();
        let fail = |pointer: &str, rule, message: String| {
            Err(vec![Violation::new(Place::Body, pointer, rule, message)])
        };
        if self.model.operation(&name).is_none() {
            let message = format!("no operation has the action `{name}`");
            return fail("/Action", Rule::Undescribed, message);
        }
        let wanted = self.model.metadata("apiVersion");
        if version.as_deref() != wanted {
            let message = format!("the version is {version:?}, not {wanted:?}");
            return fail("/Version", Rule::Enum, message);
        }
        let input = self.model.io(&name, "input");
        let tree = input.and_then(|input| query::unflatten(&self.model, input, "", &mut pairs));
        if let Some((rest, _)) = pairs.first() {
            let message = "the description has no such field".to_owned();
            return fail(&format!("/{rest}"), Rule::Unknown, message);
        }
        self.check_input(&self.texts, &name, &tree.unwrap_or_default())
    }

    fn check_input(
        &self,
        schemas: &Schemas,
        name: &str,
        value: &Value,
    ) -> Result<String, Vec<Violation>> {
        let violations = match self.model.io(name, "input") {
            Some(input) => schemas.check(&pointer(input), Flavor::Request, value, Place::Body),
            None => Vec::new(),
        };
        if violations.is_empty() {
            Ok(name.to_owned())
        } else {
            Err(violations)
        }
    }

    /// The shape and the name of the element that the body of an operation is in rest-xml.
    fn xml_body<'a>(&'a self, shape: &'a str) -> Option<(&'a str, &'a str)> {
        let mut members = self.model.members(shape);
        let Some(payload) = self.model.payload(shape) else {
            return members
                .any(|it| it.location().is_none())
                .then_some((shape, shape));
        };
        let member = members.find(|it| it.name == payload)?;
        let structure = self.model.kind(member.shape()) == "structure";
        structure.then(|| (member.shape(), member.wire_name()))
    }

    fn check_xml(&self, name: &str, request: &Request) -> Vec<Violation> {
        let Some(input) = self.model.io(name, "input") else {
            return Vec::new();
        };
        let Some((shape, element)) = self.xml_body(input) else {
            return Vec::new();
        };
        let fail = |rule, message: String| vec![Violation::new(Place::Body, "", rule, message)];
        if request.body.is_empty() {
            let payload = self.model.payload(input).unwrap_or_default();
            if self.model.is_required(input, payload) {
                return fail(
                    Rule::Required,
                    "the body is required and missing".to_owned(),
                );
            }
            return Vec::new();
        }
        let text = String::from_utf8_lossy(&request.body);
        let document = match roxmltree::Document::parse(&text) {
            Ok(document) => document,
            Err(error) => return fail(Rule::Syntax, format!("not XML: {error}")),
        };
        let root = document.root_element();
        if root.tag_name().name() != element {
            let message = format!("the element is {}, not {element}", root.tag_name().name());
            return fail(Rule::Undescribed, message);
        }
        let tree = xml::to_json(&self.model, shape, root);
        self.texts
            .check(&pointer(shape), Flavor::Request, &tree, Place::Body)
    }

    /// Whether anything may stand at a place of the body of a request.
    pub(crate) fn is_free_form(&self, name: &str, place: &str) -> bool {
        let input = self.model.io(name, "input");
        input.is_some_and(|it| super::free_form::is_free_form(&self.json, &pointer(it), place))
    }

    /// Requests made from the model: one with what is required, one with everything, in
    /// each protocol.
    pub(crate) fn sample_requests(&self, name: &str) -> Vec<Request> {
        let mut requests = Vec::new();
        let input = self.model.io(name, "input");
        for (index, want) in [Want::Minimal, Want::Full].into_iter().enumerate() {
            let value = |schemas: &Schemas, shape: &str| {
                sample(schemas, &pointer(shape), want, Flavor::Request).0
            };
            let empty = || Value::Object(Map::new());
            if let Some(rest) = &self.rest {
                let made = rest
                    .operation(name)
                    .map(|it| request_sample::requests(rest, it));
                let made = made.unwrap_or_default().into_iter().nth(index);
                requests.extend(made.map(|request| self.with_xml(request, input, value)));
                continue;
            }
            if self.model.has_protocol("json") {
                let body = input.map_or_else(empty, |it| value(&self.json, it));
                requests.push(self.json_request(name, &body));
            }
            if self.model.has_protocol("query") {
                let body = input.map_or_else(empty, |it| value(&self.texts, it));
                requests.push(self.query_request(name, input, &body));
            }
        }
        requests
    }

    fn with_xml(
        &self,
        request: Request,
        input: Option<&str>,
        value: impl Fn(&Schemas, &str) -> Value,
    ) -> Request {
        match input.and_then(|it| self.xml_body(it)) {
            Some((shape, element)) => {
                let mut text = String::new();
                xml::write(
                    &self.model,
                    shape,
                    element,
                    &value(&self.texts, shape),
                    &mut text,
                );
                request.with_body("application/xml", text)
            }
            None => request,
        }
    }

    fn json_request(&self, name: &str, body: &Value) -> Request {
        let prefix = self.model.metadata("targetPrefix").unwrap_or_default();
        Request::new(Method::POST, "/")
            .with_header("x-amz-target", &format!("{prefix}.{name}"))
            .with_body(&self.json_type(), body.to_string())
    }

    fn query_request(&self, name: &str, input: Option<&str>, body: &Value) -> Request {
        let version = self.model.metadata("apiVersion").unwrap_or_default();
        let mut pairs = vec![
            ("Action".to_owned(), name.to_owned()),
            ("Version".to_owned(), version.to_owned()),
        ];
        if let Some(input) = input {
            query::flatten(&self.model, input, "", body, &mut pairs);
        }
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(pairs);
        Request::new(Method::POST, "/").with_body(FORM, form.finish())
    }
}
