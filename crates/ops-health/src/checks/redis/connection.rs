//! One connection: a socket of ours, and the driver's protocol over it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ops_core::database::TlsVersion;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, ServerErrorKind, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::target::{Place, Target};
use crate::check::CheckCtx;
use crate::client_tls::{outcome_of, provider, roots, versions};
use crate::net::{bare, connect, resolve};
use crate::outcome::Outcome;
use crate::status::Code;

pub(super) struct Connection {
    client: MultiplexedConnection,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(super) async fn open(
        target: &Target,
        min_tls: TlsVersion,
        pem: Option<&[u8]>,
        ctx: &CheckCtx,
    ) -> Result<Self, Outcome> {
        match &target.place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(Outcome::from)?;
                let refusal = timeout(LISTEN, stream.readable()).await;
                refused(&refusal, |buffer| stream.try_read(buffer))?;
                Self::log_in(target, stream).await
            }
            Place::Tcp { host, port, tls } => {
                let addresses = resolve(ctx, host, *port).await?;
                let stream = connect(&addresses).await.map_err(Outcome::from)?;
                if !tls {
                    let refusal = timeout(LISTEN, stream.readable()).await;
                    refused(&refusal, |buffer| stream.try_read(buffer))?;
                    return Self::log_in(target, stream).await;
                }
                let connector = connector(min_tls, pem.map(<[u8]>::to_vec), ctx).await?;
                let server = ServerName::try_from(bare(host).to_owned())
                    .map_err(|_| Outcome::unhealthy(Code::TlsInvalid))?;
                let stream = connector
                    .connect(server, stream)
                    .await
                    .map_err(outcome_of)?;
                Self::log_in(target, stream).await
            }
        }
    }

    async fn log_in<S>(target: &Target, stream: S) -> Result<Self, Outcome>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // The check's own deadline holds.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (client, driver) =
            MultiplexedConnection::new_with_config(&target.login, stream, config)
                .await
                .map_err(outcome)?;
        let mut connection = Self {
            client,
            driver: tokio::spawn(driver),
        };
        // A name in CLIENT LIST is a courtesy, which a server may refuse.
        let mut name = redis::cmd("CLIENT");
        name.arg("SETNAME").arg("ops-health");
        match name.query_async::<Value>(&mut connection.client).await {
            Err(err) if err.is_io_error() => Err(outcome(err)),
            _ => Ok(connection),
        }
    }

    pub(super) async fn ping(&mut self) -> Result<(), Outcome> {
        redis::cmd("PING")
            .query_async::<Value>(&mut self.client)
            .await
            .map(drop)
            .map_err(outcome)
    }

    /// What the server tells of persistence and replication; `None` where it does not.
    pub(super) async fn info(&mut self) -> Result<Option<String>, Outcome> {
        let mut all = String::new();
        for section in ["persistence", "replication"] {
            let text = redis::cmd("INFO")
                .arg(section)
                .query_async::<String>(&mut self.client)
                .await;
            match text {
                Ok(text) => all.push_str(&text),
                Err(err) if err.is_io_error() => return Err(outcome(err)),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(all))
    }
}

/// How long a server may take to refuse a connection that it has accepted.
const LISTEN: Duration = Duration::from_millis(20);

/// A server speaks first only to refuse, and hangs up: whoever writes meanwhile loses what
/// it said.
fn refused(
    readable: &Result<io::Result<()>, Elapsed>,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> Result<(), Outcome> {
    if readable.is_err() {
        return Ok(());
    }
    let mut buffer = [0; 256];
    let said = match read(&mut buffer) {
        Ok(n) => String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned(),
        Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(err) => return Err(Outcome::from(err)),
    };
    let code = if said.contains("max number of clients") {
        Code::Exhausted
    } else if said.starts_with("-DENIED") {
        Code::Forbidden
    } else {
        Code::Unreachable
    };
    Err(Outcome::unhealthy(code).with_detail(said))
}

async fn connector(
    min_tls: TlsVersion,
    pem: Option<Vec<u8>>,
    ctx: &CheckCtx,
) -> Result<TlsConnector, Outcome> {
    let failed = |text: String| Outcome::unhealthy(Code::TlsInvalid).with_detail(text);
    let roots = ctx
        .blocking(move || roots(pem.as_deref()))
        .await
        .map_err(|err| failed(err.message().to_owned()))?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions(min_tls))
        .map_err(|err| failed(err.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that map_err calls"
)]
fn outcome(err: RedisError) -> Outcome {
    let text = err.to_string();
    let code = match (err.kind(), err.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
            Code::AuthFailed
        }
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => Code::Forbidden,
        (ErrorKind::Server(ServerErrorKind::ReadOnly), _) | (_, Some("MISCONF")) => Code::ReadOnly,
        (ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown), _) => {
            Code::Unreachable
        }
        _ if text.contains("max number of clients") => Code::Exhausted,
        _ if err.is_timeout() => Code::Timeout,
        _ if err.is_connection_refusal() => Code::Refused,
        (ErrorKind::Io, _) => Code::Unreachable,
        _ => Code::Failed,
    };
    Outcome::unhealthy(code).with_detail(text)
}
