//! Child processes: started directly, printed before they run, checked afterwards.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    folder: Option<PathBuf>,
    terminal: bool,
}

impl Cmd {
    pub(crate) fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            folder: None,
            terminal: false,
        }
    }

    /// The cargo that runs this program.
    pub(crate) fn cargo() -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    pub(crate) fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Hands our standard input to the child: it asks, or it serves until it is stopped.
    pub(crate) fn with_terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// Runs with our output, and fails where the child fails.
    pub(crate) fn run(&self) -> Result {
        self.announce();
        let status = self.std().status().map_err(|err| self.cannot_start(&err))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(status))
        }
    }

    /// Runs without printing, and returns what the child wrote to its standard output.
    pub(crate) fn output(&self) -> Result<String> {
        let output = self.std().output().map_err(|err| self.cannot_start(&err))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!(
            "{}\n{}",
            self.failed(output.status).message(),
            said.trim_end()
        )))
    }

    /// Whether the child succeeds; nothing is printed.
    pub(crate) fn succeeds(&self) -> bool {
        let status = self
            .std()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    /// Runs with our output, and shows each line of both streams to `see` as well.
    pub(crate) fn run_seen(&self, see: &(dyn Fn(&str) + Sync)) -> Result {
        self.announce();
        let mut child = self
            .std()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|err| self.cannot_start(&err))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            scope.spawn(|| copy_lines(stdout, io::stdout(), see));
            scope.spawn(|| copy_lines(stderr, io::stderr(), see));
        });
        let status = child.wait().map_err(|err| self.cannot_start(&err))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(status))
        }
    }

    fn std(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if !self.terminal {
            command.stdin(Stdio::null());
        }
        command
    }

    fn announce(&self) {
        println!("$ {self}");
        // Buffered output of ours must not appear after the child's.
        let _ = io::stdout().flush();
    }

    fn cannot_start(&self, err: &io::Error) -> Failure {
        Failure::new(format!("cannot run `{self}`: {err}"))
    }

    fn failed(&self, status: std::process::ExitStatus) -> Failure {
        Failure::new(format!("`{self}` failed: {status}"))
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quote(value))?;
        }
        let program = Path::new(&self.program);
        let shown = match program.file_stem() {
            Some(stem) if stem == "cargo" => stem,
            _ => &self.program,
        };
        f.write_str(&quote(shown))?;
        for arg in &self.args {
            write!(f, " {}", quote(arg))?;
        }
        Ok(())
    }
}

/// As a shell would take it, for people who paste the line.
fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn copy_lines(from: Option<impl Read>, mut to: impl Write, see: &(dyn Fn(&str) + Sync)) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match from.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                // A closed output must not stop the child: go on reading.
                let _ = to.write_all(&line).and_then(|()| to.flush());
                see(&without_colors(&String::from_utf8_lossy(&line)));
            }
        }
    }
}

/// Removes the escape sequences by which terminals color text.
fn without_colors(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The first executable of this name in these folders.
pub(crate) fn find_in(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path))
}

/// The folders of `PATH`.
pub(crate) fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// The first executable of this name in `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    find_in(&search_path(), name)
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_command_is_shown_as_a_shell_would_take_it() {
        let cmd = Cmd::new("echo").env("A", "1 2").arg("plain").arg("it's");
        assert_eq!(cmd.to_string(), r"A='1 2' echo plain 'it'\''s'");
    }

    #[test]
    fn a_failing_child_is_named_with_its_status() {
        let err = Cmd::new("false").run().unwrap_err();
        assert_eq!(err.message(), "`false` failed: exit status: 1");
    }

    #[test]
    fn a_missing_program_is_named() {
        let err = Cmd::new("no-such-program-anywhere").output().unwrap_err();
        assert!(
            err.message()
                .starts_with("cannot run `no-such-program-anywhere`: "),
            "{err:?}"
        );
    }

    #[test]
    fn arguments_reach_the_child_unchanged() {
        let said = Cmd::new("printf")
            .arg("%s|%s")
            .arg("a b")
            .arg("$HOME;*")
            .output()
            .unwrap();
        assert_eq!(said, "a b|$HOME;*");
    }

    #[test]
    fn lines_are_seen_without_their_colors() {
        let seen = Mutex::new(Vec::new());
        let cmd = Cmd::new("printf").arg("\u{1b}[32mok\u{1b}[0m 1\nlast");
        cmd.run_seen(&|line| seen.lock().unwrap().push(line.to_owned()))
            .unwrap();
        assert_eq!(*seen.lock().unwrap(), ["ok 1\n", "last"]);
    }

    #[test]
    fn only_executables_are_found() {
        let folder = PathBuf::from("/etc");
        assert_eq!(find_in(&[folder], "passwd"), None);
        assert!(find("printf").is_some());
    }
}
