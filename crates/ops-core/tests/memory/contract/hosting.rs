//! The contract of `Hosting`. Each case is given a provider with every ability and an app
//! with nothing deployed.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use ops_core::hosting::{
    AppSettings, AppState, CertificateState, CreateAppRequest, DeployRequest, DeploySource,
    Deployment, DeploymentState, DomainState, EnvChange, EnvKey, Hosting, LogQuery, MachineSize,
    PlainEnv, Replicas, RollbackRequest, ScaleRequest,
};
use ops_core::id::{AppId, DeploymentId, DomainId, IdempotencyKey, Region};
use ops_core::object_store::DeleteOutcome;
use ops_core::{DeployOutcome, ErrorKind, HostingExt, Secret, WaitOptions};

use crate::support::all;

fn image(tag: &str) -> DeploySource {
    DeploySource::image(format!("registry.example/shop:{tag}"))
}

pub(crate) async fn release(hosting: &dyn Hosting, app: &AppId, tag: &str) -> Deployment {
    let request = DeployRequest::new(image(tag));
    let wait = WaitOptions::default();
    match hosting
        .deploy_and_wait(app, request, wait, tokio::time::sleep)
        .await
        .unwrap()
    {
        DeployOutcome::Live(deployment) => deployment,
        other => panic!("not live: {other:?}"),
    }
}

pub(crate) fn env_key(name: &str) -> EnvKey {
    EnvKey::new(name).unwrap()
}

pub(crate) async fn a_deployment_goes_live_and_takes_the_place_of_the_last(
    hosting: &dyn Hosting,
    app: &AppId,
) {
    assert_eq!(hosting.app(app).await.unwrap().state, AppState::Empty);
    let first = release(hosting, app, "1").await;
    let second = release(hosting, app, "2").await;
    let described = hosting.app(app).await.unwrap();
    assert_eq!(described.state, AppState::Running);
    assert_eq!(described.current_deployment.as_ref(), Some(&second.id));
    let first = hosting.deployment(app, &first.id).await.unwrap();
    assert_eq!(first.state, DeploymentState::Superseded);
    let listed: Vec<_> = all(hosting.list_deployments(app))
        .await
        .into_iter()
        .map(|d| d.id)
        .collect();
    assert_eq!(listed, [second.id, first.id]);
}

pub(crate) async fn the_live_version_serves_until_the_new_one_does(
    hosting: &dyn Hosting,
    app: &AppId,
) {
    let first = release(hosting, app, "1").await;
    let started = hosting
        .deploy(app, DeployRequest::new(image("2")))
        .await
        .unwrap();
    assert!(!started.state.is_terminal());
    let described = hosting.app(app).await.unwrap();
    assert_eq!(described.current_deployment, Some(first.id));
}

pub(crate) async fn one_idempotency_key_makes_one_deployment(hosting: &dyn Hosting, app: &AppId) {
    let key = IdempotencyKey::new("release-7").unwrap();
    let request = DeployRequest::new(image("1")).with_idempotency_key(key.clone());
    let first = hosting.deploy(app, request.clone()).await.unwrap();
    let again = hosting.deploy(app, request).await.unwrap();
    assert_eq!(first.id, again.id);
    assert_eq!(all(hosting.list_deployments(app)).await.len(), 1);
    let other = DeployRequest::new(image("2")).with_idempotency_key(key);
    assert_eq!(
        hosting.deploy(app, other).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
}

pub(crate) async fn what_is_missing_is_not_found(hosting: &dyn Hosting, app: &AppId) {
    let nobody = AppId::new("no-such-app").unwrap();
    let nothing = DeploymentId::new("no-such-deployment").unwrap();
    assert!(hosting.app(&nobody).await.unwrap_err().is_not_found());
    assert!(
        hosting
            .deployment(app, &nothing)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let request = DeployRequest::new(image("1"));
    assert!(
        hosting
            .deploy(&nobody, request)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let previous = DeployRequest::new(DeploySource::Previous(nothing));
    assert!(
        hosting
            .deploy(app, previous)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let mut listed = hosting.list_deployments(&nobody);
    assert!(listed.next().await.unwrap().unwrap_err().is_not_found());
    let mut logs = hosting
        .require_logs()
        .unwrap()
        .logs(&nobody, LogQuery::default());
    assert!(logs.next().await.unwrap().unwrap_err().is_not_found());
}

pub(crate) async fn deleting_an_app_twice_succeeds(hosting: &dyn Hosting, app: &AppId) {
    assert_ne!(
        hosting.delete_app(app).await.unwrap(),
        DeleteOutcome::AlreadyGone
    );
    assert_ne!(
        hosting.delete_app(app).await.unwrap(),
        DeleteOutcome::Deleted
    );
    assert!(hosting.app(app).await.unwrap_err().is_not_found());
    assert!(
        all(hosting.list_apps())
            .await
            .iter()
            .all(|listed| listed.id != *app)
    );
}

pub(crate) async fn an_app_is_made_once(hosting: &dyn Hosting, _: &AppId) {
    let apps = hosting.require_create_apps().unwrap();
    let key = IdempotencyKey::new("make-it").unwrap();
    let request = CreateAppRequest::new("another").with_idempotency_key(key);
    let made = apps.create_app(request.clone()).await.unwrap();
    assert_eq!(apps.create_app(request).await.unwrap().id, made.id);
    assert!(
        all(hosting.list_apps())
            .await
            .iter()
            .any(|listed| listed.id == made.id)
    );
    let err = apps
        .create_app(CreateAppRequest::new("another"))
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::AlreadyExists);
    assert_eq!(err.resource(), Some(made.id.as_str()));
}

pub(crate) async fn rolling_back_restores_the_previous_image(hosting: &dyn Hosting, app: &AppId) {
    let rollback = hosting.require_rollback().unwrap();
    let first = release(hosting, app, "1").await;
    release(hosting, app, "2").await;
    let started = rollback
        .roll_back(app, RollbackRequest::previous())
        .await
        .unwrap();
    let is_live = DeploymentState::is_live;
    let wait = WaitOptions::default();
    let ended = hosting
        .wait_until(app, &started.id, is_live, wait, tokio::time::sleep)
        .await;
    assert_eq!(ended.unwrap().source, Some(image("1")));
    let current = hosting.app(app).await.unwrap().current_deployment.unwrap();
    assert_eq!(current, started.id);

    let to = RollbackRequest::to(first.id);
    let again = rollback.roll_back(app, to).await.unwrap();
    assert_eq!(again.source, Some(image("1")));
}

pub(crate) async fn a_rollback_with_one_key_happens_once(hosting: &dyn Hosting, app: &AppId) {
    release(hosting, app, "1").await;
    release(hosting, app, "2").await;
    let rollback = hosting.require_rollback().unwrap();
    let key = IdempotencyKey::new("back").unwrap();
    let request = RollbackRequest::previous().with_idempotency_key(key);
    let first = rollback.roll_back(app, request.clone()).await.unwrap();
    let wait = WaitOptions::default();
    let is_live = DeploymentState::is_live;
    hosting
        .wait_until(app, &first.id, is_live, wait, tokio::time::sleep)
        .await
        .unwrap();
    let again = rollback.roll_back(app, request).await.unwrap();
    assert_eq!(first.id, again.id);
}

pub(crate) async fn there_is_nothing_to_go_back_to_before_the_second_release(
    hosting: &dyn Hosting,
    app: &AppId,
) {
    let rollback = hosting.require_rollback().unwrap();
    let previous = RollbackRequest::previous();
    assert!(
        rollback
            .roll_back(app, previous.clone())
            .await
            .unwrap_err()
            .is_not_found()
    );
    release(hosting, app, "1").await;
    assert!(
        rollback
            .roll_back(app, previous)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let queued = hosting
        .deploy(app, DeployRequest::new(image("2")))
        .await
        .unwrap();
    let never_live = rollback
        .roll_back(app, RollbackRequest::to(queued.id))
        .await
        .unwrap_err();
    assert_eq!(never_live.kind(), ErrorKind::Conflict);
}

pub(crate) async fn variables_and_secrets_are_never_mixed(hosting: &dyn Hosting, app: &AppId) {
    let (env, secrets) = (
        hosting.require_env_vars().unwrap(),
        hosting.require_app_secrets().unwrap(),
    );
    let refused = PlainEnv::new([("DATABASE_URL", "x"), ("PORT", "80")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);

    let plain = PlainEnv::new([("NODE_ENV", "production"), ("PORT", "8080")]).unwrap();
    assert_ne!(
        env.set_env(app, plain.clone()).await.unwrap(),
        EnvChange::Unchanged
    );
    assert_eq!(
        env.set_env(app, plain.clone()).await.unwrap(),
        EnvChange::Unchanged
    );
    let secret = BTreeMap::from([(env_key("DATABASE_URL"), Secret::from("postgres://a:b@c/d"))]);
    secrets.set_secrets(app, secret).await.unwrap();
    // A plain name does not make a secret plain.
    let secret = BTreeMap::from([(env_key("GREETING"), Secret::from("hidden"))]);
    secrets.set_secrets(app, secret).await.unwrap();

    assert_eq!(env.env(app).await.unwrap(), plain);
    let names: Vec<_> = secrets
        .list_secrets(app)
        .await
        .unwrap()
        .into_iter()
        .map(|info| info.key)
        .collect();
    assert_eq!(names, [env_key("DATABASE_URL"), env_key("GREETING")]);
    assert!(!format!("{hosting:?}").contains("hidden"));

    let over_secret = PlainEnv::new([("GREETING", "hello"), ("PORT", "1")]).unwrap();
    let conflict = env.set_env(app, over_secret).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    assert_eq!(env.env(app).await.unwrap(), plain);
    let over_plain = BTreeMap::from([(env_key("PORT"), Secret::from("1"))]);
    let conflict = secrets.set_secrets(app, over_plain).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
}

pub(crate) async fn removing_variables_leaves_secrets_alone(hosting: &dyn Hosting, app: &AppId) {
    let (env, secrets) = (
        hosting.require_env_vars().unwrap(),
        hosting.require_app_secrets().unwrap(),
    );
    env.set_env(app, PlainEnv::new([("PORT", "1")]).unwrap())
        .await
        .unwrap();
    let secret = BTreeMap::from([(env_key("API_KEY"), Secret::from("x"))]);
    secrets.set_secrets(app, secret).await.unwrap();
    let both = vec![env_key("PORT"), env_key("API_KEY"), env_key("NEVER_SET")];
    env.remove_env(app, both.clone()).await.unwrap();
    assert!(env.env(app).await.unwrap().is_empty());
    assert_eq!(secrets.list_secrets(app).await.unwrap().len(), 1);
    secrets.remove_secrets(app, both.clone()).await.unwrap();
    assert!(secrets.list_secrets(app).await.unwrap().is_empty());
    assert_eq!(
        secrets.remove_secrets(app, both).await.unwrap(),
        EnvChange::Unchanged
    );
}

pub(crate) async fn scaling_changes_what_is_asked_and_nothing_else(
    hosting: &dyn Hosting,
    app: &AppId,
) {
    let scale = hosting.require_scale().unwrap();
    let region = |name: &str| Region::new(name).unwrap();
    let request = ScaleRequest::default()
        .with_replicas(Replicas::Total(3))
        .with_size(MachineSize::named("shared-cpu-2x"))
        .with_regions(vec![region("fra"), region("lhr")]);
    scale.set_scale(app, request).await.unwrap();
    let more = ScaleRequest::default().with_replicas(Replicas::Auto { min: 1, max: 5 });
    let state = scale.set_scale(app, more).await.unwrap();
    assert_eq!(state.replicas, Replicas::Auto { min: 1, max: 5 });
    assert_eq!(state.size, Some(MachineSize::named("shared-cpu-2x")));
    assert_eq!(state.regions, [region("fra"), region("lhr")]);
    assert_eq!(scale.scale_state(app).await.unwrap(), state);
    let upside_down = ScaleRequest::default().with_replicas(Replicas::Auto { min: 5, max: 1 });
    let err = scale.set_scale(app, upside_down).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    assert_eq!(scale.scale_state(app).await.unwrap(), state);
}

pub(crate) async fn settings_of_a_deployment_take_effect_with_it(
    hosting: &dyn Hosting,
    app: &AppId,
) {
    let settings = AppSettings::default().with_replicas(Replicas::Total(4));
    let request = DeployRequest::new(image("1")).with_settings(settings);
    let started = hosting.deploy(app, request).await.unwrap();
    let scale = hosting.require_scale().unwrap();
    assert_ne!(
        scale.scale_state(app).await.unwrap().replicas,
        Replicas::Total(4)
    );
    let wait = WaitOptions::default();
    let is_live = DeploymentState::is_live;
    hosting
        .wait_until(app, &started.id, is_live, wait, tokio::time::sleep)
        .await
        .unwrap();
    assert_eq!(
        scale.scale_state(app).await.unwrap().replicas,
        Replicas::Total(4)
    );
}

pub(crate) async fn a_domain_is_added_verified_certified_and_removed(
    hosting: &dyn Hosting,
    app: &AppId,
) {
    let domains = hosting.require_domains().unwrap();
    let added = domains.add_domain(app, "Shop.Example").await.unwrap();
    assert_eq!(
        (added.name.as_str(), added.state.clone()),
        ("shop.example", DomainState::Pending)
    );
    assert!(!added.records.is_empty());
    assert_eq!(
        domains.add_domain(app, "shop.example").await.unwrap().id,
        added.id
    );
    let verified = domains.check_domain(app, &added.id).await.unwrap();
    assert_eq!(verified.state, DomainState::Verified);
    let certified = domains.check_domain(app, &added.id).await.unwrap();
    assert!(matches!(
        certified.certificate,
        CertificateState::Valid {
            expires_at: Some(_)
        }
    ));
    assert_eq!(all(domains.list_domains(app)).await, [certified]);

    let refused = domains.add_domain(app, "not a host").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    domains.remove_domain(app, &added.id).await.unwrap();
    domains.remove_domain(app, &added.id).await.unwrap();
    let missing = domains
        .domain(app, &DomainId::new("shop.example").unwrap())
        .await;
    assert!(missing.unwrap_err().is_not_found());
}

pub(crate) async fn a_restart_needs_something_that_runs(hosting: &dyn Hosting, app: &AppId) {
    let restart = hosting.require_restart().unwrap();
    assert_eq!(
        restart.restart(app).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    release(hosting, app, "1").await;
    restart.restart(app).await.unwrap();
}
