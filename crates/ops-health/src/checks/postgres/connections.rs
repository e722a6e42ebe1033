//! How many connections of a PostgreSQL server are taken.

use std::time::Duration;

use ops_core::database::ConnectInfo;
use tokio_postgres::SimpleQueryRow;

use super::session::Session;
use crate::check::{Check, CheckCtx};
use crate::checks::Percent;
use crate::checks::limits::{Limits, to_f64};
use crate::outcome::{Outcome, Unit};
use crate::policy::Policy;
use crate::status::{Criticality, Kind, Scope};

/// What an ordinary user may open, and what is open. Without `pg_monitor` the type of other
/// users' backends is hidden, but not that they are in a database.
const QUERY: &str = "\
SELECT current_setting('max_connections')::int \
       - current_setting('superuser_reserved_connections')::int \
       - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int, \
     count(*), \
     count(*) FILTER (WHERE state = 'active'), \
     count(*) FILTER (WHERE state = 'idle'), \
     count(*) FILTER (WHERE state LIKE 'idle in transaction%') \
FROM pg_catalog.pg_stat_activity \
WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)";

/// How many of a PostgreSQL server's connections are taken, of those that an ordinary user
/// may open: `max_connections` without the reserved ones.
///
/// Degraded from 80 %, unhealthy from 90 %, and [`Code::Exhausted`](crate::Code::Exhausted)
/// where not even this check gets one. It keeps one connection of its own. A role with
/// `pg_monitor` also sees how many are active, idle, and idle in a transaction; without it,
/// all are counted, but only the states of its own are known.
///
/// Every 60 s; not critical, and shared by all replicas.
///
/// ```no_run
/// use ops_core::database::{ConnectInfo, Engine, Host};
/// use ops_health::checks::PostgresConnections;
///
/// let info = ConnectInfo::new(Engine::Postgres, Host::Tcp("db.internal".into()), 5432)
///     .with_user("monitor");
/// let check = PostgresConnections::new(info);
/// ```
#[derive(Debug)]
pub struct PostgresConnections {
    name: String,
    session: Session,
    limits: Limits,
}

impl PostgresConnections {
    /// Looks at this server.
    #[must_use]
    pub fn new(info: ConnectInfo) -> Self {
        Self {
            name: "postgres_connections".to_owned(),
            session: Session::new(info),
            limits: Limits::new(80, 90),
        }
    }

    /// Sets the name. Defaults to `postgres_connections`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets from which share on the check is degraded, and from which on unhealthy.
    /// Defaults to 80 % and 90 %.
    #[must_use]
    pub fn limits(mut self, warn_at: Percent, fail_at: Percent) -> Self {
        self.limits = Limits { warn_at, fail_at };
        self
    }

    /// Says that PgBouncer stands between. See
    /// [`Postgres::through_pgbouncer`](super::Postgres::through_pgbouncer).
    #[must_use]
    pub fn through_pgbouncer(mut self) -> Self {
        self.session.through_pgbouncer = true;
        self
    }

    fn judge(&self, row: &SimpleQueryRow) -> Option<Outcome> {
        let column = |i: usize| row.try_get(i).ok()??.parse::<u64>().ok();
        let (max, all) = (column(0)?, column(1)?);
        let used = to_f64(all) / to_f64(max.max(1));
        let mut outcome = self
            .limits
            .judge(used)
            .with_observation("utilization", used, Unit::Ratio)
            .with_observation("connections", to_f64(all), Unit::Count);
        for (i, name) in [(2, "active"), (3, "idle"), (4, "idle_in_transaction")] {
            outcome = outcome.with_observation(name, to_f64(column(i)?), Unit::Count);
        }
        Some(outcome.with_detail(format!("{all} of {max} are taken")))
    }
}

impl Check for PostgresConnections {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Datastore
    }

    fn policy(&self) -> Policy {
        Policy::default()
            .with_criticality(Criticality::NonCritical)
            .with_scope(Scope::SharedDependency)
            .with_interval(Duration::from_secs(60))
    }

    fn problems(&self) -> Vec<String> {
        self.limits.problems()
    }

    async fn run(&self, ctx: &CheckCtx) -> Outcome {
        // To give the connection up when there are few left would be the wrong moment.
        self.session
            .ask(ctx, QUERY, |row, _| self.judge(row), |_| true)
            .await
    }
}
