//! No secret reaches an error or a log.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{Error, ErrorKind, ObjectStore, Report};
use ops_s3::S3Credentials;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::{Fault, SECRET, Server, key, put};

const TOKEN: &str = "FwoGZXIvYXdzEcanary";

/// Writes down all events and spans, at every level.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<String>>);

struct Writer<'a>(&'a mut String);

impl Visit for Writer<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S: tracing::Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        // The server is in this process, and not what is tested.
        if event.metadata().target().starts_with("s3s") {
            return;
        }
        let mut text = self.0.lock().unwrap();
        let _ = write!(text, "\n{}", event.metadata().target());
        event.record(&mut Writer(&mut text));
    }

    fn on_new_span(
        &self,
        span: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: Context<'_, S>,
    ) {
        if span.metadata().target().starts_with("s3s") {
            return;
        }
        let mut text = self.0.lock().unwrap();
        let _ = write!(text, "\n{}", span.metadata().name());
        span.record(&mut Writer(&mut text));
    }
}

fn shown(err: &Error) -> String {
    format!("{err} {err:?} {err:#?} {}", Report(err))
}

/// In a runtime of one thread, so that the subscriber sees the connections' tasks too.
#[tokio::test]
async fn neither_errors_nor_logs_hold_credentials_or_signed_urls() {
    let recorder = Recorder::default();
    let subscriber = tracing_subscriber::registry().with(recorder.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start().await;
    let credentials = S3Credentials::new("AKIDCANARY", SECRET).with_session_token(TOKEN);
    let builder = server
        .builder()
        .credentials(credentials)
        .header("x-canary", "header-canary")
        .profile(crate::support::profile());
    let mut all = format!("{builder:?}");
    let store = builder.open().await.unwrap();
    let _ = write!(all, "{store:?}");

    // A server that repeats what it was sent.
    let echo = format!(
        "<Error><Code>SignatureDoesNotMatch</Code><Message>AKIDCANARY {SECRET} {TOKEN}</Message>\
         <StringToSign>{SECRET}</StringToSign></Error>"
    );
    server.fault(1, "PUT /bucket/a", Fault::Status(403, echo.clone()));
    let err = store
        .put(&key("a"), "x".into(), PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unauthenticated);
    all += &shown(&err);
    for fault in [
        Fault::Status(500, echo.clone()),
        Fault::Status(200, echo),
        Fault::CloseBefore,
        Fault::Truncate(3),
    ] {
        server.fault(9, "GET", fault);
        let listed: Result<Vec<_>, Error> = store.list(ListOptions::default()).try_collect().await;
        all += &listed.map_or_else(|err| shown(&err), |listed| format!("{listed:?}"));
        if let Err(err) = crate::support::read(&store, "a").await {
            all += &shown(&err);
        }
    }
    let presign = store.as_presign().unwrap();
    let url = presign
        .presign_get(&key("a"), Duration::from_mins(1))
        .await
        .unwrap();
    assert!(url.url.expose().contains("X-Amz-Signature="));
    let _ = write!(all, "{url:?}");
    let too_long = presign
        .presign_put(&key("a"), Duration::from_hours(8 * 24))
        .await;
    all += &shown(&too_long.unwrap_err());
    put(&store, "b", "content").await;

    let log = recorder.0.lock().unwrap().clone();
    assert!(
        log.contains("ops.object_store"),
        "our own spans are seen: {log}"
    );
    all += &log;
    for secret in [
        SECRET,
        TOKEN,
        "AKIDCANARY",
        "header-canary",
        "X-Amz-Signature",
        "Credential=",
    ] {
        let at = all.find(secret);
        let around = at.map(|at| &all[at.saturating_sub(200)..(at + 50).min(all.len())]);
        assert!(at.is_none(), "{secret} in {around:?}");
    }
}
