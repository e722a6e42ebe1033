//! How requests reach the store: HTTP/1.1 over TCP, with TLS of our choice.
//!
//! The SDK's own client neither lets the oldest TLS version be chosen nor limits how
//! slowly a body may come.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_sdk_s3::config::RuntimeComponents;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind as RetryKind;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;

mod pool;
mod stall;
mod tls;

use pool::{Failure, Pool};
use stall::StallGuard;
pub(crate) use stall::Stalled;
pub(crate) use tls::{Roots, client_config};

/// A request body must leave at least this fast, in bytes per second, on top of the
/// attempt's own time.
const MIN_UPLOAD_RATE: u64 = 64 * 1024;

/// How long each step of a request may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) attempt: Duration,
    pub(crate) stall: Duration,
}

/// The SDK's way to send requests.
#[derive(Clone, Debug)]
pub(crate) struct Transport(SharedHttpConnector);

impl Transport {
    pub(crate) fn new(tls: rustls::ClientConfig, timeouts: Timeouts, allow_http: bool) -> Self {
        let mut tcp = TcpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeouts.connect));
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls);
        let https = if allow_http {
            https.https_or_http()
        } else {
            https.https_only()
        };
        let pool = Pool::new(https.enable_http1().wrap_connector(tcp));
        Self(SharedHttpConnector::new(Connector { pool, timeouts }))
    }
}

impl HttpClient for Transport {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.clone()
    }
}

#[derive(Clone, Debug)]
struct Connector {
    pool: Pool,
    timeouts: Timeouts,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(err) => return HttpConnectorFuture::ready(Err(ConnectorError::user(err.into()))),
        };
        let sent_bytes = request.body().content_length().unwrap_or(0);
        let limit = self.timeouts.attempt + Duration::from_secs(sent_bytes / MIN_UPLOAD_RATE);
        let stall = self.timeouts.stall;
        let pool = self.pool.clone();
        HttpConnectorFuture::new(async move {
            let response = tokio::time::timeout(limit, pool.send(request))
                .await
                .map_err(|_| ConnectorError::timeout(NoAnswer(limit).into()))?
                .map_err(from_pool)?;
            let response =
                response.map(|body| SdkBody::from_body_1_x(StallGuard::new(body, stall)));
            HttpResponse::try_from(response).map_err(|err| ConnectorError::other(err.into(), None))
        })
    }
}

/// The store did not answer in time.
#[derive(Debug)]
struct NoAnswer(Duration);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {:?}", self.0)
    }
}

impl StdError for NoAnswer {}

/// No connection was made, so nothing was sent.
#[derive(Debug)]
struct NoConnection(BoxError);

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection")
    }
}

impl StdError for NoConnection {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

fn from_pool(failure: Failure) -> ConnectorError {
    let err = match failure {
        Failure::NoConnection(err) => return ConnectorError::io(NoConnection(err).into()),
        Failure::Broken(err) => err,
    };
    let ended_early = err.is_incomplete_message() || err.is_closed() || err.is_canceled();
    let err: BoxError = err.into();
    if ended_early || find::<std::io::Error>(&*err).is_some() {
        return ConnectorError::io(err);
    }
    // Such as an answer that is no HTTP: another attempt may reach another server.
    ConnectorError::other(err, Some(RetryKind::TransientError))
}

/// Whether the request of this failure did not leave.
pub(crate) fn was_never_sent(err: &ConnectorError) -> bool {
    err.is_user() || find::<NoConnection>(err).is_some()
}

/// The first error of a type in a chain.
pub(crate) fn find<'a, E: StdError + 'static>(err: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(err), |&err| err.source()).find_map(|err| err.downcast_ref())
}
