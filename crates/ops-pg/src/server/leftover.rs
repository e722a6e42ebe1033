//! What a server leaves whose owner was killed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::{Program, User, signal};

/// How long a left-over server may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Ends the server that runs in a data folder whose owner is gone.
pub(super) fn end_server(data: &Path) {
    let Some(pid) = postmaster_of(data) else {
        return;
    };
    let _ = signal(pid, Signal::QUIT);
    if !ends(data, pid) {
        kill_all(pid);
        ends(data, pid);
    }
}

fn ends(data: &Path, pid: u32) -> bool {
    let deadline = Instant::now() + END_TIMEOUT;
    while Instant::now() < deadline {
        if postmaster_of(data) != Some(pid) {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Kills a server: its main process first, which would start others, then its children.
/// A child that is busy would not notice for long that its server is gone.
pub(super) fn kill_all(postmaster: u32) {
    // Where the operating system does not list them, they end when they notice.
    let listed = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"));
    let _ = signal(postmaster, Signal::KILL);
    let children = listed.unwrap_or_default();
    for child in children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
    {
        let _ = signal(child, Signal::KILL);
    }
}

/// The server that runs in a data folder: the process that `postmaster.pid` names, where
/// both the file and the process's own arguments name that folder.
fn postmaster_of(data: &Path) -> Option<u32> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid: u32 = lines.next()?.trim().parse().ok()?;
    let named = Path::new(lines.next()?.trim());
    (named == data && runs_in(pid, data)).then_some(pid)
}

#[cfg(target_os = "linux")]
fn runs_in(pid: u32, data: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    arguments
        .split(|&byte| byte == 0)
        .any(|arg| arg == data.as_os_str().as_bytes())
}

#[cfg(not(target_os = "linux"))]
fn runs_in(pid: u32, data: &Path) -> bool {
    let pid = pid.to_string();
    let ps = Program::new("/bin/ps").args(["-ww", "-o", "args=", "-p", &pid]);
    let output = ps.stdout(crate::process::Io::Piped).command().output();
    output.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains(&*data.to_string_lossy()))
}

/// Gives back the shared memory of a server that was killed and not started again: the
/// one thing that it leaves outside its folder, 56 bytes of System V memory that name its
/// data folder. `postmaster.pid`, whose seventh line names them, is gone otherwise.
///
/// Done as the user that owns the folder, who can remove nothing but their own.
pub(super) fn release_shared_memory(data: &Path) {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else {
        return;
    };
    let id = text
        .lines()
        .nth(6)
        .and_then(|line| line.split_whitespace().nth(1));
    let (Some(id), Ok(meta)) = (id, fs::metadata(data)) else {
        return;
    };
    if id.parse::<u32>().is_err() || postmaster_of(data).is_some() {
        return;
    }
    let mut program = Program::new("/usr/bin/ipcrm").args(["-m", id]);
    if rustix::process::geteuid().is_root() {
        program = program.run_as(User::by_ids(meta.uid(), meta.gid()));
    }
    let outcome = program.command().status();
    tracing::debug!(
        id,
        ok = outcome.is_ok_and(|it| it.success()),
        "released shared memory"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_that_names_another_process_ends_nobody() {
        let data = tempfile::tempdir().unwrap();
        let ours = std::process::id();
        let text = format!("{ours}\n{}\n", data.path().display());
        fs::write(data.path().join("postmaster.pid"), text).unwrap();
        assert_eq!(postmaster_of(data.path()), None);
    }
}
