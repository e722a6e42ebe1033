//! LocalStack for a whole run of the tests: each test runs in a process of its own, and a
//! server takes seconds to start.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// Names a server that runs already, as `ops-testkit` reads it.
pub(crate) const URL: &str = "OPS_S3_LOCALSTACK_URL";

/// As the testkit starts it where no server is handed to it.
const LAUNCHER: &str = include_str!("../../crates/ops-testkit/src/s3/server/localstack.py");

/// How long a server may take to end by itself.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A running server. It ends with its standard input: when this is dropped, and also when
/// this process is killed.
pub(crate) struct LocalStack {
    child: Child,
    folder: PathBuf,
    endpoint: String,
}

impl LocalStack {
    /// Starts a server; none where the environment names one that runs already.
    pub(crate) fn start(environment: &Path, target: &Path) -> Result<Option<Self>> {
        if std::env::var_os(URL).is_some_and(|url| !url.is_empty()) {
            return Ok(None);
        }
        let python = environment.join("bin/python");
        let folder = target.join(format!("s3/state-{}", std::process::id()));
        let log = target.join("s3/localstack.log");
        let start = Instant::now();
        let server = Self::launch(&python, &folder, &log)?;
        println!(
            "LocalStack: {} ({:.1} s)",
            server.endpoint,
            start.elapsed().as_secs_f64()
        );
        Ok(Some(server))
    }

    fn launch(python: &Path, folder: &Path, log: &Path) -> Result<Self> {
        let failed = |path: &Path, err: &std::io::Error| {
            Failure::new(format!(
                "cannot start LocalStack: {}: {err}",
                path.display()
            ))
        };
        fs::create_dir_all(folder).map_err(|err| failed(folder, &err))?;
        let errors = File::create(log).map_err(|err| failed(log, &err))?;
        let mut child = Command::new(python)
            .args(["-c", LAUNCHER])
            .arg(folder)
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|err| failed(python, &err))?;
        let stdout = child.stdout.take();
        let mut server = Self {
            child,
            folder: folder.to_path_buf(),
            endpoint: String::new(),
        };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            let said = BufReader::new(stdout).read_line(&mut line);
            said.map_err(|err| failed(python, &err))?;
        }
        line.trim().clone_into(&mut server.endpoint);
        if server.endpoint.starts_with("http://") {
            Ok(server)
        } else {
            let said = tail(log);
            Err(Failure::new(format!("LocalStack does not start: {said}")))
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether the server has ended in time, once its input did.
    fn ended(&mut self) -> bool {
        let deadline = Instant::now() + END_TIMEOUT;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(None) | Err(_) => return false,
                Ok(Some(_)) => return true,
            }
        }
    }
}

impl Drop for LocalStack {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if !self.ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The end of a log.
fn tail(log: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let _ = file.read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let last = lines.len().saturating_sub(20);
    lines.get(last..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Python that is a shell: the launcher is its script, the folder its first argument.
    fn launch(name: &str, script: &str) -> (PathBuf, Result<LocalStack>) {
        use std::os::unix::fs::PermissionsExt;
        let place = std::env::temp_dir().join(format!("ops-xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let python = place.join("python");
        fs::write(&python, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o700)).unwrap();
        let server = LocalStack::launch(&python, &place.join("state"), &place.join("log"));
        (place, server)
    }

    #[test]
    fn a_server_ends_with_its_input_and_its_folder_is_removed() {
        let (place, server) = launch("ends", "echo http://127.0.0.1:1; read line");
        let mut server = server.unwrap();
        assert_eq!(server.endpoint(), "http://127.0.0.1:1");
        assert!(matches!(server.child.try_wait(), Ok(None)));
        // All that is left of a process that was killed: its end of the pipe is closed.
        drop(server.child.stdin.take());
        assert!(server.ended());
        drop(server);
        assert!(!place.join("state").exists());
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn a_server_that_does_not_start_says_why() {
        let (place, server) = launch("fails", "echo no port is free >&2");
        let problem = server.err().unwrap().message().to_owned();
        fs::remove_dir_all(place).unwrap();
        assert_eq!(problem, "LocalStack does not start: no port is free");
    }
}
