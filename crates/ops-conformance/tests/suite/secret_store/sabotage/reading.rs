//! Values and versions.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::id::{SecretName, SecretVersionId};
use ops_core::secret_store::{
    ReadSecrets, SecretStore, SecretValue, SecretVersion, SecretVersionState, SecretVersions,
};
use ops_core::{ErrorKind, ItemStream, Result};

use super::{Sabotaged, another_version, cut, never_was};
use crate::saboteur::{fault, wrong};

#[async_trait]
impl ReadSecrets for Sabotaged {
    async fn read_secret(&self, name: &SecretName) -> Result<SecretValue> {
        let mut asked = name.clone();
        if self.is("S-028") {
            asked = cut(name);
        }
        if self.is("S-027") {
            self.notes().asked = Some(asked);
            tokio::task::yield_now().await;
            asked = self.notes().asked.clone().unwrap();
        }
        let mut value = match self.memory().read_secret(&asked).await {
            Err(_) if self.is("S-021") && never_was(name) => return wrong(),
            Err(err) => match self.notes().deleted.get(name) {
                Some((_, value)) if self.is("S-062") => {
                    return Ok(SecretValue::new(value.as_str()));
                }
                _ => return Err(err),
            },
            Ok(value) => value,
        };
        if self.is("S-020") && value.value.matches("as it was put") {
            value.value = "sabotaged".into();
        }
        if self.is("S-094") && self.notes().is_rotating {
            value.value = "too early".into();
        }
        if let (true, Some(before)) = (self.is("S-095"), &self.notes().before_rotation) {
            value.value = before.as_str().into();
        }
        if self.is("S-083") {
            value.version = Some(another_version());
        }
        Ok(value)
    }

    async fn read_secrets(&self, mut names: Vec<SecretName>) -> Result<Vec<Result<SecretValue>>> {
        if self.is("S-024") && names.is_empty() {
            return Err(fault(ErrorKind::InvalidInput));
        }
        if self.is("S-025") {
            let mut seen = BTreeSet::new();
            names.retain(|name| seen.insert(name.clone()));
        }
        if self.is("S-026") {
            names.truncate(4);
        }
        let mut answers = self.memory().read_secrets(names).await?;
        if self.is("S-023") && answers.iter().any(Result::is_err) {
            return Err(fault(ErrorKind::NotFound));
        }
        if self.is("S-022") && answers.len() == 3 && answers.iter().all(Result::is_ok) {
            answers.reverse();
        }
        Ok(answers)
    }
}

impl Sabotaged {
    /// What a fault makes of a listing of versions.
    async fn versions(&self, name: &SecretName) -> Vec<Result<SecretVersion>> {
        let listed = self.memory().list_secret_versions(name).try_collect().await;
        let is_deleted = self.notes().deleted.contains_key(name);
        let mut listed: Vec<SecretVersion> = match listed {
            Err(_) if self.is("S-076") && never_was(name) => return Vec::new(),
            Err(_) if self.is("S-082") && is_deleted => return Vec::new(),
            Err(err) => return vec![Err(err)],
            Ok(listed) => listed,
        };
        match self.fault() {
            "S-070" if name.as_str().contains("VERSIONS") => listed.clear(),
            "S-071" => listed.reverse(),
            "S-081" => listed.truncate(3),
            _ => {}
        }
        if self.is("S-072") {
            for version in &mut listed {
                version.state = SecretVersionState::Current;
            }
        }
        listed.into_iter().map(Ok).collect()
    }
}

#[async_trait]
impl SecretVersions for Sabotaged {
    fn list_secret_versions(&self, name: &SecretName) -> ItemStream<SecretVersion> {
        let (this, name) = (self.clone(), name.clone());
        let items = async move { stream::iter(this.versions(&name).await) };
        stream::once(items).flatten().boxed()
    }

    async fn read_secret_version(
        &self,
        name: &SecretName,
        version: &SecretVersionId,
    ) -> Result<SecretValue> {
        let mut asked = version.clone();
        if self.is("S-085") {
            asked = SecretVersionId::new(version.as_str().split('?').next().unwrap())?;
        }
        let read = self.memory().read_secret_version(name, &asked).await;
        let current = self.memory().secret(name).await;
        let Ok(current) = current else {
            return if self.is("S-077") { wrong() } else { read };
        };
        let is_current = current.version.as_ref() == Some(version);
        match read {
            Err(_) if self.is("S-075") && version.as_str() == "999999" => wrong(),
            Ok(_) if self.is("S-073") && !is_current => self.memory().read_secret(name).await,
            Ok(_) if self.is("S-074") && is_current && version.as_str() != "version-1" => wrong(),
            read => read,
        }
    }
}
