//! The server: connections, and what happens to a request before and after the operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Backend;
use super::body::{Answer, Broken, Upload};
use super::connection::{Connection, Control};
use super::fault::{Faults, Kind, Subject};
use super::guard;
use super::log::{Log, Recording};
use super::request::{bucket_and_key, operation, query};
use super::stats::{Counts, InFlight};
use super::store::mix;

/// Everything that the connections of a server share.
pub(super) struct Shared {
    pub(super) backend: Backend,
    pub(super) service: S3Service,
    pub(super) faults: Faults,
    pub(super) log: Log,
    pub(super) counts: Arc<Counts>,
    pub(super) ids: AtomicU64,
}

/// How long to rest when no connection can be accepted, as when descriptors run out.
const REST: Duration = Duration::from_millis(10);

/// Accepts connections until it is aborted; then all of them end.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(REST).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _open = shared.counts.connection();
    // Else the last piece of an answer waits 40 ms for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let control = Arc::new(Control::default());
    let io = TokioIo::new(Connection::new(stream, Arc::clone(&control)));
    let service = service_fn(move |request| {
        let (shared, control) = (Arc::clone(&shared), Arc::clone(&control));
        async move { answer(&shared, request, control).await }
    });
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
    // A client that goes away, or was sent away, is no failure of the server.
    let _ = serving.await;
}

async fn answer(
    shared: &Shared,
    request: Request<Incoming>,
    control: Arc<Control>,
) -> Result<Response<Answer>, Broken> {
    let in_flight = shared.counts.request();
    let (head, body) = request.into_parts();
    let operation = operation(&head.method, &head.uri, &head.headers);
    let recording = shared.log.begin(&operation, &head);
    let part = query(&head.uri)
        .into_iter()
        .find_map(|(name, value)| (name == "partNumber").then(|| value.parse().ok())?);
    let (_, key) = bucket_and_key(&head.uri);
    let fault = shared.faults.strike(&Subject {
        operation: &operation,
        key: key.as_deref(),
        part,
    });
    if fault.is_some() {
        recording.faulted();
    }
    if fault == Some(Kind::Reset) {
        control.reset();
        return Err(Broken);
    }
    let fault = fault.as_ref();
    let body = Upload::new(body, recording.clone(), Arc::clone(&control), fault);
    let refused = instead(fault).or_else(|| {
        guard::refusal(
            &shared.backend.behavior(),
            &operation,
            &head,
            shared.backend.now(),
        )
    });
    let answer = if let Some(refused) = refused {
        drain(body).await?;
        refused
    } else {
        let request = Request::from_parts(head, s3s::Body::http_body_unsync(body));
        shared.service.call(request).await.map_err(|_| Broken)?
    };
    match fault {
        Some(Kind::LoseAnswer | Kind::ResetUpload { .. }) => {
            control.reset();
            return Err(Broken);
        }
        Some(Kind::Delay(pause)) => tokio::time::sleep(*pause).await,
        _ => {}
    }
    Ok(finished(
        shared, answer, recording, control, in_flight, fault,
    ))
}

/// Completes an answer with what every answer of the server has.
fn finished(
    shared: &Shared,
    answer: Response<s3s::Body>,
    recording: Recording,
    control: Arc<Control>,
    in_flight: InFlight,
    fault: Option<&Kind>,
) -> Response<Answer> {
    let (mut head, body) = answer.into_parts();
    let id = shared.ids.fetch_add(1, Ordering::AcqRel);
    if let Ok(id) = HeaderValue::from_str(&format!("{:016X}", mix(id))) {
        head.headers.insert("x-amz-request-id", id);
    }
    if shared.backend.behavior().clock_ahead_seconds != 0
        && let Ok(date) = HeaderValue::from_str(&guard::http_date(shared.backend.now()))
    {
        head.headers.insert(header::DATE, date);
    }
    falsify(&mut head.headers, fault);
    recording.head(&head);
    let body = Answer::new(body, recording, control, in_flight, fault);
    Response::from_parts(head, body)
}

/// Reads what is left of a request, so that its answer is seen.
async fn drain(mut body: Upload) -> Result<(), Broken> {
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| Broken)?;
    }
    Ok(())
}

/// The answer that a fault gives in the place of the operation.
fn instead(fault: Option<&Kind>) -> Option<Response<s3s::Body>> {
    match fault? {
        Kind::Error {
            status,
            code,
            retry_after,
        } => {
            let mut answer = error(*status, code, "a fault of the test");
            if let Some(pause) = retry_after {
                let value = HeaderValue::from(pause.as_secs());
                answer.headers_mut().insert(header::RETRY_AFTER, value);
            }
            Some(answer)
        }
        Kind::Answer(canned) => {
            let mut answer = Response::new(s3s::Body::from(canned.body.clone()));
            *answer.status_mut() = canned.status;
            *answer.headers_mut() = canned.headers.clone();
            Some(answer)
        }
        Kind::ErrorUnder200 { code } => Some(error(200, code, "a fault of the test")),
        _ => None,
    }
}

/// An error in the protocol's XML.
pub(super) fn error(status: u16, code: &str, message: &str) -> Response<s3s::Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut answer = Response::new(s3s::Body::from(xml));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let xml = HeaderValue::from_static("application/xml");
    answer.headers_mut().insert(header::CONTENT_TYPE, xml);
    answer
}

/// Changes the headers that tell what the content must be.
fn falsify(headers: &mut HeaderMap, fault: Option<&Kind>) {
    let lies = |name: &HeaderName| match fault {
        Some(Kind::WrongChecksum) => {
            name.as_str().starts_with("x-amz-checksum-") && name != "x-amz-checksum-type"
        }
        Some(Kind::WrongEtag) => name == header::ETAG,
        _ => false,
    };
    for (name, value) in headers.iter_mut() {
        if !lies(name) {
            continue;
        }
        // The first digit is changed, so that the value keeps its form.
        let mut text = value.as_bytes().to_vec();
        if let Some(digit) = text.iter_mut().find(|byte| byte.is_ascii_alphanumeric()) {
            *digit = if *digit == b'0' { b'1' } else { b'0' };
        }
        if let Ok(changed) = HeaderValue::from_bytes(&text) {
            *value = changed;
        }
    }
}
