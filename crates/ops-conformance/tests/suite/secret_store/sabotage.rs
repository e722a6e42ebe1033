//! The wrapper that does one thing wrong, and its base methods.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use ops_conformance::async_trait;
use ops_core::id::{ProviderId, SecretName, SecretVersionId};
use ops_core::memory::MemorySecretStore;
use ops_core::secret_store::{
    ReadSecrets, RestoreSecrets, RotateSecrets, SecretMeta, SecretStore, SecretStoreLimits,
    SecretVersions, SetSecretRequest, WriteSecrets,
};
use ops_core::{Error, ItemStream, Result};

use crate::saboteur::{Saboteur, wrong};

mod reading;
mod rotating;
mod writing;

pub(super) const CREDENTIAL: &str = "canary-vault-7f3a9d61c0";

pub(super) type Sabotaged = Saboteur<MemorySecretStore, Notes>;

/// What a fault needs to remember.
#[derive(Default)]
pub(super) struct Notes {
    asked: Option<SecretName>,
    value: String,
    sets: BTreeMap<SecretName, u32>,
    deleted: BTreeMap<SecretName, (SecretMeta, String)>,
    restored: Vec<SecretName>,
    is_listing: bool,
    before_rotation: Option<String>,
    is_rotating: bool,
}

/// What a name is up to a question mark, as where it is not encoded in a URL.
fn cut(name: &SecretName) -> SecretName {
    SecretName::new(name.as_str().split('?').next().unwrap()).unwrap()
}

fn never_was(name: &SecretName) -> bool {
    name.as_str() == "OPS_TEST_NO_SUCH_SECRET"
}

impl Sabotaged {
    /// The value of a secret, as it really is.
    async fn peek(&self, name: &SecretName) -> Option<String> {
        let read = self.memory().read_secret(name).await.ok()?;
        Some(read.value.expose().to_owned())
    }

    /// Sets a secret behind the caller's back.
    async fn put(&self, name: &SecretName, value: &str) {
        let request = SetSecretRequest::new(value);
        self.memory().set_secret(name, request).await.unwrap();
    }

    async fn all(&self) -> Vec<SecretMeta> {
        self.memory().list_secrets().try_collect().await.unwrap()
    }

    /// What a fault makes of a listing.
    async fn listed(&self) -> Vec<SecretMeta> {
        if std::mem::replace(&mut self.notes().is_listing, true) && self.is("S-014") {
            return Vec::new();
        }
        let mut all = self.all().await;
        let is_fresh = self.notes().sets.values().all(|sets| *sets == 1);
        if self.is("S-010") && all.len() == 1 && is_fresh {
            all.extend_from_within(..);
        }
        if self.is("S-013") && all.iter().all(|meta| meta.name.as_str().contains("MANY")) {
            all.truncate(4);
        }
        if self.is("S-043") {
            let sets = self.notes().sets.clone();
            let again = |meta: &&SecretMeta| sets.get(&meta.name) > Some(&1);
            let again: Vec<_> = all.iter().filter(again).cloned().collect();
            all.extend(again);
        }
        let notes = self.notes();
        if self.is("S-061") {
            all.extend(notes.deleted.values().map(|(meta, _)| meta.clone()));
        }
        if self.is("S-114") {
            all.retain(|meta| !notes.restored.contains(&meta.name));
        }
        all
    }
}

impl fmt::Debug for Sabotaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self.fault() {
            "S-003" => CREDENTIAL.to_owned(),
            "S-016" => self.notes().value.clone(),
            _ => String::new(),
        };
        write!(f, "Sabotaged({}, {value})", self.fault())
    }
}

#[async_trait]
impl SecretStore for Sabotaged {
    fn provider(&self) -> ProviderId {
        if self.is("nameless") {
            return ProviderId::from_static("");
        }
        self.memory().provider()
    }

    fn limits(&self) -> SecretStoreLimits {
        self.memory().limits().with_max_name_bytes(200)
    }

    fn list_secrets(&self) -> ItemStream<SecretMeta> {
        let (this, end) = (self.clone(), self.clone());
        let items = async move { stream::iter(this.listed().await.into_iter().map(Ok)) };
        let end = async move {
            end.notes().is_listing = false;
            stream::empty()
        };
        let items = stream::once(items).flatten();
        items.chain(stream::once(end).flatten()).boxed()
    }

    async fn secret(&self, name: &SecretName) -> Result<SecretMeta> {
        let mut asked = name.clone();
        if self.is("S-015") && self.peek(name).await.is_none() {
            asked = cut(name);
        }
        if self.is("S-018") {
            self.notes().asked = Some(asked);
            tokio::task::yield_now().await;
            asked = self.notes().asked.clone().unwrap();
        }
        let mut meta = match self.memory().secret(&asked).await {
            Err(err) if self.is("S-002") => return Err(Error::new(err.kind(), "sabotaged")),
            Err(_) if self.is("S-012") && never_was(name) => return wrong(),
            Err(err) => match self.notes().deleted.get(name) {
                Some((meta, _)) if self.is("S-060") => return Ok(meta.clone()),
                _ => return Err(err),
            },
            Ok(meta) => meta,
        };
        if self.is("S-011") && self.all().await.len() == 1 {
            meta.name = SecretName::new(name.as_str().to_lowercase())?;
        }
        if self.is("S-017") {
            let day = Duration::from_secs(86_400);
            meta.updated_at = meta.created_at.map(|made| made.saturating_sub(day));
        }
        if self.is("S-099") && meta.version.is_some() {
            let first = self.memory().list_secret_versions(name);
            let first: Vec<_> = first.try_collect().await?;
            let is_rotated = name.as_str().contains("ROTATED");
            if is_rotated {
                meta.version = first.last().map(|version| version.id.clone());
            }
        }
        Ok(meta)
    }

    fn as_read_secrets(&self) -> Option<&dyn ReadSecrets> {
        (!self.is_bare() && !self.is("S-001")).then_some(self as &dyn ReadSecrets)
    }

    fn as_write_secrets(&self) -> Option<&dyn WriteSecrets> {
        (!self.is_bare()).then_some(self as &dyn WriteSecrets)
    }

    fn as_secret_versions(&self) -> Option<&dyn SecretVersions> {
        (!self.is_bare()).then_some(self as &dyn SecretVersions)
    }

    fn as_rotate_secrets(&self) -> Option<&dyn RotateSecrets> {
        (!self.is_bare()).then_some(self as &dyn RotateSecrets)
    }

    fn as_restore_secrets(&self) -> Option<&dyn RestoreSecrets> {
        (!self.is_bare()).then_some(self as &dyn RestoreSecrets)
    }
}

fn another_version() -> SecretVersionId {
    SecretVersionId::new("version-0").unwrap()
}
