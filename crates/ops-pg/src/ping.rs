//! Pings over a connection that stays open, one at a time.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use ops_core::database::{ConnectInfo, Ping, Role};
use ops_core::{Error, ErrorKind, Report, Result};
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::connect::{ConnectOptions, connect};
use crate::query::{cell, query_row, within};

const ROLE: &str = "SELECT pg_catalog.pg_is_in_recovery()";

type Outcome = Result<Ping, Arc<Error>>;
type Flight = BoxFuture<'static, Outcome>;

/// Pings one server over a connection that it keeps. Whoever asks while a ping is under way
/// gets the answer of that one.
pub struct Pinger {
    line: Arc<Line>,
    /// The ping that is under way. It ends with the last of those who wait for it.
    flight: Mutex<Option<WeakShared<Flight>>>,
}

/// The connection, and how to make it anew.
struct Line {
    info: ConnectInfo,
    options: ConnectOptions,
    timeout: Duration,
    /// Absent while a ping uses it: one that is dropped takes its connection with it.
    kept: Mutex<Option<Client>>,
}

impl fmt::Debug for Pinger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pinger")
            .field(&self.line.info.to_string())
            .finish()
    }
}

impl Pinger {
    /// A pinger that connects with the first ping. Each ping may take `timeout`, connecting
    /// included.
    #[must_use]
    pub fn new(info: ConnectInfo, options: ConnectOptions, timeout: Duration) -> Self {
        let line = Line {
            info,
            options,
            timeout,
            kept: Mutex::new(None),
        };
        Self {
            line: Arc::new(line),
            flight: Mutex::new(None),
        }
    }

    /// How long one round trip takes on a connection that is open, and which role answers.
    ///
    /// # Errors
    /// As [`connect`], and `Timeout` where the time is up; nothing is changed by it.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn ping(&self) -> Result<Ping> {
        self.board().await.map_err(own)
    }

    fn board(&self) -> Shared<Flight> {
        let mut flight = lock(&self.flight);
        let under_way = flight.as_ref().and_then(WeakShared::upgrade);
        if let Some(under_way) = under_way.filter(|flight| flight.peek().is_none()) {
            return under_way;
        }
        let line = Arc::clone(&self.line);
        let new = async move { within(line.timeout, line.ping()).await.map_err(Arc::new) };
        let new = new.boxed().shared();
        *flight = new.downgrade();
        new
    }
}

impl Line {
    async fn ping(&self) -> Result<Ping> {
        let kept = lock(&self.kept).take();
        if let Some(client) = kept {
            match round_trip(&client).await {
                // The connection is gone. Whether the server is, a new one tells.
                Err(err) if err.kind() == ErrorKind::Unavailable => {}
                outcome => return self.keep(client, outcome),
            }
        }
        let client = connect(&self.info, &self.options).await?;
        let outcome = round_trip(&client).await;
        self.keep(client, outcome)
    }

    fn keep(&self, client: Client, outcome: Result<Ping>) -> Result<Ping> {
        if outcome.is_ok() {
            *lock(&self.kept) = Some(client);
        }
        outcome
    }
}

async fn round_trip(client: &Client) -> Result<Ping> {
    let begun = Instant::now();
    let row = query_row(client, ROLE).await?;
    let latency = begun.elapsed();
    let role = match cell(&row, 0)? {
        "t" => Role::Replica,
        "f" => Role::Primary,
        _ => {
            return Err(Error::new(
                ErrorKind::Decode,
                "the server's answer is no truth value",
            ));
        }
    };
    Ok(Ping::new(latency, role))
}

/// No code that could panic runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of one's own out of one that several wait for.
fn own(shared: Arc<Error>) -> Error {
    let shared = match Arc::try_unwrap(shared) {
        Ok(err) => return err,
        Err(shared) => shared,
    };
    let mut err = Error::new(shared.kind(), shared.message().to_owned())
        .with_retry(shared.retry())
        .with_attempts(shared.attempts());
    if let Some(resource) = shared.resource() {
        err = err.with_resource(resource);
    }
    if let Some(code) = shared.code() {
        err = err.with_code(code);
    }
    if shared.source().is_some() {
        err.with_source(Cause(shared))
    } else {
        err
    }
}

/// The causes of an error that several have.
struct Cause(Arc<Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .source()
            .map_or(Ok(()), |source| Report(source).fmt(f))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Cause {}
