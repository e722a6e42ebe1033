//! Fields, as they may be shown.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use ops_core::Secret;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};

use crate::private::{REDACTED, is_secret_key, scrub_to};

/// The longest text that is written, in characters.
const MAX_CHARS: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Scrubber {
    pub(super) known: Vec<Secret>,
}

/// The fields of one event or span.
pub(super) struct Collected<'a> {
    scrubber: &'a Scrubber,
    pub(super) all: Map<String, Value>,
}

impl<'a> Collected<'a> {
    pub(super) fn new(scrubber: &'a Scrubber) -> Self {
        Self {
            scrubber,
            all: Map::new(),
        }
    }

    fn insert(&mut self, field: &Field, value: Value) {
        let value = if is_secret_key(field.name()) {
            Value::String(REDACTED.to_owned())
        } else {
            value
        };
        self.all.insert(field.name().to_owned(), value);
    }

    fn insert_text(&mut self, field: &Field, text: &str) {
        let shown = scrub_to(text, &self.scrubber.known, MAX_CHARS);
        self.insert(field, Value::String(shown));
    }
}

impl Visit for Collected<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity.
        self.insert(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert_text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(err) = cause {
            // Writing to a string does not fail.
            let _ = write!(text, ": {err}");
            cause = err.source();
        }
        self.insert_text(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert_text(field, &format!("{value:?}"));
    }
}
