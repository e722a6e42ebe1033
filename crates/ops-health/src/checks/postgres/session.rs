//! One connection of a check's own.

use std::fmt;
use std::time::Duration;

use ops_core::database::ConnectInfo;
use ops_core::{Error, ErrorKind, Result};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::error::from_driver;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::check::CheckCtx;
use crate::outcome::Outcome;
use crate::status::Code;

const APPLICATION_NAME: &str = "ops-health";

/// The wait before the second attempt to connect; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

const MAX_BACKOFF: Duration = Duration::from_secs(15);

/// One connection, outside of any pool, that is opened again with growing pauses.
pub(super) struct Session {
    info: ConnectInfo,
    pub(super) through_pgbouncer: bool,
    connection: Mutex<Connection>,
}

#[derive(Default)]
struct Connection {
    client: Option<Client>,
    backoff: Option<Backoff>,
}

/// When to connect again, after how long a wait, and what to say until then.
struct Backoff {
    wait: Duration,
    until: Instant,
    last: Outcome,
}

impl Session {
    pub(super) fn new(info: ConnectInfo) -> Self {
        Self {
            info,
            through_pgbouncer: false,
            connection: Mutex::default(),
        }
    }

    /// Asks one simple query, and judges the first row of its answer. Nothing is prepared,
    /// so that it passes through PgBouncer. The connection is kept only where `keep` says so.
    ///
    /// # Cancel safety
    /// The client is put back only after a good answer. A run that is dropped half way
    /// closes it, and no answer to an old question is ever read by a new one.
    pub(super) async fn ask(
        &self,
        ctx: &CheckCtx,
        query: &str,
        judge: impl FnOnce(&SimpleQueryRow, Duration) -> Option<Outcome>,
        keep: impl FnOnce(&Outcome) -> bool,
    ) -> Outcome {
        let mut connection = self.connection.lock().await;
        let client = match self.client(&mut connection, ctx).await {
            Ok(client) => client,
            Err(outcome) => return outcome,
        };
        let asked = Instant::now();
        let messages = match client.simple_query(query).await {
            Ok(messages) => messages,
            Err(err) => return connection.failed(Outcome::from(from_driver(err))),
        };
        let judged = messages
            .iter()
            .find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .and_then(|row| judge(row, asked.elapsed()));
        let Some(outcome) = judged else {
            let err = Error::new(ErrorKind::Decode, "the server gave no readable answer");
            return connection.failed(Outcome::from(err));
        };
        connection.backoff = None;
        connection.client = keep(&outcome).then_some(client);
        outcome
    }

    /// The client that is open, or a new one where it is time to try.
    async fn client(&self, connection: &mut Connection, ctx: &CheckCtx) -> Result<Client, Outcome> {
        if let Some(client) = connection
            .client
            .take()
            .filter(|client| !client.is_closed())
        {
            return Ok(client);
        }
        if let Some(last) = connection.waiting() {
            return Err(last);
        }
        // Counts as failed until it has succeeded: this future may be dropped.
        connection.back_off();
        self.open(ctx)
            .await
            .map_err(|err| connection.failed(Outcome::from(err)))
    }

    async fn open(&self, ctx: &CheckCtx) -> Result<Client> {
        let mut options = ConnectOptions::default()
            .with_application_name(APPLICATION_NAME)
            .with_connect_timeout(ctx.remaining());
        if !self.through_pgbouncer {
            let millis = ctx.timeout().as_millis().max(1).to_string();
            options = options.with_parameter("statement_timeout", millis);
        }
        connect(&self.info, &options).await
    }
}

impl Connection {
    /// What to say while the next attempt to connect is not due.
    fn waiting(&self) -> Option<Outcome> {
        self.backoff
            .as_ref()
            .filter(|backoff| Instant::now() < backoff.until)
            .map(|backoff| backoff.last.clone())
    }

    fn back_off(&mut self) {
        let wait = match &self.backoff {
            Some(last) => (last.wait * 2).min(MAX_BACKOFF),
            None => FIRST_BACKOFF,
        };
        let last = Outcome::unhealthy(Code::Timeout).with_detail("the server did not answer");
        self.backoff = Some(Backoff {
            wait,
            until: Instant::now() + wait,
            last,
        });
    }

    /// Keeps what went wrong, to be said until the next attempt.
    fn failed(&mut self, outcome: Outcome) -> Outcome {
        if let Some(backoff) = &mut self.backoff {
            backoff.last = outcome.clone();
        }
        outcome
    }
}

/// Without the password, as all of `ConnectInfo`.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.info)
    }
}
