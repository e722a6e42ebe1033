//! What is Fly's own beside deployments: variables, secrets, logs, domains, restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use ops_core::hosting::{
    AppSecrets, AppState, CreateAppRequest, CreateApps, DeployRequest, DeploySource, Domains,
    EnvChange, EnvKey, EnvVars, Hosting, LogQuery, LogSource, Logs, PlainEnv, Replicas, Restart,
    Scale, ScaleRequest,
};
use ops_core::id::AppId;
use ops_core::{ErrorKind, Secret};

use crate::fake::{Fake, ORGANIZATION};

fn image(name: &str) -> DeployRequest {
    DeployRequest::new(DeploySource::image(name))
}

fn plain(name: &str, value: &str) -> PlainEnv {
    PlainEnv::new([(name, value)]).unwrap()
}

fn key(name: &str) -> EnvKey {
    EnvKey::new(name).unwrap()
}

#[tokio::test]
async fn an_app_is_described_by_its_machines_and_releases() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    let seen = fake.fly().app(&app).await.unwrap();
    assert_eq!(seen.state, AppState::Running);
    assert_eq!(seen.url.as_deref(), Some("https://shop.fly.dev"));
    assert_eq!(seen.regions[0].as_str(), "fra");
    for (state, expected) in [
        ("stopped", AppState::Stopped),
        ("suspended", AppState::Suspended),
        ("failed", AppState::Failed),
        ("migrating", AppState::Other("migrating".to_owned())),
    ] {
        state.clone_into(&mut fake.state().app("shop").machines[0].state);
        assert_eq!(fake.fly().app(&app).await.unwrap().state, expected);
    }
}

#[tokio::test]
async fn only_apps_of_the_organization_are_listed() {
    let fake = Fake::start();
    fake.app_with("shop:1").await;
    fake.state().add_app("theirs", "others");
    let apps: Vec<_> = fake.fly().list_apps().try_collect().await.unwrap();
    assert_eq!(apps.len(), 1);
    assert_eq!(
        (apps[0].name.as_str(), &apps[0].state),
        ("shop", &AppState::Running)
    );
}

#[tokio::test]
async fn a_name_that_somebody_else_has_is_not_called_ours() {
    let fake = Fake::start();
    fake.state().add_app("theirs", "others");
    let made = fake.fly().create_app(CreateAppRequest::new("theirs")).await;
    let err = made.unwrap_err();
    assert_eq!(
        (err.kind(), err.resource()),
        (ErrorKind::AlreadyExists, None)
    );
}

#[tokio::test]
async fn an_app_can_be_made_with_its_first_deployment() {
    let fake = Fake::start();
    let request = CreateAppRequest::new("shop").with_source(DeploySource::image("shop:1"));
    let made = fake.fly().create_app(request).await.unwrap();
    assert_eq!(made.state, AppState::Running);
    assert!(made.current_deployment.is_some());
}

#[tokio::test]
async fn variables_wait_for_the_first_machine_and_move_into_it() {
    let fake = Fake::start();
    fake.state().add_app("shop", ORGANIZATION);
    let app = AppId::new("shop").unwrap();
    let fly = fake.fly();
    let change = fly.set_env(&app, plain("MODE", "fast")).await.unwrap();
    assert_eq!(change, EnvChange::Staged);
    assert_eq!(fly.list_secrets(&app).await.unwrap(), []);
    fly.deploy(&app, image("shop:1")).await.unwrap();
    {
        let mut state = fake.state();
        assert_eq!(state.app("shop").live()[0].config["env"]["MODE"], "fast");
        assert!(
            state.app("shop").secrets.is_empty(),
            "the staged variables are left"
        );
    }
    let change = fly.set_env(&app, plain("MODE", "slow")).await.unwrap();
    assert_eq!(change, EnvChange::Applied);
    assert_eq!(
        fake.state().app("shop").live()[0].config["env"]["MODE"],
        "slow"
    );
}

#[tokio::test]
async fn staged_variables_survive_a_first_deployment_that_fails() {
    let fake = Fake::start();
    fake.state().add_app("shop", ORGANIZATION);
    let app = AppId::new("shop").unwrap();
    let fly = fake.fly();
    fly.set_env(&app, plain("MODE", "fast")).await.unwrap();
    fake.state().app("shop").doomed = 1;
    assert!(
        !fly.deploy(&app, image("shop:1"))
            .await
            .unwrap()
            .state
            .is_live()
    );
    assert_eq!(fly.env(&app).await.unwrap().get("MODE"), Some("fast"));
    fly.remove_env(&app, vec![key("MODE")]).await.unwrap();
    assert!(fake.state().app("shop").secrets.is_empty());
}

#[tokio::test]
async fn the_secret_of_staged_variables_is_not_for_others() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    let staged = BTreeMap::from([(key("OPS_STAGED_ENV"), Secret::from("{}"))]);
    let fly = fake.fly();
    let err = fly.set_secrets(&app, staged).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
    let err = fly
        .remove_secrets(&app, vec![key("OPS_STAGED_ENV")])
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn secrets_wait_for_a_restart_and_go_one_by_one() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    let fly = fake.fly();
    let both = [("API_TOKEN", "1"), ("DB_PASSWORD", "2")];
    let both = both.map(|(name, value)| (key(name), Secret::from(value)));
    let change = fly.set_secrets(&app, BTreeMap::from(both)).await.unwrap();
    assert_eq!(change, EnvChange::Staged);
    let change = fly
        .remove_secrets(&app, vec![key("API_TOKEN")])
        .await
        .unwrap();
    assert_eq!(change, EnvChange::Staged);
    let left: Vec<_> = fake.state().app("shop").secrets.keys().cloned().collect();
    assert_eq!(left, ["DB_PASSWORD"]);
    let listed = fly.list_secrets(&app).await.unwrap();
    assert!(listed[0].updated_at.is_some());
}

#[tokio::test]
async fn machines_restart_one_after_another_and_sleepers_sleep_on() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    let fly = fake.fly();
    let three = ScaleRequest::default().with_replicas(Replicas::Total(3));
    fly.set_scale(&app, three).await.unwrap();
    for machine in &mut fake.state().app("shop").machines {
        "started".clone_into(&mut machine.state);
    }
    "stopped".clone_into(&mut fake.state().app("shop").machines[1].state);
    let earlier = fake.requests().len();
    fly.restart(&app).await.unwrap();
    let restarts: Vec<_> = fake
        .state()
        .app("shop")
        .machines
        .iter()
        .map(|it| it.restarts)
        .collect();
    assert_eq!(restarts, [1, 0, 1]);
    let seen = fake.requests_since(earlier);
    let restarts: Vec<_> = (0..seen.len())
        .filter(|at| seen[*at].ends_with("/restart"))
        .collect();
    let between = &seen[restarts[0]..restarts[1]];
    assert!(between.iter().any(|it| it.ends_with("/wait")), "{seen:?}");
}

#[tokio::test]
async fn a_log_is_read_page_by_page_and_followed() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    for number in 0..5 {
        fake.state()
            .print("shop", &format!("line {number}\n"), "app");
    }
    fake.state().print("shop", "GET /", "proxy");
    fake.state().print("shop", "starting", "runner");
    fake.state().print("shop", "odd", "sidecar");
    let fly = fake.fly();
    let all: Vec<_> = fly
        .logs(&app, LogQuery::default())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(all.len(), 8);
    assert_eq!(all[0].message, "line 0");
    assert_eq!(all[0].level.as_deref(), Some("info"));
    let sources: Vec<_> = all.iter().skip(5).map(|it| it.source.clone()).collect();
    let odd = LogSource::Other("sidecar".to_owned());
    assert_eq!(sources, [LogSource::Request, LogSource::System, odd]);
    let errors = LogQuery::default().with_source(LogSource::Stderr);
    assert!(fly.logs(&app, errors).next().await.is_none());

    let query = LogQuery::default().with_tail(1).following();
    let mut follower = fly.logs(&app, query);
    assert_eq!(follower.next().await.unwrap().unwrap().message, "odd");
    fake.state().print("shop", "later", "app");
    assert_eq!(follower.next().await.unwrap().unwrap().message, "later");
    fake.state().apps.clear();
    assert!(follower.next().await.is_none());
}

#[tokio::test]
async fn the_last_lines_alone_are_asked_for_where_fly_has_them_at_hand() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    for number in 0..7 {
        fake.state().print("shop", &format!("line {number}"), "app");
    }
    let earlier = fake.requests().len();
    let lines: Vec<_> = fake
        .fly()
        .logs(&app, LogQuery::default().with_tail(2))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].message, "line 6");
    let pages = fake.requests_since(earlier);
    assert_eq!(pages.iter().filter(|it| it.ends_with("/logs")).count(), 1);
}

#[tokio::test]
async fn a_follower_ends_at_its_instant() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    fake.state().print("shop", "early", "app");
    let until = fake.state().now().saturating_add(Duration::from_secs(5));
    let query = LogQuery::default().with_until(until).following();
    let fly = fake.fly();
    let mut follower = fly.logs(&app, query);
    assert_eq!(follower.next().await.unwrap().unwrap().message, "early");
    fake.clock.advance(Duration::from_secs(6));
    assert!(follower.next().await.is_none());
}

#[tokio::test]
async fn many_domains_are_listed_and_a_missing_app_has_none() {
    let fake = Fake::start();
    let app = fake.app_with("shop:1").await;
    let fly = fake.fly();
    for number in 0..5 {
        let name = format!("Host{number}.Example.");
        let made = fly.add_domain(&app, &name).await.unwrap();
        assert_eq!(made.name, format!("host{number}.example"));
        let kinds: Vec<_> = made.records.iter().map(|it| it.kind.as_str()).collect();
        assert_eq!(kinds, ["A", "AAAA", "CNAME", "TXT"]);
    }
    let listed: Vec<_> = fly.list_domains(&app).try_collect().await.unwrap();
    assert_eq!(listed.len(), 5);
    let wild = fly.add_domain(&app, "*.shop.example").await.unwrap();
    assert_eq!(
        fly.domain(&app, &wild.id).await.unwrap().name,
        "*.shop.example"
    );
    let nobody = AppId::new("nobody").unwrap();
    let err = fly.remove_domain(&nobody, &wild.id).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
}
