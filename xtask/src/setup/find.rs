//! What is there.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::slice;

use crate::command::{self, Cmd};

/// The majors of PostgreSQL that the crates support.
pub(crate) const MAJORS: RangeInclusive<u32> = 13..=18;

/// What the crates and their tests start.
const PROGRAMS: [&str; 8] = [
    "initdb",
    "pg_ctl",
    "pg_dump",
    "pg_dumpall",
    "pg_restore",
    "pgbench",
    "postgres",
    "psql",
];

/// What tests need beside PostgreSQL: the tools by which anybody can read a backup, and a
/// server whose sessions are pooled as those of PostgreSQL are.
const TOOLS: [&str; 4] = ["age", "age-keygen", "redis-server", "zstd"];

/// Users that own throwaway servers when this machine's user is root.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Names folders of installations, as `ops_pg::binaries` reads it.
pub(crate) const EXPLICIT: &str = "OPS_PG_BIN_DIRS";

/// Names the major of tests that ask for none, as `ops_testkit::fixture` reads it.
pub(crate) const DEFAULT_MAJOR: &str = "OPS_TESTKIT_PG_MAJOR";

/// Something that has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Postgres,
    /// With what makes virtual environments.
    Python,
    Tool(&'static str),
    UnprivilegedUser,
}

impl Need {
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Postgres => {
                let (first, last) = (MAJORS.start(), MAJORS.end());
                format!("PostgreSQL {first} to {last} with {}", PROGRAMS.join(", "))
            }
            Self::Python => "Python 3 with the module venv".to_owned(),
            Self::Tool(name) => name.to_owned(),
            Self::UnprivilegedUser => {
                format!(
                    "a user for servers ({}): PostgreSQL refuses root",
                    USERS.join(" or ")
                )
            }
        }
    }
}

/// A complete installation of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Postgres {
    pub(crate) major: u32,
    pub(crate) version: String,
    pub(crate) folder: PathBuf,
}

/// The result of a look around.
#[derive(Debug)]
pub(crate) struct Found {
    /// Newest first.
    postgres: Vec<Postgres>,
    tools: Vec<(&'static str, Option<PathBuf>)>,
    user: User,
}

#[derive(Debug)]
enum User {
    /// We are not root: servers run as we do.
    Own,
    /// Servers run as this one.
    Other(&'static str),
    /// We are root, and nobody else is there.
    None,
}

impl Found {
    pub(crate) fn missing(&self) -> Vec<Need> {
        let mut missing = Vec::new();
        if self.postgres.is_empty() {
            missing.push(Need::Postgres);
        }
        let tools = self.tools.iter().filter(|(_, path)| path.is_none());
        missing.extend(tools.map(|(name, _)| Need::Tool(name)));
        // The package of the server brings a user of its own.
        if matches!(self.user, User::None) && !self.postgres.is_empty() {
            missing.push(Need::UnprivilegedUser);
        }
        missing
    }

    pub(crate) fn summary(&self) -> String {
        let versions: Vec<_> = self
            .postgres
            .iter()
            .map(|found| found.version.as_str())
            .collect();
        let tools: Vec<_> = self.tools.iter().map(|(name, _)| *name).collect();
        format!("PostgreSQL {}; {}", versions.join(", "), tools.join(", "))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.postgres {
            writeln!(
                f,
                "found    PostgreSQL {:<10} {}",
                found.version,
                found.folder.display()
            )?;
        }
        for (name, path) in &self.tools {
            if let Some(path) = path {
                writeln!(f, "found    {name:<21} {}", path.display())?;
            }
        }
        if let User::Other(name) = self.user {
            writeln!(
                f,
                "found    user {name:<16} for servers, because PostgreSQL refuses root"
            )?;
        }
        for need in self.missing() {
            writeln!(f, "missing  {}", need.describe())?;
        }
        Ok(())
    }
}

/// Looks for everything; `target` is the folder for what is built.
pub(crate) fn look(target: &Path) -> Found {
    let path = command::search_path();
    let mut folders = Vec::new();
    for folder in explicit_folders().into_iter().chain([target.join("pg")]) {
        folders.extend(below(folder));
    }
    folders.extend(path.iter().cloned());
    folders.extend(usual_folders());
    Found {
        postgres: find_postgres(&folders),
        tools: TOOLS
            .iter()
            .map(|&name| (name, command::find_in(&path, name)))
            .collect(),
        user: find_user(),
    }
}

/// The folders that the environment names.
pub(crate) fn explicit_folders() -> Vec<PathBuf> {
    std::env::var_os(EXPLICIT)
        .map(|list| std::env::split_paths(&list).collect())
        .unwrap_or_default()
}

/// Where programs may lie below an explicit folder: in it, in an installation, or in a
/// folder of installations.
fn below(folder: PathBuf) -> Vec<PathBuf> {
    let mut folders = vec![folder.join("bin")];
    let entries = folder
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    folders.extend(entries.map(|entry| entry.path().join("bin")));
    folders.insert(0, folder);
    folders
}

/// The newest major that is installed on this machine, not unpacked by us, nor named by the
/// environment.
pub(crate) fn system_major() -> Option<u32> {
    of_system().first().map(|found| found.major)
}

/// Whether a major is installed on this machine, not unpacked by us, nor named by the
/// environment.
pub(crate) fn has_major(major: u32) -> bool {
    of_system().iter().any(|found| found.major == major)
}

fn of_system() -> Vec<Postgres> {
    let mut folders = command::search_path();
    folders.extend(usual_folders());
    find_postgres(&folders)
}

/// Whether servers can run what lies in a folder. Where we are root they run as another user,
/// whom every folder above must let through.
pub(crate) fn lets_servers_through(folder: &Path) -> bool {
    !is_root() || folder.ancestors().all(lets_others_through)
}

#[cfg(unix)]
fn lets_others_through(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    // One that is not there yet is made so that it does.
    folder
        .metadata()
        .map_or(true, |meta| meta.permissions().mode() & 0o001 != 0)
}

#[cfg(not(unix))]
fn lets_others_through(_folder: &Path) -> bool {
    true
}

/// Whether we are the superuser of this machine.
pub(crate) fn is_root() -> bool {
    cfg!(unix)
        && Cmd::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|id| id.trim() == "0")
}

fn find_user() -> User {
    if !is_root() {
        return User::Own;
    }
    let known = |name: &&str| Cmd::new("id").arg("-u").arg(*name).succeeds();
    USERS
        .iter()
        .copied()
        .find(known)
        .map_or(User::None, User::Other)
}

/// Where packages put their programs: those of Debian, Red Hat and Homebrew.
fn usual_folders() -> Vec<PathBuf> {
    let of_major = |major: u32| {
        [
            format!("/usr/lib/postgresql/{major}/bin"),
            format!("/usr/pgsql-{major}/bin"),
            format!("/opt/homebrew/opt/postgresql@{major}/bin"),
            format!("/usr/local/opt/postgresql@{major}/bin"),
        ]
    };
    MAJORS.flat_map(of_major).map(PathBuf::from).collect()
}

/// The complete installations of these folders, each once, newest first.
fn find_postgres(folders: &[PathBuf]) -> Vec<Postgres> {
    let mut found: Vec<Postgres> = Vec::new();
    for folder in folders {
        let complete = PROGRAMS
            .iter()
            .all(|name| command::find_in(slice::from_ref(folder), name).is_some());
        if !complete || found.iter().any(|known| known.folder == *folder) {
            continue;
        }
        let printed = Cmd::new(folder.join("postgres")).arg("--version").output();
        let Some((major, version)) = printed.ok().as_deref().and_then(parse_version) else {
            continue;
        };
        if MAJORS.contains(&major) {
            found.push(Postgres {
                major,
                version,
                folder: folder.clone(),
            });
        }
    }
    found.sort_by_key(|postgres| std::cmp::Reverse(postgres.major));
    found
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn parse_version(printed: &str) -> Option<(u32, String)> {
    let version = printed
        .split_once("(PostgreSQL) ")?
        .1
        .split_whitespace()
        .next()?;
    let digits = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    Some((version.get(..digits)?.parse().ok()?, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder of programs that print `version`, removed afterwards.
    struct Installation(PathBuf);

    impl Installation {
        fn new(name: &str, version: &str, programs: &[&str]) -> Self {
            let unique = format!("ops-xtask-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(unique);
            fs::create_dir_all(&folder).unwrap();
            for program in programs {
                let path = folder.join(program);
                fs::write(
                    &path,
                    format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"),
                )
                .unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            Self(folder)
        }
    }

    impl Drop for Installation {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn versions_of_every_packager_are_read() {
        for (printed, expected) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                (15, "15.18"),
            ),
            ("postgres (PostgreSQL) 17.2 (Homebrew)\n", (17, "17.2")),
            ("postgres (PostgreSQL) 18beta1\n", (18, "18beta1")),
        ] {
            assert_eq!(
                parse_version(printed),
                Some((expected.0, expected.1.to_owned()))
            );
        }
        assert_eq!(parse_version("psql: command not found"), None);
    }

    #[test]
    fn the_newest_complete_supported_installation_comes_first() {
        let old = Installation::new("old", "14.1", &PROGRAMS);
        let new = Installation::new("new", "17.9", &PROGRAMS);
        let unsupported = Installation::new("unsupported", "19.0", &PROGRAMS);
        let partial = Installation::new("partial", "18.4", &["initdb", "pg_ctl", "postgres"]);

        let all = [&old, &unsupported, &partial, &new, &old].map(|found| found.0.clone());
        let majors: Vec<_> = find_postgres(&all)
            .iter()
            .map(|found| found.major)
            .collect();

        assert_eq!(majors, [17, 14]);
    }

    #[test]
    fn an_explicit_folder_may_hold_programs_or_installations() {
        let root = Installation::new("root", "16.1", &[]);
        fs::create_dir_all(root.0.join("16/bin")).unwrap();
        let folders = below(root.0.clone());
        assert_eq!(
            folders,
            [root.0.clone(), root.0.join("bin"), root.0.join("16/bin")]
        );
    }

    #[test]
    fn a_folder_that_only_we_can_enter_lets_nobody_through() {
        let root = Installation::new("shut", "16.1", &[]);
        let inner = root.0.join("pg");
        fs::create_dir(&inner).unwrap();
        let set = |mode| fs::set_permissions(&root.0, fs::Permissions::from_mode(mode)).unwrap();
        set(0o755);
        assert!(inner.ancestors().all(lets_others_through));
        set(0o700);
        assert!(!inner.ancestors().all(lets_others_through));
        assert_eq!(lets_servers_through(&inner), !is_root());
    }

    #[test]
    fn what_is_missing_is_named_once_each() {
        let found = Found {
            postgres: vec![],
            tools: vec![("age", None), ("zstd", Some("/usr/bin/zstd".into()))],
            user: User::None,
        };
        assert_eq!(found.missing(), [Need::Postgres, Need::Tool("age")]);
        let text = found.to_string();
        assert!(
            text.contains("missing  PostgreSQL 13 to 18 with initdb"),
            "{text}"
        );
        assert!(
            text.contains("missing  age\n") && text.contains("found    zstd"),
            "{text}"
        );
    }

    #[test]
    fn root_without_another_user_lacks_one() {
        let version = "15.18".to_owned();
        let postgres = vec![Postgres {
            major: 15,
            version,
            folder: "/p".into(),
        }];
        let found = Found {
            postgres,
            tools: vec![],
            user: User::None,
        };
        assert_eq!(found.missing(), [Need::UnprivilegedUser]);
    }
}
