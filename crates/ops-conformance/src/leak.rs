//! The leak canary: a secret that is known, and must be seen nowhere.
//!
//! A provider is built with the canary as its token and made to fail in every way; what
//! was traced, logged, printed and panicked with must not hold it.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use ops_core::Report;

mod capture;
mod forms;

use forms::Forms;

/// The canaries that are looked for at present. What is traced is looked through at once
/// and not kept.
static WATCHED: Mutex<Vec<Watch>> = Mutex::new(Vec::new());

#[derive(Clone)]
struct Watch {
    forms: Arc<Forms>,
    places: Arc<Mutex<Vec<String>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks for every watched canary in a text.
fn look(place: impl FnOnce() -> String, text: &str) {
    let watched = lock(&WATCHED);
    let mut found = watched
        .iter()
        .filter(|watch| watch.forms.is_in(text))
        .peekable();
    if found.peek().is_none() {
        return;
    }
    let place = place();
    for watch in found {
        lock(&watch.places).push(place.clone());
    }
}

/// Where a test hands in what it has got, to be looked through.
#[derive(Clone, Debug)]
pub struct Texts(());

impl Texts {
    /// A text, such as the body of a report, and what it is.
    pub fn text(&self, what: &str, text: &str) {
        look(|| what.to_owned(), text);
    }

    /// Something with `Debug`, such as a provider or an answer.
    pub fn debug(&self, what: &str, value: &dyn fmt::Debug) {
        look(|| format!("Debug of {what}"), &format!("{value:?}"));
        look(|| format!("Debug of {what}"), &format!("{value:#?}"));
    }

    /// An error: its `Display`, its `Debug`, and its whole chain.
    pub fn error(&self, what: &str, err: &(dyn StdError + 'static)) {
        look(|| format!("Display of {what}"), &err.to_string());
        look(|| format!("Report of {what}"), &Report(err).to_string());
        self.debug(what, &err);
    }
}

/// Runs `work` and makes sure that the canary is seen nowhere: in no span and no event of
/// `tracing` at any level, no record of `log`, no text that the work hands in, and no panic.
///
/// The canary is looked for as it is, percent-encoded, in base64 and in hexadecimal. It
/// should be random and of 16 characters at least.
///
/// ```
/// use ops_conformance::leak::assert_no_leak;
/// use ops_core::{Error, ErrorKind, Secret};
///
/// assert_no_leak("canary-5f3a9c0e71", |texts| async move {
///     let token = Secret::from("canary-5f3a9c0e71");
///     let err = Error::new(ErrorKind::Unauthenticated, "the token was refused");
///     texts.error("a refused token", &err);
///     texts.debug("the token", &token);
/// });
/// ```
///
/// # Panics
/// Where the canary is seen, with every place where it is and without the canary; where
/// `work` panics; inside of a runtime; where another subscriber is installed already.
pub fn assert_no_leak<W, F>(canary: &str, work: W)
where
    W: FnOnce(Texts) -> F,
    F: Future<Output = ()>,
{
    crate::run::block_on(watch(canary, work));
}

/// As [`assert_no_leak`], inside of a runtime.
#[expect(clippy::panic, reason = "a leak fails a test")]
pub(crate) async fn watch<W, F>(canary: &str, work: W)
where
    W: FnOnce(Texts) -> F,
    F: Future<Output = ()>,
{
    assert!(
        canary.len() >= 8,
        "the canary is too short to be told from other texts"
    );
    capture::install();
    let watch = Watch {
        forms: Arc::new(Forms::of(canary)),
        places: Arc::default(),
    };
    lock(&WATCHED).push(watch.clone());
    let ended = AssertUnwindSafe(work(Texts(()))).catch_unwind().await;
    if let Err(panic) = &ended
        && let Some(text) = panic_text(&**panic)
    {
        look(|| "a panic".to_owned(), text);
    }
    lock(&WATCHED).retain(|other| !Arc::ptr_eq(&other.forms, &watch.forms));
    let places = lock(&watch.places).clone();
    if !places.is_empty() {
        let shown: String = canary.chars().take(4).collect();
        let places = places.join("\n  ");
        panic!("the canary {shown}… is seen in\n  {places}");
    }
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}
