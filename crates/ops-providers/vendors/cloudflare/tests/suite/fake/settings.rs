//! The settings of a zone, as far as they are about TLS.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Zone, failure, success};

/// Those of a zone that was just made.
pub(super) fn new() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("ssl", json!("full")),
        ("min_tls_version", json!("1.0")),
        ("http3", json!("off")),
        ("always_use_https", json!("off")),
        (
            "security_header",
            json!({"strict_transport_security": {
                "enabled": false, "max_age": 0, "include_subdomains": false, "preload": false, "nosniff": true,
            }}),
        ),
    ])
}

impl Zone {
    pub(super) fn setting(&self, name: &str) -> Answer {
        match self.settings.get(name) {
            Some(value) => success(&json!({
                "id": name, "value": value, "editable": true, "modified_on": "2026-01-02T03:04:05Z",
            })),
            None => failure(400, 1003, "Undefined zone setting"),
        }
    }

    pub(super) fn edit(&mut self, name: &str, body: &Value) -> Answer {
        if let Some(value) = self.settings.get_mut(name) {
            *value = body["value"].clone();
        }
        self.setting(name)
    }
}
