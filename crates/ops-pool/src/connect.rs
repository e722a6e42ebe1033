//! How the pool comes by its connections.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt, poll_fn};
use ops_core::database::ConnectInfo;
use ops_core::{Error, ErrorKind, Result, async_trait};
use ops_pg::connect::{ConnectOptions, Connector};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Connection};

use crate::core::Failure;
use crate::tap::{Tap, Wire};

/// Opens connections for a pool.
///
/// [`SessionPool::builder`](crate::SessionPool::builder) brings its own. Implement it for
/// a login that changes, such as a token with a short life.
#[async_trait]
pub trait Connect: fmt::Debug + Send + Sync + 'static {
    /// Opens a connection and logs in. The stream must go through a [`Tap`].
    ///
    /// # Errors
    /// `Unauthenticated`, `PermissionDenied`, `InvalidConfig`, and `NotFound` with a code
    /// say that the next attempt will fail too: the pool then waits for about
    /// `server_login_retry`. SQLSTATE `57P03` as the code says that the server is
    /// starting. Everything else is tried again after a short time. Neither text nor source may hold a secret.
    ///
    /// # Cancel safety
    /// Dropping the future must close the connection.
    async fn connect(&self) -> Result<Connected>;

    /// Asks the server to cancel what a connection is running.
    ///
    /// Called for connections that are closed with a query in flight, so that the server
    /// does not go on with it; a failure is then ignored. Called, too, for sessions that
    /// [`OnDirty::Rollback`](crate::OnDirty::Rollback) saves: it must not return before the
    /// server has closed the connection that carried the request, since a late one would
    /// hit the next caller.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Dropping the future may leave the request sent; the pool closes the connection then.
    async fn cancel(&self, token: &CancelToken) -> Result<()>;
}

const _: fn(&dyn Connect) = |_| {};

/// A connection that stands.
pub struct Connected {
    pub(crate) client: Client,
    pub(crate) messages: BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>,
    pub(crate) wire: Arc<Wire>,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

impl Connected {
    /// Puts together what the driver returns and what the tap tells.
    pub fn new<S, T>(client: Client, mut connection: Connection<S, T>, wire: Arc<Wire>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let messages = poll_fn(move |cx| connection.poll_message(cx)).boxed();
        Self {
            client,
            messages,
            wire,
        }
    }
}

/// Connects as [`ops_pg`] does. Certificates are read before the first connection.
#[derive(Debug)]
pub(crate) struct PgConnect {
    pub(crate) info: ConnectInfo,
    pub(crate) options: ConnectOptions,
    connector: OnceCell<Connector>,
}

impl PgConnect {
    pub(crate) fn new(info: ConnectInfo, options: ConnectOptions) -> Self {
        Self {
            info,
            options,
            connector: OnceCell::new(),
        }
    }

    async fn connector(&self) -> Result<&Connector> {
        self.connector
            .get_or_try_init(|| Connector::new(&self.info, &self.options))
            .await
    }
}

#[async_trait]
impl Connect for PgConnect {
    async fn connect(&self) -> Result<Connected> {
        let mut wire = None;
        let wrap = |stream| {
            let (tap, of_this) = Tap::new(stream);
            wire = Some(of_this);
            tap
        };
        let (client, driver) = self.connector().await?.connect_with(wrap).await?;
        let wire =
            wire.ok_or_else(|| Error::new(ErrorKind::Internal, "the stream was not wrapped"))?;
        Ok(Connected::new(client, driver, wire))
    }

    async fn cancel(&self, token: &CancelToken) -> Result<()> {
        self.connector().await?.cancel(token).await
    }
}

/// What a failure to connect says about the next attempt.
pub(crate) fn classify(err: &Error) -> Failure {
    match (err.kind(), err.code()) {
        (_, Some("57P03")) => Failure::Starting,
        (
            ErrorKind::Unauthenticated
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidConfig
            | ErrorKind::InvalidInput,
            _,
        )
        // A database; a socket that is not there may be there soon.
        | (ErrorKind::NotFound, Some(_)) => Failure::Permanent,
        _ => Failure::Unreachable,
    }
}
