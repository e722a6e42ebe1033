//! Connections, each driven by the request that uses it.
//!
//! With a task for each connection every request changes threads twice: a small one spends
//! as much on that as on all else. So a connection is polled where its answer is waited for.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, Parts, Scheme};
use hyper::http::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use tower_service::Service;

/// Connections that nobody uses are closed after this long; S3 closes them at 20 s or later.
const IDLE: Duration = Duration::from_secs(15);

/// So much of an answer that nobody reads is read to keep its connection.
const DRAIN: u64 = 64 * 1024;

type Connector = HttpsConnector<TcpConnector>;
type Io = <Connector as Service<Uri>>::Response;

/// Why there is no answer.
pub(super) enum Failure {
    /// Nothing was sent.
    NoConnection(BoxError),
    Broken(hyper::Error),
}

/// Makes connections, and keeps those that may be used again.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    connector: Connector,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    links: Vec<(Link, Instant)>,
    /// Whether a task runs that closes what is too old.
    watched: bool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Self(Arc::new(Shared {
            connector,
            idle: Mutex::default(),
        }))
    }

    /// Sends a request. The answer drives its connection when its body is polled.
    pub(super) async fn send(
        &self,
        mut request: Request<SdkBody>,
    ) -> Result<Response<Answer>, Failure> {
        let uri = request.uri().clone();
        let target = Target::of(&uri)?;
        *request.uri_mut() = origin_form(&uri)?;
        if !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, target.host()?);
        }
        while let Some(link) = self.0.idle_link(&target) {
            match self.exchange(link, request).await {
                Ok(answer) => return Ok(answer),
                // It was closed meanwhile; nothing was sent.
                Err((_, Some(unsent))) => request = unsent,
                Err((err, None)) => return Err(Failure::Broken(err)),
            }
        }
        let link = self.0.connect(uri, target).await?;
        match self.exchange(link, request).await {
            Ok(answer) => Ok(answer),
            Err((err, Some(_))) => Err(Failure::NoConnection(err.into())),
            Err((err, None)) => Err(Failure::Broken(err)),
        }
    }

    async fn exchange(
        &self,
        mut link: Link,
        request: Request<SdkBody>,
    ) -> Result<Response<Answer>, (hyper::Error, Option<Request<SdkBody>>)> {
        let mut answer = pin!(link.sender.try_send_request(request));
        let answer = poll_fn(|cx| {
            link.drive(cx);
            answer.as_mut().poll(cx)
        });
        let answer = answer.await.map_err(|mut err| {
            let unsent = err.take_message();
            (err.into_error(), unsent)
        })?;
        // Another connection may reach a server that is well.
        let reusable = !answer.status().is_server_error();
        Ok(answer.map(|body| {
            let mut answer = Answer {
                body,
                link: Some(link),
                reusable,
                pool: Arc::clone(&self.0),
            };
            if answer.body.is_end_stream() {
                answer.release();
            }
            answer
        }))
    }
}

impl Shared {
    async fn connect(&self, uri: Uri, target: Target) -> Result<Link, Failure> {
        let mut connector = self.connector.clone();
        poll_fn(|cx| connector.poll_ready(cx))
            .await
            .map_err(Failure::NoConnection)?;
        let io = connector.call(uri).await.map_err(Failure::NoConnection)?;
        let (sender, connection) = handshake(io)
            .await
            .map_err(|err| Failure::NoConnection(err.into()))?;
        Ok(Link {
            target,
            sender,
            connection: Some(connection),
        })
    }

    /// The connection that was used last: the others may be given up.
    fn idle_link(&self, target: &Target) -> Option<Link> {
        loop {
            let mut link = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                let found = idle
                    .links
                    .iter()
                    .rposition(|(it, _)| it.target == *target)?;
                idle.links.remove(found).0
            };
            if link.is_usable() {
                return Some(link);
            }
        }
    }

    fn keep(self: &Arc<Self>, link: Link) {
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.links.push((link, now));
        if idle.watched {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            idle.watched = true;
            runtime.spawn(Self::close_old(Arc::downgrade(self)));
        }
    }

    /// Closes what nobody uses, until there is no more of it.
    async fn close_old(pool: Weak<Self>) {
        loop {
            sleep(IDLE).await;
            let Some(pool) = pool.upgrade() else { return };
            let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.links.retain(|(_, since)| since.elapsed() < IDLE);
            idle.watched = !idle.links.is_empty();
            if !idle.watched {
                return;
            }
        }
    }
}

/// Where a connection goes.
#[derive(PartialEq, Eq)]
struct Target {
    scheme: Scheme,
    authority: Authority,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, Failure> {
        match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => Ok(Self {
                scheme: scheme.clone(),
                authority: authority.clone(),
            }),
            _ => Err(Failure::NoConnection("the URL names no server".into())),
        }
    }

    fn host(&self) -> Result<HeaderValue, Failure> {
        let default = if self.scheme == Scheme::HTTPS {
            443
        } else {
            80
        };
        let host = match self.authority.port_u16() {
            Some(port) if port != default => format!("{}:{port}", self.authority.host()),
            _ => self.authority.host().to_owned(),
        };
        HeaderValue::try_from(host).map_err(|err| Failure::NoConnection(err.into()))
    }
}

/// Path and query alone, as a server that is no proxy wants them.
fn origin_form(uri: &Uri) -> Result<Uri, Failure> {
    let mut parts = Parts::default();
    parts.path_and_query = uri.path_and_query().cloned();
    Uri::from_parts(parts).map_err(|err| Failure::NoConnection(err.into()))
}

/// A connection, with no more than one request on it.
struct Link {
    target: Target,
    sender: SendRequest<SdkBody>,
    /// `None` when it is closed.
    connection: Option<Connection<Io, SdkBody>>,
}

impl Link {
    /// Writes and reads what can be.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            // What was waited for knows why.
            self.connection = None;
        }
    }

    /// Whether another request may be sent. It is polled with nobody to wake: whoever sends
    /// polls it again.
    fn is_usable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// The body of an answer, and the connection that it comes by.
pub(super) struct Answer {
    body: Incoming,
    link: Option<Link>,
    reusable: bool,
    pool: Arc<Shared>,
}

impl Answer {
    /// Gives the connection back at the end of the answer.
    fn release(&mut self) {
        if let Some(mut link) = self.link.take()
            && self.reusable
            && link.is_usable()
        {
            self.pool.keep(link);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if let (Poll::Pending, Some(link)) = (&frame, &mut self.link) {
            link.drive(cx);
            frame = Pin::new(&mut self.body).poll_frame(cx);
        }
        let ended = matches!(frame, Poll::Ready(None)) || self.body.is_end_stream();
        if ended && !matches!(frame, Poll::Ready(Some(Err(_)))) {
            self.release();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // An end that has arrived, and that nobody has looked at.
        let short = self
            .body
            .size_hint()
            .upper()
            .is_none_or(|left| left <= DRAIN);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..4 {
            if !short || self.link.is_none() {
                return;
            }
            match Pin::new(&mut *self).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(_))) => {}
                _ => return,
            }
        }
    }
}
