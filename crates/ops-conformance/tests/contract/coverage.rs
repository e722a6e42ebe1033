//! What a vendor crate can send is sent and answered, or named.

use http::Method;
use ops_conformance::contract::{Coverage, Description, Request, Rule, Sends};
use serde_json::{Value, json};

const SENDS: [Sends; 2] = [
    Sends {
        operation_id: "listShops",
        method: "GET",
        path: "/shops",
        serves: &["Hosting"],
    },
    Sends {
        operation_id: "myShop",
        method: "GET",
        path: "/shops/mine",
        serves: &["Hosting", "Hosting/Scale"],
    },
];

fn shop() -> Description {
    Description::parse("shop.openapi.json", include_str!("shop.openapi.json")).expect("valid")
}

fn get(path: &str) -> Request {
    Request::new(Method::GET, path)
}

#[test]
fn operations_that_were_not_tried_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let coverage = Coverage::new("shop", SENDS);
    coverage
        .check(&shop(), &get("/v1/shops"))
        .expect("accepted");
    coverage
        .check(&shop(), &get("/v1/shops?x=1"))
        .expect_err("refused");
    coverage.answered("myShop").expect("listed");
    let gaps = coverage.finish_in(folder.path()).expect_err("gaps");
    assert_eq!(
        gaps.to_string(),
        "shop: never sent: myShop: never answered: listShops"
    );
}

#[test]
fn an_operation_that_is_not_listed_is_refused() {
    let coverage = Coverage::new("shop", SENDS);
    let violations = coverage
        .check(&shop(), &get("/v1/shops/s1"))
        .expect_err("refused");
    assert_eq!(violations[0].rule, Rule::Undescribed);
    coverage.answered("getShop").expect_err("refused");
}

#[test]
fn what_was_covered_is_written_with_what_it_serves() {
    let folder = tempfile::tempdir().expect("a folder");
    let coverage = Coverage::new("shop", SENDS);
    for path in ["/v1/shops", "/v1/shops", "/v1/shops/mine"] {
        let checked = coverage.check(&shop(), &get(path)).expect("accepted");
        coverage.answered(&checked.operation_id).expect("listed");
    }
    let path = coverage.finish_in(folder.path()).expect("no gaps");
    let text = std::fs::read_to_string(path).expect("readable");
    let written: Value = serde_json::from_str(&text).expect("JSON");
    let operations = json!([
        { "id": "listShops", "method": "GET", "path": "/shops", "serves": ["Hosting"], "sent": 2, "answers": 2 },
        { "id": "myShop", "method": "GET", "path": "/shops/mine", "serves": ["Hosting", "Hosting/Scale"], "sent": 1, "answers": 1 },
    ]);
    assert_eq!(
        written,
        json!({ "vendor": "shop", "operations": operations })
    );
}
