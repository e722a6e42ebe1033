//! Data folders that were initialized once, to be copied.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use ops_core::{Error, ErrorKind, Result};

use super::builder::Options;
use super::file_error;
use super::folder::{copy, give};
use super::parent::{self, Parent};
use crate::process::{OneLine, Program};

/// Puts a fresh data folder to `to`: a copy of the template, which is made where there is
/// none yet. Of several processes one makes it, and the others wait.
pub(super) fn instantiate(parent: &Parent, options: &Options, to: &Path) -> Result<()> {
    let template = ready(parent, options)?;
    copy(&template, to, options.user.as_ref())
}

fn ready(parent: &Parent, options: &Options) -> Result<PathBuf> {
    let templates = parent.subfolder("templates")?;
    let name = name_of(options);
    let template = templates.join(&name);
    if template.is_dir() {
        return Ok(template);
    }
    let _lock = parent::lock(&templates.join(format!("{name}.lock")))?;
    if template.is_dir() {
        return Ok(template);
    }
    let unfinished = templates.join(format!("{name}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)
            .map_err(|err| file_error("removing folder", &unfinished, err))?;
    }
    initdb(options, &unfinished)?;
    fs::rename(&unfinished, &template).map_err(|err| file_error("renaming", &unfinished, err))?;
    Ok(template)
}

/// One name for servers that are initialized alike.
fn name_of(options: &Options) -> String {
    let mut hasher = DefaultHasher::new();
    options.binaries.folder().hash(&mut hasher);
    options
        .user
        .as_ref()
        .map(crate::process::User::uid)
        .hash(&mut hasher);
    initdb_args(options).hash(&mut hasher);
    format!("{}-{:016x}", options.binaries.version(), hasher.finish())
}

fn initdb_args(options: &Options) -> Vec<String> {
    let mut args = vec![
        format!("--username={}", options.superuser),
        format!("--encoding={}", options.encoding),
        format!("--locale={}", options.locale),
        "--auth=trust".to_owned(),
    ];
    if options.data_checksums {
        args.push("--data-checksums".to_owned());
    } else if options.binaries.major() >= crate::binaries::Major(18) {
        args.push("--no-data-checksums".to_owned());
    }
    if let Some(megabytes) = options.wal_segment_size_mb {
        args.push(format!("--wal-segsize={megabytes}"));
    }
    args
}

fn initdb(options: &Options, to: &Path) -> Result<()> {
    fs::create_dir(to).map_err(|err| file_error("making folder", to, err))?;
    give(to, options.user.as_ref())?;
    let program = Program::new(options.binaries.program("initdb")?)
        .args(initdb_args(options))
        .arg("--pgdata")
        .arg(to)
        .run_as(options.user.clone());
    let mut command = program.command();
    command.stderr(std::process::Stdio::piped());
    let output = command.output().map_err(|err| program.spawn_error(err))?;
    if output.status.success() {
        return Ok(());
    }
    let err = Error::new(
        ErrorKind::Unavailable,
        format!("initdb ended with {}", output.status),
    )
    .with_retry(ops_core::Retry::Never);
    Err(
        match OneLine::of(&String::from_utf8_lossy(&output.stderr)) {
            Some(said) => err.with_source(said),
            None => err,
        },
    )
}
