//! Where a seed has its store: in a folder, or on an S3 server of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use ops_backup::BackupId;
use ops_core::ObjectStore;
use ops_core::object_store::{GetOptions, ListOptions};
use ops_local::{Durability, Local};
use ops_s3::{S3Credentials, S3Store, StoreProfile};
use ops_testkit::s3::S3Fake;

use crate::Result;
use crate::plan::Medium;

const BUCKET: &str = "torture";
/// The smallest part that S3 takes.
const PART_BYTES: u64 = 5 << 20;

/// The address of a store, for this process and for others.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum Place {
    Folder(PathBuf),
    S3 {
        endpoint: String,
        access_key: String,
        secret_key: String,
    },
}

impl Place {
    /// The store itself.
    pub(crate) async fn open(&self) -> Result<Arc<dyn ObjectStore>> {
        match self {
            Self::Folder(path) => {
                let local = Local::builder(path).create(true);
                Ok(Arc::new(local.durability(Durability::None).build()?))
            }
            Self::S3 {
                endpoint,
                access_key,
                secret_key,
            } => {
                let store = S3Store::builder(BUCKET)
                    .endpoint(endpoint)
                    .allow_http(true)
                    .credentials(S3Credentials::new(access_key.as_str(), secret_key.as_str()))
                    .profile(StoreProfile::aws())
                    .part_bytes(PART_BYTES)
                    .initial_backoff(Duration::from_millis(20));
                Ok(Arc::new(store.open().await?))
            }
        }
    }
}

/// What is at an address, for as long as a seed runs.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) place: Place,
    s3: Option<S3Fake>,
}

impl Site {
    /// An empty store; the folder is where it lies, if in one.
    pub(crate) async fn empty(medium: Medium, folder: &Path) -> Self {
        match medium {
            Medium::Local => Self {
                place: Place::Folder(folder.to_owned()),
                s3: None,
            },
            Medium::S3 => {
                let s3 = S3Fake::start().await;
                s3.create_bucket(BUCKET);
                let place = Place::S3 {
                    endpoint: s3.endpoint(),
                    access_key: s3.access_key(),
                    secret_key: s3.secret_key(),
                };
                Self {
                    place,
                    s3: Some(s3),
                }
            }
        }
    }

    pub(crate) fn s3(&self) -> Option<&S3Fake> {
        self.s3.as_ref()
    }

    /// How many requests there were so far.
    pub(crate) fn requests(&self) -> u64 {
        let count = |s3: &S3Fake| s3.requests().len() as u64;
        self.s3.as_ref().map_or(0, count)
    }

    /// How many uploads nobody has completed or abandoned.
    pub(crate) fn open_uploads(&self) -> u64 {
        let count = |s3: &S3Fake| s3.open_uploads().len() as u64;
        self.s3.as_ref().map_or(0, count)
    }

    /// Nothing goes wrong with requests any more. Time goes on: objects and uploads are dated
    /// in whole seconds, and what is as young as a sweep is not swept.
    pub(crate) fn settle(&self) {
        if let Some(s3) = &self.s3 {
            s3.heal();
            s3.behave(|it| it.clock_ahead_seconds += 2);
        }
    }

    /// Begins an upload as a job of a backup does, which never ends it.
    pub(crate) async fn begin_upload(&self, backup: &BackupId) -> Result {
        let Some(s3) = &self.s3 else {
            return Ok(());
        };
        let path = format!("/{BUCKET}/backups/{backup}/unfinished?uploads");
        let request = http::Request::post(path).body(Bytes::new())?;
        let answer = s3.client().send(request).await?;
        if answer.status == 200 {
            return Ok(());
        }
        Err(format!("no upload begins: {}", answer.text()).into())
    }
}

/// A store that seeds begin with.
#[derive(Debug, Default)]
pub(crate) struct Image {
    folder: PathBuf,
    objects: Vec<(String, Bytes)>,
}

impl Image {
    /// That of a folder, which stays as it is from now on.
    pub(crate) async fn of(folder: &Path) -> Result<Self> {
        let store = Place::Folder(folder.to_owned()).open().await?;
        let listed: Vec<_> = store.list(ListOptions::default()).try_collect().await?;
        let mut objects = Vec::new();
        for meta in listed {
            let got = store.get(&meta.key, GetOptions::default()).await?;
            let chunks: Vec<Bytes> = got.body.try_collect().await?;
            objects.push((meta.key.to_string(), chunks.concat().into()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            objects,
        })
    }

    /// The backups that have objects.
    pub(crate) fn backups(&self) -> Vec<BackupId> {
        let owner = |(key, _): &(String, Bytes)| {
            let (id, _) = key.strip_prefix("backups/")?.split_once('/')?;
            id.parse().ok()
        };
        let mut all: Vec<BackupId> = self.objects.iter().filter_map(owner).collect();
        all.dedup();
        all
    }

    /// A copy of it.
    pub(crate) async fn copy(&self, medium: Medium, folder: &Path) -> Result<Site> {
        let site = Site::empty(medium, folder).await;
        match &site.s3 {
            Some(s3) => {
                for (key, content) in &self.objects {
                    s3.put(BUCKET, key, content.clone());
                }
            }
            None => link_all(&self.folder, folder)?,
        }
        Ok(site)
    }
}

/// Copies a folder, by links: a store never writes into a file that it has.
pub(crate) fn link_all(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_all(&entry.path(), &target)?;
        } else {
            fs::hard_link(entry.path(), target)?;
        }
    }
    Ok(())
}
