//! The span of a caller that waits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ops_pool::{Acquire, AcquireError};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::over;
use crate::server::Fake;

type Fields = BTreeMap<String, String>;

/// Keeps the fields of every span of the pool.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<(Id, Fields)>>>);

struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if span.metadata().name() == "ops.pool.acquire" {
            let mut fields = Fields::new();
            span.record(&mut Into(&mut fields));
            self.0.lock().unwrap().push((id.clone(), fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        for (span, fields) in self.0.lock().unwrap().iter_mut() {
            if span == id {
                values.record(&mut Into(fields));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_a_span_and_what_needs_no_wait_is_none() {
    let spans = Spans::default();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    // Tests beside this one may have been there first, and found nobody interested.
    tracing::callsite::rebuild_interest_cache();
    let pool = over(&Fake::new()).pool_size(1).build().unwrap();
    // Waits for the first connection.
    drop(pool.acquire().await.unwrap());
    crate::settle().await;
    let served_at_once = pool.acquire().await.unwrap();
    assert_eq!(spans.0.lock().unwrap().len(), 1);

    let how = Acquire::new()
        .timeout(Duration::from_secs(1))
        .label("nightly");
    let other = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire_with(how).await }
    });
    let err = other.await.unwrap().unwrap_err();
    assert!(matches!(err, AcquireError::Timeout(_)), "{err}");
    drop(served_at_once);

    let spans = spans.0.lock().unwrap();
    let [(_, served), (_, in_vain)] = spans.as_slice() else {
        panic!("{} spans", spans.len());
    };
    assert_eq!(served.get("error.type"), None);
    let found = |name: &str| in_vain.get(name).map(String::as_str);
    assert_eq!(found("ops.operation"), Some("pool.acquire"));
    assert_eq!(found("ops.pool.label"), Some("nightly"));
    assert_eq!(found("error.type"), Some("timeout"));
    assert_eq!(found("otel.status_code"), Some("ERROR"));
    assert!(found("code.file.path").unwrap().ends_with("fake/trace.rs"));
}
