//! Making a session that came back as good as new.

use ops_core::Report;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use super::line::{Line, Over};
use super::stop::Unstopped;
use super::{Conn, Left};
use crate::close::{CloseReason, Released};
use crate::config::Config;
use crate::reset::{OnDirty, When};
use crate::tap::{TransactionStatus, Wire};

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

/// Whether the server has answered all that is known of, and said how that left the session.
fn is_settled(wire: &Wire) -> bool {
    let told = wire.status() != TransactionStatus::Unknown;
    told && wire.resets() == 0 && !wire.is_blocked()
}

impl Line {
    /// Makes a session as good as new, or says why that cannot be.
    pub(super) async fn clean(
        &mut self,
        config: &Config,
        conn: &mut Conn,
    ) -> Result<(), CloseReason> {
        let limit = config.settings.reset_timeout;
        let outcome = timeout(limit, self.clean_up(config, conn)).await;
        outcome.unwrap_or(Err(CloseReason::ResetTimedOut))
    }

    /// Whether the server still answers.
    pub(super) async fn check(&mut self, config: &Config, conn: &Conn) -> Result<(), CloseReason> {
        let check = config.settings.server_check_query.as_deref();
        let query = conn.client.batch_execute(check.unwrap_or_default());
        let work = timeout(config.settings.reset_timeout, query);
        let outcome = self.during(work).await.map_err(|over| self.why(over))?;
        match outcome {
            Ok(Ok(())) if conn.left() == Left::Nothing => Ok(()),
            _ => Err(CloseReason::CheckFailed),
        }
    }

    async fn clean_up(&mut self, config: &Config, conn: &mut Conn) -> Result<(), CloseReason> {
        // What the session asked for and the driver had not sent yet goes out first, so that
        // what follows is about everything.
        self.catch_up().await.map_err(|over| self.why(over))?;
        if let Some(cancels) = conn.cancels.take() {
            let ended = self.during(cancels.ended()).await;
            ended.map_err(|over| self.why(over))?;
        }
        let undone = self.undo(config, conn).await?;
        let due = match config.reset.when {
            When::AtRelease => true,
            When::IfTouched => self.wire.is_touched(),
            When::Pipelined | When::Never => false,
        };
        let in_doubt = self.wire.is_in_doubt();
        if config.reset.runs() && (due || undone || in_doubt) {
            self.reset(config, conn).await?;
            conn.owes_reset = false;
        } else if in_doubt {
            // Its answer differs from every other: the tap breaks the connection where what
            // comes is not that.
            let asked = self.during(conn.client.batch_execute("")).await;
            let answered = asked.map_err(|over| self.why(over))?;
            answered.map_err(|err| why_failed(&err))?;
        }
        self.wire.settle_doubt();
        match conn.left() {
            Left::Nothing => {}
            Left::Transaction => return Err(CloseReason::ResetLeftTransaction),
            Left::InFlight | Left::Untold => return Err(CloseReason::QueryInFlight),
        }
        conn.outcome = if undone {
            Released::RolledBack
        } else {
            Released::Clean
        };
        Ok(())
    }

    /// Ends what the session has not ended, where that is allowed. The answer is whether
    /// there was anything.
    async fn undo(&mut self, config: &Config, conn: &Conn) -> Result<bool, CloseReason> {
        let mut undone = false;
        loop {
            let settled = self.until(|wire| wire.in_flight() > 0 || is_settled(wire));
            settled.await.map_err(|over| self.why(over))?;
            let left = conn.left();
            let reason = match left {
                Left::Nothing => return Ok(undone),
                Left::Transaction => CloseReason::InTransaction,
                Left::InFlight => CloseReason::QueryInFlight,
                Left::Untold => continue,
            };
            if config.on_dirty == OnDirty::Close {
                return Err(reason);
            }
            if left == Left::InFlight {
                self.cancel(config).await?;
            } else {
                self.roll_back(conn).await?;
            }
            undone = true;
        }
    }

    async fn cancel(&mut self, config: &Config) -> Result<(), CloseReason> {
        let stopped = timeout(config.settings.cancel_timeout, self.stop(&*config.connect)).await;
        match stopped {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Unstopped::Over)) => Err(self.why(Over)),
            Ok(Err(Unstopped::Uncertain(err))) => {
                tracing::debug!(error = %Report(&err), "a query could not be canceled");
                Err(CloseReason::QueryInFlight)
            }
            Err(_) => Err(CloseReason::QueryInFlight),
        }
    }

    async fn roll_back(&mut self, conn: &Conn) -> Result<(), CloseReason> {
        let request = conn.client.batch_execute("ROLLBACK");
        let outcome = self.during(request).await.map_err(|over| self.why(over))?;
        if let Err(err) = &outcome {
            tracing::debug!(error = %err, "a transaction could not be rolled back");
        }
        if outcome.is_ok() && self.wire.status() == TransactionStatus::Idle {
            return Ok(());
        }
        Err(CloseReason::InTransaction)
    }

    async fn reset(&mut self, config: &Config, conn: &Conn) -> Result<(), CloseReason> {
        let work = async {
            conn.client.batch_execute(&config.reset.sql).await?;
            if config.reset.deallocates
                && let Some(sql) = conn.wire.prepare_lookups_again()
            {
                conn.client.batch_execute(&sql).await?;
            }
            Ok::<(), tokio_postgres::Error>(())
        };
        let outcome = self.during(work).await.map_err(|over| self.why(over))?;
        if let Err(err) = outcome {
            tracing::debug!(error = %err, "the reset query failed");
            return Err(why_failed(&err));
        }
        self.wire.is_reset();
        Ok(())
    }

    /// Why the connection is over.
    fn why(&self, _: Over) -> CloseReason {
        self.wire.broken().unwrap_or(CloseReason::ServerGone)
    }
}
