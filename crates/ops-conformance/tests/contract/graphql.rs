//! What is accepted and what is refused by a small GraphQL schema.

use http::Method;
use ops_conformance::contract::{Description, Place, Request, Rule, lines};
use serde_json::{Value, json};

const SCHEMA: &str = r"
    type Query { app(name: String!): App nodes(kind: Kind = WEB): [Node!]! }
    type Mutation { deploy(input: DeployInput!): Deployment! }
    enum Kind { WEB WORKER }
    interface Node { id: ID! }
    type App implements Node { id: ID! name: String! kind: Kind config: JSON created: DateTime }
    type Deployment implements Node { id: ID! app: App status: String }
    input DeployInput { app: ID! image: ImageInput count: Int }
    input ImageInput { name: String! tags: [String!] }
    scalar JSON
    scalar DateTime
";

const DEPLOY: &str =
    "mutation Deploy($input: DeployInput!) { deploy(input: $input) { id app { name kind } } }";

fn schema() -> Description {
    Description::parse("cloud.graphql", SCHEMA).expect("a valid schema")
}

fn call(query: &str, variables: &Value) -> Request {
    let body = json!({ "query": query, "variables": variables });
    Request::new(Method::POST, "/graphql").with_json(&body)
}

#[track_caller]
fn refused(request: &Request) -> Vec<(Place, String, Rule)> {
    let violations = schema().check(request).expect_err("it must be refused");
    let violations = violations.into_iter();
    violations
        .map(|one| (one.place, one.pointer, one.rule))
        .collect()
}

fn variable(pointer: &str, rule: Rule) -> Vec<(Place, String, Rule)> {
    vec![(Place::Variables, pointer.to_owned(), rule)]
}

#[test]
fn a_good_request_is_named_after_its_root_field() {
    let variables =
        json!({ "input": { "app": "a", "image": { "name": "n", "tags": ["t"] }, "count": null } });
    let checked = schema().check(&call(DEPLOY, &variables)).expect("accepted");
    assert_eq!(checked.operation_id, "deploy");
    let checked = schema()
        .check(&call("{ nodes { id } }", &Value::Null))
        .expect("accepted");
    assert_eq!(checked.operation_id, "nodes");
}

#[test]
fn a_field_that_the_schema_does_not_have_is_refused() {
    let violations = schema()
        .check(&call("{ nodes { id owner } }", &json!({})))
        .expect_err("refused");
    assert_eq!(violations[0].place, Place::Document);
    assert!(
        lines(&violations).contains("owner"),
        "{}",
        lines(&violations)
    );
    let violations = schema()
        .check(&call("{ app { id } }", &json!({})))
        .expect_err("refused");
    assert!(
        lines(&violations).contains("name"),
        "{}",
        lines(&violations)
    );
}

#[test]
fn variables_are_held_against_their_types_at_every_depth() {
    let with = |input: Value| refused(&call(DEPLOY, &json!({ "input": input })));
    assert_eq!(
        with(json!({ "app": 1.5 })),
        variable("/input/app", Rule::Type)
    );
    assert_eq!(
        with(json!({ "app": "a", "count": "2" })),
        variable("/input/count", Rule::Type)
    );
    assert_eq!(with(json!({})), variable("/input/app", Rule::Required));
    assert_eq!(
        with(json!({ "app": "a", "imag": {} })),
        variable("/input/imag", Rule::Unknown)
    );
    let input = json!({ "app": "a", "image": { "name": "n", "tag": "t" } });
    assert_eq!(with(input), variable("/input/image/tag", Rule::Unknown));
    assert_eq!(
        refused(&call(DEPLOY, &json!({}))),
        variable("/input", Rule::Required)
    );
    let more = json!({ "input": { "app": "a" }, "more": 1 });
    assert_eq!(
        refused(&call(DEPLOY, &more)),
        variable("/more", Rule::Unknown)
    );
}

#[test]
fn the_request_around_the_document_is_checked_too() {
    let body = json!({ "query": "{ nodes { id } }", "variable": {} });
    let sent = Request::new(Method::POST, "/graphql").with_json(&body);
    assert_eq!(
        refused(&sent),
        [(Place::Body, "/variable".to_owned(), Rule::Unknown)]
    );
    let body = json!({ "query": "query A { nodes { id } } query B { nodes { id } }" });
    let sent = Request::new(Method::POST, "/graphql").with_json(&body);
    assert_eq!(
        refused(&sent),
        [(Place::Body, "/operationName".to_owned(), Rule::Undescribed)]
    );
    let sent = Request::new(Method::GET, "/graphql?query={nodes{id}}");
    assert_eq!(
        refused(&sent),
        [(Place::Operation, String::new(), Rule::Undescribed)]
    );
    let sent = call("{ nodes { id } }", &json!({})).with_body("text/plain", "{}");
    assert_eq!(
        refused(&sent),
        [(Place::Header, "/content-type".to_owned(), Rule::ContentType)]
    );
}

#[test]
fn answers_follow_what_the_document_selects() {
    let query = "{ app(name: \"a\") { id label: name kind config created } nodes { __typename id ... on Deployment { status } } }";
    let request = call(query, &json!({}));
    let answers = schema().answers_to(&request);
    let full = answers
        .iter()
        .find(|it| it.label == "200 full")
        .expect("a full answer");
    let expected = json!({ "data": {
        "app": { "id": "text", "label": "text", "kind": "WEB", "config": "anything", "created": "2026-01-02T03:04:05Z" },
        "nodes": [{ "__typename": "App", "id": "text" }],
    } });
    assert_eq!(full.json(), Some(expected));
    for label in [
        "200 null",
        "200 unknown enum value",
        "200 extra field",
        "200 errors",
    ] {
        assert!(answers.iter().any(|it| it.label == label), "{label}");
    }
}

#[test]
fn an_answer_is_held_against_what_was_selected() {
    let request = call(
        "{ nodes { __typename id ... on Deployment { status } } }",
        &json!({}),
    );
    let check = |body: Value| schema().check_answer_to(&request, 200, body.to_string().as_bytes());
    let good =
        json!({ "data": { "nodes": [{ "__typename": "Deployment", "id": "d", "status": "ok" }] } });
    assert_eq!(check(good), Ok(()));
    let failure = json!({ "data": null, "errors": [{ "message": "no" }] });
    assert_eq!(check(failure), Ok(()));
    let invented =
        json!({ "data": { "nodes": [{ "__typename": "Deployment", "id": "d", "state": "ok" }] } });
    let violations = check(invented).expect_err("a field that was not selected");
    assert_eq!(violations[0].pointer, "/data/nodes/0/state");
    let violations =
        check(json!({ "data": { "nodes": [{ "id": 1 }] } })).expect_err("another type");
    assert_eq!(violations[0].pointer, "/data/nodes/0/id");
}
