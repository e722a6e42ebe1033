//! Counts the requests of a tower service.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{Served, Traffic};

/// Counts every request of what it is laid around: when its response begins, or when it
/// fails. A request whose caller has gone is not counted.
///
/// Mount the health routes outside of it: probes are no traffic.
#[derive(Clone, Debug)]
pub struct TrafficLayer {
    traffic: Traffic,
}

impl TrafficLayer {
    /// Counts into these counters.
    #[must_use]
    pub const fn new(traffic: Traffic) -> Self {
        Self { traffic }
    }
}

impl<S> Layer<S> for TrafficLayer {
    type Service = TrafficService<S>;

    fn layer(&self, inner: S) -> TrafficService<S> {
        TrafficService {
            inner,
            traffic: self.traffic.clone(),
        }
    }
}

/// A service whose requests are counted. Made by [`TrafficLayer`].
#[derive(Clone, Debug)]
pub struct TrafficService<S> {
    inner: S,
    traffic: Traffic,
}

impl<S, B, R> Service<Request<B>> for TrafficService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture {
            began: Instant::now(),
            traffic: self.traffic.clone(),
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// A response that is counted when it begins.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        began: Instant,
        traffic: Traffic,
        #[pin]
        inner: F,
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let served = match &result {
            Ok(response) if response.status().as_u16() < 500 => Served::Ok,
            _ => Served::Error,
        };
        this.traffic.record(served, this.began.elapsed());
        Poll::Ready(result)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::time::Duration;

    use http::StatusCode;

    use super::*;

    /// Answers the status that is the request's body.
    #[derive(Clone)]
    struct Echo;

    impl Service<Request<u16>> for Echo {
        type Response = Response<()>;
        type Error = Infallible;
        type Future = Ready<Result<Response<()>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<u16>) -> Self::Future {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::from_u16(*request.body()).unwrap();
            ready(Ok(response))
        }
    }

    #[tokio::test]
    async fn responses_from_500_on_are_errors_and_a_dropped_request_is_none() {
        let traffic = Traffic::new();
        let mut service = TrafficLayer::new(traffic.clone()).layer(Echo);
        for status in [200, 404, 499, 500, 503] {
            let answer = service.call(Request::new(status)).await.unwrap();
            assert_eq!(answer.status().as_u16(), status);
        }
        drop(service.call(Request::new(200)));
        let window = traffic.window(Duration::from_secs(300));
        assert_eq!((window.requests, window.errors), (5, 2));
    }
}
