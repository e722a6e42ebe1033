//! The health routes as a tower service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower_service::Service;

use crate::health::Health;

/// The health routes as a tower service, for servers without axum: it runs under plain
/// hyper, and every other path is 404. Made by [`Health::service`].
#[derive(Clone, Debug)]
pub struct HealthService {
    health: Health,
    details: bool,
}

impl Health {
    /// The health routes as a tower service.
    #[must_use]
    pub fn service(&self) -> HealthService {
        HealthService {
            health: self.clone(),
            details: false,
        }
    }

    /// As [`Health::service`], with all details for whoever asks: for a second listener
    /// that only operators can reach.
    #[must_use]
    pub fn details_service(&self) -> HealthService {
        HealthService {
            health: self.clone(),
            details: true,
        }
    }
}

impl<B> Service<Request<B>> for HealthService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (health, details) = (self.health.clone(), self.details);
        let (parts, _) = request.into_parts();
        Box::pin(async move {
            let response = if details {
                health.handle_with_details(&parts).await
            } else {
                health.handle(&parts).await
            };
            Ok(response.map(Full::new))
        })
    }
}
