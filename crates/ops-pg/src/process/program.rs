//! What to run, and how.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ops_core::{Error, ErrorKind, Result, Secret};

use super::{Supervised, User};

/// Where a standard stream of a child goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Io {
    /// To nothing, from nothing.
    #[default]
    Null,
    /// To us, from us.
    Piped,
}

impl From<Io> for Stdio {
    fn from(io: Io) -> Self {
        match io {
            Io::Null => Self::null(),
            Io::Piped => Self::piped(),
        }
    }
}

/// A program to run, with its arguments and its environment.
///
/// The environment of the child is `PATH`, `HOME=/nonexistent`, `LANG=C`, `LC_ALL=C`,
/// `TZ=UTC` and what [`env`](Self::env) and [`secret_env`](Self::secret_env) add;
/// nothing is inherited. libpq therefore reads no `~/.pgpass`, no service file and no
/// certificate that it was not told of. The child runs in `/` and leads a process group.
///
/// `Debug` shows the names of secret variables, never their values.
///
/// Arguments can be read by every user of the machine, so a [`Secret`] is not accepted
/// as one:
///
/// ```compile_fail
/// use ops_core::Secret;
/// use ops_pg::process::Program;
///
/// Program::new("/usr/bin/pg_dump").arg(Secret::from("hunter2"));
/// ```
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<String, Value>,
    current_dir: PathBuf,
    stdin: Io,
    stdout: Io,
    user: Option<User>,
}

#[derive(Clone, Debug)]
enum Value {
    Plain(OsString),
    Secret(Secret),
}

impl Program {
    /// A program by its path, with an empty standard input and no standard output.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let env = [
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("HOME", "/nonexistent"),
            ("LANG", "C"),
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
        ];
        Self {
            path: path.into(),
            args: Vec::new(),
            env: env
                .map(|(name, value)| (name.to_owned(), Value::Plain(value.into())))
                .into(),
            current_dir: "/".into(),
            stdin: Io::Null,
            stdout: Io::Null,
            user: None,
        }
    }

    /// Adds an argument. It is passed as it is: there is no shell.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment, also one of those that are set by default.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .insert(name.into(), Value::Plain(value.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment that is secret. Only root and the user that
    /// the child runs as can read it from the running process.
    #[must_use]
    pub fn secret_env(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.env.insert(name.into(), Value::Secret(value.into()));
        self
    }

    /// Sets the working folder. Defaults to `/`.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.current_dir = folder.into();
        self
    }

    /// Sets where the standard input comes from. Defaults to [`Io::Null`].
    #[must_use]
    pub fn stdin(mut self, stdin: Io) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets where the standard output goes. Defaults to [`Io::Null`].
    #[must_use]
    pub fn stdout(mut self, stdout: Io) -> Self {
        self.stdout = stdout;
        self
    }

    /// Runs the program as another user, with that user's group and no other. Only
    /// root can; see [`User::unprivileged`]. Defaults to the user that we are.
    #[must_use]
    pub fn run_as(mut self, user: impl Into<Option<User>>) -> Self {
        self.user = user.into();
        self
    }

    /// The path of the program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The program's file name, for messages.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or(self.path.as_os_str())
            .to_string_lossy()
            .into_owned()
    }

    /// Starts the program.
    ///
    /// # Errors
    /// `NotFound` where the program or the working folder does not exist,
    /// `PermissionDenied` where the program may not be run or the user may not be
    /// changed, `QuotaExceeded` at the limit of processes, `Internal` outside a tokio
    /// runtime.
    pub fn spawn(&self) -> Result<Supervised> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(
                ErrorKind::Internal,
                "children need a tokio runtime",
            ));
        }
        let mut command = self.command();
        command.stderr(Stdio::piped());
        let child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| self.spawn_error(source))?;
        Ok(Supervised::new(self.name(), child))
    }

    /// The standard library's command. It can print what is secret, so it stays here.
    #[expect(clippy::disallowed_methods, reason = "this is the supervision")]
    pub(crate) fn command(&self) -> Command {
        let Self {
            path,
            args,
            env,
            current_dir,
            stdin,
            stdout,
            user,
        } = self;
        let mut command = Command::new(path);
        command
            .args(args)
            .env_clear()
            .current_dir(current_dir)
            .process_group(0);
        for (name, value) in env {
            match value {
                Value::Plain(value) => command.env(name, value),
                Value::Secret(value) => command.env(name, value.expose()),
            };
        }
        command
            .stdin(Stdio::from(*stdin))
            .stdout(Stdio::from(*stdout));
        if let Some(user) = user {
            // The standard library drops the supplementary groups along with root.
            command.uid(user.uid()).gid(user.gid());
        }
        command
    }

    #[cold]
    pub(crate) fn spawn_error(&self, source: io::Error) -> Error {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => ErrorKind::QuotaExceeded,
            io::ErrorKind::InvalidInput | io::ErrorKind::ArgumentListTooLong => {
                ErrorKind::InvalidInput
            }
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("{} cannot be run", self.path.display())).with_source(source)
    }
}
