//! Whether a PostgreSQL server answers, and in which role.

use std::fmt;
use std::time::Duration;

use ops_core::database::{ConnectInfo, Role};
use ops_core::{Error, ErrorKind, Result};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::error::from_driver;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Kind, Scope};

const APPLICATION_NAME: &str = "ops-health";

/// A simple query: no prepared statement, so that it passes through PgBouncer.
const QUERY: &str =
    "SELECT pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')";

/// The wait before the second attempt to connect; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

const MAX_BACKOFF: Duration = Duration::from_secs(15);

/// Whether a PostgreSQL server answers, takes writes, and has the role that is expected.
///
/// The check keeps one connection of its own, outside of any pool and named `ops-health`
/// in `pg_stat_activity`, and asks one simple query per run. A pool that is busy
/// therefore neither delays it nor is delayed by it. Codes: [`Code::AuthFailed`],
/// [`Code::Unreachable`], [`Code::WrongRole`], [`Code::ReadOnly`], [`Code::Timeout`],
/// and [`Code::Exhausted`] where the server has no connection left.
///
/// Critical, shared by all replicas of the service, every 10 s.
///
/// ```no_run
/// use ops_core::database::{ConnectInfo, Engine, Host};
/// use ops_health::{Health, checks::Postgres};
///
/// let info = ConnectInfo::new(Engine::Postgres, Host::Tcp("db.internal".into()), 5432)
///     .with_user("app");
/// let health = Health::builder().check(Postgres::new(info).named("database")).build()?;
/// # Ok::<(), ops_core::Error>(())
/// ```
pub struct Postgres {
    name: String,
    info: ConnectInfo,
    expected: Role,
    through_pgbouncer: bool,
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

impl Postgres {
    /// Looks at this server.
    #[must_use]
    pub fn new(info: ConnectInfo) -> Self {
        Self {
            name: "postgres".to_owned(),
            info,
            expected: Role::Primary,
            through_pgbouncer: false,
            connection: Mutex::default(),
        }
    }

    /// Sets the name. Defaults to `postgres`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets which role the server must have. Defaults to [`Role::Primary`];
    /// [`Role::Unknown`] accepts any.
    #[must_use]
    pub fn expect(mut self, role: Role) -> Self {
        self.expected = role;
        self
    }

    /// Says that PgBouncer stands between: it refuses `statement_timeout` at start-up,
    /// so the server then does not end a slow query by itself. The check's own timeout
    /// holds in any case.
    #[must_use]
    pub fn through_pgbouncer(mut self) -> Self {
        self.through_pgbouncer = true;
        self
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

    fn judge(&self, answer: Answer) -> Outcome {
        match (self.expected, answer.role) {
            (Role::Primary, Role::Replica) => {
                Outcome::unhealthy(Code::WrongRole).with_detail("the server is a replica")
            }
            (Role::Replica, Role::Primary) => {
                Outcome::unhealthy(Code::WrongRole).with_detail("the server is a primary")
            }
            (Role::Primary, _) if answer.read_only => Outcome::unhealthy(Code::ReadOnly)
                .with_detail("default_transaction_read_only is on"),
            _ => Outcome::healthy(),
        }
    }
}

impl Check for Postgres {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Datastore
    }

    fn policy(&self) -> Policy {
        Policy::default().with_scope(Scope::SharedDependency)
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        let mut connection = self.connection.lock().await;
        // The client is put back only after a good answer. A run that is dropped half way
        // closes it, and no answer to an old question is ever read by a new one.
        let client = match self.client(&mut connection, ctx).await {
            Ok(client) => client,
            Err(outcome) => return outcome,
        };
        let asked = Instant::now();
        match ask(&client).await {
            Ok(answer) => {
                let outcome = self.judge(answer);
                connection.backoff = None;
                // Behind one name, another server may have taken over: look it up again.
                connection.client = outcome.status().is_up().then_some(client);
                outcome.with_observation("round_trip", asked.elapsed().as_secs_f64(), Unit::Seconds)
            }
            Err(err) => connection.failed(Outcome::from(err)),
        }
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

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("name", &self.name)
            .field("server", &format_args!("{}", self.info))
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    role: Role,
    read_only: bool,
}

async fn ask(client: &Client) -> Result<Answer> {
    let messages = client.simple_query(QUERY).await.map_err(from_driver)?;
    messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.try_get(0).ok()??, row.try_get(1).ok()??)),
            _ => None,
        })
        .and_then(|(in_recovery, read_only)| read(in_recovery, read_only))
        .ok_or_else(|| Error::new(ErrorKind::Decode, "the server gave no readable answer"))
}

fn read(in_recovery: &str, read_only: &str) -> Option<Answer> {
    let role = match in_recovery {
        "t" => Role::Replica,
        "f" => Role::Primary,
        _ => return None,
    };
    let read_only = match read_only {
        "on" => true,
        "off" => false,
        _ => return None,
    };
    Some(Answer { role, read_only })
}
