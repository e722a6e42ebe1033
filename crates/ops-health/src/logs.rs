//! One JSON object per line: the log of a service.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use ops_core::{Clock, Secret, SystemClock, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::render::instant;

mod visit;

use visit::{Collected, Scrubber};

/// A layer for `tracing` that writes one JSON object per line, with `timestamp`, `level`,
/// `service`, `environment`, `message` and `context`.
///
/// The context holds the target, the fields of the event and those of the spans around it,
/// an inner field before an outer one of the same name. Before anything is written, it is
/// scrubbed: user information and queries of URLs, HTTP credentials, values of settings that
/// sound secret, whole fields that do, and the secrets that were named. A line that cannot
/// be written is lost; the service goes on.
///
/// ```
/// use ops_health::JsonLogs;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry()
///     .with(JsonLogs::new("orders").environment("production"));
/// tracing::subscriber::with_default(subscriber, || tracing::info!(order = 7, "paid"));
/// ```
pub struct JsonLogs {
    service: String,
    environment: Option<String>,
    clock: Arc<dyn Clock>,
    scrubber: Scrubber,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl JsonLogs {
    /// Logs of this service, to the standard output.
    #[must_use]
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            environment: None,
            clock: Arc::new(SystemClock),
            scrubber: Scrubber::default(),
            writer: Mutex::new(Box::new(io::stdout())),
        }
    }

    /// Sets the environment, such as `production`. Defaults to none.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = Some(environment.into());
        self
    }

    /// Sets where the lines go. Each is written as a whole. Defaults to the standard output.
    #[must_use]
    pub fn writer(mut self, writer: impl Write + Send + 'static) -> Self {
        self.writer = Mutex::new(Box::new(writer));
        self
    }

    /// Sets the wall clock that time stamps come from. Defaults to the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Hides a secret wherever it stands. May be called again.
    #[must_use]
    pub fn redact(mut self, secret: impl Into<Secret>) -> Self {
        self.scrubber.known.push(secret.into());
        self
    }

    fn line(&self, level: Level, message: &Value, context: &Map<String, Value>) -> Vec<u8> {
        let line = Line {
            timestamp: instant(self.clock.now()),
            level: level_name(level),
            service: &self.service,
            environment: self.environment.as_deref(),
            message,
            context,
        };
        // Serializing plain data to memory does not fail.
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// In the order in which a reader looks for it.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    message: &'a Value,
    context: &'a Map<String, Value>,
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl<S> Layer<S> for JsonLogs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let mut fields = Collected::new(&self.scrubber);
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().replace(SpanFields(fields.all));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        let mut fields = Collected::new(&self.scrubber);
        values.record(&mut fields);
        if let Some(span) = ctx.span(id)
            && let Some(known) = span.extensions_mut().get_mut::<SpanFields>()
        {
            known.0.extend(fields.all);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Collected::new(&self.scrubber);
        event.record(&mut fields);
        let message = fields.all.remove("message");
        let message = message.unwrap_or_else(|| Value::String(String::new()));
        let mut context = Map::new();
        let target = event.metadata().target().to_owned();
        context.insert("target".to_owned(), Value::String(target));
        let mut spans = Vec::new();
        for span in ctx.event_scope(event).into_iter().flatten() {
            spans.push(Value::String(span.name().to_owned()));
            if let Some(SpanFields(known)) = span.extensions().get() {
                for (name, value) in known {
                    let is_new = !fields.all.contains_key(name);
                    if is_new {
                        fields.all.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        if !spans.is_empty() {
            spans.reverse();
            context.insert("spans".to_owned(), Value::Array(spans));
        }
        context.extend(fields.all);
        let line = self.line(*event.metadata().level(), &message, &context);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Where a log cannot be written, there is nobody to tell.
        let _ = writer.write_all(&line).and_then(|()| writer.flush());
    }
}

/// The fields of a span, as this layer shows them.
struct SpanFields(Map<String, Value>);

impl fmt::Debug for JsonLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLogs")
            .field("service", &self.service)
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}
