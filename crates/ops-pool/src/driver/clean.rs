//! Making a session that came back as good as new.

use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use super::line::{Line, Over};
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
        let limit = config.reset_timeout;
        let outcome = timeout(limit, self.clean_up(config, conn)).await;
        outcome.unwrap_or(Err(CloseReason::ResetTimedOut))
    }

    /// Whether the server still answers.
    pub(super) async fn check(&mut self, config: &Config, conn: &Conn) -> Result<(), CloseReason> {
        let query = conn.client.batch_execute(&config.server_check_query);
        let work = timeout(config.reset_timeout, query);
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

    /// Cancels what runs. A request to cancel that is under way could hit whatever runs on
    /// the connection next, so each is waited for, also where nothing runs anymore.
    async fn cancel(&mut self, config: &Config) -> Result<(), CloseReason> {
        let all = async {
            while self.wire.in_flight() > 0 {
                let before = self.wire.in_flight();
                let token = self.token().clone();
                // A COPY that the driver has given up ends by itself.
                let needed = !self.wire.gives_up_copy();
                let request = async {
                    if needed {
                        config.connect.cancel(&token).await?;
                    }
                    Ok::<(), ops_core::Error>(())
                };
                // An error that somebody does not read may keep the end from coming.
                let ended = move |wire: &Wire| wire.in_flight() < before && !wire.is_failing();
                let answered = self.until(ended);
                let (requested, answered) = tokio::join!(request, answered);
                answered.map_err(|over| self.why(over))?;
                if let Err(err) = requested {
                    tracing::debug!(error = %err, "a query could not be canceled");
                    return Err(CloseReason::QueryInFlight);
                }
            }
            Ok(())
        };
        let outcome = timeout(config.cancel_timeout, all).await;
        outcome.unwrap_or(Err(CloseReason::QueryInFlight))
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
