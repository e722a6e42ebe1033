//! `SHOW STATS`: what is counted, and what it was a period ago.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Shared;
use crate::core::Now;
use crate::show::{Counters, StatsRow};

/// PgBouncer's `stats_period`.
const PERIOD: Duration = Duration::from_secs(60);

/// The ends of the last period that is over.
#[derive(Debug, Default)]
pub(super) struct Period(Mutex<[(Counters, Now); 2]>);

/// Notes the counters at the end of each period.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            biased;
            () = shared.stopped() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        let now = (shared.counters(), shared.now());
        let period = &shared.period.0;
        let mut ends = period.lock().unwrap_or_else(PoisonError::into_inner);
        let [_, last] = *ends;
        *ends = [last, now];
    }
}

impl Shared {
    fn counters(&self) -> Counters {
        let state = self.lock();
        let (totals, done) = (state.core().totals(), state.done());
        Counters {
            server_assignment_count: totals.assignments,
            xact_count: done.transactions,
            query_count: done.queries,
            received: done.bytes_to_server,
            sent: done.bytes_from_server,
            xact_time: done.transaction_time,
            query_time: done.query_time,
            wait_time: totals.wait_time,
            client_parse_count: done.parses,
            server_parse_count: done.parses,
            bind_count: done.binds,
            client_login_count: totals.assignments + totals.timeouts + totals.refusals,
        }
    }

    pub(crate) fn show_stats(&self) -> StatsRow {
        let ends = *self.period.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [(then, began), (later, ended)] = ends;
        let totals = self.counters();
        let period = ended.since(began);
        StatsRow::new(
            &self.config.target.database,
            &totals,
            [&then, &later],
            period,
        )
    }
}
