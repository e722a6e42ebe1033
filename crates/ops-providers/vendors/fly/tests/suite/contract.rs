//! Every operation that this crate can send, held to Fly's own descriptions.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use ops_conformance::contract::{Answer, Coverage, Request, Sends, skipped};
use ops_core::hosting::{
    AppSecrets, AppSettings, CreateAppRequest, CreateApps, DeployRequest, DeploySource, Deployment,
    DeploymentState, Domains, EnvKey, EnvVars, HealthCheck, Hosting, LogQuery, Logs, MachineSize,
    PlainEnv, Replicas, Restart, RestartPolicy, Scale, ScaleRequest,
};
use ops_core::id::{AppId, DomainId, IdempotencyKey, Region};
use ops_core::{Error, ErrorKind, Result, Secret};
use ops_fly::Fly;
use ops_fly::api::OPERATIONS;

use crate::fake::{Described, Fake, ORGANIZATION};

/// What is there when an operation is tried: an app that runs, and one that is empty.
struct Scene {
    fly: Fly,
    app: AppId,
    empty: AppId,
    domain: DomainId,
}

type Drive = fn(&Scene) -> BoxFuture<'_, Result<()>>;

/// A call of the provider that sends the operation.
const DRIVES: &[(&str, Drive)] = &[
    ("App_Certificates_acme_create", |it| {
        async { it.fly.add_domain(&it.app, "new.example").await.map(drop) }.boxed()
    }),
    ("App_Certificates_check", |it| {
        async { it.fly.check_domain(&it.app, &it.domain).await.map(drop) }.boxed()
    }),
    ("App_Certificates_delete", |it| {
        async { it.fly.remove_domain(&it.app, &it.domain).await.map(drop) }.boxed()
    }),
    ("App_Certificates_list", |it| {
        let listing = it.fly.list_domains(&it.app).try_collect::<Vec<_>>();
        async { listing.await.map(drop) }.boxed()
    }),
    ("App_Certificates_show", |it| {
        async { it.fly.domain(&it.app, &it.domain).await.map(drop) }.boxed()
    }),
    ("App_IPAssignments_create", |it| {
        async { went(it.fly.deploy(&it.empty, request()).await) }.boxed()
    }),
    ("App_IPAssignments_list", |it| {
        async { went(it.fly.deploy(&it.empty, request()).await) }.boxed()
    }),
    ("Apps_create", |it| {
        let request = CreateAppRequest::new("new");
        async { it.fly.create_app(request).await.map(drop) }.boxed()
    }),
    ("Apps_delete", |it| {
        async { it.fly.delete_app(&it.app).await.map(drop) }.boxed()
    }),
    ("Apps_list", |it| {
        let listing = it.fly.list_apps().try_collect::<Vec<_>>();
        async { listing.await.map(drop) }.boxed()
    }),
    ("Apps_show", |it| {
        let request = CreateAppRequest::new(it.app.as_str());
        async {
            // The name is taken, and whose it is makes no other answer.
            match it.fly.create_app(request).await {
                Err(err) if err.kind() == ErrorKind::AlreadyExists => Ok(()),
                other => other.map(drop),
            }
        }
        .boxed()
    }),
    ("Machines_cordon", deploy),
    ("Machines_create", deploy),
    ("Machines_create_lease", deploy),
    ("Machines_delete", |it| {
        let one = ScaleRequest::default().with_replicas(Replicas::Total(1));
        async { it.fly.set_scale(&it.app, one).await.map(drop) }.boxed()
    }),
    ("Machines_list", |it| {
        async { it.fly.scale_state(&it.app).await.map(drop) }.boxed()
    }),
    ("Machines_release_lease", deploy),
    ("Machines_restart", |it| {
        async { it.fly.restart(&it.app).await }.boxed()
    }),
    ("Machines_show", deploy),
    ("Machines_stop", deploy),
    ("Machines_uncordon", deploy),
    ("Machines_update", |it| {
        let env = PlainEnv::new([("MODE", "größer/7?#%")]).unwrap();
        async { it.fly.set_env(&it.app, env).await.map(drop) }.boxed()
    }),
    ("Machines_wait", deploy),
    ("Secret_delete", |it| {
        let keys = vec![EnvKey::new("API_TOKEN").unwrap()];
        async { it.fly.remove_secrets(&it.app, keys).await.map(drop) }.boxed()
    }),
    ("Secret_get", |it| {
        async { it.fly.env(&it.empty).await.map(drop) }.boxed()
    }),
    ("Secrets_list", |it| {
        async { it.fly.list_secrets(&it.app).await.map(drop) }.boxed()
    }),
    ("Secrets_update", |it| {
        let secrets = [(EnvKey::new("API_TOKEN").unwrap(), Secret::from("ü/7?#%"))];
        async {
            let secrets = BTreeMap::from(secrets);
            it.fly.set_secrets(&it.app, secrets).await.map(drop)
        }
        .boxed()
    }),
    ("app", |it| {
        let listing = it.fly.list_deployments(&it.app).try_collect::<Vec<_>>();
        async { listing.await.map(drop) }.boxed()
    }),
    ("createRelease", deploy),
    ("updateRelease", deploy),
    ("logs", |it| {
        let listing = it.fly.logs(&it.app, LogQuery::default());
        async { listing.try_collect::<Vec<_>>().await.map(drop) }.boxed()
    }),
];

/// What an answer may lack by Fly's description, which requires nothing at all, and without
/// which it says nothing; and what is called a text, and is an instant or a name.
const ESSENTIAL: &[&str] = &[
    "lacks id",
    "lacks name",
    "lacks hostname",
    "field createRelease.release",
    "field nonce",
    "field value",
    "_at",
    "At",
    "timestamp",
    "hostname",
];

fn request() -> DeployRequest {
    let settings = AppSettings::default()
        .with_size(MachineSize::named("shared-cpu-2x"))
        .with_regions(vec![Region::new("ams").unwrap()])
        .with_replicas(Replicas::Auto { min: 1, max: 2 })
        .with_port(3000)
        .with_force_https(true)
        .with_health_check(HealthCheck::new("/ready?full=1"))
        .with_restart(RestartPolicy::OnFailure {
            max_retries: Some(3),
        });
    DeployRequest::new(DeploySource::image("registry.example/shop:ü@sha256:1"))
        .with_settings(settings)
        .with_description("what/ever?#%")
        .with_idempotency_key(IdempotencyKey::new("k-1").unwrap())
}

fn deploy(it: &Scene) -> BoxFuture<'_, Result<()>> {
    async { went(it.fly.deploy(&it.app, request()).await) }.boxed()
}

/// A deployment that failed is an answer; why, it tells as an error would.
fn went(outcome: Result<Deployment>) -> Result<()> {
    let deployment = outcome?;
    match (deployment.state, deployment.message) {
        (DeploymentState::Failed, Some(message)) => Err(Error::new(ErrorKind::Conflict, message)),
        _ => Ok(()),
    }
}

/// A fresh organization, and a provider whose limits are fresh, too.
fn scene(fake: &Fake) -> Scene {
    fake.reset();
    let app = AppId::new("shop").unwrap();
    {
        let mut state = fake.state();
        state.add_app("shop", ORGANIZATION);
        state.add_app("empty", ORGANIZATION);
        state.seed("shop");
    }
    Scene {
        fly: fake.fly(),
        app,
        empty: AppId::new("empty").unwrap(),
        domain: DomainId::new("shop.example").unwrap(),
    }
}

/// An answer is understood, or refused by the name of what is not.
async fn answered(fake: &Fake, drive: Drive, id: &str, answer: Answer) {
    let scene = scene(fake);
    let (status, allowed) = (answer.status, answer.allowed);
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let what = format!("{id}: {}: {body}", answer.label);
    let is_graphql_failure = body.contains("\"errors\"");
    fake.state().planned = Some((id.to_owned(), answer));
    let outcome = drive(&scene).await;
    assert!(fake.state().planned.is_none(), "{what}: never asked for");
    // Nothing else is held to what follows from an answer that was made up.
    fake.state().violations.clear();
    let Err(err) = outcome else {
        return;
    };
    if status >= 400 || is_graphql_failure {
        assert_ne!(err.kind(), ErrorKind::Decode, "{what}: {err:?}");
        return;
    }
    let is_named = err.message().contains("the field ") || err.message().contains(" lacks ");
    if err.kind() != ErrorKind::Decode && !is_named {
        // The answer is understood, and names what the fake does not have.
        assert!(
            matches!(
                err.kind(),
                ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::PermissionDenied
            ),
            "{what}: {err:?}"
        );
        return;
    }
    assert!(is_named, "{what}: {err:?}");
    let is_essential = ESSENTIAL.iter().any(|it| err.message().contains(it));
    assert!(!allowed || is_essential, "{what}: {err:?}");
}

#[tokio::test]
async fn every_operation_is_sent_and_every_answer_is_understood_or_refused_by_name() {
    let described = Described::find();
    let (Some(machines), Some(graphql)) = (&described.machines, &described.graphql) else {
        skipped("there is no description of Fly");
        return;
    };
    let sends = OPERATIONS.iter().map(|it| Sends {
        operation_id: it.id(),
        method: it.method().as_str(),
        path: it.template(),
        serves: it.served(),
    });
    let coverage = Coverage::new("fly", sends);
    let fake = Fake::start();
    for (id, drive) in DRIVES {
        drive(&scene(&fake)).await.unwrap();
        let sent = std::mem::take(&mut fake.state().sent);
        let mut last: Option<Request> = None;
        for request in sent {
            let path = request.path_and_query.split('?').next().unwrap_or_default();
            let description = described.of(path).unwrap();
            let checked = coverage.check(description, &request).unwrap();
            if checked.operation_id == *id {
                last = Some(request);
            }
        }
        let request = last.unwrap_or_else(|| panic!("{id} was not sent"));
        let description = [machines, graphql, &described.logs];
        let answers = description.iter().flat_map(|it| it.answers_to(&request));
        for answer in answers.collect::<Vec<_>>() {
            answered(&fake, *drive, id, answer).await;
            coverage.answered(id).unwrap();
        }
    }
    coverage.finish().unwrap();
}
