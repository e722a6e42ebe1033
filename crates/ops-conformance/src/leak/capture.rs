//! A subscriber and a logger that look through everything, and keep nothing.

use std::fmt;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::look;

/// Makes this process's spans, events and log records be looked through.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let installed = tracing::subscriber::set_global_default(Looker(AtomicU64::new(1)));
        assert!(installed.is_ok(), "another subscriber is installed already");
        let installed = log::set_logger(&LogLooker);
        assert!(installed.is_ok(), "another logger is installed already");
        log::set_max_level(log::LevelFilter::Trace);
    });
}

struct Looker(AtomicU64);

/// Looks through the fields of a span or an event.
struct Fields<'a> {
    what: &'static str,
    metadata: &'a Metadata<'a>,
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        let place = || {
            let (target, name) = (self.metadata.target(), self.metadata.name());
            format!("field {} of {} {name} of {target}", field.name(), self.what)
        };
        look(place, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Subscriber for Looker {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Fields {
            what: "span",
            metadata: span.metadata(),
        });
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        // The span's own metadata is not kept: its fields name themselves.
        values.record(&mut LateFields);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Fields {
            what: "event",
            metadata: event.metadata(),
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Looks through fields that are recorded after their span was made.
struct LateFields;

impl Visit for LateFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        look(
            || format!("field {} that a span recorded later", field.name()),
            &format!("{value:?}"),
        );
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

struct LogLooker;

impl log::Log for LogLooker {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let place = || format!("log record of {}", record.target());
        look(place, &record.args().to_string());
    }

    fn flush(&self) {}
}
