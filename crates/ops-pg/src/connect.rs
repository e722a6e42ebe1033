//! Connections to a server.
//!
//! [`connect`] is for one connection. A [`Connector`] reads the certificates once and
//! opens many; it also lets its caller wrap the stream ([`Connector::connect_with`]) and
//! drive the connection.

mod options;
mod socket;
mod stream;

use std::fmt;
use std::sync::Arc;

use ops_core::database::{ConnectInfo, Engine, Host};
use ops_core::{Error, ErrorKind, Result};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{CancelToken, Client, Config};

pub use options::{ChannelBinding, ConnectOptions, TcpLiveness};
pub use stream::{Established, Stream};

use crate::error::{from_connecting, from_tls, nothing_applied};
use crate::tls;
use socket::Deadline;

/// Drives a connection: a future that ends when the connection does, to be spawned or
/// polled for messages by the caller.
pub type Driver<W> = tokio_postgres::Connection<W, Established<W>>;

/// Connects, and drives the connection in a task that ends with the client.
///
/// # Errors
/// `Unauthenticated` for a refused user, password or client certificate, `NotFound` for
/// a missing database, `QuotaExceeded` for too many connections, `Timeout` after
/// `connect_timeout`, `InvalidConfig` for certificates that cannot be used, and
/// `Unavailable` for a server that cannot be reached, is starting or stopping, or whose
/// TLS is not what the settings demand. Nothing has happened in the database.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn connect(info: &ConnectInfo, options: &ConnectOptions) -> Result<Client> {
    Connector::new(info, options).await?.connect().await
}

/// Asks the server to cancel what a connection is running, over TLS as in `info`.
///
/// Returns once the server has taken the request. Whether a statement was still running
/// shows on the connection itself.
///
/// # Errors
/// As [`connect`], save for the login, which a request to cancel does without.
///
/// # Cancel safety
/// Dropping the future may leave the request sent.
pub async fn cancel(info: &ConnectInfo, token: &CancelToken) -> Result<()> {
    Connector::new(info, &ConnectOptions::default())
        .await?
        .cancel(token)
        .await
}

/// Opens connections to one database.
///
/// Certificates and keys are read when it is made; make a new one to read them again.
#[derive(Clone)]
pub struct Connector {
    info: ConnectInfo,
    options: ConnectOptions,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The TLS configuration holds our private key.
        f.debug_struct("Connector")
            .field("info", &self.info)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Checks the settings and reads the certificates that they name.
    ///
    /// # Errors
    /// `InvalidConfig` where that cannot work.
    ///
    /// # Cancel safety
    /// Reading changes nothing.
    pub async fn new(info: &ConnectInfo, options: &ConnectOptions) -> Result<Self> {
        if info.engine != Engine::Postgres {
            return Err(invalid("the database is not PostgreSQL"));
        }
        options.check()?;
        let tls = match &info.host {
            Host::Tcp(host) => {
                let config = tls::client_config(&info.tls).await?;
                config
                    .map(|config| Ok((config, server_name(host)?)))
                    .transpose()?
            }
            // As in libpq, there is no TLS over a Unix-domain socket.
            _ => None,
        };
        Ok(Self {
            info: info.clone(),
            options: options.clone(),
            tls,
        })
    }

    /// Opens a stream to the server: connected and encrypted, but not logged in.
    ///
    /// # Errors
    /// As [`connect`], save for the login.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn open(&self) -> Result<Stream> {
        self.open_by(&self.deadline()).await
    }

    /// Connects, and drives the connection in a task that ends with the client.
    ///
    /// # Errors
    /// As [`connect`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect(&self) -> Result<Client> {
        let (client, driver) = self.connect_with(|stream| stream).await?;
        tokio::spawn(async move {
            if let Err(err) = driver.await {
                // Whoever waits for an answer gets the error, too.
                tracing::debug!(error = %err, "a connection to PostgreSQL broke");
            }
        });
        Ok(client)
    }

    /// Connects over a stream that `wrap` may replace by one of its own, which then sees
    /// the protocol in plain text from the startup message on, above TLS. Channel binding
    /// works all the same.
    ///
    /// The connection does nothing until the driver is polled.
    ///
    /// # Errors
    /// As [`connect`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect_with<W>(
        &self,
        wrap: impl FnOnce(Stream) -> W + Send,
    ) -> Result<(Client, Driver<W>)>
    where
        W: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let deadline = self.deadline();
        let stream = self.open_by(&deadline).await?;
        let login = Established::login(&stream);
        let config = self.config();
        deadline
            .within("logging in", config.connect_raw(wrap(stream), login))
            .await
            .and_then(|outcome| outcome.map_err(from_connecting))
            .map_err(|err| self.locate(err))
    }

    /// As [`cancel`], within the `connect_timeout` of the options.
    ///
    /// # Errors
    /// As [`cancel`].
    ///
    /// # Cancel safety
    /// As [`cancel`].
    pub async fn cancel(&self, token: &CancelToken) -> Result<()> {
        let deadline = self.deadline();
        let mut stream = self.open_by(&deadline).await?;
        let login = Established::login(&stream);
        let request = async {
            token
                .cancel_query_raw(&mut stream, login)
                .await
                .map_err(from_connecting)?;
            // The server closes the connection when it has passed the request on. Until
            // then a request could hit whatever the connection runs next.
            let mut rest = [0; 64];
            while matches!(stream.read(&mut rest).await, Ok(length) if length > 0) {}
            Ok(())
        };
        deadline
            .within("cancelling", request)
            .await?
            .map_err(|err| self.locate(err))
    }

    fn deadline(&self) -> Deadline {
        Deadline::new(self.options.connect_timeout)
    }

    async fn open_by(&self, deadline: &Deadline) -> Result<Stream> {
        let opened = match &self.info.host {
            Host::Unix(folder) => socket::open_unix(folder, self.info.port, deadline).await,
            Host::Tcp(host) => self.open_tcp(host, deadline).await,
            _ => Err(invalid("this kind of host is not known")),
        };
        opened.map_err(|err| self.locate(err))
    }

    async fn open_tcp(&self, host: &str, deadline: &Deadline) -> Result<Stream> {
        let mut socket =
            socket::open_tcp(host, self.info.port, &self.options.tcp, deadline).await?;
        let Some((config, server_name)) = &self.tls else {
            return Ok(Stream::tcp(socket));
        };
        deadline
            .within("asking for TLS", socket::request_tls(&mut socket))
            .await??;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let handshake = connector.connect(server_name.clone(), socket);
        let stream = deadline
            .within("the TLS handshake", handshake)
            .await?
            .map_err(|source| {
                from_tls(&source).unwrap_or_else(|| {
                    Error::new(
                        ErrorKind::Unavailable,
                        "the connection broke in the TLS handshake",
                    )
                    .with_source(source)
                })
            })?;
        Ok(Stream::tls(stream))
    }

    /// What the driver does with a stream that is open already: it must not ask for TLS
    /// again, and takes the channel binding from [`Established`]. `Require` says that the
    /// stream is ready whether it is encrypted or not; that has been decided above.
    fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .ssl_mode(SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct)
            .channel_binding(self.options.channel_binding.into())
            .application_name(&self.options.application_name);
        let parameters = self.options.startup_options();
        if !parameters.is_empty() {
            config.options(parameters);
        }
        if let Some(user) = &self.info.user {
            config.user(user);
        }
        if let Some(password) = &self.info.password {
            config.password(password.expose());
        }
        if let Some(database) = &self.info.database {
            config.dbname(database);
        }
        config
    }

    fn locate(&self, err: Error) -> Error {
        nothing_applied(err)
            .with_provider("postgres")
            .with_resource(self.info.to_string())
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| invalid("TLS needs a host name or an address, and the host is neither"))
}

#[cold]
fn invalid(problem: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig, problem).with_provider("postgres")
}
