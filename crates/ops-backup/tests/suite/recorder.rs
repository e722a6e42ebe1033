//! Everything that is logged, by this process and by every crate in it.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What was logged so far.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Records from now on, at the finest level, until the process ends.
pub(crate) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Recorder::default()).unwrap();
        log::set_logger(&LogRecorder).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// What was logged since the start.
pub(crate) fn lines() -> Vec<String> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn push(line: String) {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push(line);
}

/// A subscriber that keeps events, spans and their fields.
#[derive(Debug, Default)]
struct Recorder {
    spans: AtomicU64,
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        push(line(span.metadata(), |fields| span.record(fields)));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut fields = Fields(String::new());
        values.record(&mut fields);
        push(fields.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        push(line(event.metadata(), |fields| event.record(fields)));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn line(metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields)) -> String {
    let mut fields = Fields(format!("{} {}:", metadata.target(), metadata.name()));
    record(&mut fields);
    fields.0
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut next = Some(value);
        while let Some(err) = next {
            write!(self.0, " {field}={err} {err:?}").unwrap();
            next = err.source();
        }
    }
}

/// The same for crates that use the `log` crate, such as the driver.
struct LogRecorder;

impl log::Log for LogRecorder {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        push(format!("{}: {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}
