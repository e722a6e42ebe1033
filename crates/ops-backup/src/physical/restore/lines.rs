//! Small sealed objects of one JSON value a line, read as a stream.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use ops_core::ObjectStore;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::event::Counters;
use crate::pipeline::{cause_of, open_object};
use crate::repository::{ObjectRole, OpenBackup};

/// The longest line that is read: a table of the frames of the largest pack.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// Hands each line of an object of a backup to a function, on a thread that may block.
///
/// What the function makes of the lines counts only where this succeeds: only then were
/// they what was written.
pub(crate) async fn for_each_line<T, S>(
    operation: &'static str,
    store: &Arc<dyn ObjectStore>,
    backup: &OpenBackup,
    role: ObjectRole,
    mut state: S,
    mut take: impl FnMut(&mut S, T) -> Result<()> + Send + 'static,
) -> Result<S>
where
    T: DeserializeOwned,
    S: Send + 'static,
{
    let id = &backup.manifest.id;
    let object = backup.manifest.objects_of(role).next().ok_or_else(|| {
        let message = format!("the manifest of {id} lacks an object");
        Error::new(ErrorKind::Integrity, operation, message)
    })?;
    let key = object.key.clone();
    let identity = backup.identity.clone();
    let counters = Arc::new(Counters::default());
    let (open, fetch) = open_object(operation, Arc::clone(store), object, identity, counters);
    let read = tokio::task::spawn_blocking(move || {
        let damaged = |source: ops_core::BoxError| {
            let message = format!("{key} cannot be read");
            Error::new(ErrorKind::Integrity, operation, message).with_source(source)
        };
        let mut reader =
            BufReader::with_capacity(1 << 16, open().map_err(|err| damaged(err.into()))?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader
                .by_ref()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)
                .map_err(|err| damaged(err.into()))?;
            if read == 0 {
                return Ok(state);
            }
            let value = serde_json::from_slice(&line).map_err(|err| damaged(err.into()))?;
            take(&mut state, value)?;
        }
    });
    let (fetched, read) = tokio::join!(fetch, read);
    let read = read.unwrap_or_else(|source| {
        let message = "a reading task failed";
        Err(Error::new(ErrorKind::Internal, operation, message).with_source(source))
    });
    match read {
        Ok(state) => fetched.map(|()| state),
        Err(err) => Err(cause_of(fetched, err)),
    }
}
