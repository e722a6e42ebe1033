//! The task of one connection: it connects, drives the connection, and resets the
//! session between two callers.

mod clean;
mod line;
#[cfg(test)]
mod loom_tests;
mod quiet;
mod stop;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::FutureExt;
use ops_core::{Error, ErrorKind, Report};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::cancel::Requests;
use crate::close::{CloseReason, Released};
use crate::config::Config;
use crate::connect::Connected;
use crate::core::{Event, Now, ServerId, Verdict};
use crate::reset::{OnDirty, When};
use crate::session::Lease;
use crate::shared::Shared;
use crate::tap::{TransactionStatus, Wire};
use line::Line;
use quiet::Quiet;

/// A connection that stands: what is idle in the pool, handed out, and handed back.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) server: ServerId,
    pub(crate) client: Client,
    pub(crate) wire: Arc<Wire>,
    quiet: Arc<Quiet>,
    /// A reset has to go in front of the next session's first query.
    pub(crate) owes_reset: bool,
    /// Requests to cancel what the last session ran, where any is still under way.
    pub(crate) cancels: Option<Arc<Requests>>,
    pub(crate) lease: Lease,
    /// How the last session was given back.
    pub(crate) outcome: Released,
}

/// What a session has left behind, by what the tap has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Transaction,
    InFlight,
    /// The server has not said how the last request left the session.
    Untold,
}

impl Conn {
    #[inline]
    fn left(&self) -> Left {
        // In this order: when nothing is in flight anymore, the status is of the end of it.
        if self.wire.in_flight() > 0 {
            return Left::InFlight;
        }
        match self.wire.status() {
            TransactionStatus::Idle => Left::Nothing,
            TransactionStatus::InTransaction | TransactionStatus::Failed => Left::Transaction,
            TransactionStatus::Unknown => Left::Untold,
        }
    }

    /// What is to become of the session. Where that is not certain yet, its task finds out.
    #[inline]
    pub(crate) fn verdict(&self, config: &Config) -> Verdict {
        if let Some(reason) = self.close_reason() {
            return Verdict::Close(reason);
        }
        match (self.left(), config.on_dirty) {
            (Left::InFlight, OnDirty::Close) => Verdict::Close(CloseReason::QueryInFlight),
            (Left::Transaction, OnDirty::Close) => Verdict::Close(CloseReason::InTransaction),
            _ if self.is_clean(config) => Verdict::Clean,
            _ => Verdict::Reusable,
        }
    }

    /// Whether the session left nothing behind, and is not to be reset. That it has not been
    /// broken off, but not that the server is still there: whoever gets it next looks.
    #[inline]
    pub(crate) fn is_clean(&self, config: &Config) -> bool {
        self.left() == Left::Nothing
            && self.is_at_rest()
            && !self.is_to_be_reset(config)
            && !self.wire.is_broken()
    }

    /// Whether the tap has seen everything that the session has asked for, and nothing else
    /// of it is under way.
    #[inline]
    fn is_at_rest(&self) -> bool {
        let driver = self.quiet.is_quiet() && !self.wire.is_blocked();
        let sure = self.wire.resets() == 0 && !self.wire.is_in_doubt();
        driver && sure && self.cancels.is_none()
    }

    #[inline]
    fn is_to_be_reset(&self, config: &Config) -> bool {
        match config.reset.when {
            When::AtRelease => true,
            When::IfTouched => self.wire.is_touched(),
            When::Pipelined | When::Never => false,
        }
    }

    /// Why the connection was broken off, or that it broke.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        let gone = || self.client.is_closed().then_some(CloseReason::ServerGone);
        self.wire.broken().or_else(gone)
    }

    /// Queues a reset in front of whatever the client is asked for next. The tap breaks the
    /// connection unless it succeeds.
    pub(crate) fn reset_in_front(&self, config: &Config) {
        let lookups = self.wire.prepare_lookups_again();
        let mut resets = vec![Arc::clone(&config.reset.sql)];
        resets.extend(lookups.map(Arc::from));
        self.wire.expect_resets(resets.iter().cloned());
        for sql in resets {
            // Polled once it is queued. The answer is the tap's business.
            let _ = self.client.batch_execute(&sql).now_or_never();
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

type Inbox = mpsc::UnboundedReceiver<Order>;

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
    let dialed = shared.now();
    let limit = shared.config().settings.server_connect_timeout;
    let connected = tokio::select! {
        biased;
        () = shared.stopped() => return,
        connected = timeout(limit, shared.config().connect.connect()) => connected,
    };
    let too_long = || Error::new(ErrorKind::Timeout, "connecting took too long");
    match connected.unwrap_or_else(|_| Err(too_long())) {
        Ok(connected) => serve(&gone, connected, dialed).await,
        Err(err) => {
            tracing::debug!(error = %Report(&err), "opening a connection failed");
            shared.connect_failed(server, err);
        }
    }
}

async fn serve(gone: &Gone, connected: Connected, dialed: Now) {
    let Gone(shared, server) = gone;
    let config = shared.config();
    let Connected {
        client,
        messages,
        wire,
    } = connected;
    if config.reset.when == When::IfTouched {
        wire.watch_statements();
    }
    let token = client.cancel_token();
    let mut line = Line::new(
        messages,
        token,
        Arc::clone(&wire),
        config.settings.reset_timeout,
    );
    let (orders, mut inbox) = mpsc::unbounded_channel();
    shared.connected(
        Box::new(Conn {
            server: *server,
            client,
            wire,
            quiet: Arc::clone(line.quiet()),
            owes_reset: false,
            cancels: None,
            lease: Lease::none(),
            outcome: Released::Clean,
        }),
        orders,
        dialed,
    );
    loop {
        let order = tokio::select! {
            biased;
            _ = line.drive() => return hang_up(shared, *server, line, inbox).await,
            order = inbox.recv() => order,
        };
        let (conn, outcome) = match order {
            Some(Order::Reset(mut conn)) => {
                let outcome = line.clean(config, &mut conn).await;
                (conn, outcome)
            }
            Some(Order::Check(conn)) => {
                let outcome = line.check(config, &conn).await;
                (conn, outcome)
            }
            Some(Order::Detach) => {
                line.drive().await;
                return hang_up(shared, *server, line, inbox).await;
            }
            None => return line.close(&*config.connect).await,
        };
        match outcome {
            Ok(()) => shared.reset_done(conn),
            Err(reason) => {
                shared.step(Event::ResetDone(*server, Err(reason)));
                drop(conn);
                return line.close(&*config.connect).await;
            }
        }
    }
}

/// Ends a connection that is over. One that was broken off may be over on this side alone.
async fn hang_up(shared: &Arc<Shared>, server: ServerId, line: Line, mut inbox: Inbox) {
    if let Some(reason) = line.wire.broken() {
        inbox.close();
        // Whoever has given the session back meanwhile hears why it is over.
        let due = matches!(inbox.try_recv(), Ok(Order::Reset(_) | Order::Check(_)));
        shared.step(if due {
            Event::ResetDone(server, Err(reason))
        } else {
            Event::ServerGone(server)
        });
        line.close(&*shared.config().connect).await;
    }
}
