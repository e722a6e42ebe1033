//! What is accepted and what is refused by a small description that has every trap.

use http::Method;
use ops_conformance::contract::{Description, Place, Request, Rule, Violation};
use serde_json::{Value, json};

fn shop() -> Description {
    Description::parse("shop.openapi.json", include_str!("shop.openapi.json")).expect("valid")
}

fn put(body: &Value) -> Request {
    Request::new(Method::PUT, "/v1/shops/s1").with_json(body)
}

/// The violations as `place pointer rule`.
#[track_caller]
fn refused(request: &Request) -> Vec<(Place, String, Rule)> {
    let violations: Vec<Violation> = shop().check(request).expect_err("it must be refused");
    let violations = violations.into_iter();
    violations
        .map(|one| (one.place, one.pointer, one.rule))
        .collect()
}

#[track_caller]
fn accepted(request: &Request) -> String {
    let checked = shop().check(request);
    let checked = checked.map_err(|violations| ops_conformance::contract::lines(&violations));
    checked.expect("it must be accepted").operation_id
}

fn body(pointer: &str, rule: Rule) -> Vec<(Place, String, Rule)> {
    vec![(Place::Body, pointer.to_owned(), rule)]
}

fn query(pointer: &str, rule: Rule) -> Vec<(Place, String, Rule)> {
    vec![(Place::Query, pointer.to_owned(), rule)]
}

fn get(path_and_query: &str) -> Request {
    Request::new(Method::GET, path_and_query)
}

fn full() -> Value {
    json!({
        "name": "n",
        "note": null,
        "labels": { "any": "thing" },
        "meta": { "free": { "form": [1, { "x": 2 }] } },
        "config": { "guest": { "cpus": 2, "kind": "shared", "extra": { "deep": true } } },
        "check": { "type": "http", "path": "/" },
    })
}

#[test]
fn a_good_request_is_matched_to_its_operation() {
    assert_eq!(accepted(&put(&full())), "putShop");
    assert_eq!(accepted(&put(&json!({ "name": "n" }))), "putShop");
    assert_eq!(accepted(&get("/v1/shops")), "listShops");
    assert_eq!(accepted(&get("/v1/shops/mine")), "myShop");
    assert_eq!(accepted(&get("/v1/shops/yours")), "getShop");
    assert_eq!(
        accepted(&get("/v1/shops/a%2Fb%3F%23%25%20%C3%A4")),
        "getShop"
    );
}

#[test]
fn an_unknown_field_is_refused_three_levels_deep_in_an_all_of() {
    let mut sent = full();
    sent["config"]["guest"]["cpu"] = json!(2);
    assert_eq!(
        refused(&put(&sent)),
        body("/config/guest/cpu", Rule::Unknown)
    );
    let mut sent = full();
    sent["config"]["guest"]["extra"]["deeper"] = json!(2);
    assert_eq!(
        refused(&put(&sent)),
        body("/config/guest/extra/deeper", Rule::Unknown)
    );
    let mut sent = full();
    sent["nme"] = json!("n");
    assert_eq!(refused(&put(&sent)), body("/nme", Rule::Unknown));
}

#[test]
fn a_field_of_another_alternative_is_refused() {
    let mut sent = full();
    sent["check"] = json!({ "type": "tcp", "port": 1, "path": "/" });
    assert_eq!(refused(&put(&sent)), body("/check/path", Rule::Unknown));
    sent["check"] = json!({ "type": "tcp", "port": "1" });
    assert_eq!(refused(&put(&sent)), body("/check/port", Rule::Type));
    sent["check"] = json!({ "type": "icmp" });
    assert!(refused(&put(&sent)).contains(&(Place::Body, "/check/type".into(), Rule::Enum)));
    sent["check"] = json!("http");
    assert_eq!(refused(&put(&sent)), body("/check", Rule::Type));
}

#[test]
fn types_enums_bounds_formats_and_required_fields_are_checked() {
    let with = |pointer: &str, value: Value| {
        let mut sent = full();
        *sent.pointer_mut(pointer).unwrap() = value;
        refused(&put(&sent))
    };
    assert_eq!(with("/name", json!(1)), body("/name", Rule::Type));
    assert_eq!(with("/name", json!("")), body("/name", Rule::Range));
    assert_eq!(
        with("/config/guest/cpus", json!("2")),
        body("/config/guest/cpus", Rule::Type)
    );
    assert_eq!(
        with("/config/guest/kind", json!("own")),
        body("/config/guest/kind", Rule::Enum)
    );
    assert_eq!(
        with("/labels/any", json!(1)),
        body("/labels/any", Rule::Type)
    );
    assert_eq!(
        refused(&put(&json!({ "note": "x" }))),
        body("/name", Rule::Required)
    );
    let sent = json!({ "name": "n", "born": "yesterday" });
    assert_eq!(refused(&put(&sent)), body("/born", Rule::Format));
}

#[test]
fn a_field_that_only_answers_have_is_refused_in_a_request() {
    let sent = json!({ "name": "n", "id": "s1" });
    assert_eq!(refused(&put(&sent)), body("/id", Rule::ReadOnly));
}

#[test]
fn query_parameters_are_typed_and_unknown_ones_refused() {
    accepted(&get(
        "/v1/shops?limit=5&state=open&tag=a&tag=b&ids=1,2&sort%5Bby%5D=name&sort[up]=true",
    ));
    accepted(&get("/v1/shops?api_key=k"));
    assert_eq!(
        refused(&get("/v1/shops?limits=5")),
        query("/limits", Rule::Unknown)
    );
    assert_eq!(
        refused(&get("/v1/shops?limit=five")),
        query("/limit", Rule::Type)
    );
    assert_eq!(
        refused(&get("/v1/shops?limit=5&limit=6")),
        query("/limit", Rule::Type)
    );
    assert_eq!(
        refused(&get("/v1/shops?limit=500")),
        query("/limit", Rule::Range)
    );
    assert_eq!(
        refused(&get("/v1/shops?state=ajar")),
        query("/state", Rule::Enum)
    );
    assert_eq!(
        refused(&get("/v1/shops?ids=1,b")),
        query("/ids/1", Rule::Type)
    );
    assert_eq!(
        refused(&get("/v1/shops?sort[down]=true")),
        query("/sort/down", Rule::Unknown)
    );
    assert_eq!(
        refused(&get("/v1/shops/s1/find")),
        query("/q", Rule::Required)
    );
}

#[test]
fn another_path_method_or_server_is_refused() {
    let nothing = vec![(Place::Operation, String::new(), Rule::Undescribed)];
    assert_eq!(refused(&get("/v1/shop")), nothing);
    assert_eq!(refused(&get("/shops")), nothing);
    assert_eq!(refused(&get("/v1/shops/s1/")), nothing);
    assert_eq!(
        refused(&Request::new(Method::PATCH, "/v1/shops/s1")),
        nothing
    );
    let elsewhere = shop().with_prefix("");
    assert!(elsewhere.check(&get("/shops")).is_ok());
    assert!(elsewhere.check(&get("/v1/shops")).is_err());
}

#[test]
fn path_parameters_and_headers_are_checked() {
    accepted(&get("/v1/orders/7").with_header("x-version", "2026-01"));
    let sent = get("/v1/orders/seven").with_header("x-version", "2026-01");
    assert_eq!(
        refused(&sent),
        [(Place::Path, "/order".to_owned(), Rule::Type)]
    );
    assert_eq!(
        refused(&get("/v1/orders/7")),
        [(Place::Header, "/X-Version".to_owned(), Rule::Required)]
    );
    let sent = get("/v1/orders/7").with_header("x-version", "2020");
    assert_eq!(
        refused(&sent),
        [(Place::Header, "/X-Version".to_owned(), Rule::Enum)]
    );
}

#[test]
fn a_body_is_refused_where_none_is_described_and_missed_where_one_is() {
    let sent = get("/v1/shops").with_json(&json!({}));
    assert_eq!(refused(&sent), body("", Rule::Unknown));
    let sent = Request::new(Method::PUT, "/v1/shops/s1");
    assert_eq!(refused(&sent), body("", Rule::Required));
    let sent = Request::new(Method::PUT, "/v1/shops/s1").with_body("application/json", "{");
    assert_eq!(refused(&sent), body("", Rule::Syntax));
    let sent = Request::new(Method::PUT, "/v1/shops/s1").with_body("text/plain", "{}");
    assert_eq!(
        refused(&sent),
        [(Place::Header, "/content-type".to_owned(), Rule::ContentType)]
    );
    let sent = Request::new(Method::PUT, "/v1/shops/s1")
        .with_body("application/json; charset=utf-8", r#"{"name":"n"}"#);
    accepted(&sent);
}

#[test]
fn forms_are_checked_as_the_object_that_they_are() {
    let post = |form: &str| {
        let form = form.to_owned();
        Request::new(Method::POST, "/v1/messages")
            .with_body("application/x-www-form-urlencoded", form)
    };
    accepted(&post("To=%2B1&Count=3&Media=a&Media=b"));
    accepted(&post("To=1"));
    assert_eq!(refused(&post("To=1&Form=2")), body("/Form", Rule::Unknown));
    assert_eq!(
        refused(&post("To=1&Count=many")),
        body("/Count", Rule::Type)
    );
    assert_eq!(refused(&post("Count=1")), body("/To", Rule::Required));
}

#[test]
fn multipart_and_raw_bodies_are_taken_apart() {
    let send = |name: &str| {
        let text = format!(
            "--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n\u{0}\r\nraw\r\n--b--\r\n"
        );
        Request::new(Method::POST, "/v1/files").with_body("multipart/form-data; boundary=b", text)
    };
    accepted(&send("file"));
    assert_eq!(
        refused(&send("files")),
        vec![
            (Place::Body, "/file".to_owned(), Rule::Required),
            (Place::Body, "/files".to_owned(), Rule::Unknown),
        ]
    );
    let broken =
        Request::new(Method::POST, "/v1/files").with_body("multipart/form-data; boundary=b", "--c");
    assert_eq!(refused(&broken), body("", Rule::Syntax));
    accepted(
        &Request::new(Method::PUT, "/v1/files").with_body("application/octet-stream", "\u{0}"),
    );
}

#[test]
fn free_form_is_what_the_schema_says_is_free_form() {
    let sent = json!({ "name": "n", "meta": { "opsUnknownField": 1 } });
    accepted(&put(&sent));
    let sent = json!({ "name": "n", "closed": { "opsUnknownField": 1 } });
    assert_eq!(
        refused(&put(&sent)),
        body("/closed/opsUnknownField", Rule::Unknown)
    );
    let sent = json!({ "name": "n", "open": { "known": 1, "opsUnknownField": 1 } });
    accepted(&put(&sent));
}

#[test]
fn a_recursive_schema_is_closed_at_every_depth() {
    let sent = json!({ "name": "n", "tree": { "leaf": { "leaf": { "leaf": {} } } } });
    accepted(&put(&sent));
    let sent = json!({ "name": "n", "tree": { "leaf": { "leaf": { "leef": {} } } } });
    assert_eq!(
        refused(&put(&sent)),
        body("/tree/leaf/leaf/leef", Rule::Unknown)
    );
}

#[test]
fn a_violation_names_the_place_the_pointer_and_the_rule() {
    let sent = json!({ "name": "n", "nme": 1 });
    let violations = shop().check(&put(&sent)).unwrap_err();
    let text = "body /nme: the description has no such field (Unknown)";
    assert_eq!(ops_conformance::contract::lines(&violations), text);
}

#[test]
fn answers_are_made_for_each_status_and_twist() {
    let answers = shop().answers("listShops");
    let labels: Vec<&str> = answers.iter().map(|it| it.label.as_str()).collect();
    let twists = [
        "minimal",
        "full",
        "null",
        "absent as null",
        "unknown enum value",
        "extra field",
    ];
    for twist in twists {
        let label = format!("200 {twist}");
        assert!(
            labels.contains(&label.as_str()),
            "{label} is not among {labels:?}"
        );
    }
    let of = |label: &str| {
        let answer = answers.iter().find(|it| it.label == label);
        answer
            .and_then(ops_conformance::contract::Answer::json)
            .expect(label)
    };
    assert_eq!(of("200 minimal"), json!({ "shops": [] }));
    let full = of("200 full");
    assert_eq!(full.pointer("/shops/0/config/guest/cpus"), Some(&json!(1)));
    assert_eq!(of("200 null").pointer("/next"), Some(&Value::Null));
    let unknown = of("200 unknown enum value");
    assert_eq!(
        unknown.pointer("/shops/0/state"),
        Some(&json!("OPS_UNKNOWN_VALUE"))
    );
    let extra = of("200 extra field");
    assert!(
        extra
            .pointer("/shops/0/config/guest/opsUnknownField")
            .is_some()
    );
    assert_eq!(of("500 minimal"), json!({ "error": "text" }));
    let examples = shop().answers("getShop");
    assert!(examples.iter().any(|it| it.label == "200 example"));
}

#[test]
fn a_fake_may_leave_fields_out_but_not_invent_them() {
    let check = |body: Value| {
        let checked = shop().check_answer("getShop", 200, body.to_string().as_bytes());
        let violations = checked.err().unwrap_or_default().into_iter();
        violations
            .map(|one| (one.pointer, one.rule))
            .collect::<Vec<_>>()
    };
    assert_eq!(check(json!({ "name": null, "config": null })), []);
    assert_eq!(check(full()), []);
    assert_eq!(
        check(json!({ "nme": "n" })),
        [("/nme".to_owned(), Rule::Unknown)]
    );
    assert_eq!(
        check(json!({ "name": 1 })),
        [("/name".to_owned(), Rule::Type)]
    );
    assert_eq!(
        check(json!({ "state": "ajar" })),
        [("/state".to_owned(), Rule::Enum)]
    );
    let undescribed = shop()
        .check_answer("getShop", 202, b"{}")
        .expect_err("refused");
    assert_eq!(undescribed[0].place, Place::Status);
    shop()
        .check_answer("getShop", 404, b"<html>")
        .expect("failures are not described");
    shop()
        .check_answer("getSop", 200, b"{}")
        .expect_err("no such operation");
}
