//! Setting, deleting and restoring.

use ops_conformance::async_trait;
use ops_core::id::SecretName;
use ops_core::secret_store::{
    ReadSecrets, RestoreSecrets, SecretMeta, SecretStore, SetSecretRequest, WriteSecrets,
};
use ops_core::{DeleteOutcome, Error, ErrorKind, Result};

use super::{Sabotaged, another_version, cut, never_was};
use crate::saboteur::{fault, wrong};

impl Sabotaged {
    /// What a fault makes of a value.
    fn mangled(&self, value: &str) -> String {
        let is_blank = value.trim().is_empty();
        match self.fault() {
            "S-030" if !is_blank => value.trim_matches([' ', '\t']).to_owned(),
            "S-031" => value.replace("\r\n", "\n"),
            "S-032" => value.trim_matches('"').to_owned(),
            "S-033" => value.replace("${HOME}", "/root"),
            "S-034" => value.replace(|c: char| !c.is_ascii(), "?"),
            "S-035" if is_blank && !value.is_empty() => "blank".to_owned(),
            "S-036" if value.len() == 64 * 1024 => value[1..].to_owned(),
            _ => value.to_owned(),
        }
    }

    /// What a fault makes of a set, if it is not a matter of the value alone.
    async fn set_otherwise(
        &self,
        name: &SecretName,
        request: &SetSecretRequest,
    ) -> Option<Result<SecretMeta>> {
        let value = request.value.expose();
        let old = self.peek(name).await;
        let ok = Some(Ok(SecretMeta::new(name.clone())));
        let is_unfit = value.is_empty() || value.len() > 64 * 1024;
        let is_deleted = self.notes().deleted.contains_key(name);
        match self.fault() {
            "S-040" if name.as_str().contains("FIRST") => ok,
            "S-041" if name.as_str().contains("REPLACED") && old.is_some() => ok,
            "S-044" if old.as_deref() == Some(value) && request.idempotency_key.is_none() => {
                Some(wrong())
            }
            "S-045" if value.is_empty() => ok,
            "S-046" if value.len() > 64 * 1024 => ok,
            "S-047" if is_unfit && old.is_some() => {
                self.put(name, "sabotaged").await;
                Some(Err(fault(ErrorKind::InvalidInput)))
            }
            "S-048" if is_unfit && old.is_none() => {
                self.put(name, "sabotaged").await;
                Some(Err(fault(ErrorKind::InvalidInput)))
            }
            "S-052" if is_unfit => {
                let message = format!("{value:.60} does not fit");
                Some(Err(Error::new(ErrorKind::InvalidInput, message)))
            }
            "S-066" if is_deleted => Some(Err(fault(ErrorKind::Conflict))),
            "S-067" if is_deleted => {
                self.put(name, "1").await;
                ok
            }
            _ => None,
        }
    }

    /// The name under which a fault keeps a secret.
    fn kept_as(&self, name: &SecretName) -> SecretName {
        let kept = match self.fault() {
            "S-050" => name.as_str().replace('/', "_"),
            "S-051" if name.as_str() == name.as_str().to_lowercase() => {
                name.as_str().to_uppercase()
            }
            _ => return name.clone(),
        };
        SecretName::new(kept).unwrap()
    }

    /// What a fault does beside a set.
    async fn set_beside(&self, name: &SecretName, value: &str) {
        if self.is("S-042") && self.peek(name).await.is_some() {
            for other in self.all().await {
                if other.name != *name {
                    self.put(&other.name, value).await;
                }
            }
        }
        if self.is("S-054") {
            let before = self.peek(name).await;
            tokio::task::yield_now().await;
            let after = self.peek(name).await;
            if before != after {
                self.put(name, "one over another").await;
            }
        }
    }
}

#[async_trait]
impl WriteSecrets for Sabotaged {
    async fn set_secret(
        &self,
        name: &SecretName,
        mut request: SetSecretRequest,
    ) -> Result<SecretMeta> {
        if name.as_str().len() > 200 && !self.is("S-049") {
            return Err(fault(ErrorKind::InvalidInput));
        }
        if self.is("S-055") {
            self.wait_for_permit().await?;
        }
        if let Some(answer) = self.set_otherwise(name, &request).await {
            return answer;
        }
        *self.notes().sets.entry(name.clone()).or_default() += 1;
        let mut value = self.mangled(request.value.expose());
        self.notes().value.clone_from(&value);
        if self.is("S-053") {
            tokio::task::yield_now().await;
            value.clone_from(&self.notes().value);
        }
        self.set_beside(name, &value).await;
        if self.is("S-054") && self.peek(name).await.as_deref() == Some("one over another") {
            return self.memory().secret(name).await;
        }
        let is_same = self.peek(name).await.as_ref() == Some(&value);
        if self.is("S-078") && is_same {
            request.idempotency_key = None;
        }
        request.value = value.as_str().into();
        let set = self.memory().set_secret(&self.kept_as(name), request).await;
        let mut meta = match set {
            Err(err) if self.is("S-079") && err.kind() == ErrorKind::Conflict => {
                return self.memory().secret(name).await;
            }
            Err(err) if self.is("S-080") && err.kind() == ErrorKind::Conflict => {
                self.put(name, &value).await;
                return Err(err);
            }
            set => set?,
        };
        if self.is("S-056") {
            meta.name = SecretName::new("ANOTHER")?;
        }
        if self.is("S-084") {
            meta.version = Some(another_version());
        }
        Ok(meta)
    }

    async fn delete_secret(&self, name: &SecretName) -> Result<DeleteOutcome> {
        let mut name = name.clone();
        if self.is("S-068") {
            name = cut(&name);
        }
        let is_again = self.notes().deleted.contains_key(&name);
        if (self.is("S-063") && is_again) || (self.is("S-064") && never_was(&name)) {
            return Err(fault(ErrorKind::NotFound));
        }
        if self.is("S-065") {
            for other in self.all().await {
                if other.name.as_str().starts_with(name.as_str()) {
                    self.memory().delete_secret(&other.name).await?;
                }
            }
            return Ok(DeleteOutcome::Gone);
        }
        if let (Ok(meta), Some(value)) = (self.memory().secret(&name).await, self.peek(&name).await)
        {
            self.notes().deleted.insert(name.clone(), (meta, value));
        }
        self.memory().delete_secret(&name).await
    }
}

#[async_trait]
impl RestoreSecrets for Sabotaged {
    async fn restore_secret(&self, name: &SecretName) -> Result<SecretMeta> {
        let is_there = self.memory().read_secret(name).await.is_ok();
        if self.is("S-112") && is_there {
            return Err(fault(ErrorKind::Conflict));
        }
        let mut restored = match self.memory().restore_secret(name).await {
            Err(_) if self.is("S-113") && never_was(name) => return wrong(),
            restored => restored?,
        };
        self.notes().restored.push(name.clone());
        if self.is("S-110") {
            restored.name = SecretName::new("ANOTHER")?;
        }
        if self.is("S-111") && !is_there {
            self.put(name, "sabotaged").await;
        }
        Ok(restored)
    }
}
