//! Stored objects into a loader.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use ops_core::database::ConnectInfo;

use super::loader::Loader;
use crate::backup::Inner;
use crate::client::Clients;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Counters, Events, Phase};
use crate::pipeline::{Opened, cause_of, open_object};
use crate::repository::{ObjectRole, OpenBackup};

/// How to load.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of pg_restore"
)]
pub(crate) struct LoadOptions {
    pub(crate) operation: &'static str,
    pub(crate) single_transaction: bool,
    pub(crate) no_owner: bool,
    pub(crate) no_privileges: bool,
    pub(crate) no_tablespaces: bool,
    /// Overrides what the backup's roles are set to: a role that only reads by default
    /// cannot load.
    pub(crate) writable_session: bool,
}

/// How much is decompressed at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Loads the dump of an opened backup into a database.
pub(crate) async fn load(
    inner: &Inner,
    backup: &OpenBackup,
    clients: &Clients,
    target: &ConnectInfo,
    options: &LoadOptions,
    events: &Events,
) -> Result<()> {
    events.phase(Phase::Restore);
    let mut loader = Loader::start(clients, target, options)?;
    let feeding = feed(inner, backup, &mut loader, options.operation, events);
    let stall = inner.settings.stall_timeout;
    let outcome = tokio::select! {
        fed = feeding => fed,
        // Building indexes moves no byte: it is the loading that must not stand still.
        () = events.watch(Phase::Restore, Some(backup.manifest.bytes_in), stall) => Err(Error::new(
            ErrorKind::Timeout,
            options.operation,
            format!("no byte moved for {} seconds", stall.as_secs()),
        )),
    };
    let result = match outcome {
        // Everything was read, proved and handed over: what follows is the server's work.
        Ok(()) => loader.finish().await,
        Err(err) => Err(failed(loader, err).await),
    };
    result.map_err(|err| {
        err.with_left_behind(if options.single_transaction {
            "the target is as it was: everything was rolled back"
        } else {
            "the target holds a part of the backup"
        })
    })
}

/// Ends the loading before it can commit, and tells which of the two failures came first.
async fn failed(mut loader: Loader, fed: Error) -> Error {
    if fed.kind() != ErrorKind::Canceled {
        // Killed before its input ends: nothing may be committed of a damaged backup.
        loader.kill().await;
        return fed;
    }
    // It stopped to read, so it has something to say.
    loader.finish().await.err().unwrap_or(fed)
}

/// Feeds the objects in order. The last bytes are held back until every stored byte has
/// been compared with the manifest: without them `pg_restore` cannot finish.
async fn feed(
    inner: &Inner,
    backup: &OpenBackup,
    loader: &mut Loader,
    operation: &'static str,
    events: &Events,
) -> Result<()> {
    let internal = |what: &'static str| Error::new(ErrorKind::Internal, operation, what);
    let stdin = loader
        .take_input()?
        .into_owned_fd()
        .map_err(|err| internal("a pipe cannot be used").with_source(err))?;
    let mut output = Output {
        stdin: File::from(stdin),
        held_back: Vec::new(),
    };
    for object in backup.manifest.objects_of(ObjectRole::Dump) {
        let store = Arc::clone(&inner.repository.store);
        let counters = Arc::clone(&events.counters);
        let identity = backup.identity.clone();
        let (open, fetch) = open_object(operation, store, object, identity, counters);
        let counters = Arc::clone(&events.counters);
        let copying = tokio::task::spawn_blocking(move || {
            let copied = open().and_then(|reader| copy(reader, &mut output, &counters));
            (copied, output)
        });
        let (fetched, copied) = tokio::join!(fetch, copying);
        let (copied, returned) =
            copied.map_err(|err| internal("a thread ended early").with_source(err))?;
        output = returned;
        match copied {
            Err(err) if err.kind() == io::ErrorKind::BrokenPipe => return Err(unread(operation)),
            Err(err) => {
                let message = format!("{} cannot be opened", object.key);
                let damaged = Error::new(ErrorKind::Integrity, operation, message).with_source(err);
                return Err(cause_of(fetched, damaged));
            }
            Ok(()) => fetched?,
        }
    }
    let ended = tokio::task::spawn_blocking(move || output.finish()).await;
    ended
        .map_err(|err| internal("a thread ended early").with_source(err))?
        .map_err(|_| unread(operation))
}

#[cold]
fn unread(operation: &'static str) -> Error {
    Error::new(ErrorKind::Canceled, operation, "pg_restore stopped to read")
}

/// The input of `pg_restore`, one buffer behind.
struct Output {
    stdin: File,
    held_back: Vec<u8>,
}

impl Output {
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.stdin.write_all(&self.held_back)?;
        self.held_back.clear();
        self.held_back.extend_from_slice(data);
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.stdin.write_all(&self.held_back)
    }
}

fn copy(mut reader: Opened, output: &mut Output, counters: &Counters) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let len = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            // A broken pipe is that of pg_restore alone.
            Err(err) => return Err(io::Error::other(err)),
        };
        output.write(buffer.get(..len).unwrap_or_default())?;
        counters.add_in(len as u64);
    }
}
