//! The gRPC health protocol, from the same state.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tonic::{Request, Response, Status as GrpcStatus};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::aggregate::Question;
use crate::health::Health;
use crate::lifecycle::Lifecycle;

/// How often a watched state is looked at. Age is judged at each look.
const LOOK: Duration = Duration::from_millis(500);

/// How many may watch at the same time.
const MAX_WATCHERS: usize = 256;

/// The service `grpc.health.v1.Health`, from the same state as the routes.
///
/// The names are `""` for the whole, which is what `/health` says, and `live`, `ready`,
/// `startup` and `health`. A state is judged when it is asked for: a scheduler that has
/// died is not served as healthy. Nothing is serving before the service has started, and
/// with the drain every name stops serving and every `Watch` ends, so that none holds up
/// the shutdown.
///
/// ```
/// use ops_health::{GrpcBridge, Health};
///
/// let health = Health::builder().build()?;
/// let service = GrpcBridge::new(&health).into_service();
/// // tonic::transport::Server::builder().add_service(service)
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GrpcBridge {
    health: Health,
    watchers: Arc<Semaphore>,
}

impl GrpcBridge {
    /// Serves the state of this service.
    #[must_use]
    pub fn new(health: &Health) -> Self {
        Self {
            health: health.clone(),
            watchers: Arc::new(Semaphore::new(MAX_WATCHERS)),
        }
    }

    /// The service, to be added to a server of tonic.
    #[must_use]
    pub fn into_service(self) -> HealthServer<Self> {
        HealthServer::new(self)
    }

    async fn state(&self, question: Question) -> ServingStatus {
        let lifecycle = self.health.lifecycle();
        if lifecycle == Lifecycle::Starting || self.health.is_leaving() {
            return ServingStatus::NotServing;
        }
        let verdict = match question {
            Question::Live | Question::Startup => self.health.verdict(question),
            Question::Ready | Question::Health => self.health.fresh_verdict(question).await,
        };
        if verdict.status.is_up() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    }
}

fn question(name: &str) -> Option<Question> {
    match name {
        "" | "health" => Some(Question::Health),
        "live" => Some(Question::Live),
        "ready" => Some(Question::Ready),
        "startup" => Some(Question::Startup),
        _ => None,
    }
}

const fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status as i32,
    }
}

#[tonic::async_trait]
impl HealthApi for GrpcBridge {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, GrpcStatus>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, GrpcStatus> {
        let question = question(&request.get_ref().service)
            .ok_or_else(|| GrpcStatus::not_found("there is no service of that name"))?;
        Ok(Response::new(answer(self.state(question).await)))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, GrpcStatus> {
        let permit = Arc::clone(&self.watchers)
            .try_acquire_owned()
            .map_err(|_| GrpcStatus::resource_exhausted("too many watch already"))?;
        let watcher = Watcher {
            bridge: self.clone(),
            question: question(&request.get_ref().service),
            last: None,
            is_over: false,
            _permit: permit,
        };
        let changes = stream::unfold(watcher, |mut watcher| async move {
            let status = watcher.next().await?;
            Some((Ok(answer(status)), watcher))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

struct Watcher {
    bridge: GrpcBridge,
    question: Option<Question>,
    last: Option<ServingStatus>,
    is_over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next change; `None` once the service has begun to leave and that was told.
    async fn next(&mut self) -> Option<ServingStatus> {
        if self.is_over {
            return None;
        }
        loop {
            self.is_over = self.bridge.health.is_leaving();
            let now = match self.question {
                Some(question) => self.bridge.state(question).await,
                // A name that is not known may become so: the protocol keeps it open.
                None => ServingStatus::ServiceUnknown,
            };
            if self.last.replace(now) != Some(now) {
                return Some(now);
            }
            if self.is_over {
                return None;
            }
            sleep(LOOK).await;
        }
    }
}
