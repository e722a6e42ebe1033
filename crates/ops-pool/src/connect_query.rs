//! PgBouncer's `connect_query`.

use std::pin::pin;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use ops_core::{Error, ErrorKind, Report, Result, async_trait};
use ops_pg::error::from_driver;
use tokio_postgres::CancelToken;
use tokio_postgres::error::{DbError, Severity};

use crate::connect::{Connect, Connected};

/// Runs SQL on each new connection before anybody gets it. Its errors are logged and
/// ignored, as PgBouncer does. A connection that breaks with it has not been opened.
#[derive(Debug)]
pub(crate) struct ConnectQuery {
    pub(crate) inner: Arc<dyn Connect>,
    pub(crate) sql: String,
}

#[async_trait]
impl Connect for ConnectQuery {
    async fn connect(&self) -> Result<Connected> {
        let mut connected = self.inner.connect().await?;
        let outcome = {
            let mut query = pin!(connected.client.batch_execute(&self.sql));
            // Nothing is answered unless somebody drives the connection.
            let drive = async { while let Some(Ok(_)) = connected.messages.next().await {} };
            tokio::select! {
                biased;
                outcome = &mut query => outcome,
                // The answer may have come together with the end.
                () = drive => {
                    if let Some(Err(err)) = query.now_or_never() {
                        return Err(from_driver(err));
                    }
                    let message = "the connection ended with its connect query";
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
            }
        };
        match outcome {
            Err(err) if ends_connection(&err) => return Err(from_driver(err)),
            Err(err) => {
                let err = from_driver(err);
                tracing::warn!(error = %Report(&err), "the connect query failed");
            }
            Ok(()) => {}
        }
        Ok(connected)
    }

    async fn cancel(&self, token: &CancelToken) -> Result<()> {
        self.inner.cancel(token).await
    }
}

fn ends_connection(err: &tokio_postgres::Error) -> bool {
    let severity = err.as_db_error().and_then(DbError::parsed_severity);
    err.is_closed() || matches!(severity, Some(Severity::Fatal | Severity::Panic))
}
