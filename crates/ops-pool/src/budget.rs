//! How many connections a server has to give.

mod read;

use std::borrow::Cow;
use std::fmt;

use ops_core::{Error, ErrorKind, Result};
use tokio_postgres::Client;

use crate::settings::PoolSettings;

/// How many connections a server has to give to the pools of a service.
///
/// `max_connections`, less `superuser_reserved_connections`, less `reserved_connections`
/// (PostgreSQL 16 and later), less what backup, health checks and others take. A limit of
/// the role or of the database counts where it is lower. Senders of replication and workers
/// of the server itself have limits of their own and are no part of it.
///
/// ```
/// use ops_pool::{Budget, PoolSettings};
///
/// let budget = Budget::new(100)
///     .with_superuser_reserved(3)
///     .with_backup(3)
///     .with_health(2);
/// assert_eq!(budget.available(), 92);
/// assert_eq!(budget.per_instance(4), 23);
/// assert_eq!(Budget::split(92, 3), [31, 31, 30]);
///
/// let err = budget.check(&PoolSettings::new().with_pool_size(40), 3).unwrap_err();
/// assert_eq!(
///     err.message(),
///     "3 instances of 40 connections (pool_size 40) take 120, and 92 are available: \
///      max_connections 100 (given) - superuser_reserved_connections 3 (given) - backup 3 \
///      (given) - health 2 (given); 30 for each instance would fit",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    max_connections: Term,
    taken: Vec<Term>,
    /// Limits that count besides. Those of the role are for the service alone.
    role_limit: Option<Term>,
    database_limit: Option<Term>,
}

/// A part of a [`Budget`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Term {
    /// What it is, in the server's words where it has one.
    pub name: Cow<'static, str>,
    /// How many connections.
    pub connections: usize,
    /// Where it comes from: `given`, or as `pg_settings.source` says it.
    pub source: Cow<'static, str>,
}

impl Term {
    fn given(name: impl Into<Cow<'static, str>>, connections: usize) -> Self {
        Self {
            name: name.into(),
            connections,
            source: "given".into(),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            connections,
            source,
        } = self;
        write!(f, "{name} {connections} ({source})")
    }
}

impl Budget {
    /// A server with this `max_connections`, of which nothing is taken.
    #[must_use]
    pub fn new(max_connections: usize) -> Self {
        Self {
            max_connections: Term::given("max_connections", max_connections),
            taken: Vec::new(),
            role_limit: None,
            database_limit: None,
        }
    }

    /// Reads from the server what it and the role and the database of the connection allow.
    /// Nothing of backup, health checks and others is known then.
    ///
    /// A [`Session`](crate::Session) is a client too. Behind a pooler this reads the settings
    /// of the server, and the pooler's own limits stay unknown.
    ///
    /// # Errors
    /// As [`ops_pg::error::from_driver`]; `Decode` for an answer that no PostgreSQL gives.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn read(client: &Client) -> Result<Self> {
        read::read(client).await
    }

    /// Takes out `superuser_reserved_connections`. [`read`](Self::read) does.
    #[must_use]
    pub fn with_superuser_reserved(self, connections: usize) -> Self {
        self.taken(Term::given("superuser_reserved_connections", connections))
    }

    /// Takes out `reserved_connections`, PostgreSQL 16 and later. [`read`](Self::read) does.
    #[must_use]
    pub fn with_reserved(self, connections: usize) -> Self {
        self.taken(Term::given("reserved_connections", connections))
    }

    /// Takes out what backups have at the same time: with `ops-backup` 2 for each, its
    /// own connection with the snapshot and that of `pg_dump` or `pg_dumpall`; with
    /// `pg_dump --jobs=N`, N + 1.
    #[must_use]
    pub fn with_backup(self, connections: usize) -> Self {
        self.taken(Term::given("backup", connections))
    }

    /// Takes out what health checks have: with `ops-health` 1 for each check of PostgreSQL
    /// and each process that runs it.
    #[must_use]
    pub fn with_health(self, connections: usize) -> Self {
        self.taken(Term::given("health", connections))
    }

    /// Takes out what somebody else has: migrations, other services, people.
    #[must_use]
    pub fn with_other(self, name: impl Into<String>, connections: usize) -> Self {
        self.taken(Term::given(name.into(), connections))
    }

    fn taken(mut self, term: Term) -> Self {
        self.taken.push(term);
        self
    }

    /// Every term, the `max_connections` first, and at the end the limits of the role and
    /// of the database where there are.
    pub fn terms(&self) -> impl Iterator<Item = &Term> {
        let limits = self.role_limit.iter().chain(&self.database_limit);
        std::iter::once(&self.max_connections)
            .chain(&self.taken)
            .chain(limits)
    }

    /// How many connections are left for pools.
    #[must_use]
    pub fn available(&self) -> usize {
        let server = self.left_of(&self.max_connections, |_| true);
        // What the server keeps for itself is no part of the limit of a database.
        let database = self.database_limit.as_ref();
        let database = database.map(|limit| self.left_of(limit, |term| !is_reserved(term)));
        let role = self.role_limit.as_ref().map(|limit| limit.connections);
        [database, role]
            .into_iter()
            .flatten()
            .fold(server, usize::min)
    }

    fn left_of(&self, limit: &Term, counts: impl Fn(&Term) -> bool) -> usize {
        let taken = self.taken.iter().filter(|term| counts(term));
        taken.fold(limit.connections, |left, term| {
            left.saturating_sub(term.connections)
        })
    }

    /// How many each of so many instances may have, all the same. None at all for no
    /// instance.
    #[must_use]
    pub fn per_instance(&self, instances: usize) -> usize {
        self.available().checked_div(instances).unwrap_or_default()
    }

    /// Divides connections among instances as evenly as can be: the first ones get one more
    /// where it does not come out even.
    #[must_use]
    pub fn split(total: usize, instances: usize) -> Vec<usize> {
        let (Some(share), Some(rest)) =
            (total.checked_div(instances), total.checked_rem(instances))
        else {
            return Vec::new();
        };
        (0..instances)
            .map(|index| share + usize::from(index < rest))
            .collect()
    }

    /// Fails where so many instances with these settings take more than there are. Do it
    /// when a service starts, so that it does not find out under load.
    ///
    /// While a service is deployed, old instances and new ones run at the same time: count
    /// both.
    ///
    /// # Errors
    /// `InvalidConfig`, with every term and where it comes from.
    pub fn check(&self, settings: &PoolSettings, instances: usize) -> Result<()> {
        let each = settings.most_connections();
        let (wanted, available) = (each.saturating_mul(instances), self.available());
        if wanted <= available {
            return Ok(());
        }
        let PoolSettings {
            pool_size,
            reserve_pool_size,
            ..
        } = settings;
        let reserve = match each.checked_sub(*pool_size) {
            Some(1..) => format!(" + reserve_pool_size {reserve_pool_size}"),
            _ => String::new(),
        };
        let message = format!(
            "{instances} instances of {each} connections (pool_size {pool_size}{reserve}) take \
             {wanted}, and {available} are available: {self}; {} for each instance would fit",
            self.per_instance(instances)
        );
        Err(Error::new(ErrorKind::InvalidConfig, message).with_operation("pool.budget"))
    }
}

/// Prints the sum with every term.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.max_connections.fmt(f)?;
        for term in &self.taken {
            write!(f, " - {term}")?;
        }
        for limit in [&self.role_limit, &self.database_limit]
            .into_iter()
            .flatten()
        {
            write!(f, ", and at most {limit}")?;
        }
        Ok(())
    }
}

fn is_reserved(term: &Term) -> bool {
    ["superuser_reserved_connections", "reserved_connections"].contains(&&*term.name)
}

#[cfg(test)]
mod tests;
