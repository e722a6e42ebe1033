//! The hosting account in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use ops_core::hosting::{
    AppState, DeployRequest, DeploySource, DeploymentState, EnvVars, Hosting, LogQuery, LogSource,
    PlainEnv, Replicas, ScaleRequest,
};
use ops_core::memory::MemoryHosting;
use ops_core::usage::{Currency, Money, UsageItem, UsageQuery, UsageUnit};
use ops_core::{DeployOutcome, Error, ErrorKind, HostingExt, Secret, WaitOptions};

use crate::support::{ManualClock, all, env_key, release};

mod conformance {
    use ops_conformance::memory::MemoryHostingFixture;

    ops_conformance::hosting!(MemoryHostingFixture::new());
}

#[tokio::test]
async fn a_deployment_advances_one_step_per_look() {
    let hosting = MemoryHosting::new();
    let app = hosting.seed_app("shop").unwrap();
    let source = DeploySource::commit("4f2a");
    let started = hosting
        .deploy(&app, DeployRequest::new(source))
        .await
        .unwrap();
    let mut seen = vec![started.state];
    for _ in 0..4 {
        seen.push(hosting.deployment(&app, &started.id).await.unwrap().state);
    }
    assert_eq!(
        seen,
        [
            DeploymentState::Queued,
            DeploymentState::Building,
            DeploymentState::Deploying,
            DeploymentState::Live,
            DeploymentState::Live,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_fails_says_why_and_changes_nothing() {
    let hosting = MemoryHosting::new();
    let app = hosting.seed_app("shop").unwrap();
    let first = release(&hosting, &app, "1").await;
    hosting.fail_next_deployment(&app, "out of memory").unwrap();
    let request = DeployRequest::new(DeploySource::image("shop:2"));
    let wait = WaitOptions::default();
    let outcome = hosting
        .deploy_and_wait(&app, request, wait, tokio::time::sleep)
        .await
        .unwrap();
    let DeployOutcome::NotLive(failed) = outcome else {
        panic!("it must not be live")
    };
    assert_eq!(failed.state, DeploymentState::Failed);
    assert_eq!(failed.message.as_deref(), Some("out of memory"));
    assert_eq!(
        hosting.app(&app).await.unwrap().current_deployment,
        Some(first.id)
    );
}

#[tokio::test]
async fn an_older_deployment_that_comes_up_late_does_not_take_over() {
    let hosting = MemoryHosting::new();
    let app = hosting.seed_app("shop").unwrap();
    let image = |tag: &str| DeployRequest::new(DeploySource::image(tag));
    let slow = hosting.deploy(&app, image("1")).await.unwrap().id;
    let fast = hosting.deploy(&app, image("2")).await.unwrap().id;
    for _ in 0..2 {
        hosting.deployment(&app, &fast).await.unwrap();
    }
    for _ in 0..2 {
        hosting.deployment(&app, &slow).await.unwrap();
    }
    assert_eq!(
        hosting.app(&app).await.unwrap().current_deployment,
        Some(fast)
    );
    let slow = hosting.deployment(&app, &slow).await.unwrap();
    assert_eq!(slow.state, DeploymentState::Superseded);
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_refused() {
    let hosting = MemoryHosting::new();
    let app = hosting.seed_app("shop").unwrap();
    for source in [
        DeploySource::Archive(PathBuf::from("no/such.tar.gz")),
        DeploySource::Directory(PathBuf::from("no/such")),
        DeploySource::Archive(PathBuf::from(env!("CARGO_MANIFEST_DIR"))),
    ] {
        let err = hosting
            .deploy(&app, DeployRequest::new(source))
            .await
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
    }
    let here = DeploySource::Directory(PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    hosting
        .deploy(&app, DeployRequest::new(here))
        .await
        .unwrap();
    assert_eq!(all(hosting.list_deployments(&app)).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn instances_see_changes_of_variables_after_a_restart_or_deployment() {
    let hosting = MemoryHosting::new();
    let app = hosting.seed_app("shop").unwrap();
    let secrets = hosting.require_app_secrets().unwrap();
    release(&hosting, &app, "1").await;
    hosting
        .set_env(&app, PlainEnv::new([("PORT", "1")]).unwrap())
        .await
        .unwrap();
    let token = BTreeMap::from([(env_key("API_TOKEN"), Secret::from("canary"))]);
    secrets.set_secrets(&app, token).await.unwrap();
    assert!(hosting.instance_env(&app).unwrap().is_empty());
    hosting
        .require_restart()
        .unwrap()
        .restart(&app)
        .await
        .unwrap();
    let seen = hosting.instance_env(&app).unwrap();
    assert_eq!(seen[&env_key("API_TOKEN")].expose(), "canary");
    assert_eq!(seen[&env_key("PORT")].expose(), "1");
    assert_eq!(hosting.restarts(&app).unwrap(), 1);

    secrets
        .remove_secrets(&app, vec![env_key("API_TOKEN")])
        .await
        .unwrap();
    assert_eq!(hosting.instance_env(&app).unwrap().len(), 2);
    release(&hosting, &app, "2").await;
    let seen: Vec<_> = hosting.instance_env(&app).unwrap().into_keys().collect();
    assert_eq!(seen, [env_key("PORT")]);
}

#[tokio::test(start_paused = true)]
async fn an_app_without_instances_is_suspended() {
    let hosting = MemoryHosting::new();
    let app = hosting.seed_app("shop").unwrap();
    release(&hosting, &app, "1").await;
    let none = ScaleRequest::default().with_replicas(Replicas::Total(0));
    let state = hosting
        .require_scale()
        .unwrap()
        .set_scale(&app, none)
        .await
        .unwrap();
    assert_eq!(state.running, Some(0));
    assert_eq!(hosting.app(&app).await.unwrap().state, AppState::Suspended);
}

#[tokio::test]
async fn a_domain_belongs_to_one_app() {
    let hosting = MemoryHosting::new();
    let (one, two) = (
        hosting.seed_app("one").unwrap(),
        hosting.seed_app("two").unwrap(),
    );
    let domains = hosting.require_domains().unwrap();
    domains.add_domain(&one, "shop.example").await.unwrap();
    let taken = domains.add_domain(&two, "shop.example").await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
}

fn printed() -> (Arc<ManualClock>, MemoryHosting, ops_core::id::AppId) {
    let clock = ManualClock::new();
    let hosting = MemoryHosting::with_clock(Arc::clone(&clock) as _);
    let app = hosting.seed_app("shop").unwrap();
    for number in 0..5 {
        let source = if number % 2 == 0 {
            LogSource::Stdout
        } else {
            LogSource::Stderr
        };
        hosting
            .print(&app, source, &format!("line {number}"))
            .unwrap();
        clock.advance(Duration::from_secs(1));
    }
    (clock, hosting, app)
}

async fn messages(
    hosting: &MemoryHosting,
    app: &ops_core::id::AppId,
    query: LogQuery,
) -> Vec<String> {
    let lines = hosting.require_logs().unwrap().logs(app, query);
    all(lines)
        .await
        .into_iter()
        .map(|line| line.message)
        .collect()
}

#[tokio::test]
async fn logs_are_filtered_by_time_source_and_number() {
    let (clock, hosting, app) = printed();
    let start = ops_core::Clock::now(&*clock).saturating_sub(Duration::from_secs(5));
    let second = |n: u64| start.saturating_add(Duration::from_secs(n));
    let query = LogQuery::default();
    assert_eq!(messages(&hosting, &app, query.clone()).await.len(), 5);
    let between = query.clone().with_since(second(1)).with_until(second(3));
    assert_eq!(
        messages(&hosting, &app, between).await,
        ["line 1", "line 2"]
    );
    let tail = query.clone().with_tail(2);
    assert_eq!(messages(&hosting, &app, tail).await, ["line 3", "line 4"]);
    let both = query.clone().with_source(LogSource::Stderr).with_tail(1);
    assert_eq!(messages(&hosting, &app, both).await, ["line 3"]);
    assert!(
        messages(&hosting, &app, query.with_tail(0))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn following_a_log_waits_for_the_next_line_and_ends_with_the_app() {
    let (_, hosting, app) = printed();
    let query = LogQuery::default().with_tail(1).following();
    let mut lines = hosting.require_logs().unwrap().logs(&app, query);
    assert_eq!(lines.next().await.unwrap().unwrap().message, "line 4");
    assert!(lines.next().now_or_never().is_none());

    let reader = tokio::spawn(async move { (lines.next().await.unwrap().unwrap(), lines) });
    tokio::task::yield_now().await;
    hosting.print(&app, LogSource::Stdout, "line 5").unwrap();
    let (line, mut lines) = reader.await.unwrap();
    assert_eq!(line.message, "line 5");

    let reader = tokio::spawn(async move { lines.next().await.is_none() });
    tokio::task::yield_now().await;
    hosting.delete_app(&app).await.unwrap();
    assert!(reader.await.unwrap());
}

#[tokio::test]
async fn lines_printed_while_reading_are_not_read_without_follow() {
    let (_, hosting, app) = printed();
    let mut lines = hosting
        .require_logs()
        .unwrap()
        .logs(&app, LogQuery::default());
    lines.next().await.unwrap().unwrap();
    hosting.print(&app, LogSource::Stdout, "later").unwrap();
    let rest: Vec<_> = lines.map(|line| line.unwrap().message).collect().await;
    assert_eq!(rest.last().unwrap(), "line 4");
}

#[tokio::test]
async fn usage_is_reported_against_the_budget() {
    let hosting = MemoryHosting::new();
    let cost = Money::from_cents(Currency::USD, 450);
    let item = UsageItem::new("egress", UsageUnit::Bytes, 9e9)
        .with_included(1e10)
        .with_cost(cost);
    hosting.set_usage(vec![item]);
    let query = UsageQuery::default().with_budget(Money::from_cents(Currency::USD, 500));
    let report = hosting.require_usage().unwrap().usage(query).await.unwrap();
    assert_eq!(report.cost, Some(cost));
    assert_eq!(report.budget_ratio(), Some(0.9));
    assert_eq!(report.items_above(0.8).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_its_deadline_with_what_was_seen() {
    let hosting = MemoryHosting::new();
    let app = hosting.seed_app("shop").unwrap();
    let request = DeployRequest::new(DeploySource::image("shop:1"));
    let started = hosting.deploy(&app, request).await.unwrap();
    let wait = WaitOptions::default().with_timeout(Duration::from_secs(30));
    let begin = tokio::time::Instant::now();
    let never = |_: &DeploymentState| false;
    let err: Error = hosting
        .wait_until(&app, &started.id, never, wait, tokio::time::sleep)
        .await
        .unwrap_err();
    assert_eq!(begin.elapsed(), Duration::from_secs(30));
    assert_eq!(err.kind(), ErrorKind::Timeout);
    assert_eq!(
        err.to_string(),
        "memory: hosting.wait_until: deployment deployment-2 was still live after 30 s"
    );
}
