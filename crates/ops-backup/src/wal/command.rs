//! What a server runs as its `archive_command` and `restore_command`.

mod archive;
mod brought;
mod restore;
mod spool;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ops_pg_replication::{SystemId, WalSegmentSize};
use tokio::time::Instant;

use super::OPERATION;
use super::archiver::Backoff;
use super::scan::LongHeader;
use crate::error::{Error, ErrorKind, Result};

pub use archive::ArchiveCommand;
pub use restore::{RestoreCommand, restore_exit_code};

/// The longest pause between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// Tries again for a while what fails for a moment.
async fn persist<T, F>(patience: Duration, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let begun = Instant::now();
    let mut backoff = Backoff::new(MAX_BACKOFF);
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        let err = match tokio::time::timeout(left, attempt()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(err)) => err,
            Err(_) => {
                let message = "the object store did not answer in time";
                return Err(Error::new(ErrorKind::Timeout, OPERATION, message));
            }
        };
        if !err.is_transient() || begun.elapsed() >= patience {
            return Err(err);
        }
        tracing::warn!(error = %ops_core::Report(&err), "trying again");
        backoff.wait().await;
    }
}

/// The system identifier in a data folder: the first field of its control file.
fn system_id_of(data_folder: &Path) -> Result<SystemId> {
    let path = data_folder.join("global/pg_control");
    let mut first = [0; 8];
    File::open(&path)
        .and_then(|mut file| file.read_exact(&mut first))
        .map_err(|source| {
            let message = format!("{} cannot be read", path.display());
            Error::new(ErrorKind::InvalidConfig, OPERATION, message)
                .with_source(source)
                .with_hint("run the command in the data folder, as the server does")
        })?;
    Ok(SystemId::new(u64::from_le_bytes(first)))
}

/// The size of segments as any of the segments beside a file tells it.
fn segment_size_near(file: &Path) -> Option<WalSegmentSize> {
    let folder = file.parent()?;
    let size_of = |path: &Path| {
        let mut head = [0; 40];
        File::open(path).ok()?.read_exact(&mut head).ok()?;
        let header = LongHeader::parse(&head)?;
        WalSegmentSize::new(u64::from(header.segment_size)).ok()
    };
    size_of(file).or_else(|| {
        let entries = std::fs::read_dir(folder).ok()?;
        let paths = entries.flatten().map(|entry| entry.path());
        let mut segments =
            paths.filter(|path| path.file_name().is_some_and(|name| name.len() == 24));
        segments.find_map(|path| size_of(&path))
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_for_a_moment_is_tried_again_and_what_fails_for_good_is_not() {
        let tries = Cell::new(0);
        let attempt = |kind, until| {
            tries.set(0);
            let tries = &tries;
            persist(Duration::from_secs(60), move || async move {
                tries.set(tries.get() + 1);
                if tries.get() < until {
                    Err(Error::new(kind, OPERATION, "no"))
                } else {
                    Ok(())
                }
            })
        };
        attempt(ErrorKind::Store, 4).await.unwrap();
        assert_eq!(tries.get(), 4);
        let err = attempt(ErrorKind::Integrity, 4).await.unwrap_err();
        assert_eq!((err.kind(), tries.get()), (ErrorKind::Integrity, 1));
        let begun = Instant::now();
        let err = attempt(ErrorKind::Store, u32::MAX).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Store);
        assert!(begun.elapsed() >= Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_never_answers_is_given_up() {
        let never = || std::future::pending::<Result<()>>();
        let err = persist(Duration::from_secs(60), never).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Timeout);
    }
}
