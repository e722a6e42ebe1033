//! A server in memory, with transactions, state of sessions, and requests to cancel that
//! come over connections of their own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_core::{Error, ErrorKind, Result, async_trait};
use ops_pool::{Connect, Connected, Tap, Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Config, NoTls};

/// How a reset goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    Works,
    Takes(Duration),
    Fails,
    Hangs,
    LeavesTransaction,
}

/// The server.
#[derive(Debug)]
pub(crate) struct Backend {
    reset: Mutex<How>,
    /// How long a request to cancel is under way.
    cancel_takes: Mutex<Duration>,
    /// Whether nobody hears what becomes of a request to cancel.
    cancels_vanish: AtomicBool,
    /// How many requests to cancel have no effect, as those that come too early.
    loses_cancels: AtomicUsize,
    /// How many requests to cancel are under way.
    canceling: AtomicUsize,
    /// Queries that began while a request to cancel was under way.
    endangered: Mutex<Vec<String>>,
    /// What was asked, and the end of each request to cancel, in order.
    log: Mutex<Vec<String>>,
    running: Mutex<HashMap<i32, Arc<Notify>>>,
    pids: AtomicUsize,
    standing: AtomicUsize,
    wires: Mutex<Vec<Arc<Wire>>>,
}

impl Backend {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            reset: Mutex::new(How::Works),
            cancel_takes: Mutex::new(Duration::ZERO),
            cancels_vanish: AtomicBool::new(false),
            loses_cancels: AtomicUsize::new(0),
            canceling: AtomicUsize::new(0),
            endangered: Mutex::new(Vec::new()),
            log: Mutex::new(Vec::new()),
            running: Mutex::new(HashMap::new()),
            pids: AtomicUsize::new(0),
            standing: AtomicUsize::new(0),
            wires: Mutex::new(Vec::new()),
        })
    }

    pub(crate) fn set_reset(&self, how: How) {
        *self.reset.lock().unwrap() = how;
    }

    pub(crate) fn set_cancel_takes(&self, time: Duration) {
        *self.cancel_takes.lock().unwrap() = time;
    }

    pub(crate) fn set_cancels_vanish(&self, vanish: bool) {
        self.cancels_vanish.store(vanish, Ordering::SeqCst);
    }

    pub(crate) fn lose_cancels(&self, count: usize) {
        self.loses_cancels.store(count, Ordering::SeqCst);
    }

    /// Queries that began while a request to cancel was under way.
    pub(crate) fn endangered(&self) -> Vec<String> {
        self.endangered.lock().unwrap().clone()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// What the tap of each connection tells.
    pub(crate) fn wires(&self) -> Vec<Arc<Wire>> {
        self.wires.lock().unwrap().clone()
    }

    fn note(&self, what: &str) {
        self.log.lock().unwrap().push(what.to_owned());
    }

    pub(crate) fn standing(&self) -> usize {
        self.standing.load(Ordering::SeqCst)
    }

    /// Connections that were ever opened.
    pub(crate) fn connects(&self) -> usize {
        self.pids.load(Ordering::SeqCst)
    }

    async fn pass_on(self: Arc<Self>, mut stream: DuplexStream) -> std::io::Result<()> {
        let _underway = Canceling::begin(&self);
        let (_length, _code) = (stream.read_i32().await?, stream.read_i32().await?);
        let (pid, _secret) = (stream.read_i32().await?, stream.read_i32().await?);
        let time = *self.cancel_takes.lock().unwrap();
        sleep(time).await;
        let fewer = |left: usize| left.checked_sub(1);
        let (order, loses) = (Ordering::SeqCst, &self.loses_cancels);
        if loses.fetch_update(order, order, fewer).is_ok() {
            self.note("lost");
            return Ok(());
        }
        if let Some(running) = self.running.lock().unwrap().get(&pid) {
            // Lost where nothing runs, as on a real server.
            running.notify_waiters();
        }
        self.note("canceled");
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ToBackend(pub(crate) Arc<Backend>);

#[async_trait]
impl Connect for ToBackend {
    async fn connect(&self) -> Result<Connected> {
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(serve(Arc::clone(&self.0), far));
        let (tap, wire) = Tap::new(near);
        self.0.wires.lock().unwrap().push(Arc::clone(&wire));
        let mut config = Config::new();
        config.user("fake").ssl_mode(SslMode::Disable);
        let (client, connection) = config
            .connect_raw(tap, NoTls)
            .await
            .map_err(|err| Error::new(ErrorKind::Unavailable, "logging in").with_source(err))?;
        Ok(Connected::new(client, connection, wire))
    }

    async fn cancel(&self, token: &CancelToken) -> Result<()> {
        let (mut near, far) = tokio::io::duplex(4096);
        tokio::spawn(Arc::clone(&self.0).pass_on(far));
        let sent = token.cancel_query_raw(&mut near, NoTls).await;
        sent.map_err(|err| Error::new(ErrorKind::Unavailable, "canceling").with_source(err))?;
        if self.0.cancels_vanish.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "who knows"));
        }
        let _ = near.read_u8().await;
        Ok(())
    }
}

/// Counts a request to cancel while it is under way.
struct Canceling(Arc<Backend>);

impl Canceling {
    fn begin(backend: &Arc<Backend>) -> Self {
        backend.canceling.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(backend))
    }
}

impl Drop for Canceling {
    fn drop(&mut self) {
        self.0.canceling.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Standing(Arc<Backend>, i32);

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.standing.fetch_sub(1, Ordering::SeqCst);
        self.0.running.lock().unwrap().remove(&self.1);
    }
}

async fn serve(backend: Arc<Backend>, mut stream: DuplexStream) {
    let pid = i32::try_from(backend.pids.fetch_add(1, Ordering::SeqCst)).unwrap() + 1;
    backend.standing.fetch_add(1, Ordering::SeqCst);
    let canceled = Arc::new(Notify::new());
    let running = Arc::clone(&canceled);
    backend.running.lock().unwrap().insert(pid, running);
    let standing = Standing(Arc::clone(&backend), pid);
    let _ = talk(&backend, pid, &canceled, &mut stream).await;
    drop(standing);
}

/// What a session has left.
#[derive(Debug)]
struct State {
    transaction: u8,
    set: bool,
}

async fn talk(
    backend: &Backend,
    pid: i32,
    canceled: &Notify,
    stream: &mut DuplexStream,
) -> std::io::Result<()> {
    let length = stream.read_u32().await?;
    stream.read_exact(&mut vec![0; length as usize - 4]).await?;
    let mut welcome = vec![b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'K', 0, 0, 0, 12];
    welcome.extend(pid.to_be_bytes());
    welcome.extend([0; 4]);
    welcome.extend([b'Z', 0, 0, 0, 5, b'I']);
    stream.write_all(&welcome).await?;
    let mut state = State {
        transaction: b'I',
        set: false,
    };
    loop {
        let kind = stream.read_u8().await?;
        let length = stream.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        stream.read_exact(&mut body).await?;
        if kind == b'X' {
            return Ok(());
        }
        assert_eq!(kind, b'Q', "this server knows simple queries alone");
        let query = String::from_utf8_lossy(&body);
        let query = query.trim_end_matches('\0');
        backend.note(query);
        if backend.canceling.load(Ordering::SeqCst) > 0 {
            backend.endangered.lock().unwrap().push(query.to_owned());
        }
        let stubborn = query == "STUBBORN";
        let outcome = tokio::select! {
            biased;
            () = canceled.notified(), if !stubborn => Err("57014"),
            outcome = run(backend, &mut state, query) => outcome,
        };
        let mut answer = Vec::new();
        match outcome {
            Ok(()) => message(&mut answer, b'C', b"OK\0"),
            Err(code) => {
                message(
                    &mut answer,
                    b'E',
                    format!("SERROR\0VERROR\0C{code}\0Mno\0\0").as_bytes(),
                );
                if state.transaction == b'T' {
                    state.transaction = b'E';
                }
            }
        }
        message(&mut answer, b'Z', &[state.transaction]);
        stream.write_all(&answer).await?;
    }
}

async fn run(
    backend: &Backend,
    state: &mut State,
    query: &str,
) -> std::result::Result<(), &'static str> {
    let query = if query.starts_with("CLOSE ALL; ") {
        "DISCARD ALL"
    } else {
        query
    };
    match query {
        "ROLLBACK" | "COMMIT" => state.transaction = b'I',
        _ if state.transaction == b'E' => return Err("25P02"),
        "BEGIN" => state.transaction = b'T',
        "FAIL" => return Err("22012"),
        "HANG" | "STUBBORN" => std::future::pending().await,
        "SET" => state.set = true,
        "DISCARD ALL" if state.transaction == b'T' => return Err("25001"),
        "DISCARD ALL" => {
            let how = *backend.reset.lock().unwrap();
            match how {
                How::Works => {}
                How::Takes(time) => sleep(time).await,
                How::Fails => return Err("57014"),
                How::Hangs => std::future::pending().await,
                How::LeavesTransaction => state.transaction = b'T',
            }
            state.set = false;
        }
        "PROBE" if state.set => return Err("DIRTY"),
        "PROBE" if state.transaction != b'I' => return Err("25001"),
        // Long enough for a late request to cancel to hit it.
        "PROBE" => sleep(Duration::from_millis(5)).await,
        _ if query.starts_with("SLEEP ") => {
            let time = query.trim_start_matches("SLEEP ").parse().unwrap();
            sleep(Duration::from_millis(time)).await;
        }
        _ => {}
    }
    Ok(())
}

fn message(bytes: &mut Vec<u8>, kind: u8, body: &[u8]) {
    bytes.push(kind);
    bytes.extend((u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
    bytes.extend(body);
}
