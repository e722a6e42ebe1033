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
    assert!(names.len() > 30);
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
