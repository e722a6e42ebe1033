//! The vendors' own descriptions.

use http::Method;
use ops_conformance::contract::{Descriptions, Request, Rule};
use ops_conformance::description_or_skip;
use serde_json::json;

#[test]
fn every_description_loads() {
    let Some(descriptions) = Descriptions::find_or_skip() else {
        return;
    };
    let names = descriptions.names().unwrap();
    assert!(names.len() > 25);
    let mut operations = 0;
    for name in &names {
        let description = descriptions.load(name).unwrap();
        let count = description.operations().len();
        assert!(count > 0, "{name}");
        operations += count;
    }
    println!("{} descriptions, {operations} operations", names.len());
}

#[test]
fn fly_machines_are_created_as_described() {
    let fly = description_or_skip!("fly-machines.openapi.json");
    let create = |body| Request::new(Method::POST, "/v1/apps/app/machines").with_json(&body);
    let good = json!({ "region": "fra", "config": { "image": "nginx", "guest": { "cpus": 1, "memory_mb": 256 } } });
    assert_eq!(
        fly.check(&create(good)).unwrap().operation_id,
        "Machines_create"
    );
    let bad = json!({ "config": { "image": "nginx", "guest": { "cpu": 1 } } });
    let violations = fly.check(&create(bad)).unwrap_err();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].pointer, "/config/guest/cpu");
    assert_eq!(violations[0].rule, Rule::Unknown);
}

/// What was recorded is what the description says, but for what it leaves out: fields that
/// are new, and values that are not listed.
#[test]
fn recorded_answers_have_the_types_that_are_described() {
    let Some(descriptions) = Descriptions::find_or_skip() else {
        return;
    };
    let files = [
        ("render.openapi.json", "render.json"),
        (
            "supabase-management.openapi.json",
            "supabase-management.json",
        ),
    ];
    for (description, recorded) in files {
        let description = descriptions.load(description).unwrap();
        let exchanges = descriptions.recorded(recorded).unwrap();
        let mut matched = 0;
        let mut problems = Vec::new();
        for operation in description.operations() {
            for answer in description.recorded_answers(&exchanges, &operation.id) {
                matched += 1;
                let violations = description
                    .check_answer(&operation.id, answer.status, &answer.body)
                    .err()
                    .unwrap_or_default();
                for one in violations {
                    if !matches!(one.rule, Rule::Unknown | Rule::Enum | Rule::Undescribed) {
                        problems.push(format!("{} {}: {one}", operation.id, answer.label));
                    }
                }
            }
        }
        println!("{recorded}: {matched} of {} matched", exchanges.len());
        assert_eq!(matched, exchanges.len());
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}

/// The vendor's own client sends what its description does not have, in four places.
#[test]
fn recorded_requests_are_accepted_but_for_what_is_not_described() {
    let Some(descriptions) = Descriptions::find_or_skip() else {
        return;
    };
    let description = descriptions
        .load("render.openapi.json")
        .unwrap()
        .with_prefix("");
    let mut refused = Vec::new();
    for exchange in descriptions.recorded("render.json").unwrap() {
        for one in description
            .check(&exchange.request)
            .err()
            .unwrap_or_default()
        {
            refused.push(format!(
                "{} {} {:?}",
                exchange.operation, one.pointer, one.rule
            ));
        }
    }
    refused.sort();
    let known = [
        "PATCH /key-value/{keyValueId} /persistenceMode Unknown",
        "PATCH /postgres/{postgresId} /readReplicas Type",
        "POST /key-value /persistenceMode Unknown",
        "POST /webhooks /eventFilter Type",
    ];
    assert_eq!(refused, known);
}
