//! How deployments are carried out at Fly.

use std::collections::BTreeMap;

use ops_core::hosting::{
    AppSettings, DeployRequest, DeploySource, DeploymentState, HealthCheck, Hosting, MachineSize,
    Replicas, RestartPolicy, Rollback, RollbackRequest, Scale, ScaleRequest,
};
use ops_core::id::{AppId, IdempotencyKey, Region};
use ops_core::{ErrorKind, Retry};
use serde_json::{Value, json};

use crate::fake::{Fake, ORGANIZATION};

fn image(name: &str) -> DeployRequest {
    DeployRequest::new(DeploySource::image(name))
}

fn empty(fake: &Fake) -> AppId {
    fake.state().add_app("shop", ORGANIZATION);
    AppId::new("shop").unwrap()
}

fn config(fake: &Fake) -> Value {
    fake.state().app("shop").live()[0].config.clone()
}

#[tokio::test]
async fn a_first_deployment_makes_a_machine_that_can_be_reached() {
    let fake = Fake::start();
    fake.app_with("shop:1").await;
    let made = config(&fake);
    assert_eq!(
        made["guest"],
        json!({ "cpu_kind": "shared", "cpus": 1, "memory_mb": 256 })
    );
    assert_eq!(made["services"][0]["internal_port"], 8080);
    assert_eq!(made["metadata"]["fly_release_version"], "1");
    let mut state = fake.state();
    let addresses: Vec<_> = state
        .app("shop")
        .addresses
        .iter()
        .map(|it| it["shared"].clone())
        .collect();
    assert_eq!(addresses, [json!(true), json!(false)]);
}

#[tokio::test]
async fn settings_become_the_configuration_of_machines() {
    let fake = Fake::start();
    let app = empty(&fake);
    let settings = AppSettings::default()
        .with_regions(vec![
            Region::new("ams").unwrap(),
            Region::new("lhr").unwrap(),
        ])
        .with_size(MachineSize::named("performance-2x"))
        .with_replicas(Replicas::Auto { min: 1, max: 3 })
        .with_port(3000)
        .with_force_https(false)
        .with_health_check(HealthCheck::new("/health/ready"))
        .with_restart(RestartPolicy::OnFailure {
            max_retries: Some(4),
        });
    let request = image("shop:1")
        .with_settings(settings)
        .with_description("it is new");
    assert!(
        fake.fly()
            .deploy(&app, request)
            .await
            .unwrap()
            .state
            .is_live()
    );
    let made = config(&fake);
    assert_eq!(made["guest"]["memory_mb"], 4096);
    assert_eq!(
        made["restart"],
        json!({ "policy": "on-failure", "max_retries": 4 })
    );
    assert_eq!(made["metadata"]["ops_description"], "it is new");
    let service = &made["services"][0];
    assert_eq!(service["internal_port"], 3000);
    assert_eq!(service["ports"][0]["force_https"], false);
    assert_eq!(service["ports"][1].get("force_https"), None);
    assert_eq!(service["checks"][0]["path"], "/health/ready");
    assert_eq!(service["checks"][0]["interval"], "10s");
    assert_eq!(
        (&service["autostop"], &service["min_machines_running"]),
        (&json!("stop"), &json!(1))
    );
    let state = fake.fly().scale_state(&app).await.unwrap();
    assert_eq!(state.replicas, Replicas::Auto { min: 1, max: 3 });
    assert_eq!(state.regions.len(), 2);
}

#[tokio::test]
async fn what_this_crate_does_not_know_of_a_machine_survives_a_deployment() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    {
        let mut state = fake.state();
        let config = &mut state.app("shop").machines[0].config;
        config["init"] = json!({ "cmd": ["serve"], "swap_size_mb": 512 });
        config["metadata"]["team"] = "blue".into();
        config["guest"]["kernel_args"] = json!(["quiet"]);
        config["env"] = json!({ "API_TOKEN": "set by somebody else" });
    }
    let before = config(&fake);
    fake.fly().deploy(&app, image("shop:2")).await.unwrap();
    let after = config(&fake);
    for part in ["init", "guest", "env", "services"] {
        assert_eq!(after[part], before[part], "{part}");
    }
    assert_eq!(after["metadata"]["team"], "blue");
    assert_eq!(after["metadata"]["fly_release_version"], "2");
}

#[tokio::test]
async fn all_new_machines_are_healthy_before_an_old_one_goes() {
    let fake = Fake::start();
    let app = empty(&fake);
    let settings = AppSettings::default().with_replicas(Replicas::Total(3));
    let fly = fake.fly();
    fly.deploy(&app, image("shop:1").with_settings(settings))
        .await
        .unwrap();
    let earlier = fake.requests().len();
    fly.deploy(&app, image("shop:2")).await.unwrap();
    let seen = fake.requests_since(earlier);
    let last = |part: &str| seen.iter().rposition(|it| it.contains(part)).unwrap();
    let first = |part: &str| seen.iter().position(|it| it.contains(part)).unwrap();
    assert!(last("POST /apps/shop/machines") > 0);
    assert!(last("/uncordon") < first("updateRelease complete"));
    assert!(first("updateRelease complete") < first("/cordon"));
    assert_eq!(fake.state().app("shop").images(), ["shop:2"; 3]);
    assert_eq!(fake.state().app("shop").present().len(), 3);
}

#[tokio::test]
async fn one_machine_of_three_that_fails_makes_the_deployment_fail() {
    let fake = Fake::start();
    let app = empty(&fake);
    let settings = AppSettings::default().with_replicas(Replicas::Total(3));
    let fly = fake.fly();
    fly.deploy(&app, image("shop:1").with_settings(settings))
        .await
        .unwrap();
    fake.state().app("shop").doomed = 1;
    let failed = fly.deploy(&app, image("shop:2")).await.unwrap();
    assert_eq!(failed.state, DeploymentState::Failed);
    assert_eq!(fake.state().app("shop").images(), ["shop:1"; 3]);
    assert_eq!(fake.state().app("shop").present().len(), 3);
}

#[tokio::test]
async fn a_machine_that_cannot_be_made_is_a_deployment_that_failed() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    fake.state().faults.push(("POST /apps/shop/machines", 422));
    // The lease is a machine's, and is not what is meant.
    let failed = fake.fly().deploy(&app, image("shop:2")).await;
    match failed {
        Ok(failed) => assert_eq!(failed.state, DeploymentState::Failed),
        Err(err) => assert_eq!(err.status(), Some(422)),
    }
    assert_eq!(fake.state().app("shop").images(), ["shop:1"]);
}

#[tokio::test]
async fn what_cannot_be_undone_is_an_unknown_outcome_and_the_next_one_tidies_up() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    {
        let mut state = fake.state();
        state.app("shop").doomed = 1;
        state.faults.push(("DELETE /apps/shop/machines", 403));
    }
    let err = fake.fly().deploy(&app, image("shop:2")).await.unwrap_err();
    assert_eq!(err.retry(), Retry::OutcomeUnknown, "{err:?}");
    assert!(err.message().contains("the next deployment"), "{err}");
    assert_eq!(fake.state().app("shop").present().len(), 2);
    fake.fly().deploy(&app, image("shop:3")).await.unwrap();
    let mut state = fake.state();
    assert_eq!(state.app("shop").images(), ["shop:3"]);
    assert_eq!(state.app("shop").present().len(), 1);
    assert_eq!(
        state.app("shop").statuses(),
        ["complete", "interrupted", "complete"]
    );
}

#[tokio::test]
async fn a_machine_with_a_volume_is_updated_in_its_place_and_taken_back() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    fake.state().app("shop").machines[0].config["mounts"] =
        json!([{ "volume": "vol_1", "path": "/data" }]);
    let id = fake.state().app("shop").machines[0].id.clone();
    let fly = fake.fly();
    assert!(
        fly.deploy(&app, image("shop:2"))
            .await
            .unwrap()
            .state
            .is_live()
    );
    assert_eq!(fake.state().app("shop").live()[0].id, id);
    assert_eq!(fake.state().app("shop").images(), ["shop:2"]);

    let before = config(&fake);
    fake.state().app("shop").doomed = 1;
    let failed = fly.deploy(&app, image("shop:3")).await.unwrap();
    assert_eq!(failed.state, DeploymentState::Failed);
    let after = fake.state().app("shop").machines[0].config.clone();
    assert_eq!(fake.state().app("shop").machines[0].id, id);
    assert_eq!(after, before);

    let more = ScaleRequest::default().with_replicas(Replicas::Total(2));
    let err = fly.set_scale(&app, more).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn an_app_that_somebody_else_changes_is_left_alone() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    {
        let mut state = fake.state();
        let now = state.now();
        state.app("shop").machines[0].hold(now, 99, None);
    }
    let err = fake.fly().deploy(&app, image("shop:2")).await.unwrap_err();
    assert_eq!((err.kind(), err.status()), (ErrorKind::Conflict, Some(409)));
    assert_eq!(fake.state().app("shop").statuses(), ["complete"]);
    fake.clock.advance(std::time::Duration::from_secs(61));
    fake.fly().deploy(&app, image("shop:2")).await.unwrap();
}

#[tokio::test]
async fn two_deployments_at_once_never_mix() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    let (one, other) = (fake.fly(), fake.fly());
    let (one, other) = tokio::join!(
        one.deploy(&app, image("shop:2")),
        other.deploy(&app, image("shop:3")),
    );
    let done = [&one, &other].into_iter().filter(|it| it.is_ok()).count();
    assert!(done >= 1, "{one:?} {other:?}");
    for err in [one.err(), other.err()].into_iter().flatten() {
        assert_eq!(err.kind(), ErrorKind::Conflict, "{err:?}");
    }
    let images = fake.state().app("shop").images();
    assert_eq!(images.len(), 1, "{images:?}");
    assert_ne!(images, ["shop:1"]);
}

#[tokio::test]
async fn a_key_is_known_again_and_belongs_to_one_request() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    let fly = fake.fly();
    let key = || IdempotencyKey::new("k-1").unwrap();
    let first = fly
        .deploy(&app, image("shop:2").with_idempotency_key(key()))
        .await
        .unwrap();
    let again = fly
        .deploy(&app, image("shop:2").with_idempotency_key(key()))
        .await
        .unwrap();
    assert_eq!(first.id, again.id);
    let settings = AppSettings::default().with_port(9);
    let other = image("shop:2")
        .with_settings(settings)
        .with_idempotency_key(key());
    assert_eq!(
        fly.deploy(&app, other).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let back = RollbackRequest::previous().with_idempotency_key(key());
    assert_eq!(
        fly.roll_back(&app, back).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(fake.state().app("shop").releases.len(), 2);
}

#[tokio::test]
async fn releases_of_the_vendors_own_client_are_deployments_as_well() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    {
        let mut state = fake.state();
        let shop = state.app("shop");
        let mut theirs = shop.releases[0].clone();
        "rel-theirs".clone_into(&mut theirs.id);
        "shop:theirs".clone_into(&mut theirs.image);
        shop.releases.push(theirs);
        let config = &mut shop.machines[0].config;
        config["image"] = "shop:theirs".into();
        config["metadata"]["fly_release_id"] = "rel-theirs".into();
    }
    let fly = fake.fly();
    let current = fly.app(&app).await.unwrap().current_deployment.unwrap();
    assert_eq!(current.as_str(), "rel-theirs");
    let back = fly
        .roll_back(&app, RollbackRequest::previous())
        .await
        .unwrap();
    assert_eq!(back.source, Some(DeploySource::image("shop:1")));
    assert_eq!(fake.state().app("shop").images(), ["shop:1"]);
}

#[tokio::test]
async fn a_machine_that_their_client_has_changed_is_no_leftover_of_ours() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    {
        let mut state = fake.state();
        let shop = state.app("shop");
        let mut theirs = shop.releases[0].clone();
        "rel-theirs".clone_into(&mut theirs.id);
        "failed".clone_into(&mut theirs.status);
        shop.releases.push(theirs);
        shop.machines[0].config["metadata"]["fly_release_id"] = "rel-theirs".into();
    }
    let earlier = fake.requests().len();
    fake.fly().deploy(&app, image("shop:2")).await.unwrap();
    let seen = fake.requests_since(earlier);
    let at = |part: &str| seen.iter().position(|it| it.contains(part)).unwrap();
    assert!(
        at("DELETE /apps/shop/machines") > at("updateRelease complete"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn machines_are_spread_over_regions_as_asked() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    let fly = fake.fly();
    let region = |name| Region::new(name).unwrap();
    let each = BTreeMap::from([(region("ams"), 2), (region("lhr"), 1)]);
    let request = ScaleRequest::default().with_replicas(Replicas::PerRegion(each));
    let state = fly.set_scale(&app, request).await.unwrap();
    assert_eq!(state.replicas, Replicas::Total(3));
    assert_eq!(state.regions, [region("ams"), region("lhr")]);
    let mut fakes = fake.state();
    let mut regions: Vec<_> = fakes
        .app("shop")
        .present()
        .iter()
        .map(|it| it.region.clone())
        .collect();
    regions.sort();
    assert_eq!(regions, ["ams", "ams", "lhr"]);
}
