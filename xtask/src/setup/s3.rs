//! LocalStack, the S3 server of tests that is not ours, and boto3, a peer of benchmarks.

use std::fs;
use std::path::{Path, PathBuf};

use super::find::Need;
use super::install::{self, Manager};
use crate::command::{self, Cmd};
use crate::failure::{Failure, Result};

/// Every package that is installed, with its version.
const REQUIREMENTS: &str = include_str!("localstack.txt");

/// Below the folder for what is built. `ops-testkit` looks for it there, too.
const FOLDER: &str = "s3/localstack-4.7.0";

/// Names a virtual environment of Python, as `ops-testkit` reads it.
const EXPLICIT: &str = "OPS_S3_LOCALSTACK";

/// In the folder: what was installed there, once that is complete.
const INSTALLED: &str = "installed.txt";

/// The environment that is there, where it is complete and has the right versions.
pub(super) fn find(target: &Path) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(EXPLICIT) {
        return Some(PathBuf::from(named));
    }
    find_in(target)
}

fn find_in(target: &Path) -> Option<PathBuf> {
    let folder = target.join(FOLDER);
    let installed = fs::read_to_string(folder.join(INSTALLED)).ok()?;
    (installed == REQUIREMENTS).then_some(folder)
}

/// What is there, or what `install` would do.
pub(super) fn describe(target: &Path) -> String {
    match find(target) {
        Some(folder) => format!("found    {:<21} {}", name(), folder.display()),
        None => format!(
            "install  {} below {}, from pip (190 MB)",
            name(),
            target.join("s3").display()
        ),
    }
}

fn name() -> String {
    let version = |package: &str| {
        let mut lines = REQUIREMENTS.lines();
        lines
            .find_map(|line| line.strip_prefix(package)?.strip_prefix("=="))
            .unwrap_or("?")
    };
    format!(
        "LocalStack {} with boto3 {}",
        version("localstack-core"),
        version("boto3")
    )
}

/// Installs the environment where it is not there, and says so before.
pub(super) fn ensure(target: &Path, manager: Manager) -> Result {
    if find(target).is_some() {
        return Ok(());
    }
    println!("{}", describe(target));
    let folder = target.join(FOLDER);
    if folder.exists() {
        // Interrupted, or of other versions.
        fs::remove_dir_all(&folder).map_err(|err| io_failure(&folder, &err))?;
    }
    fs::create_dir_all(&folder).map_err(|err| io_failure(&folder, &err))?;
    Cmd::new(python(manager)?)
        .args(["-m", "venv"])
        .arg(&folder)
        .run()?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(|err| io_failure(&requirements, &err))?;
    Cmd::new(folder.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--requirement"])
        .arg(&requirements)
        .run()?;
    let installed = folder.join(INSTALLED);
    fs::rename(&requirements, &installed).map_err(|err| io_failure(&installed, &err))
}

/// Tells a command where the environment is.
pub(super) fn with_localstack(cmd: Cmd, target: &Path) -> Cmd {
    match find(target) {
        Some(folder) => cmd.env(EXPLICIT, folder),
        None => cmd,
    }
}

/// Python with what makes virtual environments, which some distributions package apart.
fn python(manager: Manager) -> Result<PathBuf> {
    let complete = || {
        let python = command::find("python3")?;
        let modules = Cmd::new(&python).args(["-c", "import ensurepip, venv"]);
        modules.succeeds().then_some(python)
    };
    if let Some(python) = complete() {
        return Ok(python);
    }
    let plan = install::plan(manager, &[Need::Python])?;
    println!("{plan}");
    plan.run()?;
    complete().ok_or_else(|| Failure::new("python3 still cannot make virtual environments"))
}

fn io_failure(path: &Path, err: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {err}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_pinned() {
        let lines = REQUIREMENTS.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let pinned = line.split_once("==").is_some_and(|(package, version)| {
                !package.is_empty() && version.starts_with(|c: char| c.is_ascii_digit())
            });
            assert!(pinned, "{line}");
        }
        assert!(FOLDER.ends_with(name().split(' ').nth(1).unwrap()));
    }

    #[test]
    fn only_what_was_installed_to_the_end_is_found() {
        let target = std::env::temp_dir().join(format!("ops-xtask-s3-{}", std::process::id()));
        let folder = target.join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        let found = |text: &str| {
            fs::write(folder.join(INSTALLED), text).unwrap();
            find_in(&target)
        };
        let outcomes = [found("boto3==0"), found(REQUIREMENTS)];
        fs::remove_dir_all(&target).unwrap();
        assert_eq!(outcomes, [None, Some(folder)]);
    }
}
