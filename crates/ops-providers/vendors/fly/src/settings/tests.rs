//! What settings become.

use ops_core::hosting::AppSettings;

use super::*;

fn config(value: Value) -> Config {
    serde_json::from_value(value).unwrap()
}

fn written(settings: &AppSettings, before: Value) -> Value {
    let shape = Shape::of(settings.replicas.as_ref(), None).unwrap();
    let mut config = config(before);
    let changes = Changes::of(settings, &shape).unwrap();
    changes.write(&mut config, 8080).unwrap();
    serde_json::to_value(config).unwrap()
}

#[test]
fn sizes_have_names_where_fly_has_one() {
    for (name, kind, cpus, memory_mb) in [
        ("shared-cpu-1x", "shared", 1, 256),
        ("shared-cpu-8x", "shared", 8, 2048),
        ("performance-1x", "performance", 1, 2048),
        ("performance-16x", "performance", 16, 32768),
    ] {
        let guest = guest_of(&MachineSize::named(name), None).unwrap();
        let expected = Guest {
            kind: kind.to_owned(),
            cpus,
            memory_mb,
        };
        assert_eq!(guest, expected);
        assert_eq!(guest.size(), MachineSize::named(name));
    }
    let odd = config(json!({ "guest": { "cpu_kind": "shared", "cpus": 1, "memory_mb": 512 } }));
    let expected = MachineSize::Resources {
        cpu_millis: 1000,
        memory_bytes: 512 << 20,
    };
    assert_eq!(Guest::of(&odd).size(), expected);
    let silent = Guest::of(&Config::default());
    assert_eq!(silent.size(), MachineSize::named("shared-cpu-1x"));
}

#[test]
fn bare_resources_leave_the_kind_of_processor() {
    let size = MachineSize::Resources {
        cpu_millis: 4000,
        memory_bytes: 8 << 30,
    };
    let settings = AppSettings::default().with_size(size);
    let before = json!({ "guest": { "cpu_kind": "performance", "cpus": 2, "gpus": 1 } });
    let expected = json!({
        "guest": { "cpu_kind": "performance", "cpus": 4, "memory_mb": 8192, "gpus": 1 },
    });
    assert_eq!(written(&settings, before), expected);
}

#[test]
fn what_is_not_asked_for_stays() {
    let before = json!({ "image": "a", "services": [{ "internal_port": 1, "autostop": true }] });
    assert_eq!(written(&AppSettings::default(), before.clone()), before);
}

#[test]
fn a_worker_gets_a_service_only_where_a_port_is_asked_for() {
    let check = AppSettings::default()
        .with_health_check(HealthCheck::new("/up").with_interval(Duration::from_millis(1500)));
    let told = written(&check, json!({}));
    assert_eq!(told.get("services"), None);
    let check = told.pointer("/checks/ops").unwrap();
    assert_eq!(check.get("port"), Some(&json!(8080)));
    assert_eq!(check.get("interval"), Some(&json!("1500ms")));

    let port = AppSettings::default().with_port(3000);
    let told = written(&port, json!({}));
    assert_eq!(
        told.pointer("/services/0/internal_port"),
        Some(&json!(3000))
    );
}

#[test]
fn a_number_of_machines_that_is_asked_for_does_not_sleep() {
    let total = AppSettings::default().with_replicas(Replicas::Total(2));
    for (autostop, expected) in [
        (json!("stop"), json!("off")),
        (json!("suspend"), json!("off")),
        (json!(true), json!("off")),
        (json!(false), json!(false)),
    ] {
        let told = written(&total, json!({ "services": [{ "autostop": autostop }] }));
        assert_eq!(told.pointer("/services/0/autostop"), Some(&expected));
    }
}

#[test]
fn policies_of_restarts_are_told_in_flys_words() {
    for (policy, expected) in [
        (RestartPolicy::Never, json!({ "policy": "no" })),
        (RestartPolicy::Always, json!({ "policy": "always" })),
        (
            RestartPolicy::OnFailure { max_retries: None },
            json!({ "policy": "on-failure" }),
        ),
    ] {
        let settings = AppSettings::default().with_restart(policy);
        assert_eq!(
            written(&settings, json!({})),
            json!({ "restart": expected })
        );
    }
}
