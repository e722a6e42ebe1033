//! Secret variables.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use ops_core::hosting::{AppSecrets, EnvChange, EnvKey, SecretInfo};
use ops_core::id::AppId;
use ops_core::{ErrorKind, Result, Secret};

use super::staged;
use crate::error::refuse;
use crate::{Fly, api};

#[async_trait]
impl AppSecrets for Fly {
    async fn list_secrets(&self, app: &AppId) -> Result<Vec<SecretInfo>> {
        let secrets = self.inner.machines.execute(api::list_secrets(app)).await?;
        let mut told = Vec::new();
        for secret in secrets.secrets {
            // A name that is no variable reaches no app.
            if let Ok(key) = EnvKey::new(secret.name)
                && !is_staged(&key)
            {
                let mut info = SecretInfo::new(key);
                info.updated_at = secret.updated_at;
                told.push(info);
            }
        }
        told.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(told)
    }

    /// Machines see them with their next deployment or restart.
    async fn set_secrets(
        &self,
        app: &AppId,
        secrets: BTreeMap<EnvKey, Secret>,
    ) -> Result<EnvChange> {
        refuse_staged(app, secrets.keys().any(is_staged))?;
        let machines = self.serving(app).await?;
        let plain = self.variables(app, &machines).await?;
        if let Some(key) = secrets.keys().find(|key| plain.contains_key(key.as_str())) {
            let text = format!("{key} is a plain variable of the app: remove it first");
            return Err(refuse(ErrorKind::Conflict, text).with_resource(app.as_str()));
        }
        if secrets.is_empty() {
            return Ok(EnvChange::Unchanged);
        }
        let values = secrets
            .iter()
            .map(|(key, value)| (key.as_str(), value.expose()));
        let call = api::set_secrets(app, &values.collect());
        self.inner.machines.execute(call).await?;
        Ok(EnvChange::Staged)
    }

    async fn remove_secrets(&self, app: &AppId, keys: Vec<EnvKey>) -> Result<EnvChange> {
        refuse_staged(app, keys.iter().any(is_staged))?;
        let names = self.secret_names(app).await?;
        let mut outcome = EnvChange::Unchanged;
        for key in keys.iter().filter(|key| names.contains(*key)) {
            let call = api::delete_secret(app, key.as_str());
            self.inner.machines.execute(call).await?;
            outcome = EnvChange::Staged;
        }
        Ok(outcome)
    }
}

impl Fly {
    /// The names of an app's secrets.
    pub(crate) async fn secret_names(&self, app: &AppId) -> Result<BTreeSet<EnvKey>> {
        let secrets = self.list_secrets(app).await?;
        Ok(secrets.into_iter().map(|secret| secret.key).collect())
    }
}

fn is_staged(key: &EnvKey) -> bool {
    key.as_str() == staged::NAME
}

fn refuse_staged(app: &AppId, is_asked_for: bool) -> Result<()> {
    if is_asked_for {
        let text = format!("{} holds variables and is not for others", staged::NAME);
        return Err(refuse(ErrorKind::InvalidInput, text).with_resource(app.as_str()));
    }
    Ok(())
}
