//! Finding the client programs and servers on this machine, by major version.
//!
//! ```no_run
//! use ops_pg::binaries::{Finder, Major};
//!
//! # async fn find() -> ops_core::Result<()> {
//! let finder = Finder::from_env();
//! // A drill starts the very major that the backup came from.
//! let server = finder.exact(Major(15)).await?;
//! let postgres = server.program("postgres")?;
//! // A dump may be taken by a newer client.
//! let pg_dump = finder.at_least(Major(15)).await?.program("pg_dump")?;
//! # drop((postgres, pg_dump));
//! # Ok(())
//! # }
//! ```

mod finder;
mod version;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ops_core::{Error, ErrorKind, Result};
use tokio::io::AsyncReadExt;

use crate::process::{Io, Program};

pub use finder::Finder;
pub use version::{Major, Version};

/// How long a program may take to say what it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The programs that can tell an installation's version, the server first.
const TELL_VERSION: [&str; 3] = ["postgres", "pg_dump", "psql"];

/// The `bin` folder of one PostgreSQL installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
    version: Version,
}

impl Binaries {
    /// The installation in a `bin` folder. Asks one of its programs for the version.
    ///
    /// # Errors
    /// `NotFound` where the folder has neither `postgres` nor `pg_dump` nor `psql`,
    /// `Decode` where the version is not understood, `Timeout` where the program does
    /// not end within 10 s.
    ///
    /// # Cancel safety
    /// The program that was asked is killed.
    pub async fn at(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        let Some(program) = TELL_VERSION
            .iter()
            .map(|name| folder.join(name))
            .find(|path| is_program(path))
        else {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("{} holds no PostgreSQL programs", folder.display()),
            ));
        };
        let version = ask_version(&program).await?;
        Ok(Self { folder, version })
    }

    /// The `bin` folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The exact version: the server's where there is one, else the client's.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The major version.
    #[must_use]
    pub fn major(&self) -> Major {
        self.version.major()
    }

    /// The path of a program of this installation, such as `pg_dump`.
    ///
    /// # Errors
    /// `NotFound` where the installation lacks it; the message names the folder.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if !name.is_empty() && !name.contains('/') && is_program(&path) {
            return Ok(path);
        }
        let folder = self.folder.display();
        let message = format!(
            "{name} is not among the PostgreSQL {} programs in {folder}",
            self.version
        );
        Err(Error::new(ErrorKind::NotFound, message).with_resource(path.display().to_string()))
    }

    /// Whether the installation has a program.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.program(name).is_ok()
    }

    /// Whether the installation can make and run a server: it has `postgres` and `initdb`.
    #[must_use]
    pub fn has_server(&self) -> bool {
        self.has("postgres") && self.has("initdb")
    }
}

/// Whether there is a file that may be executed.
fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

async fn ask_version(program: &Path) -> Result<Version> {
    let output = first_output(Program::new(program).arg("--version")).await?;
    Version::parse_output(&output).map_err(|err| err.with_resource(program.display().to_string()))
}

/// What a program prints, of one that prints little and ends soon.
async fn first_output(program: Program) -> Result<String> {
    let program = program.stdout(Io::Piped);
    let mut child = program.spawn()?;
    let work = async {
        let mut output = Vec::new();
        if let Some(stdout) = child.take_stdout() {
            // A failed read shows as an output that cannot be understood.
            let _ = stdout.take(4096).read_to_end(&mut output).await;
        }
        child.wait().await?.check(ErrorKind::NotFound)?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    };
    tokio::time::timeout(ANSWER_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| {
            let path = program.path().display();
            Err(Error::new(
                ErrorKind::Timeout,
                format!("{path} did not say what it is in time"),
            ))
        })
}
