//! Answers of AWS: made from the model, and held against it.

use serde_json::{Value, json};

use super::shapes::{Model, pointer, text};
use super::{Aws, xml};
use crate::contract::answer::{Answer, WANTS, schema_answers};
use crate::contract::rewrite::Flavor;
use crate::contract::sample::{Want, sample};
use crate::contract::violation::{Place, Rule, Violation};

const XML: &str = "text/xml";

/// The protocol of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Json,
    Query,
    Rest,
}

impl Aws {
    fn protocols(&self) -> Vec<Protocol> {
        let all = [
            ("json", Protocol::Json),
            ("query", Protocol::Query),
            ("rest-xml", Protocol::Rest),
        ];
        let all = all
            .into_iter()
            .filter(|(name, _)| self.model.has_protocol(name));
        all.map(|(_, protocol)| protocol).collect()
    }

    /// Answers to an operation, in each protocol.
    pub(crate) fn answers(&self, name: &str) -> Vec<Answer> {
        let Some(operation) = self.model.operation(name) else {
            return Vec::new();
        };
        let mut answers = Vec::new();
        for protocol in self.protocols() {
            answers.extend(self.successes(name, protocol));
            let errors = operation.get("errors").and_then(Value::as_array);
            for error in errors.into_iter().flatten() {
                answers.extend(text(error, "shape").map(|it| self.failure(it, protocol)));
            }
        }
        answers
    }

    fn successes(&self, name: &str, protocol: Protocol) -> Vec<Answer> {
        let operation = self.model.operation(name).unwrap_or(&Value::Null);
        let status = operation
            .pointer("/http/responseCode")
            .and_then(Value::as_u64);
        let status = status.and_then(|it| u16::try_from(it).ok()).unwrap_or(200);
        let output = self.model.io(name, "output");
        match (protocol, output) {
            (Protocol::Json, Some(output)) => {
                schema_answers(&self.json, &pointer(output), status, &self.json_type())
            }
            (Protocol::Json, None) => {
                vec![Answer::new(
                    format!("{status} empty"),
                    status,
                    &self.json_type(),
                    "",
                )]
            }
            (_, output) => {
                let wants = WANTS.into_iter();
                let made = wants.map(|(want, label)| {
                    let (headers, body, allowed) = self.xml_answer(name, output, protocol, want);
                    let label = format!("{status} {label}");
                    let content_type = if body.is_empty() { "" } else { XML };
                    let mut answer = Answer::new(label, status, content_type, body);
                    answer.headers.extend(headers);
                    answer.with_allowed(allowed)
                });
                let mut answers: Vec<Answer> = made.collect();
                answers
                    .dedup_by(|one, other| one.body == other.body && one.headers == other.headers);
                answers
            }
        }
    }

    /// Headers, body, and whether they are allowed.
    fn xml_answer(
        &self,
        name: &str,
        output: Option<&str>,
        protocol: Protocol,
        want: Want,
    ) -> (http::HeaderMap, String, bool) {
        let made = |shape: &str| sample(&self.texts, &pointer(shape), want, Flavor::Described);
        let mut body = String::new();
        let mut headers = http::HeaderMap::new();
        if protocol == Protocol::Query {
            let mut allowed = true;
            body.extend(["<", name, "Response xmlns=\"", self.namespace(), "\">"]);
            if let (Some(output), Some(wrapper)) = (output, wrapper(&self.model, name)) {
                let (value, fits) = made(output);
                allowed = fits;
                xml::write(&self.model, output, wrapper, &value, &mut body);
            }
            body.push_str("<ResponseMetadata><RequestId>text</RequestId></ResponseMetadata>");
            body.extend(["</", name, "Response>"]);
            return (headers, body, allowed);
        }
        let Some(output) = output else {
            return (headers, body, true);
        };
        for member in self
            .model
            .members(output)
            .filter(|it| it.location() == Some("header"))
        {
            if want == Want::Minimal && !self.model.is_required(output, member.name) {
                continue;
            }
            let value = match (self.model.kind(member.shape()), made(member.shape()).0) {
                ("timestamp", _) => "Fri, 02 Jan 2026 03:04:05 GMT".to_owned(),
                (_, Value::String(text)) => text,
                (_, other) => other.to_string(),
            };
            let name = http::HeaderName::from_bytes(member.wire_name().as_bytes());
            if let (Ok(name), Ok(value)) = (name, value.parse()) {
                headers.insert(name, value);
            }
        }
        match self.xml_body(output) {
            Some((shape, element)) => {
                let (value, allowed) = made(shape);
                xml::write(&self.model, shape, element, &value, &mut body);
                (headers, body, allowed)
            }
            None if self.model.payload(output).is_some() => (headers, "raw text".to_owned(), true),
            None => (headers, body, true),
        }
    }

    fn namespace(&self) -> &str {
        self.model.metadata("xmlNamespace").unwrap_or_default()
    }

    fn failure(&self, shape: &str, protocol: Protocol) -> Answer {
        let definition = self.model.shape(shape);
        let error = definition.get("error").unwrap_or(&Value::Null);
        let fault = definition.get("fault") == Some(&Value::Bool(true));
        let status = error.get("httpStatusCode").and_then(Value::as_u64);
        let status = status.and_then(|it| u16::try_from(it).ok());
        let status = status.unwrap_or(if fault { 500 } else { 400 });
        let code = text(error, "code").unwrap_or(shape);
        let label = format!("{status} {code}");
        let message = "<Message>text</Message>";
        match protocol {
            Protocol::Json => {
                let body = json!({ "__type": code, "message": "text" }).to_string();
                Answer::new(label, status, &self.json_type(), body)
            }
            Protocol::Query => {
                let error =
                    format!("<Error><Type>Sender</Type><Code>{code}</Code>{message}</Error>");
                let id = "<RequestId>text</RequestId>";
                let body = format!("<ErrorResponse>{error}{id}</ErrorResponse>");
                Answer::new(label, status, XML, body)
            }
            Protocol::Rest => {
                let id = "<RequestId>text</RequestId>";
                let body = format!("<Error><Code>{code}</Code>{message}{id}</Error>");
                Answer::new(label, status, XML, body)
            }
        }
    }

    /// Holds an answer against the model. One of failure needs a code and nothing else.
    pub(crate) fn check_answer(&self, name: &str, status: u16, body: &[u8]) -> Vec<Violation> {
        let fail = |rule, message: String| vec![Violation::new(Place::Body, "", rule, message)];
        if self.model.operation(name).is_none() {
            let message = format!("the description has no operation {name}");
            return vec![Violation::new(
                Place::Operation,
                "",
                Rule::Undescribed,
                message,
            )];
        }
        let output = self.model.io(name, "output");
        let body = String::from_utf8_lossy(body);
        let json = self.model.has_protocol("json") && !body.trim_start().starts_with('<');
        if body.is_empty()
            || (self.rest.is_some() && output.is_none_or(|it| self.xml_body(it).is_none()))
        {
            return Vec::new();
        }
        if json {
            return match (serde_json::from_str::<Value>(&body), output) {
                (Ok(value), _) if status >= 400 => match text(&value, "__type") {
                    Some(_) => Vec::new(),
                    None => fail(Rule::Required, "an error has a __type".to_owned()),
                },
                (Ok(value), Some(output)) => {
                    self.json
                        .check(&pointer(output), Flavor::Answer, &value, Place::Body)
                }
                (Ok(_), None) => Vec::new(),
                (Err(error), _) => fail(Rule::Syntax, format!("not JSON: {error}")),
            };
        }
        match roxmltree::Document::parse(&body) {
            Ok(document) => self.check_xml_answer(name, status, document.root_element()),
            Err(error) => fail(Rule::Syntax, format!("not XML: {error}")),
        }
    }

    fn check_xml_answer(
        &self,
        name: &str,
        status: u16,
        root: roxmltree::Node<'_, '_>,
    ) -> Vec<Violation> {
        let fail =
            |message: String| vec![Violation::new(Place::Body, "", Rule::Undescribed, message)];
        let found = root.tag_name().name();
        if status >= 400 || found == "Error" {
            let code = root.descendants().any(|it| it.tag_name().name() == "Code");
            return if code {
                Vec::new()
            } else {
                fail("an error has a Code".to_owned())
            };
        }
        let Some(output) = self.model.io(name, "output") else {
            return Vec::new();
        };
        let (shape, element, node) = if self.rest.is_some() {
            let Some((shape, element)) = self.xml_body(output) else {
                return Vec::new();
            };
            (shape, element, Some(root))
        } else {
            let Some(wrapper) = wrapper(&self.model, name) else {
                return Vec::new();
            };
            let node = root.children().find(|it| it.tag_name().name() == wrapper);
            (output, wrapper, node)
        };
        // The element of a whole structure is named after its shape, or as the vendor likes.
        let named = self.rest.is_none() || self.model.payload(output).is_none() || found == element;
        match node.filter(|_| named) {
            Some(node) => {
                let tree = xml::to_json(&self.model, shape, node);
                self.texts
                    .check(&pointer(shape), Flavor::Answer, &tree, Place::Body)
            }
            None => fail(format!("there is no element {element}")),
        }
    }
}

/// The element around the result of an operation.
fn wrapper<'a>(model: &'a Model, name: &str) -> Option<&'a str> {
    text(model.operation(name)?.get("output")?, "resultWrapper")
}
