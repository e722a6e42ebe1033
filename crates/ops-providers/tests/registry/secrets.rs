//! References to secrets, and where they lead.

use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;

use ops_core::id::SecretName;
use ops_core::memory::MemorySecretStore;
use ops_core::secret_store::{SecretStoreLimits, SetSecretRequest};
use ops_core::{ErrorKind, Report, Secret, SecretRef, SecretStore, SecretStoreExt as _};
use ops_providers::registry::Secrets;

use crate::support::{CANARY, variable};

async fn stores() -> Secrets {
    let name = SecretName::new("TOKEN").unwrap();
    let store = MemorySecretStore::new();
    let write = store.require_write_secrets().unwrap();
    let request = SetSecretRequest::new(Secret::from(CANARY));
    write.set_secret(&name, request).await.unwrap();
    Secrets::from_variables(variable)
        .with_store("ours", Arc::new(store))
        .with_store("mute", Arc::new(MemorySecretStore::new().without_reading()))
        .with_store("dead", Arc::new(Dead))
}

#[derive(Debug)]
struct Dead;

#[ops_core::async_trait]
impl SecretStore for Dead {
    fn provider(&self) -> ops_core::ProviderId {
        "dead".into()
    }

    fn limits(&self) -> SecretStoreLimits {
        SecretStoreLimits::default()
    }

    fn list_secrets(&self) -> ops_core::ItemStream<ops_core::secret_store::SecretMeta> {
        unreachable!("nobody lists")
    }

    async fn secret(&self, _: &SecretName) -> ops_core::Result<ops_core::secret_store::SecretMeta> {
        Err(down())
    }

    fn as_read_secrets(&self) -> Option<&dyn ops_core::secret_store::ReadSecrets> {
        Some(self)
    }
}

fn down() -> ops_core::Error {
    ops_core::Error::new(ErrorKind::Unavailable, "the store is down")
}

#[ops_core::async_trait]
impl ops_core::secret_store::ReadSecrets for Dead {
    async fn read_secret(
        &self,
        _: &SecretName,
    ) -> ops_core::Result<ops_core::secret_store::SecretValue> {
        Err(down())
    }

    async fn read_secrets(
        &self,
        _: Vec<SecretName>,
    ) -> ops_core::Result<Vec<ops_core::Result<ops_core::secret_store::SecretValue>>> {
        Err(down())
    }
}

fn stored(store: &str, key: &str) -> SecretRef {
    SecretRef::Store {
        store: store.to_owned(),
        key: SecretName::new(key).unwrap(),
    }
}

#[tokio::test]
async fn references_lead_to_variables_files_and_stores() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let secrets = stores().await;
    for (content, expected) in [
        (CANARY, CANARY),
        ("canary\n", "canary"),
        ("canary\r\n", "canary"),
        ("canary \n\n", "canary \n"),
        ("\n-----BEGIN\n", "\n-----BEGIN"),
    ] {
        std::fs::write(&path, content).unwrap();
        let read = secrets.read(&SecretRef::File(path.clone())).await.unwrap();
        assert_eq!(read.expose(), expected);
    }
    for reference in [SecretRef::Env("SECRET".into()), stored("ours", "TOKEN")] {
        assert_eq!(secrets.read(&reference).await.unwrap().expose(), CANARY);
    }
}

#[track_caller]
fn problem(outcome: ops_core::Result<Secret>, kind: ErrorKind) -> String {
    let err = outcome.unwrap_err();
    assert_eq!(err.kind(), kind, "{err}");
    assert!(!format!("{err:?} {}", Report(&err)).contains("canary"));
    err.message().to_owned()
}

#[tokio::test]
async fn a_reference_that_leads_nowhere_says_why() {
    let secrets = stores().await;
    let invalid = ErrorKind::InvalidConfig;
    for (reference, kind, message) in [
        (
            SecretRef::Env("UNSET".into()),
            invalid,
            "the variable UNSET is not set",
        ),
        (
            SecretRef::Env("EMPTY".into()),
            invalid,
            "the variable EMPTY is empty",
        ),
        (
            SecretRef::File("/nonexistent/token".into()),
            invalid,
            "the file /nonexistent/token does not exist",
        ),
        (
            stored("theirs", "TOKEN"),
            invalid,
            "TOKEN of the secret store theirs is not there: no store has this name",
        ),
        (
            stored("mute", "TOKEN"),
            invalid,
            "TOKEN of the secret store mute cannot be had: the store gives nothing back",
        ),
        (
            stored("dead", "TOKEN"),
            ErrorKind::Unavailable,
            "TOKEN of the secret store dead cannot be read: the store is down",
        ),
    ] {
        assert_eq!(problem(secrets.read(&reference).await, kind), message);
    }
    let missing = secrets.read(&stored("ours", "OTHER")).await;
    problem(missing, ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_no_secret_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let read = async |path: &Path| {
        let reference = SecretRef::File(path.to_owned());
        let secrets =
            Secrets::from_variables(|_| Some(std::ffi::OsString::from_vec(b"canary\xff".to_vec())));
        problem(secrets.read(&reference).await, ErrorKind::InvalidConfig)
    };
    for (content, end) in [
        (b"canary\xff".to_vec(), "is not UTF-8"),
        (b"\n".to_vec(), "is empty"),
        (vec![b'x'; 64 * 1024 + 1], "is too long for a secret"),
    ] {
        std::fs::write(&path, content).unwrap();
        let message = read(&path).await;
        assert!(message.ends_with(end), "{message}");
    }
    let message = read(folder.path()).await;
    assert!(message.ends_with("cannot be read"), "{message}");
    let strange =
        Secrets::from_variables(|_| Some(std::ffi::OsString::from_vec(b"canary\xff".to_vec())));
    let outcome = strange.read(&SecretRef::Env("STRANGE".into())).await;
    assert_eq!(
        problem(outcome, ErrorKind::InvalidConfig),
        "the variable STRANGE is not UTF-8"
    );
}
