//! What the fake answers, in the shapes of Fly's descriptions.

use ops_core::Timestamp;
use serde_json::{Value, json};

use super::state::{App, Certificate, Machine};

pub(super) fn app(app: &App) -> Value {
    let present = app.machines.iter().filter(|it| it.state != "destroyed");
    let count = present.count();
    json!({
        "id": app.name,
        "name": app.name,
        "internal_numeric_id": 7,
        "machine_count": count,
        "volume_count": 0,
        "network": "default",
        "status": if count == 0 { "pending" } else { "deployed" },
        "organization": { "name": "Acme", "slug": app.organization, "internal_numeric_id": 3 },
    })
}

pub(super) fn machine(machine: &Machine) -> Value {
    let image = machine.config["image"].as_str().unwrap_or_default();
    let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    json!({
        "id": machine.id,
        "name": format!("aged-thunder-{}", machine.id),
        "state": machine.state,
        "region": machine.region,
        "instance_id": machine.instance_id,
        "private_ip": "fdaa:0:18:a7b:196:e274:9ce1:2",
        "config": machine.config,
        "image_ref": { "registry": "registry.example", "repository": repository, "tag": tag },
        "checks": machine.checks(),
        "created_at": "2026-11-20T01:02:03Z",
        "updated_at": "2026-11-20T01:02:03Z",
        "events": [{
            "id": "01EV", "type": "launch", "status": "created", "source": "user",
            "timestamp": 1_699_408_350_300_u64,
        }],
        "host_status": "ok",
    })
}

pub(super) fn certificate(app: &str, certificate: &Certificate) -> Value {
    let Certificate { hostname, checks } = certificate;
    let is_issued = *checks > 1;
    let entry = json!({
        "source": "fly", "status": "active", "created_at": "2026-11-20T01:02:03Z",
        "expires_at": "2027-02-20T01:02:03Z",
        "issued": [{
            "type": "ecdsa", "expires_at": "2027-02-20T01:02:03Z",
            "certificate_authority": "lets_encrypt",
        }],
    });
    json!({
        "hostname": hostname,
        "configured": *checks > 0,
        "acme_requested": true,
        "status": if is_issued { "active" } else { "pending_validation" },
        "dns_provider": "enom",
        "certificates": if is_issued { vec![entry] } else { vec![] },
        "validation": {
            "dns_configured": *checks > 0, "alpn_configured": *checks > 0,
            "http_configured": *checks > 0, "ownership_txt_configured": false,
        },
        "dns_requirements": {
            "a": ["137.66.0.1"],
            "aaaa": ["2a09:8280:1::1"],
            "cname": format!("{app}.fly.dev"),
            "acme_challenge": {
                "name": format!("_acme-challenge.{hostname}"),
                "target": format!("{hostname}.abcde.flydns.net"),
            },
            "ownership": {
                "name": format!("_fly-ownership.{hostname}"),
                "app_value": "app-abcdefghij",
                "org_value": "org-abcdefghij",
            },
        },
        "validation_errors": [],
    })
}

/// As a listing has it: without the records.
pub(super) fn summary(certificate: &Certificate) -> Value {
    json!({
        "hostname": certificate.hostname,
        "status": if certificate.checks > 1 { "active" } else { "pending_validation" },
        "configured": certificate.checks > 0,
        "acme_requested": true,
        "created_at": "2026-11-20T01:02:03Z",
    })
}

pub(super) fn secret(name: &str, value: Option<&str>, at: Timestamp) -> Value {
    let mut told = json!({
        "name": name, "digest": "b9e37b7b239a4aef", "created_at": at.to_string(),
        "updated_at": at.to_string(),
    });
    if let Some(value) = value {
        told["value"] = value.into();
    }
    told
}
