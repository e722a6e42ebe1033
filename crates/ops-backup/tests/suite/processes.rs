//! Looking at other processes.

use std::path::Path;

use rustix::process::{Pid, Signal};

/// A running process, as `/proc` shows it.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) parent: String,
    /// The name of its program.
    pub(crate) name: String,
    /// Its environment; empty where it may not be read.
    pub(crate) environment: Vec<u8>,
}

impl Process {
    /// `None` of one that has ended, and of a zombie.
    fn read(folder: &Path) -> Option<Self> {
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        let (pid, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?);
        (state != "Z").then_some(())?;
        Some(Self {
            pid: Pid::from_raw(pid.parse().ok()?)?,
            parent: parent.to_owned(),
            name: name.to_owned(),
            environment: std::fs::read(folder.join("environ")).unwrap_or_default(),
        })
    }

    /// All that run now.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| Self::read(&entry.path()))
    }

    /// The client programs that were told to connect to a port, whosever children they are.
    pub(crate) fn clients_of(port: u16) -> impl Iterator<Item = Self> {
        let variable = format!("PGPORT={port}");
        Self::all().filter(move |process| {
            let mut variables = process.environment.split(|byte| *byte == 0);
            variables.any(|it| it == variable.as_bytes())
        })
    }
}

/// The child of ours by a program's name that connects to a port: other tests have
/// children too.
pub(crate) fn child_pid(name: &str, port: u16) -> Option<Pid> {
    let ours = std::process::id().to_string();
    Process::clients_of(port)
        .find(|process| process.name == name && process.parent == ours)
        .map(|process| process.pid)
}

/// Kills the child by a program's name, which must be there.
pub(crate) fn kill_child(name: &str, port: u16, signal: Signal) {
    let pid = child_pid(name, port).unwrap_or_else(|| panic!("no {name} runs"));
    rustix::process::kill_process(pid, signal).unwrap();
}
