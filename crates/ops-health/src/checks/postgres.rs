//! Whether a PostgreSQL server answers, and in which role.

use std::time::Duration;

use ops_core::database::{ConnectInfo, Role};
use tokio_postgres::SimpleQueryRow;

use crate::check::{Check, CheckCtx};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Code, Kind, Scope};

mod connections;
mod session;
mod sources;

pub use connections::PostgresConnections;
use session::Session;
pub use sources::PostgresDatabase;

const QUERY: &str =
    "SELECT pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')";

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
#[derive(Debug)]
pub struct Postgres {
    name: String,
    session: Session,
    expected: Role,
}

impl Postgres {
    /// Looks at this server.
    #[must_use]
    pub fn new(info: ConnectInfo) -> Self {
        Self {
            name: "postgres".to_owned(),
            session: Session::new(info),
            expected: Role::Primary,
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
        self.session.through_pgbouncer = true;
        self
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
        let judge = |row: &SimpleQueryRow, took: Duration| {
            let (in_recovery, read_only) = (row.try_get(0).ok()??, row.try_get(1).ok()??);
            let outcome = self.judge(read(in_recovery, read_only)?);
            Some(outcome.with_observation("round_trip", took.as_secs_f64(), Unit::Seconds))
        };
        // Behind one name, another server may have taken over: look it up again.
        self.session
            .ask(ctx, QUERY, judge, |outcome| outcome.status().is_up())
            .await
    }
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    role: Role,
    read_only: bool,
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
