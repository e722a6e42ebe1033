//! The GraphQL API of the fake: releases.

use serde_json::{Value, json};

use super::state::{Release, State};

/// How many releases a page has, whatever was asked for.
const PAGE: usize = 3;

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    App,
    CreateRelease,
    UpdateRelease,
}

impl Call {
    pub(super) fn of(body: &Value) -> Self {
        let document = body["query"].as_str().unwrap_or_default();
        if document.contains("createRelease(") {
            Self::CreateRelease
        } else if document.contains("updateRelease(") {
            Self::UpdateRelease
        } else {
            Self::App
        }
    }

    pub(super) fn field(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::CreateRelease => "createRelease",
            Self::UpdateRelease => "updateRelease",
        }
    }
}

pub(super) fn answer(state: &mut State, body: &Value) -> Value {
    let variables = &body["variables"];
    let input = &variables["input"];
    match Call::of(body) {
        Call::App => app(state, variables),
        Call::CreateRelease => create(state, input),
        Call::UpdateRelease => update(state, input),
    }
}

fn app(state: &State, variables: &Value) -> Value {
    let Some(app) = state.apps.iter().find(|it| variables["name"] == it.name) else {
        return json!({ "data": { "app": null }, "errors": [{
            "message": "Could not find App", "path": ["app"],
            "extensions": { "code": "NOT_FOUND" },
        }] });
    };
    let after = variables["after"].as_str().and_then(|it| it.parse().ok());
    let begin: usize = after.unwrap_or(0);
    let end = (begin + PAGE).min(app.releases.len());
    let numbered: Vec<_> = (1..).zip(&app.releases).collect();
    let nodes: Vec<Value> = numbered
        .iter()
        .rev()
        .skip(begin)
        .take(PAGE)
        .map(|(version, it)| release(*version, it))
        .collect();
    json!({ "data": { "app": {
        "hostname": format!("{}.fly.dev", app.name),
        "createdAt": app.created_at.to_string(),
        "releases": {
            "nodes": nodes,
            "pageInfo": { "endCursor": end.to_string(), "hasNextPage": end < app.releases.len() },
        },
    } } })
}

fn release(version: u64, release: &Release) -> Value {
    json!({
        "id": release.id, "version": version, "status": release.status,
        "imageRef": release.image, "createdAt": release.at.to_string(),
        "updatedAt": release.at.to_string(),
    })
}

fn create(state: &mut State, input: &Value) -> Value {
    let (serial, at) = (state.serial(), state.now());
    let Some(app) = state.apps.iter_mut().find(|it| input["appId"] == it.name) else {
        return json!({ "data": null, "errors": [{ "message": "Could not find App" }] });
    };
    app.releases.push(Release {
        id: format!("rel{serial}"),
        status: "pending".to_owned(),
        image: input["image"].as_str().unwrap().to_owned(),
        at,
    });
    let version = u64::try_from(app.releases.len()).unwrap();
    let told = release(version, app.releases.last().unwrap());
    json!({ "data": { "createRelease": { "release": told } } })
}

fn update(state: &mut State, input: &Value) -> Value {
    let releases = state.apps.iter_mut().flat_map(|it| &mut it.releases);
    let Some(release) = releases.into_iter().find(|it| input["releaseId"] == it.id) else {
        return json!({ "data": null, "errors": [{ "message": "Could not find Release" }] });
    };
    input["status"]
        .as_str()
        .unwrap()
        .clone_into(&mut release.status);
    json!({ "data": { "updateRelease": { "release": { "id": release.id } } } })
}
