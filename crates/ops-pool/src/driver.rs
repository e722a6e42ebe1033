//! The task of one connection: it connects, drives the connection, and resets the
//! session between two callers.

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt;
use futures_util::stream::{BoxStream, StreamExt};
use ops_core::{Error, ErrorKind, Report};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, CancelToken, Client};

use crate::close::CloseReason;
use crate::config::Config;
use crate::connect::Connected;
use crate::core::{Event, ServerId, Verdict};
use crate::shared::Shared;
use crate::tap::{TransactionStatus, Wire};

/// How long a closed connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long the request to cancel an abandoned query may take.
const CANCEL: Duration = Duration::from_secs(5);

/// A connection that stands: what is idle in the pool, handed out, and handed back.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) server: ServerId,
    pub(crate) client: Client,
    pub(crate) wire: Arc<Wire>,
}

impl Conn {
    /// What is to become of the session, by what the tap has seen so far. Where the server
    /// has not said how the last request left the session, a reset will tell.
    pub(crate) fn verdict(&self, before_reset: bool) -> Verdict {
        if self.client.is_closed() {
            return Verdict::Close(CloseReason::ServerGone);
        }
        // In this order: when nothing is in flight anymore, the status is of the end of it.
        if self.wire.in_flight() > 0 {
            return Verdict::Close(CloseReason::QueryInFlight);
        }
        match self.wire.status() {
            TransactionStatus::Idle => Verdict::Reusable,
            TransactionStatus::Unknown if before_reset => Verdict::Reusable,
            TransactionStatus::InTransaction
            | TransactionStatus::Failed
            | TransactionStatus::Unknown => Verdict::Close(CloseReason::InTransaction),
        }
    }
}

/// What the task of a connection is told. When nobody can tell it anything anymore, it
/// closes the connection.
#[derive(Debug)]
pub(crate) enum Order {
    /// Reset the session and give the connection back.
    Reset(Box<Conn>),
    /// See whether the connection still works and give it back.
    Check(Box<Conn>),
    /// The connection has left the pool: go on driving it until its client is dropped.
    Detach,
}

/// However the task ends, also by a panic or with its runtime, the pool hears of it.
struct Gone(Arc<Shared>, ServerId);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.step(Event::ServerGone(self.1));
    }
}

/// Opens a connection and serves it until it is closed.
pub(crate) async fn run(shared: Arc<Shared>, server: ServerId) {
    let gone = Gone(shared, server);
    let shared = &gone.0;
    if !shared.dial(server) {
        return;
    }
    let limit = shared.config().server_connect_timeout;
    let connected = tokio::select! {
        biased;
        () = shared.stopped() => return,
        connected = timeout(limit, shared.config().connect.connect()) => connected,
    };
    let too_long = || Error::new(ErrorKind::Timeout, "connecting took too long");
    match connected.unwrap_or_else(|_| Err(too_long())) {
        Ok(connected) => serve(&gone, connected).await,
        Err(err) => {
            tracing::debug!(error = %Report(&err), "opening a connection failed");
            shared.connect_failed(server, err);
        }
    }
}

async fn serve(gone: &Gone, connected: Connected) {
    let Gone(shared, server) = gone;
    let Connected {
        client,
        messages,
        wire,
    } = connected;
    let mut line = Line {
        messages,
        cancel: client.cancel_token(),
        wire: Arc::clone(&wire),
    };
    let (orders, mut inbox) = mpsc::unbounded_channel();
    shared.connected(
        Box::new(Conn {
            server: *server,
            client,
            wire,
        }),
        orders,
    );
    loop {
        let order = tokio::select! {
            biased;
            () = line.drive() => return,
            order = inbox.recv() => order,
        };
        let (conn, outcome) = match order {
            Some(Order::Reset(conn)) => {
                let outcome = line.reset(shared.config(), &conn).await;
                (conn, outcome)
            }
            Some(Order::Check(conn)) => {
                let outcome = line.check(shared.config(), &conn).await;
                (conn, outcome)
            }
            Some(Order::Detach) => return line.drive().await,
            None => return line.close(shared).await,
        };
        match outcome {
            Ok(()) => shared.reset_done(conn),
            Err(reason) => {
                shared.step(Event::ResetDone(*server, Err(reason)));
                drop(conn);
                return line.close(shared).await;
            }
        }
    }
}

/// A session that came back right after an error may turn out to be in a transaction only
/// by what the server says to the reset.
fn why_failed(err: &tokio_postgres::Error) -> CloseReason {
    match err.code() {
        Some(&SqlState::ACTIVE_SQL_TRANSACTION | &SqlState::IN_FAILED_SQL_TRANSACTION) => {
            CloseReason::InTransaction
        }
        None if err.is_closed() => CloseReason::ServerGone,
        _ => CloseReason::ResetFailed,
    }
}

/// The driver's end of a connection.
struct Line {
    messages: BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>,
    cancel: CancelToken,
    wire: Arc<Wire>,
}

impl Line {
    /// Moves bytes until the connection ends. Notices and notifications are for a session
    /// that asked for them, and there is no such session between two callers.
    async fn drive(&mut self) {
        while let Some(Ok(_)) = self.messages.next().await {}
    }

    async fn reset(&mut self, config: &Config, conn: &Conn) -> Result<(), CloseReason> {
        // What the session asked for and the driver had not sent yet goes out first, so
        // that the verdict is about everything.
        if self.drive().now_or_never().is_some() {
            return Err(CloseReason::ServerGone);
        }
        if let Verdict::Close(reason) = conn.verdict(true) {
            return Err(reason);
        }
        let mut work = pin!(timeout(config.reset_timeout, async {
            conn.client
                .batch_execute(&config.server_reset_query)
                .await?;
            if config.reset_deallocates
                && let Some(sql) = conn.wire.prepare_lookups_again()
            {
                conn.client.batch_execute(&sql).await?;
            }
            Ok::<(), tokio_postgres::Error>(())
        }));
        let outcome = tokio::select! {
            biased;
            () = self.drive() => return Err(CloseReason::ServerGone),
            outcome = &mut work => outcome,
        };
        match outcome {
            Err(_) => Err(CloseReason::ResetTimedOut),
            Ok(Err(err)) => {
                tracing::debug!(error = %err, "the reset query failed");
                Err(why_failed(&err))
            }
            Ok(Ok(())) => match conn.verdict(false) {
                Verdict::Reusable => Ok(()),
                Verdict::Close(CloseReason::InTransaction) => {
                    Err(CloseReason::ResetLeftTransaction)
                }
                Verdict::Close(reason) => Err(reason),
            },
        }
    }

    /// Whether the server still answers.
    async fn check(&mut self, config: &Config, conn: &Conn) -> Result<(), CloseReason> {
        let query = conn.client.batch_execute(&config.server_check_query);
        let mut work = pin!(timeout(config.reset_timeout, query));
        let outcome = tokio::select! {
            biased;
            () = self.drive() => return Err(CloseReason::ServerGone),
            outcome = &mut work => outcome,
        };
        match outcome {
            Ok(Ok(())) if conn.verdict(false) == Verdict::Reusable => Ok(()),
            _ => Err(CloseReason::CheckFailed),
        }
    }

    /// Closes the connection, whose client has been dropped. One that is busy is cut off,
    /// and the server is asked to stop what it does there.
    async fn close(mut self, shared: &Shared) {
        let _ = self.drive().now_or_never();
        if self.wire.in_flight() == 0 {
            let _ = timeout(GOODBYE, self.drive()).await;
            return;
        }
        let Self {
            messages,
            cancel,
            wire: _,
        } = self;
        drop(messages);
        let _ = timeout(CANCEL, shared.config().connect.cancel(&cancel)).await;
    }
}
