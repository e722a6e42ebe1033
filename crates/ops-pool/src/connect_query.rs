//! PgBouncer's `connect_query`.

use std::sync::Arc;

use futures_util::StreamExt;
use ops_core::{Report, Result, async_trait};
use tokio_postgres::CancelToken;

use crate::connect::{Connect, Connected};

/// Runs SQL on each new connection before anybody gets it. Its errors are logged and
/// ignored, as PgBouncer does; a connection that breaks is noticed afterwards.
#[derive(Debug)]
pub(crate) struct ConnectQuery {
    pub(crate) inner: Arc<dyn Connect>,
    pub(crate) sql: String,
}

#[async_trait]
impl Connect for ConnectQuery {
    async fn connect(&self) -> Result<Connected> {
        let mut connected = self.inner.connect().await?;
        let query = connected.client.batch_execute(&self.sql);
        // Nothing is answered unless somebody drives the connection.
        let drive = async {
            while let Some(Ok(_)) = connected.messages.next().await {}
        };
        tokio::select! {
            biased;
            outcome = query => {
                if let Err(err) = outcome {
                    let err = ops_pg::error::from_driver(err);
                    tracing::warn!(error = %Report(&err), "the connect query failed");
                }
            }
            () = drive => tracing::warn!("the connection broke in the connect query"),
        }
        Ok(connected)
    }

    async fn cancel(&self, token: &CancelToken) -> Result<()> {
        self.inner.cancel(token).await
    }
}
