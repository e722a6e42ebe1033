//! What a server runs as its `archive_command` and `restore_command`, some runs of which are
//! killed or meet faults. It does what `ops-wal` does.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::{ArchiveCommand, FetchOptions, Fetched, RestoreCommand, restore_exit_code};
use ops_backup::{Encryption, Unlock};
use ops_testkit::FaultStore;

use crate::Result;
use crate::child::Order;
use crate::harm::Trap;
use crate::place::Place;
use crate::plan::{Extent, Plan, Random};
use crate::scene::Scene;

/// For how long a command tries again what fails.
const PATIENCE: Duration = Duration::from_secs(2);
/// What one run comes to.
pub(crate) const EXTENT: Extent = Extent {
    calls: 9,
    store_bytes: 40_000,
    server_bytes: 0,
    requests: 60,
    time: Duration::from_millis(60),
};
/// Among so many runs are those that are disturbed.
const RUNS: u64 = 12;

/// What the runs of the commands of one server know.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Shim {
    store: Place,
    recipient: String,
    identity: String,
    /// Each run leaves its number there, and what was acknowledged is noted.
    folder: PathBuf,
    spool: Option<PathBuf>,
    traps: BTreeMap<u64, Trap>,
}

/// What the runs came to.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) runs: u64,
    pub(crate) kills: u64,
    pub(crate) faults: u64,
}

impl Shim {
    /// Puts it into a folder that the server's user may use. Some runs in a row are disturbed,
    /// and one later on.
    pub(crate) fn install(plan: &Plan, order: &Order, folder: &Path) -> Result<Self> {
        let folder = folder.join("shim");
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o777))?;
        let mut random = Random::new(!plan.seed);
        let first = 1 + random.below(RUNS / 2);
        let mut runs: Vec<_> = (first..=first + random.below(2)).collect();
        runs.push(first + 2 + random.below(RUNS / 2));
        let mut trap = plan.harm.trap(&EXTENT);
        if let Some((_, count, _)) = &mut trap.fault {
            // What fails for a moment is tried again, and some of it for too long.
            *count *= *count;
        }
        let shim = Self {
            store: order.store.clone(),
            recipient: order.recipient.clone(),
            identity: order.identity.clone(),
            spool: (plan.seed / 3)
                .is_multiple_of(2)
                .then(|| folder.join("spool")),
            traps: runs.into_iter().map(|run| (run, trap)).collect(),
            folder,
        };
        fs::write(shim.file(), serde_json::to_vec(&shim)?)?;
        Ok(shim)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("shim.json")
    }

    /// How many runs are disturbed.
    pub(crate) fn disturbed(&self) -> usize {
        self.traps.len()
    }

    fn command(&self, scene: &Scene, what: &str) -> String {
        let (program, file) = (scene.program(), self.file());
        format!("{} shim {} {what}", program.display(), file.display())
    }

    /// A server takes an archive command that a signal ended for a reason to start another
    /// process, ten seconds later: to spare these, it is told of a failure.
    pub(crate) fn archive_command(&self, scene: &Scene) -> String {
        let archive = self.command(scene, "archive %p %f");
        let noted = self.noted();
        format!(
            "{archive}; s=$?; if [ $s -eq 0 ]; then echo %f >> {}; fi; \
             if [ $s -gt 125 ]; then exit 1; fi; exit $s",
            noted.display()
        )
    }

    pub(crate) fn restore_command(&self, scene: &Scene) -> String {
        self.command(scene, "restore %f %p")
    }

    fn noted(&self) -> PathBuf {
        self.folder.join("acknowledged")
    }

    /// The files for which the archive command ended with 0.
    pub(crate) fn acknowledged(&self) -> Vec<String> {
        let text = fs::read_to_string(self.noted()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What the runs came to that have ended.
    pub(crate) fn runs(&self) -> Runs {
        let mut runs = Runs::default();
        while self.folder.join((runs.runs + 1).to_string()).exists() {
            runs.runs += 1;
            let end = self.folder.join(format!("{}.end", runs.runs));
            match fs::read_to_string(end) {
                Ok(faults) => runs.faults += faults.parse().unwrap_or(0),
                Err(_) => runs.kills += 1,
            }
        }
        runs
    }

    /// Takes a number, which nobody else has.
    fn begin(&self) -> Result<u64> {
        let mut number = 1;
        loop {
            let path = self.folder.join(number.to_string());
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(_) => return Ok(number),
                Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(err) => return Err(err.into()),
            }
        }
    }

    fn archive(&self, store: Arc<FaultStore>) -> Result<ArchiveCommand> {
        let encryption = Encryption::recipients([&self.recipient])?;
        let command = ArchiveCommand::new(store, "", encryption).with_patience(PATIENCE);
        Ok(match &self.spool {
            Some(spool) => command.with_spool(spool),
            None => command,
        })
    }

    fn restore(&self, store: Arc<FaultStore>) -> RestoreCommand {
        let unlock = vec![Unlock::identity(self.identity.as_str())];
        let command = RestoreCommand::new(store, "", unlock)
            .with_options(FetchOptions::default().with_open_segment(true))
            .with_patience(PATIENCE);
        match &self.spool {
            Some(spool) => command.with_spool(spool),
            None => command,
        }
    }

    async fn run(&self, store: &Arc<FaultStore>, file: &str, words: &[&str]) -> Result<u8> {
        let here = std::env::current_dir()?;
        match *words {
            ["archive", path, name] => {
                let command = self.archive(Arc::clone(store))?;
                let pushed = command.run(&here, Path::new(path), name).await;
                Ok(pushed.map_or_else(|err| complain(&err, 1), |_| 0))
            }
            ["restore", name, path] => {
                let command = self.restore(Arc::clone(store));
                let outcome = command.run(&here, name, Path::new(path)).await;
                if matches!(outcome, Ok(Fetched::Found { .. }))
                    && command.should_prefetch(&here, name)
                {
                    prefetch(file, name)?;
                }
                let code = restore_exit_code(&outcome);
                Ok(outcome.map_or_else(|err| complain(&err, code), |_| code))
            }
            ["prefetch", name] => {
                let command = self.restore(Arc::clone(store));
                command.prefetch(&here, name).await?;
                Ok(0)
            }
            _ => Err("no such command".into()),
        }
    }
}

/// The server's log is where this belongs.
fn complain(err: &ops_backup::Error, code: u8) -> u8 {
    eprintln!("shim: {}", ops_core::Report(err));
    code
}

/// Starts a process that fetches what comes next, and outlives this one.
#[expect(
    clippy::disallowed_methods,
    reason = "it is meant to outlive this process"
)]
fn prefetch(file: &str, name: &str) -> Result {
    Command::new(std::env::current_exe()?)
        .args(["shim", file, "prefetch", name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(())
}

/// One run: `FILE archive PATH NAME`, `FILE restore NAME PATH` or `FILE prefetch NAME`.
pub(crate) async fn main(arguments: &[String]) -> Result {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = async {
        let (file, words) = words.split_first().ok_or("no file is named")?;
        let shim: Shim = serde_json::from_slice(&fs::read(file)?)?;
        let number = shim.begin()?;
        let store = Arc::new(FaultStore::new(shim.store.open().await?));
        if let Some(trap) = shim.traps.get(&number) {
            trap.set(&store);
        }
        let code = shim.run(&store, file, words).await;
        let mut end = fs::File::create(shim.folder.join(format!("{number}.end")))?;
        write!(end, "{}", store.happened())?;
        code
    };
    let code = outcome.await.unwrap_or_else(|err| {
        eprintln!("shim: {err}");
        u8::MAX
    });
    std::process::exit(i32::from(code));
}
