//! Plain variables.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ops_core::hosting::{EnvChange, EnvKey, EnvVars, PlainEnv};
use ops_core::id::AppId;
use ops_core::{ErrorKind, Result};

use super::staged;
use crate::Fly;
use crate::error::refuse;
use crate::model::Machine;
use crate::rollout::lease::Lease;

#[async_trait]
impl EnvVars for Fly {
    async fn env(&self, app: &AppId) -> Result<PlainEnv> {
        let machines = self.serving(app).await?;
        Ok(PlainEnv::keep_plain(self.variables(app, &machines).await?))
    }

    /// Running machines are replaced in their place one after another, each waited for:
    /// an app with one machine does not answer meanwhile. A deployment is not made.
    async fn set_env(&self, app: &AppId, variables: PlainEnv) -> Result<EnvChange> {
        let secrets = self.secret_names(app).await?;
        if let Some((key, _)) = variables.iter().find(|(key, _)| secrets.contains(*key)) {
            let text = format!("{key} is a secret of the app");
            return Err(refuse(ErrorKind::Conflict, text).with_resource(app.as_str()));
        }
        let variables = variables.into_map();
        self.change_env(app, |env| {
            for (key, value) in &variables {
                env.insert(key.as_str().to_owned(), value.clone());
            }
        })
        .await
    }

    async fn remove_env(&self, app: &AppId, keys: Vec<EnvKey>) -> Result<EnvChange> {
        self.change_env(app, |env| {
            env.retain(|name, _| !keys.iter().any(|it| it.as_str() == name));
        })
        .await
    }
}

impl Fly {
    /// What is set as a plain variable, as far as one can see: with the machines, or for the
    /// first of them.
    pub(crate) async fn variables(
        &self,
        app: &AppId,
        machines: &[Machine],
    ) -> Result<BTreeMap<String, String>> {
        if machines.is_empty() {
            return Ok(staged::read(self, app).await?.unwrap_or_default());
        }
        let each = machines.iter().rev().map(|machine| machine.config.env());
        Ok(each.flatten().collect())
    }

    async fn change_env(
        &self,
        app: &AppId,
        change: impl Fn(&mut BTreeMap<String, String>) + Send + Sync,
    ) -> Result<EnvChange> {
        let machines = self.serving(app).await?;
        if machines.is_empty() {
            let before = self.variables(app, &machines).await?;
            let mut after = before.clone();
            change(&mut after);
            if after == before {
                return Ok(EnvChange::Unchanged);
            }
            staged::write(self, app, &after).await?;
            return Ok(EnvChange::Staged);
        }
        let mut lease = Lease::take(self, app, &machines).await?;
        let mut outcome = EnvChange::Unchanged;
        for machine in self.serving(app).await? {
            let before = machine.config.env();
            let mut after = before.clone();
            change(&mut after);
            if after != before {
                let mut config = machine.config.clone();
                config.set_env(&after);
                self.change(&mut lease, &machine, &config).await?;
                outcome = EnvChange::Applied;
            }
        }
        lease.release().await;
        Ok(outcome)
    }
}
