//! The routes for axum.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::any;

use crate::health::Health;

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
        paths
            .into_iter()
            .chain(aliases)
            .fold(Router::new(), |router, path| {
                let health = self.clone();
                let answer = move |request: Request| {
                    let response = health.respond(&request.into_parts().0).map(Body::from);
                    std::future::ready(response)
                };
                router.route(path, any(answer))
            })
    }
}
