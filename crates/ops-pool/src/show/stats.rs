//! `SHOW STATS`.

use std::time::Duration;

use super::row;

/// What is counted since a pool was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sessions that were given to callers.
    pub server_assignment_count: u64,
    /// Transactions that ended, those of a single statement among them.
    pub xact_count: u64,
    /// Queries that were answered.
    pub query_count: u64,
    /// Bytes that callers sent to the server.
    pub received: u64,
    /// Bytes that the server sent to callers.
    pub sent: u64,
    /// How long transactions took.
    pub xact_time: Duration,
    /// How long queries took.
    pub query_time: Duration,
    /// How long callers waited for a session.
    pub wait_time: Duration,
    /// Statements that callers prepared.
    pub client_parse_count: u64,
    /// Statements that were prepared on the server.
    pub server_parse_count: u64,
    /// Statements that were bound.
    pub bind_count: u64,
    /// Callers that came.
    pub client_login_count: u64,
}

row! {
    /// A row of `SHOW STATS`. Times are in microseconds; averages are of the last period,
    /// counts and bytes in a second.
    StatsRow {
        /// The database.
        database: String => Text,
        /// Sessions that were given to callers.
        total_server_assignment_count: u64 => Numeric,
        /// Transactions.
        total_xact_count: u64 => Numeric,
        /// Queries.
        total_query_count: u64 => Numeric,
        /// Bytes from callers.
        total_received: u64 => Numeric,
        /// Bytes to callers.
        total_sent: u64 => Numeric,
        /// How long transactions took.
        total_xact_time: u64 => Numeric,
        /// How long queries took.
        total_query_time: u64 => Numeric,
        /// How long callers waited.
        total_wait_time: u64 => Numeric,
        /// Statements that callers prepared.
        total_client_parse_count: u64 => Numeric,
        /// Statements that were prepared on the server.
        total_server_parse_count: u64 => Numeric,
        /// Statements that were bound.
        total_bind_count: u64 => Numeric,
        /// Callers that came.
        total_client_login_count: u64 => Numeric,
        /// Sessions given to callers in a second.
        avg_server_assignment_count: u64 => Numeric,
        /// Transactions in a second.
        avg_xact_count: u64 => Numeric,
        /// Queries in a second.
        avg_query_count: u64 => Numeric,
        /// Bytes from callers in a second.
        avg_recv: u64 => Numeric,
        /// Bytes to callers in a second.
        avg_sent: u64 => Numeric,
        /// How long a transaction took.
        avg_xact_time: u64 => Numeric,
        /// How long a query took.
        avg_query_time: u64 => Numeric,
        /// How long a caller waited for each session that was given out.
        avg_wait_time: u64 => Numeric,
        /// Statements that callers prepared in a second.
        avg_client_parse_count: u64 => Numeric,
        /// Statements prepared on the server in a second.
        avg_server_parse_count: u64 => Numeric,
        /// Statements bound in a second.
        avg_bind_count: u64 => Numeric,
        /// Callers in a second.
        avg_client_login_count: u64 => Numeric,
    }
}

impl StatsRow {
    /// Makes a row of the counters now, and of those at both ends of the last period that
    /// is over, from which the averages come. PgBouncer's period is 60 s.
    #[must_use]
    pub fn new(database: &str, total: &Counters, ends: [&Counters; 2], period: Duration) -> Self {
        let [then, now] = ends;
        let each_second = |now: u64, then: u64| {
            let count = u128::from(now.saturating_sub(then)) * 1_000_000;
            let average = count.checked_div(period.as_micros());
            u64::try_from(average.unwrap_or_default()).unwrap_or(u64::MAX)
        };
        let each = |now: Duration, then: Duration, count: u64, before: u64| {
            let spent = micros(now.saturating_sub(then));
            let average = spent.checked_div(count.saturating_sub(before));
            average.unwrap_or_default()
        };
        let (xacts, xacts_then) = (now.xact_count, then.xact_count);
        let (queries, queries_then) = (now.query_count, then.query_count);
        let (given, given_then) = (now.server_assignment_count, then.server_assignment_count);
        Self {
            database: database.to_owned(),
            total_server_assignment_count: total.server_assignment_count,
            total_xact_count: total.xact_count,
            total_query_count: total.query_count,
            total_received: total.received,
            total_sent: total.sent,
            total_xact_time: micros(total.xact_time),
            total_query_time: micros(total.query_time),
            total_wait_time: micros(total.wait_time),
            total_client_parse_count: total.client_parse_count,
            total_server_parse_count: total.server_parse_count,
            total_bind_count: total.bind_count,
            total_client_login_count: total.client_login_count,
            avg_server_assignment_count: each_second(given, given_then),
            avg_xact_count: each_second(xacts, xacts_then),
            avg_query_count: each_second(queries, queries_then),
            avg_recv: each_second(now.received, then.received),
            avg_sent: each_second(now.sent, then.sent),
            avg_xact_time: each(now.xact_time, then.xact_time, xacts, xacts_then),
            avg_query_time: each(now.query_time, then.query_time, queries, queries_then),
            avg_wait_time: each(now.wait_time, then.wait_time, given, given_then),
            avg_client_parse_count: each_second(now.client_parse_count, then.client_parse_count),
            avg_server_parse_count: each_second(now.server_parse_count, then.server_parse_count),
            avg_bind_count: each_second(now.bind_count, then.bind_count),
            avg_client_login_count: each_second(now.client_login_count, then.client_login_count),
        }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
