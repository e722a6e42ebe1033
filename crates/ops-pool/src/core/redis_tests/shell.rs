//! A shell over the core that pools sessions of Redis.

use std::collections::HashMap;
use std::fmt::Write;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::super::bench::ACQUIRE;
use super::super::*;

const RESET_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection. What was asked on it and not answered makes it useless.
#[derive(Debug)]
pub(super) struct Conn {
    stream: BufReader<UnixStream>,
    in_flight: bool,
}

impl Conn {
    async fn open(socket: &PathBuf) -> std::io::Result<Self> {
        let stream = UnixStream::connect(socket).await?;
        Ok(Self {
            stream: BufReader::new(stream),
            in_flight: false,
        })
    }

    /// Asks, and takes the first answer: a line, or a string.
    async fn ask(&mut self, words: &[&str]) -> std::io::Result<String> {
        self.in_flight = true;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            write!(request, "${}\r\n{word}\r\n", word.len()).unwrap();
        }
        self.stream.write_all(request.as_bytes()).await?;
        let answer = self.answer().await?;
        self.in_flight = false;
        Ok(answer)
    }

    async fn answer(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        // An aggregate is told by its last element.
        let mut left = 1;
        let mut last = String::new();
        while left > 0 {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            left -= 1;
            let line = line.trim_end();
            let size = || line.get(1..).and_then(|size| size.parse::<usize>().ok());
            match line.as_bytes().first() {
                Some(b'*' | b'>') => left += size().unwrap(),
                Some(b'%') => left += 2 * size().unwrap(),
                Some(b'$') => match size() {
                    Some(size) => {
                        let mut bytes = vec![0; size + 2];
                        self.stream.read_exact(&mut bytes).await?;
                        last = String::from_utf8(bytes).unwrap().trim_end().to_owned();
                    }
                    None => last.clear(),
                },
                _ => line.clone_into(&mut last),
            }
        }
        Ok(last)
    }

    /// Whether nothing of the last session is left.
    async fn reset(&mut self) -> Result<(), CloseReason> {
        match timeout(RESET_TIMEOUT, self.ask(&["RESET"])).await {
            Ok(Ok(answer)) if answer == "+RESET" => Ok(()),
            Ok(_) => Err(CloseReason::ResetFailed),
            Err(_) => Err(CloseReason::ResetTimedOut),
        }
    }
}

#[derive(Debug)]
struct Tables {
    core: Core,
    conns: HashMap<ServerId, Conn>,
    wakers: HashMap<WaiterId, Waker>,
}

/// A pool of sessions of Redis.
#[derive(Debug)]
pub(super) struct Pool {
    socket: PathBuf,
    begun: Instant,
    tables: Mutex<Tables>,
}

/// An answer of the core.
enum Reply {
    Session(Session),
    Wait(WaiterId),
    Refuse(Refusal),
}

impl Pool {
    pub(super) fn new(socket: PathBuf, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            socket,
            begun: Instant::now(),
            tables: Mutex::new(Tables {
                core: Core::new(settings),
                conns: HashMap::new(),
                wakers: HashMap::new(),
            }),
        })
    }

    pub(super) fn counts(&self) -> Counts {
        self.tables.lock().unwrap().core.counts()
    }

    /// Tells the core, and does what it says.
    fn step(self: &Arc<Self>, event: Event) -> Option<Reply> {
        self.step_with(event, |_| ())
    }

    fn step_with(
        self: &Arc<Self>,
        event: Event,
        before: impl FnOnce(&mut Tables),
    ) -> Option<Reply> {
        let now = Now::default().after(self.begun.elapsed());
        let mut tables = self.tables.lock().unwrap();
        before(&mut tables);
        let Tables {
            core,
            conns,
            wakers,
        } = &mut *tables;
        let (mut reply, mut wake) = (None, Vec::new());
        for action in core.step(event, now) {
            match action {
                Action::Grant(server) => {
                    reply = Some(Reply::Session(Session {
                        pool: Arc::clone(self),
                        server,
                        conn: conns.remove(&server),
                    }));
                }
                Action::Wait(waiter) => reply = Some(Reply::Wait(waiter)),
                Action::Refuse(refusal) => reply = Some(Reply::Refuse(refusal)),
                Action::Wake(waiter) => wake.extend(wakers.remove(&waiter)),
                Action::Connect(server) => drop(tokio::spawn(Arc::clone(self).open(server))),
                Action::Reset(server) | Action::Check(server) => {
                    let conn = conns.remove(&server).unwrap();
                    drop(tokio::spawn(Arc::clone(self).reset(server, conn)));
                }
                Action::Close(server, _) => drop(conns.remove(&server)),
                Action::Timer(at) => {
                    let (pool, at) = (Arc::clone(self), at.since(now));
                    drop(tokio::spawn(async move {
                        tokio::time::sleep(at).await;
                        pool.step(Event::Tick);
                    }));
                }
                Action::Request | Action::GiveBack(_) | Action::Spare | Action::Settled => {}
            }
        }
        assert_eq!(core.check_invariants(), Ok(()), "after {event:?}");
        drop(tables);
        wake.into_iter().for_each(Waker::wake);
        reply
    }

    async fn open(self: Arc<Self>, server: ServerId) {
        match Conn::open(&self.socket).await {
            Ok(conn) => drop(self.step_with(Event::Connected(server), |tables| {
                if tables.core.knows(server) {
                    tables.conns.insert(server, conn);
                }
            })),
            Err(_) => drop(self.step(Event::ConnectFailed(server, Failure::Unreachable))),
        }
    }

    async fn reset(self: Arc<Self>, server: ServerId, mut conn: Conn) {
        let outcome = conn.reset().await;
        self.step_with(Event::ResetDone(server, outcome), |tables| {
            tables.conns.insert(server, conn);
        });
    }

    pub(super) async fn acquire(self: &Arc<Self>) -> Result<Session, Refusal> {
        let waiter = match self.step(ACQUIRE) {
            Some(Reply::Session(session)) => return Ok(session),
            Some(Reply::Wait(waiter)) => waiter,
            Some(Reply::Refuse(refusal)) => return Err(refusal),
            None => return Err(Refusal::ShuttingDown),
        };
        let place = Place(self, waiter);
        let served = poll_fn(|cx| {
            let waker = cx.waker().clone();
            let collected = place.0.step_with(Event::Collect(waiter), |tables| {
                tables.wakers.insert(waiter, waker);
            });
            match collected {
                Some(Reply::Wait(_)) => Poll::Pending,
                Some(Reply::Session(session)) => Poll::Ready(Ok(session)),
                Some(Reply::Refuse(refusal)) => Poll::Ready(Err(refusal)),
                None => Poll::Ready(Err(Refusal::ShuttingDown)),
            }
        });
        served.await
    }
}

/// A place in the queue. One that is served or refused is gone already.
struct Place<'a>(&'a Arc<Pool>, WaiterId);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Self(pool, waiter) = *self;
        let timed_out = false;
        pool.step_with(Event::CancelWait { waiter, timed_out }, |tables| {
            tables.wakers.remove(&waiter);
        });
    }
}

/// A session in a caller's hands.
#[derive(Debug)]
pub(super) struct Session {
    pool: Arc<Pool>,
    server: ServerId,
    conn: Option<Conn>,
}

impl Session {
    pub(super) async fn ask(&mut self, words: &[&str]) -> std::io::Result<String> {
        self.conn.as_mut().unwrap().ask(words).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let conn = self.conn.take().unwrap();
        let verdict = if conn.in_flight {
            Verdict::Close(CloseReason::QueryInFlight)
        } else {
            Verdict::Reusable
        };
        self.pool
            .step_with(Event::Release(self.server, verdict), |tables| {
                tables.conns.insert(self.server, conn);
            });
    }
}
