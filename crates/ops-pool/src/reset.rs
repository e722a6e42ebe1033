//! What is done with a session between two callers.

use std::sync::Arc;

/// PostgreSQL's own reset of everything.
const DISCARD_ALL: &str = "DISCARD ALL";

/// What `DISCARD ALL` does, in its order, without `DEALLOCATE ALL` and `DISCARD PLANS`. It
/// is one transaction: where a part fails, the connection is closed.
const KEEP_PLANS: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
     SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// How a session that comes back is made as good as new.
///
/// Whatever the way, the pool knows from the protocol that the session is not in a
/// transaction and has nothing unanswered, and closes a connection whose reset fails, takes
/// longer than `reset_timeout` or leaves a transaction open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// `DISCARD ALL` when the session comes back, in the pool's own task, before anybody
    /// gets it. The default, and PgBouncer's order.
    #[default]
    DiscardAll,
    /// `DISCARD ALL` in front of the next caller's first query, in the same round trip. Npgsql's
    /// order: more sessions for each second, one round trip later for nobody.
    ///
    /// Until then the connection is idle with what the last session left: its advisory locks
    /// are held, its channels are listened to. Where the reset fails, the connection breaks
    /// before the next caller sees an answer to a query of its own;
    /// [`Session::close_reason`](crate::Session::close_reason) then says why. A session that
    /// leaves `statement_timeout` so short that `DISCARD ALL` runs into it costs the next
    /// caller that error.
    ///
    /// What [`OnDirty::Rollback`] has cleaned up is reset at once.
    Pipelined,
    /// `DISCARD ALL` when the session comes back, unless every statement of it was one that
    /// cannot change the state of a session: reads with well-known functions, `UPDATE`,
    /// `DELETE`, `SHOW`, and the beginning and end of transactions. Whatever the pool does not
    /// know for sure asks for the reset.
    ///
    /// # Limits
    /// The pool reads statements, not catalogs. It does not see what a statement makes the
    /// server run without naming it: triggers, rules, views, policies, operators, casts and
    /// functions called by attribute notation (`row.function`). Where these set parameters or
    /// take advisory locks, this is not for you. Nor is it where a function of yours has
    /// the name of a well-known one of PostgreSQL's.
    IfTouched,
    /// What `DISCARD ALL` does, without `DEALLOCATE ALL` and `DISCARD PLANS`: prepared
    /// statements and their plans stay with the connection, and their names stay taken.
    KeepPlans,
    /// SQL of your own when the session comes back, as PgBouncer's `server_reset_query`.
    /// Empty is [`Reset::None`].
    Custom(String),
    /// Nothing. Whatever a session has set, locked, prepared or listens to is met by the
    /// next caller; transactions and queries are not.
    None,
}

/// What is to become of a session that comes back inside of a transaction, or with a query
/// or a `COPY` that is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDirty {
    /// The connection is closed and the server asked to cancel what it runs. The default,
    /// and PgBouncer's way.
    #[default]
    Close,
    /// What runs is canceled and the transaction rolled back; then the session is reset and
    /// serves the next caller. All of that within `reset_timeout`, the cancellation within
    /// `cancel_timeout`; where anything fails, the connection is closed.
    Rollback,
}

/// When a session is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    AtRelease,
    Pipelined,
    IfTouched,
    Never,
}

/// A [`Reset`], after it has been looked at.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) when: When,
    /// Empty where there is no reset at all.
    pub(crate) sql: Arc<str>,
    /// Whether it deallocates prepared statements.
    pub(crate) deallocates: bool,
}

impl Reset {
    pub(crate) fn plan(&self) -> Plan {
        let (when, sql) = match self {
            Self::DiscardAll => (When::AtRelease, DISCARD_ALL),
            Self::Pipelined => (When::Pipelined, DISCARD_ALL),
            Self::IfTouched => (When::IfTouched, DISCARD_ALL),
            Self::KeepPlans => (When::AtRelease, KEEP_PLANS),
            Self::Custom(sql) if !sql.trim().is_empty() => (When::AtRelease, sql.as_str()),
            Self::Custom(_) | Self::None => (When::Never, ""),
        };
        let statement = sql.to_ascii_uppercase();
        let deallocates = ["DISCARD ALL", "DEALLOCATE"];
        Plan {
            when,
            sql: sql.into(),
            deallocates: deallocates.iter().any(|it| statement.contains(it)),
        }
    }
}

impl Plan {
    /// Whether there is anything to run at all.
    pub(crate) fn runs(&self) -> bool {
        !self.sql.is_empty()
    }

    pub(crate) fn pipelined(&self) -> bool {
        self.when == When::Pipelined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_query_is_no_reset() {
        for empty in ["", "  \n"] {
            let plan = Reset::Custom(empty.to_owned()).plan();
            assert_eq!((plan.when, plan.runs()), (When::Never, false));
        }
        assert!(!Reset::None.plan().runs());
    }

    #[test]
    fn a_reset_that_deallocates_is_known_as_such() {
        let deallocates = |reset: Reset| reset.plan().deallocates;
        assert!(deallocates(Reset::DiscardAll));
        assert!(deallocates(Reset::Pipelined));
        assert!(deallocates(Reset::IfTouched));
        assert!(deallocates(Reset::Custom(
            "reset all; deallocate all".into()
        )));
        assert!(!deallocates(Reset::KeepPlans));
        assert!(!deallocates(Reset::Custom("RESET ALL".into())));
    }
}
