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

#[test]
fn cloud_run_services_are_patched_as_described() {
    let run = description_or_skip!("gcp-run-v2.discovery.json");
    let path = "/v2/projects/p/locations/l/services/s";
    let call =
        |query: &str, body| Request::new(Method::PATCH, format!("{path}{query}")).with_json(&body);
    let good = json!({ "template": { "containers": [{ "image": "i", "env": [{ "name": "A", "value": "b" }] }] } });
    let checked = run
        .check(&call("?updateMask=template", good.clone()))
        .expect("accepted");
    assert_eq!(
        checked.operation_id,
        "run.projects.locations.services.patch"
    );
    let violations = run
        .check(&call("?mask=template", good))
        .expect_err("refused");
    assert_eq!(
        (violations[0].pointer.as_str(), violations[0].rule),
        ("/mask", Rule::Unknown)
    );
    let bad = json!({ "template": { "containers": [{ "image": "i", "envs": [] }] } });
    let violations = run.check(&call("", bad)).expect_err("refused");
    assert_eq!(violations[0].pointer, "/template/containers/0/envs");
    let bad = json!({ "template": { "timeout": "ten seconds" } });
    let violations = run.check(&call("", bad)).expect_err("refused");
    assert_eq!(
        (violations[0].pointer.as_str(), violations[0].rule),
        ("/template/timeout", Rule::Format)
    );
    let elsewhere = Request::new(Method::GET, "/v2/projects/p/services/s");
    let violations = run.check(&elsewhere).expect_err("refused");
    assert_eq!(violations[0].rule, Rule::Undescribed);
}

#[test]
fn a_bucket_needs_what_its_annotations_say() {
    let storage = description_or_skip!("gcp-storage-v1.discovery.json");
    let patch = |path: &str, body| Request::new(Method::POST, path).with_json(&body);
    let good = patch("/storage/v1/b?project=p", json!({ "name": "b" }));
    assert_eq!(
        storage.check(&good).expect("accepted").operation_id,
        "storage.buckets.insert"
    );
    let upload = Request::new(
        Method::POST,
        "/upload/storage/v1/b/b/o?uploadType=media&name=x",
    )
    .with_body("text/plain", "hello");
    assert_eq!(
        storage.check(&upload).expect("accepted").operation_id,
        "storage.objects.insert"
    );
    let violations = storage.check(&patch("/storage/v1/b", json!({ "name": "b" })));
    assert_eq!(violations.expect_err("refused")[0].pointer, "/project");
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
