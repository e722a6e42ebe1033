//! The configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::{ArchiveCommand, FetchOptions, RestoreCommand};
use ops_backup::{Encryption, SystemId, Unlock};
use ops_core::{ObjectStore, SecretRef};
use ops_providers::registry::{Registry, Secrets, Settings};

/// What went wrong before anything was done.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    prefix: String,
    system_id: Option<SystemId>,
    spool: Option<PathBuf>,
    patience: Option<u64>,
    store: Store,
    encryption: Option<EncryptionConfig>,
    #[serde(default)]
    restore: Restore,
}

#[derive(Debug, serde::Deserialize)]
struct Store {
    provider: String,
    #[serde(flatten)]
    settings: Settings,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EncryptionConfig {
    recipients: Vec<String>,
    passphrase: Option<SecretRef>,
    none: bool,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Restore {
    unlock: Vec<Key>,
    open_segment: bool,
    max_window: Option<u32>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Identity(SecretRef),
    Passphrase(SecretRef),
}

impl Config {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|err| format!("{} cannot be read: {err}", path.display()))?;
        // The error of the parser would quote the line, which may hold a secret by mistake.
        toml::from_str(&text).map_err(|err| {
            let line = err.span().map_or(0, |span| {
                text.get(..span.start).unwrap_or_default().lines().count()
            });
            format!("{} line {line}: {}", path.display(), err.message()).into()
        })
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience.unwrap_or(300))
    }

    async fn store(&self) -> Result<Arc<dyn ObjectStore>, Failure> {
        let Store { provider, settings } = &self.store;
        Ok(Registry::from_env()
            .open_object_store(provider, settings)
            .await?)
    }

    pub(crate) async fn archive(&self) -> Result<ArchiveCommand, Failure> {
        let encryption = self.encryption().await?;
        let mut command = ArchiveCommand::new(self.store().await?, &self.prefix, encryption)
            .with_patience(self.patience());
        if let Some(spool) = &self.spool {
            command = command.with_spool(spool);
        }
        Ok(command)
    }

    async fn encryption(&self) -> Result<Encryption, Failure> {
        let config = self
            .encryption
            .as_ref()
            .ok_or("encryption is not configured")?;
        let ways = usize::from(!config.recipients.is_empty())
            + usize::from(config.passphrase.is_some())
            + usize::from(config.none);
        if ways != 1 {
            return Err("encryption is one of recipients, passphrase and none = true".into());
        }
        match &config.passphrase {
            Some(reference) => {
                let passphrase = Secrets::from_env().read(reference).await?;
                Ok(Encryption::passphrase(passphrase)?)
            }
            None if config.none => Ok(Encryption::none()),
            None => Ok(Encryption::recipients(&config.recipients)?),
        }
    }

    pub(crate) async fn restore(&self) -> Result<RestoreCommand, Failure> {
        let secrets = Secrets::from_env();
        let mut unlock = Vec::new();
        for key in &self.restore.unlock {
            unlock.push(match key {
                Key::Identity(reference) => Unlock::identity(secrets.read(reference).await?),
                Key::Passphrase(reference) => Unlock::passphrase(secrets.read(reference).await?),
            });
        }
        let options = FetchOptions::default().with_open_segment(self.restore.open_segment);
        let mut command = RestoreCommand::new(self.store().await?, &self.prefix, unlock)
            .with_options(options)
            .with_patience(self.patience());
        if let Some(system_id) = self.system_id {
            command = command.with_system_id(system_id);
        }
        if let Some(spool) = &self.spool {
            command = command.with_spool(spool);
        }
        if let Some(max_window) = self.restore.max_window {
            command = command.with_max_window(max_window);
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Failure> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ops-wal.toml");
        std::fs::write(&path, text)?;
        Config::read(&path)
    }

    #[test]
    fn the_example_of_the_readme_is_a_configuration() {
        let readme = include_str!("../README.md");
        let (_, rest) = readme.split_once("```toml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let config = parse(example).unwrap();
        assert_eq!(config.prefix, "shop");
        assert_eq!(config.restore.unlock.len(), 1);
    }

    #[test]
    fn a_secret_in_the_file_is_refused_without_being_shown() {
        let text = "[store]\nprovider = \"local\"\npath = \"/x\"\n[encryption]\npassphrase = \"hunter2\"\n";
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains("line"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let text = "prefx = \"a\"\n[store]\nprovider = \"local\"\n";
        assert!(parse(text).unwrap_err().to_string().contains("prefx"));
    }
}
