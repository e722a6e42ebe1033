//! Child processes that are supervised: no shell, no secret in an argument, no orphan.
//!
//! A [`Program`] says what to run. Its environment is cleared and rebuilt, so that a
//! child behaves alike wherever the service runs, and it leads a process group of its
//! own. [`Program::spawn`] gives a [`Supervised`] child whose standard error is always
//! collected, and which is killed and reaped when it is dropped.
//!
//! ```no_run
//! use ops_pg::process::{Io, Program};
//! use tokio::io::AsyncReadExt;
//!
//! # async fn run() -> ops_core::Result<()> {
//! let mut dump = Program::new("/usr/lib/postgresql/15/bin/pg_dump")
//!     .arg("--format=custom")
//!     .env("PGHOST", "db.internal")
//!     .secret_env("PGPASSWORD", "hunter2")
//!     .stdout(Io::Piped)
//!     .spawn()?;
//! let mut out = dump.take_stdout().expect("stdout is piped");
//! let mut bytes = Vec::new();
//! let read = out.read_to_end(&mut bytes).await;
//! let exit = dump.wait().await?;
//! # drop(read);
//! # drop(exit);
//! # Ok(())
//! # }
//! ```

mod exit;
mod program;
mod supervised;
mod tail;
mod user;

pub use exit::Exit;
pub use program::{Io, Program};
pub use supervised::Supervised;
pub use user::User;

pub(crate) use exit::OneLine;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// Sends a signal to a process; one that is gone already is fine.
pub(crate) fn signal(pid: u32, signal: Signal) -> Result<(), Errno> {
    match to_pid(pid).map(|pid| rustix::process::kill_process(pid, signal)) {
        None | Some(Ok(()) | Err(Errno::SRCH)) => Ok(()),
        Some(Err(err)) => Err(err),
    }
}

/// Sends a signal to a process group; one that is gone already is fine.
pub(crate) fn signal_group(leader: u32, signal: Signal) -> Result<(), Errno> {
    match to_pid(leader).map(|pid| rustix::process::kill_process_group(pid, signal)) {
        None | Some(Ok(()) | Err(Errno::SRCH)) => Ok(()),
        Some(Err(err)) => Err(err),
    }
}

/// A pid that names one process: never 0 or -1, which stand for many.
fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid)
        .ok()
        .filter(|&pid| pid > 1)
        .and_then(Pid::from_raw)
}
