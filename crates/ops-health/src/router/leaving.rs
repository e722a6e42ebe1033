//! Answers that ask for the end of their connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, Version};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::health::Health;

/// An application whose answers ask for their connection to be closed while it leaves.
/// Around all of its routes, and not a layer of each: that costs every request a box.
#[derive(Clone)]
pub(super) struct Leaving {
    app: Router,
    health: Health,
}

impl Leaving {
    pub(super) const fn new(app: Router, health: Health) -> Self {
        Self { app, health }
    }
}

impl Service<Request> for Leaving {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.app, context)
    }

    fn call(&mut self, request: Request) -> Answer {
        Answer {
            version: request.version(),
            health: self.health.clone(),
            inner: self.app.call(request),
        }
    }
}

pin_project! {
    /// An answer of a [`Leaving`].
    pub(super) struct Answer {
        version: Version,
        health: Health,
        #[pin]
        inner: <Router as Service<Request>>::Future,
    }
}

impl Future for Answer {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        // HTTP/2 and later forbid the field.
        if *this.version <= Version::HTTP_11 && this.health.is_leaving() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Poll::Ready(Ok(response))
    }
}
