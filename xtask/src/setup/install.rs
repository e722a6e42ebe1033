//! Installing what is missing, by the package manager of the machine.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::find::Need;
use crate::command::{self, Cmd};
use crate::failure::{Failure, Result};

/// How long another package manager may hold the lock before we give up.
const LOCK_PATIENCE: Duration = Duration::from_mins(5);
const LOCK_PAUSE: Duration = Duration::from_secs(5);

/// A package manager, and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    Apt {
        sudo: bool,
    },
    Brew,
    /// `apt-get` is there, but we are neither root nor have `sudo`.
    Unreachable,
    Unknown,
}

impl Manager {
    pub(crate) fn detect(path: &[PathBuf], is_root: bool) -> Self {
        let has = |name| command::find_in(path, name).is_some();
        if has("apt-get") {
            match (is_root, has("sudo")) {
                (true, _) => Self::Apt { sudo: false },
                (false, true) => Self::Apt { sudo: true },
                (false, false) => Self::Unreachable,
            }
        } else if has("brew") {
            Self::Brew
        } else {
            Self::Unknown
        }
    }
}

/// What will be installed, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    packages: Vec<&'static str>,
    refresh: Option<Cmd>,
    install: Cmd,
    note: &'static str,
}

/// Decides how to get what is missing.
pub(crate) fn plan(manager: Manager, missing: &[Need]) -> Result<Plan> {
    let describe = || {
        missing
            .iter()
            .map(|need| need.describe())
            .collect::<Vec<_>>()
            .join("; ")
    };
    match manager {
        Manager::Apt { sudo } => {
            let packages = packages(missing, "postgresql", "python3-venv", "redis-server");
            let install = apt(sudo)
                .args(["install", "--yes", "--no-install-recommends"])
                .args(packages.iter().copied());
            Ok(Plan {
                packages,
                refresh: Some(apt(sudo).arg("update")),
                install,
                note: APT_NOTE,
            })
        }
        Manager::Brew => {
            let packages = packages(missing, "postgresql@17", "python", "redis");
            let install = Cmd::new("brew")
                .arg("install")
                .args(packages.iter().copied());
            Ok(Plan {
                packages,
                refresh: None,
                install,
                note: "",
            })
        }
        Manager::Unreachable => Err(Failure::new(format!(
            "cannot install as this user: neither root nor sudo; please install: {}",
            describe()
        ))),
        Manager::Unknown => Err(Failure::new(format!(
            "neither apt-get nor brew is here; please install: {}",
            describe()
        ))),
    }
}

const APT_NOTE: &str = "\
note: the server package may create and start a cluster of its own, as the distribution
      decides; it is neither used nor stopped here";

fn packages(
    missing: &[Need],
    postgres: &'static str,
    python: &'static str,
    redis: &'static str,
) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for need in missing {
        let package = match need {
            // The server package also makes the user that servers run as.
            Need::Postgres | Need::UnprivilegedUser => postgres,
            Need::Python => python,
            Need::Tool("age-keygen") => "age",
            Need::Tool("redis-server") => redis,
            Need::Tool(name) => name,
        };
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

fn apt(sudo: bool) -> Cmd {
    let cmd = if sudo {
        // sudo clears the environment, so `env` sets it on the other side.
        Cmd::new("sudo").args([
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "LC_ALL=C",
            "apt-get",
        ])
    } else {
        Cmd::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C")
    };
    let cmd = cmd.args(["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]);
    if sudo { cmd.with_terminal() } else { cmd }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "install  {}\n         by: {}",
            self.packages.join(", "),
            self.install
        )?;
        if self.packages.contains(&"postgresql") {
            write!(f, "\n{}", self.note)?;
        }
        Ok(())
    }
}

impl Plan {
    pub(crate) fn run(&self) -> Result {
        let Some(refresh) = &self.refresh else {
            return self.install.run();
        };
        let mut refreshed = false;
        if !self.packages.iter().all(|package| is_listed(package)) {
            patiently(refresh, LOCK_PATIENCE)?;
            refreshed = true;
        }
        match patiently(&self.install, LOCK_PATIENCE) {
            // Old lists name packages that the mirror has replaced since.
            Err(_) if !refreshed => {
                patiently(refresh, LOCK_PATIENCE)?;
                patiently(&self.install, LOCK_PATIENCE)
            }
            outcome => outcome,
        }
    }
}

/// Whether the lists of apt offer this package.
fn is_listed(package: &str) -> bool {
    let policy = Cmd::new("apt-cache")
        .arg("policy")
        .arg(package)
        .env("LC_ALL", "C")
        .output();
    policy.is_ok_and(|text| offers_candidate(&text))
}

fn offers_candidate(policy: &str) -> bool {
    let mut lines = policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate:"));
    lines.any(|version| version.trim() != "(none)")
}

/// Runs a command again for as long as another package manager holds the lock.
fn patiently(cmd: &Cmd, patience: Duration) -> Result {
    let start = Instant::now();
    loop {
        let locked = AtomicBool::new(false);
        let outcome = cmd.run_seen(&|line| {
            if is_lock_message(line) {
                locked.store(true, Ordering::Relaxed);
            }
        });
        if outcome.is_ok() || !locked.into_inner() || start.elapsed() > patience {
            return outcome;
        }
        println!(
            "another package manager is at work; trying again in {} s",
            LOCK_PAUSE.as_secs()
        );
        std::thread::sleep(LOCK_PAUSE);
    }
}

fn is_lock_message(line: &str) -> bool {
    line.starts_with("E: Could not get lock") || line.starts_with("E: Unable to lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Need; 4] = [
        Need::Postgres,
        Need::Tool("age"),
        Need::Tool("age-keygen"),
        Need::Tool("zstd"),
    ];

    #[test]
    fn root_calls_apt_directly_and_without_questions() {
        let plan = plan(Manager::Apt { sudo: false }, &ALL).unwrap();
        assert_eq!(
            plan.install.to_string(),
            "DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -o DPkg::Lock::Timeout=120 \
             -o Acquire::Retries=3 install --yes --no-install-recommends postgresql age zstd"
        );
        assert!(plan.to_string().contains("neither used nor stopped"));
    }

    #[test]
    fn others_call_apt_through_sudo_with_the_same_environment() {
        let plan = plan(Manager::Apt { sudo: true }, &[Need::Tool("zstd")]).unwrap();
        let line = plan.install.to_string();
        let start = "sudo env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get ";
        assert!(line.starts_with(start) && line.ends_with(" zstd"), "{line}");
        assert!(!plan.to_string().contains("cluster"));
    }

    #[test]
    fn homebrew_gets_its_own_package_names() {
        let plan = plan(Manager::Brew, &ALL).unwrap();
        assert_eq!(
            plan.install.to_string(),
            "brew install postgresql@17 age zstd"
        );
    }

    #[test]
    fn without_rights_or_manager_the_error_names_what_is_missing() {
        for manager in [Manager::Unreachable, Manager::Unknown] {
            let err = plan(manager, &[Need::Tool("age")]).unwrap_err();
            assert!(err.message().ends_with("please install: age"), "{err:?}");
        }
    }

    #[test]
    fn the_manager_depends_on_rights() {
        let path = command::search_path();
        if command::find_in(&path, "apt-get").is_some() {
            assert_eq!(Manager::detect(&path, true), Manager::Apt { sudo: false });
        }
        assert_eq!(Manager::detect(&[], true), Manager::Unknown);
    }

    #[test]
    fn a_package_without_candidate_is_not_listed() {
        let policy = "age:\n  Installed: (none)\n  Candidate: 1.1.1-1\n  Version table:\n";
        assert!(offers_candidate(policy));
        assert!(!offers_candidate(&policy.replace("1.1.1-1", "(none)")));
        assert!(!offers_candidate(""));
    }

    #[test]
    fn only_a_held_lock_is_worth_waiting_for() {
        assert!(is_lock_message(
            "E: Could not get lock /var/lib/apt/lists/lock. It is held by 7"
        ));
        assert!(!is_lock_message("E: Unable to locate package agee"));
        let start = Instant::now();
        assert!(patiently(&Cmd::new("false"), Duration::from_mins(1)).is_err());
        assert!(start.elapsed() < LOCK_PAUSE);
    }
}
