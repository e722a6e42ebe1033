//! What systemd wants to be told (`sd_notify(3)`).

use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ops_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep};

use crate::aggregate::Question;
use crate::health::{Health, Inner};
use crate::lifecycle::Lifecycle;
use crate::status::Status;
use crate::watchdog::Watchdog;

/// Tells systemd how the service is: `READY=1` once it serves, `STATUS=` with one line,
/// `EXTEND_TIMEOUT_USEC` while startup gates are open and none has failed, `WATCHDOG=1`
/// while the process is alive, and `STOPPING=1` when it drains.
///
/// The keep-alive comes from the thread of the [`Watchdog`], after the runtime has answered
/// it and while every liveness signal holds: a process that systemd restarts was dead.
///
/// The unit needs `Type=notify` and, for the keep-alive, `WatchdogSec=`. Given to
/// [`HealthBuilder::systemd`](crate::HealthBuilder::systemd).
#[derive(Clone)]
pub struct Systemd {
    socket: Arc<UnixDatagram>,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

/// How often the state is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// By how much a start is extended, and how often.
const EXTENSION: Duration = Duration::from_secs(30);

impl Systemd {
    /// What systemd has set for this process: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` where
    /// `WATCHDOG_PID` is this process. `None` where it was not started by systemd.
    ///
    /// # Errors
    /// `InvalidConfig` where what is set cannot be used.
    pub fn from_env() -> Result<Option<Self>> {
        #[expect(clippy::disallowed_methods, reason = "this is the from_env")]
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(socket) = get("NOTIFY_SOCKET") else {
            return Ok(None);
        };
        let is_ours = get("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = get("WATCHDOG_USEC")
            .filter(|_| is_ours)
            .map(|usec| usec.parse().map(Duration::from_micros))
            .transpose()
            .map_err(|_| invalid("WATCHDOG_USEC is no number"))?;
        Self::new(socket, watchdog).map(Some)
    }

    /// Tells what listens on this socket; one that begins with `@` has no file. With a
    /// `watchdog`, so long after the last keep-alive the process is killed.
    ///
    /// # Errors
    /// `InvalidConfig` where the socket's name cannot be used.
    pub fn new(socket: impl Into<PathBuf>, watchdog: Option<Duration>) -> Result<Self> {
        let path = socket.into();
        let address = address(&path)
            .map_err(|err| invalid("the socket of systemd cannot be used").with_source(err))?;
        let socket = UnixDatagram::unbound()
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
            .map_err(|err| invalid("there is no socket to write to systemd").with_source(err))?;
        Ok(Self {
            socket: Arc::new(socket),
            address,
            watchdog,
        })
    }

    pub(crate) fn problems(&self, watchdog: Option<&Watchdog>) -> Vec<String> {
        let Some(limit) = self.watchdog else {
            return Vec::new();
        };
        match watchdog {
            None => vec![
                "systemd waits for keep-alives, but there is no watchdog to give them".to_owned(),
            ],
            Some(watchdog) if watchdog.period() > limit / 3 => vec![format!(
                "systemd kills after {limit:?} without a keep-alive, but the watchdog looks only every {:?}",
                watchdog.period()
            )],
            Some(_) => Vec::new(),
        }
    }

    /// Sends a state. One that cannot be sent is lost: systemd decides what that means.
    fn tell(&self, state: &str) {
        if let Err(err) = self.socket.send_to_addr(state.as_bytes(), &self.address) {
            tracing::debug!(target: "ops_health", error = %err, "systemd was not told");
        }
    }

    /// Gives keep-alives from the thread of the watchdog.
    pub(crate) fn keep_alive(&self, inner: &Arc<Inner>, watchdog: &Watchdog) {
        let Some(limit) = self.watchdog else { return };
        let (systemd, service) = (self.clone(), Arc::downgrade(inner));
        let last: Mutex<Option<std::time::Instant>> = Mutex::new(None);
        watchdog.on_answer(move || {
            let Some(inner) = service.upgrade() else {
                return;
            };
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = last.is_none_or(|last| last.elapsed() >= limit / 3);
            if is_due && inner.is_alive() {
                *last = Some(std::time::Instant::now());
                systemd.tell("WATCHDOG=1");
            }
        });
    }

    /// Tells every change, until the service has stopped.
    pub(crate) async fn follow(self, service: Weak<Inner>) {
        let mut told = Told::default();
        while let Some(inner) = service.upgrade() {
            let health = Health(inner);
            told.tell(&self, &health);
            if health.lifecycle() == Lifecycle::Stopped {
                break;
            }
            drop(health);
            sleep(LOOK).await;
        }
    }
}

/// What systemd knows already.
#[derive(Default)]
struct Told {
    ready: bool,
    stopping: bool,
    extended: Option<Instant>,
    status: String,
}

impl Told {
    fn tell(&mut self, systemd: &Systemd, health: &Health) {
        let lifecycle = health.lifecycle();
        let status = format!(
            "{lifecycle}, {}",
            health.verdict(Question::Health).status.as_str()
        );
        let mut state = Vec::new();
        match lifecycle {
            Lifecycle::Starting => {
                let snapshot = health.0.snapshot.load();
                let goes_on = snapshot
                    .gates
                    .iter()
                    .all(|gate| gate.status != Status::Unhealthy);
                let is_due = self
                    .extended
                    .is_none_or(|last| last.elapsed() >= EXTENSION / 3);
                if goes_on && is_due && !snapshot.gates.is_empty() {
                    self.extended = Some(Instant::now());
                    state.push(format!("EXTEND_TIMEOUT_USEC={}", EXTENSION.as_micros()));
                }
            }
            Lifecycle::Serving | Lifecycle::Maintenance => {
                if !std::mem::replace(&mut self.ready, true) {
                    state.push("READY=1".to_owned());
                }
            }
            Lifecycle::Draining | Lifecycle::Stopped => {
                if !std::mem::replace(&mut self.stopping, true) {
                    state.push("STOPPING=1".to_owned());
                }
            }
        }
        if status != self.status {
            state.push(format!("STATUS={status}"));
            self.status = status;
        }
        if !state.is_empty() {
            systemd.tell(&state.join("\n"));
        }
    }
}

fn address(path: &Path) -> io::Result<SocketAddr> {
    let text = path.as_os_str().as_encoded_bytes();
    match text.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

#[cold]
fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

impl fmt::Debug for Systemd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Systemd")
            .field("address", &self.address)
            .field("watchdog", &self.watchdog)
            .finish_non_exhaustive()
    }
}
