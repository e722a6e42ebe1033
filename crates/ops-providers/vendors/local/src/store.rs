//! What all operations share.

use std::path::Path;
use std::sync::Arc;

use ops_core::{Error, ErrorKind, ObjectKey, Result};
use rustix::io::Errno;

use crate::config::Durability;
use crate::error::{self, Context, PROVIDER};
use crate::lock::make_locks;
use crate::root::Root;
use crate::temp::TempFolder;

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    root: Root,
    /// `None` where the store was opened read-only.
    temp: Option<TempFolder>,
}

impl Store {
    /// Opens a store, and sweeps up behind processes that died.
    pub(crate) fn open(path: &Path, durability: Durability, read_only: bool) -> Result<Self> {
        let root = Root::open(path, durability).map_err(|errno| cannot_open(path, errno))?;
        if read_only {
            return Ok(Self { root, temp: None });
        }
        let temp = TempFolder::open(&root)?;
        make_locks(&root)?;
        root.ensure_folder(".ops/meta")
            .cannot("make the folder for metadata")?;
        let swept = temp.sweep()?;
        if swept > 0 {
            tracing::debug!(swept, "removed temporary files of dead processes");
        }
        Ok(Self {
            root,
            temp: Some(temp),
        })
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// The folder of temporary files.
    ///
    /// # Errors
    /// `PermissionDenied` where the store was opened read-only.
    pub(crate) fn temp(&self) -> Result<&TempFolder> {
        self.temp.as_ref().ok_or_else(error::read_only)
    }
}

#[cold]
fn cannot_open(path: &Path, errno: Errno) -> Error {
    let path = path.display();
    match errno {
        Errno::NOTDIR => Error::new(
            ErrorKind::InvalidConfig,
            format!("{path} is a file, not a folder"),
        ),
        Errno::NOENT => Error::new(
            ErrorKind::InvalidConfig,
            format!("the folder {path} does not exist, and the store was not told to create it"),
        ),
        errno => error::from_io("open the folder", errno.into()),
    }
}

/// What an error says about where it happened.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    name: &'static str,
    key: Option<ObjectKey>,
}

impl Operation {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, key: None }
    }

    pub(crate) fn on(name: &'static str, key: &ObjectKey) -> Self {
        Self {
            name,
            key: Some(key.clone()),
        }
    }

    pub(crate) fn decorate(&self, err: Error) -> Error {
        let err = err.with_provider(PROVIDER).with_operation(self.name);
        match &self.key {
            Some(key) => err.with_resource(key.as_str()),
            None => err,
        }
    }

    pub(crate) fn span(&self) -> tracing::Span {
        tracing::debug_span!(
            "ops.object_store",
            ops.provider = PROVIDER.as_str(),
            ops.operation = self.name,
            ops.resource.id = self.key.as_ref().map(ObjectKey::as_str),
        )
    }
}

/// Runs blocking work, which begins at once and ends even where nobody waits for it.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> + Send + Unpin + 'static {
    let task = tokio::task::spawn_blocking(work);
    futures_util::FutureExt::map(task, |ended| {
        ended.unwrap_or_else(|source| {
            Err(Error::new(ErrorKind::Internal, "a blocking task ended early").with_source(source))
        })
    })
}

/// Drops a value on a thread that may block: removing a large file takes a while.
#[derive(Debug)]
pub(crate) struct DropBlocking<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> DropBlocking<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// Takes the value out, once.
    pub(crate) fn take(mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T: Send + 'static> Drop for DropBlocking<T> {
    fn drop(&mut self) {
        if let (Some(value), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(value));
        }
    }
}

/// A store that operations hold while they run.
pub(crate) type SharedStore = Arc<Store>;
