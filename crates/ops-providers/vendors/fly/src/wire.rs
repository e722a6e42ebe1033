//! Fly that refuses, breaks and talks nonsense.
//!
//! Some requests are steps of a deployment whose failure ends up in its answer, or is coped
//! with: these are executed by themselves, which is why this table is inside of the crate.
//! What a deployment makes of a step that fails is tested with the rollout.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use ops_conformance::wire::{Endpoint, Failure, Page, Sample, Wire};
use ops_core::hosting::{
    AppSecrets as _, CreateAppRequest, CreateApps as _, DeployRequest, DeploySource, Domains as _,
    EnvKey, EnvVars as _, Hosting as _, LogQuery, Logs as _, PlainEnv, Replicas, Restart as _,
    Scale as _, ScaleRequest,
};
use ops_core::id::{AppId, DomainId};
use ops_core::{Result, Secret};
use ops_http::test_util::{Recorded, Reply, respond};
use ops_http::{ApiRequest, Paging};
use serde_json::{Value, json};

use crate::Fly;
use crate::api::{self, At, OPERATIONS};

fn fly(at: &Endpoint) -> Fly {
    Fly::builder(at.token())
        .base_url(at.base_url())
        .platform_url(at.base_url())
        .allow_http(true)
        .http_client(at.http_client())
        .limits(at.limits())
        .retry(at.retry())
        .interval(Duration::from_millis(1))
        .build()
        .unwrap()
}

fn wire() -> Wire<Fly> {
    let wire = Wire::new(OPERATIONS, fly)
        .failures(failure)
        .identified_by(mutation);
    let wire = releases(machines(secrets(domains(apps(wire)))));
    app_steps(machine_steps(wire))
}

fn apps(wire: Wire<Fly>) -> Wire<Fly> {
    let apps = json!({ "apps": [{ "name": "shop", "status": "deployed", "machine_count": 1 }] });
    wire.call("Apps_create", respond(201), |fly, it| async move {
        fly.create_app(CreateAppRequest::new(it.id())).await
    })
    .ignores_answer()
    .call("Apps_delete", respond(202), |fly, it| async move {
        fly.delete_app(&app(it)).await
    })
    .absent_is_success()
    .ignores_answer()
    .call("Apps_list", respond(200).json(&apps), |fly, _| {
        fly.list_apps().try_collect::<Vec<_>>()
    })
    .call("logs", respond(200).json(&log()), |fly, it| {
        let lines = fly.logs(&app(it), LogQuery::default().with_tail(10));
        lines.try_collect::<Vec<_>>()
    })
}

fn domains(wire: Wire<Fly>) -> Wire<Fly> {
    let shown = respond(200).json(&certificate("shop.example"));
    wire.call(
        "App_Certificates_acme_create",
        respond(201).json(&certificate("shop.example")),
        |fly, it| async move { fly.add_domain(&app(it), "shop.example").await },
    )
    .call(
        "App_Certificates_check",
        shown.clone(),
        |fly, it| async move { fly.check_domain(&app(it), &domain(it)).await },
    )
    .call(
        "App_Certificates_delete",
        respond(204),
        |fly, it| async move { fly.remove_domain(&app(it), &domain(it)).await },
    )
    .absent_is_success()
    .ignores_answer()
    .call(
        "App_Certificates_list",
        certificates(&Page::last(0)),
        |fly, it| fly.list_domains(&app(it)).try_collect::<Vec<_>>(),
    )
    .paged(Paging::Cursor("cursor"), certificates)
    .call("App_Certificates_show", shown, |fly, it| async move {
        fly.domain(&app(it), &domain(it)).await
    })
}

fn secrets(wire: Wire<Fly>) -> Wire<Fly> {
    let listed = json!({ "secrets": [{ "name": "API_TOKEN", "updated_at": INSTANT }] });
    wire.call("Secret_delete", respond(204), |fly, it| async move {
        let keys = vec![EnvKey::new("API_TOKEN")?];
        fly.remove_secrets(&app(it), keys).await
    })
    .absent_is_success()
    .ignores_answer()
    .call(
        "Secrets_list",
        respond(200).json(&listed),
        |fly, it| async move { fly.list_secrets(&app(it)).await },
    )
    .call("Secrets_update", respond(200), |fly, it| async move {
        let secrets = [(EnvKey::new("DB_PASSWORD")?, Secret::from("hunter2"))];
        fly.set_secrets(&app(it), secrets.into()).await
    })
    .ignores_answer()
}

fn machines(wire: Wire<Fly>) -> Wire<Fly> {
    wire.call(
        "Machines_create",
        respond(200).json(&machine("m2")),
        |fly, it| async move {
            let two = ScaleRequest::default().with_replicas(Replicas::Total(2));
            fly.set_scale(&app(it), two).await
        },
    )
    .call("Machines_create_lease", lease(), |fly, it| async move {
        fly.restart(&app(it)).await
    })
    .call(
        "Machines_list",
        respond(200).json(&json!([machine("m1")])),
        |fly, it| async move { fly.scale_state(&app(it)).await },
    )
    .call("Machines_restart", respond(200), |fly, it| async move {
        fly.restart(&app(it)).await
    })
    .ignores_answer()
    .call(
        "Machines_update",
        respond(200).json(&machine("m1")),
        |fly, it| async move {
            let env = PlainEnv::new([("MODE", "fast")])?;
            fly.set_env(&app(it), env).await
        },
    )
}

fn releases(wire: Wire<Fly>) -> Wire<Fly> {
    let created = json!({ "data": { "createRelease": { "release": release("r2") } } });
    wire.call("app", listed(&Page::last(0)), |fly, it| {
        fly.list_deployments(&app(it)).try_collect::<Vec<_>>()
    })
    .paged(Paging::BodyCursor("/variables/after"), listed)
    .call(
        "createRelease",
        respond(200).json(&created),
        |fly, it| async move {
            let request = DeployRequest::new(DeploySource::image("shop:2"));
            fly.deploy(&app(it), request).await
        },
    )
}

/// Requests about a machine that are never alone.
fn machine_steps(mut wire: Wire<Fly>) -> Wire<Fly> {
    for (id, step) in [
        ("Machines_cordon", api::cordon as fn(At<'_>) -> ApiRequest),
        ("Machines_release_lease", api::release_lease),
        ("Machines_stop", api::stop),
        ("Machines_uncordon", api::uncordon),
        ("Machines_wait", |at| {
            api::wait(at, None, "started", Duration::from_secs(1))
        }),
    ] {
        wire = wire
            .call(id, respond(200), move |fly, it| async move {
                let app = app(it);
                run(fly, step(at(&app, it))).await
            })
            .ignores_answer();
    }
    wire.call("Machines_create_lease", lease(), |fly, it| async move {
        // One that is held already is prolonged.
        let (app, nonce) = (app(it), Secret::from("n1"));
        let held = At {
            nonce: Some(&nonce),
            ..at(&app, it)
        };
        run(fly, api::lease(held, 60)).await
    })
    .repeatable()
    .call("Machines_delete", respond(200), |fly, it| async move {
        let app = app(it);
        run(fly, api::delete_machine(at(&app, it))).await
    })
    .absent_is_success()
    .ignores_answer()
    .call(
        "Machines_show",
        respond(200).json(&machine("m1")),
        |fly, it| async move {
            let app = app(it);
            run(fly, api::show_machine(at(&app, it))).await
        },
    )
}

/// Requests about an app that are never alone.
fn app_steps(wire: Wire<Fly>) -> Wire<Fly> {
    let addresses = json!({ "ips": [{ "ip": "192.0.2.1", "shared": true }] });
    let shown = json!({ "name": "shop", "organization": { "slug": "personal" } });
    let secret = json!({ "name": "OPS_STAGED_ENV", "value": "{}" });
    let updated = json!({ "data": { "updateRelease": { "release": { "id": "r2" } } } });
    wire.call(
        "App_IPAssignments_create",
        respond(200),
        |fly, it| async move { run(fly, api::assign_address(&app(it), "v6")).await },
    )
    .ignores_answer()
    .call(
        "App_IPAssignments_list",
        respond(200).json(&addresses),
        |fly, it| async move { run(fly, api::list_addresses(&app(it))).await },
    )
    .call(
        "Apps_show",
        respond(200).json(&shown),
        |fly, it| async move { run(fly, api::show_app(&app(it))).await },
    )
    .call(
        "Secret_get",
        respond(200).json(&secret),
        |fly, it| async move { run(fly, api::get_secret(&app(it), it.id())).await },
    )
    .absent_is_success()
    .call(
        "updateRelease",
        respond(200).json(&updated),
        |fly, it| async move {
            let call = api::update_release(it.id(), "running");
            fly.inner.platform.execute(call).await
        },
    )
}

/// Executes a request to the Machines API by itself.
async fn run<T>(fly: Arc<Fly>, step: ApiRequest<T>) -> Result<T> {
    fly.inner.machines.execute(step).await
}

fn app(sample: Sample) -> AppId {
    AppId::new(sample.id()).unwrap()
}

fn domain(sample: Sample) -> DomainId {
    DomainId::new(sample.id()).unwrap()
}

fn at(app: &AppId, sample: Sample) -> At<'_> {
    At {
        app,
        machine: sample.id(),
        nonce: None,
    }
}

const INSTANT: &str = "2026-11-21T04:05:06Z";

fn machine(id: &str) -> Value {
    json!({
        "id": id,
        "name": "odd-name-1",
        "state": "started",
        "region": "ams",
        "instance_id": "v1",
        "config": { "image": "shop:1", "env": { "MODE": "slow" } },
        "checks": [{ "name": "servicecheck-00-http-8080", "status": "passing" }],
    })
}

fn lease() -> Reply {
    respond(201).json(&json!({ "nonce": "n1", "expires_at": 1_795_233_660 }))
}

fn release(id: &str) -> Value {
    json!({
        "id": id,
        "version": 1,
        "status": "complete",
        "imageRef": "shop:1",
        "createdAt": INSTANT,
        "updatedAt": INSTANT,
    })
}

fn certificate(name: &str) -> Value {
    json!({
        "hostname": name,
        "status": "active",
        "configured": true,
        "certificates": [{ "status": "active", "expires_at": INSTANT }],
        "dns_requirements": { "a": ["192.0.2.1"], "aaaa": [] },
    })
}

fn log() -> Value {
    let line = json!({
        "timestamp": INSTANT,
        "message": "ready",
        "level": "info",
        "instance": "m1",
        "meta": { "event": { "provider": "app" } },
    });
    json!({ "data": [{ "id": "1", "type": "log", "attributes": line }], "meta": { "next_token": "7" } })
}

fn certificates(page: &Page<'_>) -> Reply {
    let shown = certificate(&format!("shop{}.example", page.number));
    respond(200).json(&json!({ "certificates": [shown], "next_cursor": page.next }))
}

fn listed(page: &Page<'_>) -> Reply {
    let about = json!({ "endCursor": page.next, "hasNextPage": page.next.is_some() });
    let nodes = [release(&format!("r{}", page.number))];
    let app = json!({
        "hostname": "shop.fly.example",
        "createdAt": INSTANT,
        "releases": { "nodes": nodes, "pageInfo": about },
    });
    respond(200).json(&json!({ "data": { "app": app } }))
}

fn failure(failure: &Failure) -> Reply {
    respond(failure.status)
        .header("fly-request-id", failure.request_id)
        .json(&json!({ "error": failure.message, "status": "unknown" }))
}

/// What a document asks for is its first word behind the variables.
fn mutation(request: &Recorded) -> Option<String> {
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    let document = body.get("query")?.as_str()?;
    let (_, asked) = document.split_once('{')?;
    let (name, _) = asked.trim_start().split_once('(')?;
    Some(name.to_owned())
}

ops_conformance::wire!(wire());
