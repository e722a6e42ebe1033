//! Plain variables of an app that has no machine yet.
//!
//! Fly keeps variables in the configuration of machines and has no other place for them. Until
//! the first deployment they lie in one secret of the app, which this crate reads back.

use std::collections::BTreeMap;

use ops_core::id::AppId;
use ops_core::{ErrorKind, Result};

use crate::error::refuse;
use crate::{Fly, api};

/// The secret with the variables, as a JSON object.
pub(crate) const NAME: &str = "OPS_STAGED_ENV";

/// The variables that wait for the first machine, where some do.
pub(crate) async fn read(fly: &Fly, app: &AppId) -> Result<Option<BTreeMap<String, String>>> {
    let call = api::get_secret(app, NAME);
    let Some(secret) = fly.inner.machines.execute(call).await? else {
        return Ok(None);
    };
    let Some(value) = secret.value.filter(|value| !value.is_empty()) else {
        let text = format!("the token may not read the secret {NAME}, which holds the variables");
        return Err(refuse(ErrorKind::PermissionDenied, text).with_resource(app.as_str()));
    };
    serde_json::from_str(value.expose()).map(Some).map_err(|_| {
        let text = format!("the field value of the secret {NAME} does not hold variables");
        refuse(ErrorKind::Decode, text).with_resource(app.as_str())
    })
}

/// Keeps variables for the first machine.
pub(crate) async fn write(fly: &Fly, app: &AppId, env: &BTreeMap<String, String>) -> Result<()> {
    if env.is_empty() {
        return clear(fly, app).await;
    }
    let text = serde_json::to_string(env).map_err(|_| {
        refuse(
            ErrorKind::Internal,
            "variables that cannot be written as JSON",
        )
    })?;
    let values = BTreeMap::from([(NAME, text.as_str())]);
    fly.inner
        .machines
        .execute(api::set_secrets(app, &values))
        .await
}

/// Forgets the variables: a machine has them.
pub(crate) async fn clear(fly: &Fly, app: &AppId) -> Result<()> {
    let call = api::delete_secret(app, NAME);
    fly.inner.machines.execute(call).await.map(drop)
}
