//! What the store holds.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::super::{Sequence, error, missing};
use crate::error::{ErrorKind, Result};
use crate::id::{IdempotencyKey, SecretName, SecretVersionId};
use crate::outcome::DeleteOutcome;
use crate::secret::Secret;
use crate::secret_store::{
    Rotation, RotationState, SecretMeta, SecretValue, SecretVersion, SecretVersionState,
    SetSecretRequest,
};
use crate::time::Timestamp;

/// As the strictest vendors have it.
pub(super) const MAX_VALUE_BYTES: usize = 64 * 1024;
const MAX_VERSIONS: usize = 100;
const RECOVERY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the store holds.
#[derive(Default)]
pub(super) struct State {
    secrets: BTreeMap<SecretName, Record>,
    deleted: BTreeMap<SecretName, (Record, Timestamp)>,
    numbers: Numbers,
}

/// Where new versions come from.
pub(super) struct Numbers {
    pub(super) now: Timestamp,
    sequence: Sequence,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            now: Timestamp::UNIX_EPOCH,
            sequence: Sequence::default(),
        }
    }
}

/// What is kept of a secret.
pub(super) struct Record {
    created_at: Timestamp,
    /// Oldest first.
    versions: Vec<Version>,
    set: HashMap<IdempotencyKey, SecretVersionId>,
    rotation: Option<RotationRecord>,
}

struct Version {
    id: SecretVersionId,
    value: Secret,
    state: SecretVersionState,
    at: Timestamp,
}

struct RotationRecord {
    period: Duration,
    last: Option<Timestamp>,
    next: Timestamp,
    key: Option<IdempotencyKey>,
    made: Option<SecretVersionId>,
}

impl State {
    /// Sets the time, and does what has become due.
    pub(super) fn turn_to(&mut self, now: Timestamp) {
        self.numbers.now = now;
        self.deleted
            .retain(|_, (_, at)| now.saturating_since(*at) < RECOVERY);
        for record in self.secrets.values_mut() {
            record.rotate_when_due(&mut self.numbers);
        }
    }

    pub(super) fn listed(&self) -> Vec<SecretMeta> {
        self.secrets
            .iter()
            .map(|(name, record)| record.describe(name))
            .collect()
    }

    pub(super) fn find(
        &mut self,
        operation: &'static str,
        name: &SecretName,
    ) -> Result<(&mut Record, &mut Numbers)> {
        let record = self.secrets.get_mut(name);
        let record = record.ok_or_else(|| missing(operation, name))?;
        Ok((record, &mut self.numbers))
    }

    pub(super) fn set(
        &mut self,
        name: &SecretName,
        request: SetSecretRequest,
    ) -> Result<SecretMeta> {
        let operation = "secret_store.set_secret";
        let SetSecretRequest {
            value,
            idempotency_key: key,
        } = request;
        let problem = match value.expose().len() {
            0 => Some("is empty".to_owned()),
            n if n > MAX_VALUE_BYTES => Some(format!("is longer than {MAX_VALUE_BYTES} bytes")),
            _ => None,
        };
        if let Some(problem) = problem {
            let message = format!("the value of {name} {problem}");
            return Err(error(ErrorKind::InvalidInput, operation, message));
        }
        let now = self.numbers.now;
        let record = self.secrets.get(name);
        if let Some(record) = record
            && let Some(made) = key.as_ref().and_then(|key| record.set.get(key))
        {
            let version = record.versions.iter().find(|version| version.id == *made);
            if version.is_some_and(|version| version.value.matches(value.expose())) {
                return Ok(record.describe(name).with_version(made.clone()));
            }
            let message = "the idempotency key was used for another value";
            return Err(error(ErrorKind::Conflict, operation, message));
        }
        let id = self.numbers.version_id()?;
        self.deleted.remove(name);
        let record = self
            .secrets
            .entry(name.clone())
            .or_insert_with(|| Record::new(now));
        if let Some(key) = key {
            record.set.insert(key, id.clone());
        }
        record.push(id, value, SecretVersionState::Pending, now);
        record.promote_last();
        Ok(record.describe(name))
    }

    pub(super) fn delete(&mut self, name: &SecretName) -> DeleteOutcome {
        match self.secrets.remove(name) {
            Some(record) => {
                self.deleted
                    .insert(name.clone(), (record, self.numbers.now));
                DeleteOutcome::Deleted
            }
            None => DeleteOutcome::AlreadyGone,
        }
    }

    pub(super) fn restore(&mut self, name: &SecretName) -> Result<SecretMeta> {
        let operation = "secret_store.restore_secret";
        if let Some((record, _)) = self.deleted.remove(name) {
            self.secrets.insert(name.clone(), record);
        }
        self.find(operation, name)
            .map(|(record, _)| record.describe(name))
    }
}

impl Numbers {
    fn version_id(&mut self) -> Result<SecretVersionId> {
        SecretVersionId::new(format!("version-{}", self.sequence.next()))
    }
}

impl Record {
    fn new(now: Timestamp) -> Self {
        Self {
            created_at: now,
            versions: Vec::new(),
            set: HashMap::new(),
            rotation: None,
        }
    }

    fn current(&self) -> Option<&Version> {
        let is_current = |version: &&Version| version.state == SecretVersionState::Current;
        self.versions.iter().find(is_current)
    }

    fn push(
        &mut self,
        id: SecretVersionId,
        value: Secret,
        state: SecretVersionState,
        at: Timestamp,
    ) {
        if self.versions.len() == MAX_VERSIONS {
            self.versions.remove(0);
        }
        self.versions.push(Version {
            id,
            value,
            state,
            at,
        });
    }

    /// Makes the newest version the current one.
    fn promote_last(&mut self) {
        for version in &mut self.versions {
            if matches!(
                version.state,
                SecretVersionState::Current | SecretVersionState::Pending
            ) {
                version.state = SecretVersionState::Earlier;
            }
        }
        if let Some(last) = self.versions.last_mut() {
            last.state = SecretVersionState::Current;
        }
    }

    pub(super) fn describe(&self, name: &SecretName) -> SecretMeta {
        let mut meta = SecretMeta::new(name.clone()).with_created_at(self.created_at);
        if let Some(current) = self.current() {
            meta.version = Some(current.id.clone());
            meta.updated_at = Some(current.at);
        }
        meta
    }

    pub(super) fn read(&self, operation: &'static str, name: &SecretName) -> Result<SecretValue> {
        let current = self.current().map(Version::read);
        current.ok_or_else(|| missing(operation, format_args!("a current version of {name}")))
    }

    pub(super) fn versions(&self) -> Vec<SecretVersion> {
        let describe = |version: &Version| {
            SecretVersion::new(version.id.clone(), version.state.clone())
                .with_created_at(version.at)
        };
        self.versions.iter().rev().map(describe).collect()
    }

    pub(super) fn read_version(&self, id: &SecretVersionId) -> Result<SecretValue> {
        let operation = "secret_store.read_secret_version";
        let version = self.versions.iter().find(|version| version.id == *id);
        let version = version.ok_or_else(|| missing(operation, id))?;
        if version.state == SecretVersionState::Disabled {
            let message = format!("{id} is disabled");
            return Err(error(ErrorKind::Conflict, operation, message));
        }
        Ok(version.read())
    }

    pub(super) fn disable(&mut self, id: &SecretVersionId) -> Result<()> {
        let version = self.versions.iter_mut().find(|version| version.id == *id);
        let version = version.ok_or_else(|| missing("memory.disable_version", id))?;
        version.state = SecretVersionState::Disabled;
        Ok(())
    }

    pub(super) fn configure_rotation(&mut self, period: Duration, now: Timestamp) {
        self.rotation = Some(RotationRecord {
            period,
            last: None,
            next: now.saturating_add(period),
            key: None,
            made: None,
        });
    }

    fn is_rotating(&self) -> bool {
        let last = self.versions.last();
        last.is_some_and(|last| last.state == SecretVersionState::Pending)
    }

    pub(super) fn start_rotation(
        &mut self,
        key: Option<IdempotencyKey>,
        numbers: &mut Numbers,
    ) -> Result<Rotation> {
        let operation = "secret_store.rotate_secret";
        let is_rotating = self.is_rotating();
        let Some(rotation) = &mut self.rotation else {
            let message = "no rotation is configured";
            return Err(error(ErrorKind::Conflict, operation, message));
        };
        if key.is_some() && rotation.key == key {
            return Ok(self.rotation());
        }
        if is_rotating {
            let message = "a rotation is running already";
            return Err(error(ErrorKind::Conflict, operation, message));
        }
        let id = numbers.version_id()?;
        rotation.key = key;
        rotation.made = Some(id.clone());
        let value = Secret::new(format!("value of {id}, made by a rotation"));
        self.push(id, value, SecretVersionState::Pending, numbers.now);
        Ok(self.rotation())
    }

    /// Makes what a rotation has made the current version.
    pub(super) fn finish_rotation(&mut self, now: Timestamp) {
        if !self.is_rotating() {
            return;
        }
        self.promote_last();
        if let Some(rotation) = &mut self.rotation {
            rotation.last = Some(now);
            rotation.next = now.saturating_add(rotation.period);
        }
    }

    fn rotate_when_due(&mut self, numbers: &mut Numbers) {
        let due = self.rotation.as_ref().map(|rotation| rotation.next);
        if due.is_none_or(|due| numbers.now < due) {
            return;
        }
        if self.is_rotating() || self.start_rotation(None, numbers).is_ok() {
            self.finish_rotation(numbers.now);
        }
    }

    pub(super) fn rotation(&self) -> Rotation {
        let Some(record) = &self.rotation else {
            return Rotation::new(RotationState::NotConfigured);
        };
        let state = if self.is_rotating() {
            RotationState::InProgress
        } else {
            RotationState::Idle
        };
        let mut rotation = Rotation::new(state).with_next_rotation_at(record.next);
        rotation.version.clone_from(&record.made);
        rotation.last_rotated_at = record.last;
        rotation
    }
}

impl Version {
    fn read(&self) -> SecretValue {
        SecretValue::new(self.value.clone()).with_version(self.id.clone())
    }
}
