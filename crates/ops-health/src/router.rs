//! The routes for axum.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::routing::any;
use axum::serve::ListenerExt;
use axum::{Router, ServiceExt};
use bytes::Bytes;
use http::Response;
use http::request::Parts;
use tokio::net::TcpListener;

use crate::check::BoxFuture;
use crate::health::Health;

mod closing;
mod leaving;

use closing::Closing;
use leaving::Leaving;

/// How long those who have just connected get to send their request before connections
/// without one are closed.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

impl Health {
    /// The health routes, to be merged outside of authentication, rate limits and
    /// request tracing.
    ///
    /// ```
    /// # use ops_health::Health;
    /// let health = Health::builder().service("api").build()?;
    /// let app: axum::Router = axum::Router::new().merge(health.router());
    /// # Ok::<(), ops_core::Error>(())
    /// ```
    pub fn router<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        self.routes(false)
    }

    /// As [`Health::router`], with all details for whoever asks: for a second listener
    /// that only operators can reach. The probes stay on the main port as well, where they
    /// find out whether that one works.
    pub fn details_router<S>(&self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        self.routes(true)
    }

    fn routes<S>(&self, details: bool) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let paths = [
            "/health",
            "/api/health",
            "/health/live",
            "/health/ready",
            "/health/startup",
            "/health/checks/{name}",
        ];
        let aliases = ["/livez", "/readyz", "/healthz"]
            .into_iter()
            .filter(|_| self.0.settings.aliases);
        let metrics = self.0.settings.metrics.as_ref().map(|_| "/metrics");
        paths
            .into_iter()
            .chain(aliases)
            .chain(metrics)
            .fold(Router::new(), |router, path| {
                let health = self.clone();
                let answer = move |request: Request| {
                    let (parts, _) = request.into_parts();
                    // What is seldom waited for takes no place in every request's future.
                    let answered = health
                        .at_once(&parts, details)
                        .ok_or_else(|| health.in_time(parts, details));
                    async move {
                        match answered {
                            Ok(response) => response,
                            Err(later) => later.await,
                        }
                        .map(Body::from)
                    }
                };
                router.route(path, any(answer))
            })
    }

    /// The answer after checks that run on demand.
    fn in_time(&self, parts: Parts, details: bool) -> BoxFuture<'static, Response<Bytes>> {
        let health = self.clone();
        Box::pin(async move {
            if details {
                health.handle_with_details(&parts).await
            } else {
                health.handle(&parts).await
            }
        })
    }

    /// Serves a router until the service has drained: from the beginning of the drain on
    /// every answer asks for its connection to be closed. After the drain plan's delay
    /// nobody can connect any more, and whoever had connected by then is answered: up to
    /// the plan's cap, when what is still open ends. Then [`Health::finish`].
    ///
    /// A connection that was kept without a request through the whole delay is closed half a
    /// second after it, or after a tenth of the cap where that is less.
    ///
    /// The routes of [`Health::router`] are to be merged into it before. Something must
    /// begin the drain: [`Health::drain`] at SIGTERM.
    ///
    /// # Errors
    /// What the server reports.
    ///
    /// # Cancel safety
    /// Dropping the future drops all connections.
    pub async fn serve(&self, listener: TcpListener, app: Router) -> io::Result<()> {
        let app = Leaving::new(app, self.clone());
        let app = ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(app);
        let listener = Closing::new(listener, self.0.shutdown.clone())?
            // Only of listeners within this one does axum tell handlers the peer's address.
            .tap_io(|_| {});
        let grace = FIRST_REQUEST.min(self.0.settings.drain.cap / 10);
        let requested = self.shutdown_requested();
        let server = axum::serve(listener, app).with_graceful_shutdown(async move {
            requested.await;
            tokio::time::sleep(grace).await;
        });
        let result = tokio::select! {
            ended = server.into_future() => ended,
            () = self.stopped() => Ok(()),
        };
        self.finish().await;
        result
    }
}
