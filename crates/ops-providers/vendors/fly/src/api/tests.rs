//! Each request as Fly expects it.

use serde_json::Value;

use super::*;
use crate::model::Config;

/// Method, path and query, and body of a request.
fn sent<T>(request: &ApiRequest<T>) -> (String, Value) {
    let method = request.operation().method();
    let line = format!("{method} {}", request.path_and_query());
    let body = request.body().unwrap_or_default();
    (line, serde_json::from_slice(body).unwrap_or_default())
}

fn shop() -> AppId {
    AppId::new("sh/op?").unwrap()
}

fn at(app: &AppId) -> At<'_> {
    At {
        app,
        machine: "m#1",
        nonce: None,
    }
}

#[test]
fn what_is_asked_for() {
    let (shop, domain) = (shop(), DomainId::new("*.shop.example").unwrap());
    let instant = "2026-11-21T04:05:06Z".parse().unwrap();
    let token = log_token(instant);
    let table = [
        (
            sent(&check_certificate(&shop, &domain)),
            "POST /apps/sh%2Fop%3F/certificates/%2A.shop.example/check",
        ),
        (
            sent(&cordon(at(&shop))),
            "POST /apps/sh%2Fop%3F/machines/m%231/cordon",
        ),
        (sent(&delete_app(&shop)), "DELETE /apps/sh%2Fop%3F"),
        (
            sent(&delete_certificate(&shop, &domain)),
            "DELETE /apps/sh%2Fop%3F/certificates/%2A.shop.example",
        ),
        (
            sent(&delete_machine(at(&shop))),
            "DELETE /apps/sh%2Fop%3F/machines/m%231?force=true",
        ),
        (
            sent(&delete_secret(&shop, "A_B")),
            "DELETE /apps/sh%2Fop%3F/secrets/A_B",
        ),
        (
            sent(&find_certificate(&shop, &domain)),
            "GET /apps/sh%2Fop%3F/certificates/%2A.shop.example",
        ),
        (
            sent(&get_secret(&shop, "A_B")),
            "GET /apps/sh%2Fop%3F/secrets/A_B?show_secrets=true",
        ),
        (
            sent(&list_addresses(&shop)),
            "GET /apps/sh%2Fop%3F/ip_assignments",
        ),
        (sent(&list_apps("a&b")), "GET /apps?org_slug=a%26b"),
        (
            sent(list_certificates(&shop).first()),
            "GET /apps/sh%2Fop%3F/certificates?limit=500",
        ),
        (
            sent(&list_machines(&shop, false)),
            "GET /apps/sh%2Fop%3F/machines",
        ),
        (
            sent(&list_machines(&shop, true)),
            "GET /apps/sh%2Fop%3F/machines?include_deleted=true",
        ),
        (sent(&list_secrets(&shop)), "GET /apps/sh%2Fop%3F/secrets"),
        (
            sent(&logs(&shop, Some(&token))),
            "GET /api/v1/apps/sh%2Fop%3F/logs?next_token=1795233906000000000",
        ),
        (sent(&logs(&shop, None)), "GET /api/v1/apps/sh%2Fop%3F/logs"),
        (
            sent(&release_lease(at(&shop))),
            "DELETE /apps/sh%2Fop%3F/machines/m%231/lease",
        ),
        (
            sent(&restart(at(&shop))),
            "POST /apps/sh%2Fop%3F/machines/m%231/restart",
        ),
        (sent(&show_app(&shop)), "GET /apps/sh%2Fop%3F"),
        (
            sent(&show_machine(at(&shop))),
            "GET /apps/sh%2Fop%3F/machines/m%231",
        ),
        (
            sent(&uncordon(at(&shop))),
            "POST /apps/sh%2Fop%3F/machines/m%231/uncordon",
        ),
        (
            sent(&wait(
                at(&shop),
                Some("01H"),
                "started",
                Duration::from_millis(2500),
            )),
            "GET /apps/sh%2Fop%3F/machines/m%231/wait?version=01H&state=started&timeout=2",
        ),
        (
            sent(&wait(at(&shop), None, "stopped", Duration::ZERO)),
            "GET /apps/sh%2Fop%3F/machines/m%231/wait?state=stopped&timeout=1",
        ),
    ];
    for ((line, body), expected) in table {
        assert_eq!((line.as_str(), body), (expected, Value::Null));
    }
}

#[test]
fn what_is_sent_along() {
    let shop = shop();
    let config: Config = serde_json::from_value(json!({ "image": "shop:1", "odd": [1] })).unwrap();
    let app = CreateApp {
        name: "shop",
        org_slug: "acme",
    };
    let first = CreateMachine {
        config: &config,
        region: None,
        skip_service_registration: false,
        lease_ttl: None,
    };
    let beside = CreateMachine {
        region: Some("fra"),
        skip_service_registration: true,
        lease_ttl: Some(60),
        ..first
    };
    let update = UpdateMachine {
        config: &config,
        current_version: Some("01H"),
        skip_launch: false,
    };
    let asleep = UpdateMachine {
        current_version: None,
        skip_launch: true,
        ..update
    };
    let shown = json!({ "image": "shop:1", "odd": [1] });
    let machines = "POST /apps/sh%2Fop%3F/machines";
    let machine = "POST /apps/sh%2Fop%3F/machines/m%231";
    let lease_body = json!({ "ttl": 60, "description": "a change by ops-fly" });
    let secrets = BTreeMap::from([("A_B", "v/1?")]);
    let table = [
        (
            sent(&assign_address(&shop, "v6")),
            "POST /apps/sh%2Fop%3F/ip_assignments".to_owned(),
            json!({ "type": "v6" }),
        ),
        (
            sent(&create_app(&app)),
            "POST /apps".to_owned(),
            json!({ "name": "shop", "org_slug": "acme" }),
        ),
        (
            sent(&create_certificate(&shop, "a.example")),
            "POST /apps/sh%2Fop%3F/certificates/acme".to_owned(),
            json!({ "hostname": "a.example" }),
        ),
        (
            sent(&create_machine(&shop, &first)),
            machines.to_owned(),
            json!({ "config": shown }),
        ),
        (
            sent(&create_machine(&shop, &beside)),
            machines.to_owned(),
            json!({
                "config": shown, "region": "fra", "skip_service_registration": true,
                "lease_ttl": 60,
            }),
        ),
        (
            sent(&lease(at(&shop), 60)),
            format!("{machine}/lease"),
            lease_body,
        ),
        (
            sent(&set_secrets(&shop, &secrets)),
            "POST /apps/sh%2Fop%3F/secrets".to_owned(),
            json!({ "values": { "A_B": "v/1?" } }),
        ),
        (sent(&stop(at(&shop))), format!("{machine}/stop"), json!({})),
        (
            sent(&update_machine(at(&shop), &update)),
            machine.to_owned(),
            json!({ "config": shown, "current_version": "01H" }),
        ),
        (
            sent(&update_machine(at(&shop), &asleep)),
            machine.to_owned(),
            json!({ "config": shown, "skip_launch": true }),
        ),
    ];
    for ((line, body), expected, expected_body) in table {
        assert_eq!((line, body), (expected, expected_body));
    }
}

#[test]
fn what_is_asked_of_graphql() {
    let release = CreateRelease {
        app_id: "shop",
        image: "shop:1",
        platform_version: "machines",
        strategy: "BLUEGREEN",
        definition: json!({}),
    };
    let table = [
        (
            sent(list_releases(&shop()).first()),
            json!({ "name": "sh/op?", "first": 50, "after": null }),
        ),
        (
            sent(&create_release(&release)),
            json!({ "input": {
                "appId": "shop", "image": "shop:1", "platformVersion": "machines",
                "strategy": "BLUEGREEN", "definition": {},
            } }),
        ),
        (
            sent(&update_release("r1", "complete")),
            json!({ "input": { "releaseId": "r1", "status": "complete" } }),
        ),
    ];
    for ((line, body), variables) in table {
        assert_eq!(line, "POST /graphql");
        assert_eq!(body.get("variables"), Some(&variables));
    }
}

#[test]
fn only_what_may_be_repeated_is_repeated() {
    use ops_http::Idempotency::{Idempotent, Once, Safe};
    for (operation, class) in [
        (&APP, Safe),
        (&UPDATE_RELEASE, Idempotent),
        (&CREATE_RELEASE, Once),
        (&CREATE_MACHINE, Once),
        (&UPDATE_MACHINE, Once),
        (&CREATE_APP, Once),
        (&ASSIGN_ADDRESS, Once),
        (&LEASE_MACHINE, Once),
        (&SET_SECRETS, Idempotent),
    ] {
        assert_eq!(operation.class(), class, "{}", operation.id());
    }
}
