//! Variables and secrets.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::super::error;
use super::MemoryHosting;
use crate::error::{ErrorKind, Result};
use crate::hosting::{AppSecrets, EnvChange, EnvKey, EnvVars, PlainEnv, SecretInfo};
use crate::id::AppId;
use crate::secret::Secret;

#[async_trait]
impl EnvVars for MemoryHosting {
    async fn env(&self, app: &AppId) -> Result<PlainEnv> {
        self.with_app("hosting.env", app, |record| {
            Ok(PlainEnv::keep_plain(record.env.clone()))
        })
    }

    async fn set_env(&self, app: &AppId, variables: PlainEnv) -> Result<EnvChange> {
        let operation = "hosting.set_env";
        self.with_app(operation, app, |record| {
            if let Some((key, _)) = variables
                .iter()
                .find(|(k, _)| record.secrets.contains_key(k))
            {
                let message = format!("{key} is a secret of the app");
                return Err(error(ErrorKind::Conflict, operation, message));
            }
            let before = record.env.clone();
            record.env.extend(variables.into_map());
            Ok(change(record.env != before))
        })
    }

    async fn remove_env(&self, app: &AppId, keys: Vec<EnvKey>) -> Result<EnvChange> {
        self.with_app("hosting.remove_env", app, |record| {
            let before = record.env.len();
            record.env.retain(|key, _| !keys.contains(key));
            Ok(change(record.env.len() != before))
        })
    }
}

#[async_trait]
impl AppSecrets for MemoryHosting {
    async fn list_secrets(&self, app: &AppId) -> Result<Vec<SecretInfo>> {
        self.with_app("hosting.list_secrets", app, |record| {
            let secrets = record.secrets.iter();
            Ok(secrets
                .map(|(key, (_, at))| SecretInfo::new(key.clone()).with_updated_at(*at))
                .collect())
        })
    }

    async fn set_secrets(
        &self,
        app: &AppId,
        secrets: BTreeMap<EnvKey, Secret>,
    ) -> Result<EnvChange> {
        let operation = "hosting.set_secrets";
        let now = self.0.clock.now();
        self.with_app(operation, app, |record| {
            if let Some(key) = secrets.keys().find(|key| record.env.contains_key(*key)) {
                let message = format!("{key} is a plain variable of the app");
                return Err(error(ErrorKind::Conflict, operation, message));
            }
            let mut changed = false;
            for (key, value) in secrets {
                let known = record.secrets.get(&key);
                if known.is_none_or(|(known, _)| known.expose() != value.expose()) {
                    record.secrets.insert(key, (value, now));
                    changed = true;
                }
            }
            Ok(change(changed))
        })
    }

    async fn remove_secrets(&self, app: &AppId, keys: Vec<EnvKey>) -> Result<EnvChange> {
        self.with_app("hosting.remove_secrets", app, |record| {
            let before = record.secrets.len();
            record.secrets.retain(|key, _| !keys.contains(key));
            Ok(change(record.secrets.len() != before))
        })
    }
}

fn change(changed: bool) -> EnvChange {
    if changed {
        EnvChange::Staged
    } else {
        EnvChange::Unchanged
    }
}
