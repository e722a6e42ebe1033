//! The server's main process.

use std::fs;
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ops_core::database::ConnectInfo;
use ops_core::{Error, ErrorKind, Result, Retry};
use rustix::process::Signal;

use super::builder::Options;
use super::folder::ServerFolder;
use super::port::ReservedPort;
use super::{config, file_error, leftover};
use crate::connect::{ConnectOptions, connect};
use crate::process::{OneLine, Program, signal};

/// How often a process is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How long one connection attempt may take while the server starts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a drop waits for an orderly end. It takes some 20 ms.
const DROP_PATIENCE: Duration = Duration::from_secs(2);

/// How long the processes of a killed server may keep its shared memory.
const CRASH_GRACE: Duration = Duration::from_secs(10);

/// A main process. Dropping it ends the server.
///
/// It is a child of the standard library, not of a runtime: a server may outlive the
/// runtime that it was started in.
#[derive(Debug)]
pub(super) struct Postmaster {
    child: Child,
}

/// Why a server did not start.
#[derive(Debug)]
pub(super) enum StartFailure {
    /// Somebody else has the port.
    PortTaken(Error),
    /// The processes of a server that crashed in the same folder are not gone yet.
    NotGoneYet(Error),
    /// Anything else.
    Other(Error),
}

impl StartFailure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::PortTaken(err) | Self::NotGoneYet(err) | Self::Other(err) => err,
        }
    }

    /// Judges by what the server logged before it ended.
    fn of(status: ExitStatus, log: &str) -> Self {
        let says = |text: &str| log.contains(text);
        let kind = if says("No space left on device") || says("could not create shared memory") {
            ErrorKind::QuotaExceeded
        } else if says("contains errors")
            || says("unrecognized configuration parameter")
            || says("invalid value for parameter")
            || says("could not access file")
            || says("could not load server certificate")
        {
            ErrorKind::InvalidConfig
        } else {
            ErrorKind::Unavailable
        };
        let err = Error::new(
            kind,
            format!("the server ended while it started, with {status}"),
        );
        let err = with_log(err, log);
        if says("could not create any TCP/IP sockets") {
            Self::PortTaken(err)
        } else if says("is still in use") {
            Self::NotGoneYet(err)
        } else {
            Self::Other(err)
        }
    }
}

impl Postmaster {
    /// Starts the server and waits until it answers.
    pub(super) async fn start(
        folder: &ServerFolder,
        options: &Options,
        port: &ReservedPort,
        info: &ConnectInfo,
    ) -> Result<Self, StartFailure> {
        let begun = Instant::now();
        loop {
            match Self::try_start(folder, options, port, info).await {
                Err(StartFailure::NotGoneYet(_)) if begun.elapsed() < CRASH_GRACE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_start(
        folder: &ServerFolder,
        options: &Options,
        port: &ReservedPort,
        info: &ConnectInfo,
    ) -> Result<Self, StartFailure> {
        let log_start = fs::metadata(folder.log()).map_or(0, |meta| meta.len());
        let mut postmaster = Self::spawn(folder, options, port).map_err(StartFailure::Other)?;
        let attempt = ConnectOptions::default().with_connect_timeout(ATTEMPT_TIMEOUT);
        let begun = Instant::now();
        loop {
            if let Some(status) = postmaster.ended() {
                return Err(StartFailure::of(status, &folder.log_tail(log_start)));
            }
            let Err(err) = connect(info, &attempt).await else {
                return Ok(postmaster);
            };
            // The server answers, and says that nobody can log in this way.
            let refused = matches!(
                err.kind(),
                ErrorKind::Unauthenticated | ErrorKind::PermissionDenied | ErrorKind::NotFound
            ) && err.code().is_some();
            if refused || begun.elapsed() > options.start_timeout {
                let kind = if refused {
                    err.kind()
                } else {
                    ErrorKind::Timeout
                };
                let answer = Error::new(kind, "the server was started but does not let us in")
                    .with_retry(Retry::Never)
                    .with_source(err);
                return Err(StartFailure::Other(answer));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn spawn(folder: &ServerFolder, options: &Options, port: &ReservedPort) -> Result<Self> {
        let mut program = Program::new(options.binaries.program("postgres")?)
            .arg("-D")
            .arg(folder.data_dir())
            .run_as(options.user.clone());
        for (name, value) in config::overrides(folder, options, port)? {
            program = program.arg("-c").arg(format!("{name}={value}"));
        }
        let path = folder.log();
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|err| file_error("opening", &path, err))?;
        let also = log
            .try_clone()
            .map_err(|err| file_error("opening", &path, err))?;
        let mut command = program.command();
        command.stdout(Stdio::from(log)).stderr(Stdio::from(also));
        let child = command.spawn().map_err(|err| program.spawn_error(err))?;
        Ok(Self { child })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends the main process a signal, and waits for its end.
    pub(super) async fn end(&mut self, how: Signal, patience: Duration) -> Result<()> {
        self.signal(how)?;
        let begun = Instant::now();
        while self.is_running() {
            if begun.elapsed() > patience {
                let message = "the server did not end in time";
                return Err(Error::new(ErrorKind::Timeout, message).with_retry(Retry::Safe));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Kills the main process and then its children, so that nothing of the server runs on.
    pub(super) async fn kill(&mut self, patience: Duration) -> Result<()> {
        if self.is_running() {
            leftover::kill_all(self.pid());
        }
        self.end(Signal::KILL, patience).await
    }

    fn signal(&mut self, how: Signal) -> Result<()> {
        // Once its end has been seen, the number may belong to somebody else.
        if !self.is_running() {
            return Ok(());
        }
        signal(self.pid(), how).map_err(|err| {
            Error::new(
                ErrorKind::PermissionDenied,
                "the server cannot be signalled",
            )
            .with_source(err)
        })
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        for how in [Signal::QUIT, Signal::KILL] {
            match how {
                Signal::KILL => leftover::kill_all(self.pid()),
                _ => drop(self.signal(how)),
            }
            let begun = Instant::now();
            while begun.elapsed() < DROP_PATIENCE {
                if !self.is_running() {
                    return;
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        tracing::warn!(pid = self.pid(), "a throwaway server did not end");
    }
}

fn with_log(err: Error, log: &str) -> Error {
    let err = err.with_retry(Retry::Never);
    match OneLine::of(log) {
        Some(tail) => err.with_source(tail),
        None => err,
    }
}
