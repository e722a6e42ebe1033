//! What a child process is told to do: its first line of input.

use std::io::{BufRead as _, stdin};

use serde::{Deserialize, Serialize};

use crate::load::Load;
use crate::site::Site;
use crate::{Result, footprint, load, site};

/// The argument by which a process knows that it is a child.
pub(crate) const CHILD: &str = "--child";

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Job {
    pub(crate) task: Task,
    /// How many threads the runtime has.
    pub(crate) workers: usize,
    pub(crate) half: Option<Half>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Task {
    Serve(Site),
    Load(Load),
    Footprint { objectives: bool },
}

/// Half of the processors.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) enum Half {
    Servers,
    Clients,
}

impl Job {
    pub(crate) fn from_stdin() -> Result<Self> {
        let mut line = String::new();
        stdin().lock().read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    pub(crate) fn run(self) -> Result<()> {
        if let Some(half) = self.half {
            // Before there are threads: they take over what the first one has.
            pin(half)?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.workers)
            .enable_all()
            .build()?;
        match self.task {
            Task::Serve(site) => runtime.block_on(site::child(site)),
            Task::Load(load) => runtime.block_on(load::child(load)),
            Task::Footprint { objectives } => runtime.block_on(footprint::child(objectives)),
        }
    }
}

/// Keeps to the first or the second half of the processors that this process may use;
/// to all where there is one.
#[cfg(target_os = "linux")]
fn pin(half: Half) -> Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let allowed = sched_getaffinity(None)?;
    let all: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|&it| allowed.is_set(it))
        .collect();
    let (servers, clients) = all.split_at(all.len() / 2);
    let chosen = match half {
        Half::Servers => servers,
        Half::Clients => clients,
    };
    if all.len() > 1 {
        let mut set = CpuSet::new();
        for &processor in chosen {
            set.set(processor);
        }
        sched_setaffinity(None, &set)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn pin(_: Half) -> Result<()> {
    Ok(())
}
