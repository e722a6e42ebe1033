//! Looking at other processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal};

/// A running process, as `/proc` shows it.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) parent: String,
    /// The name of its program.
    pub(crate) name: String,
    folder: PathBuf,
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
            folder: folder.to_owned(),
        })
    }

    /// Its environment; empty where it has ended.
    fn environment(&self) -> Vec<u8> {
        std::fs::read(self.folder.join("environ")).unwrap_or_default()
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
            let environment = process.environment();
            let mut variables = environment.split(|byte| *byte == 0);
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

/// What was seen of the processes below this one.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The command lines by the program's name.
    pub(crate) command_lines: BTreeMap<String, BTreeSet<String>>,
    /// The programs whose environment had a certain value.
    pub(crate) told: BTreeSet<String>,
}

/// Looks at the processes below this one, again and again, until it is asked what it saw.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    /// Begins to look, also for environments that hold a value.
    pub(crate) fn start(value: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !stopped.load(Ordering::Relaxed) {
                seen.look(value);
                thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        Self { stop, thread }
    }

    /// What was seen.
    pub(crate) fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Seen {
    fn look(&mut self, value: &str) {
        let mut ours = BTreeSet::from([std::process::id().to_string()]);
        let mut all: Vec<_> = Process::all().collect();
        // A child has a greater id than its parent, unless ids have begun anew.
        all.sort_by_key(|process| process.pid.as_raw_nonzero());
        for process in all {
            let pid = process.pid.as_raw_nonzero().to_string();
            if !ours.contains(&process.parent) {
                continue;
            }
            let told = process
                .environment()
                .windows(value.len())
                .any(|window| window == value.as_bytes());
            if told {
                self.told.insert(process.name.clone());
            }
            if let Ok(line) = std::fs::read(process.folder.join("cmdline")) {
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                let lines = self.command_lines.entry(process.name).or_default();
                lines.insert(line);
            }
            ours.insert(pid);
        }
    }
}
