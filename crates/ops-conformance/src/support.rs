//! What the cases share.

#![expect(clippy::panic, reason = "what a case finds out fails a test")]

use futures_util::{FutureExt, StreamExt};
use ops_core::{Error, ErrorKind, ItemStream, ProviderId, Report, Result};

/// More items than any listing of a test has.
const MOST_ITEMS: usize = 20_000;

/// Characters that do harm where an id becomes part of a URL without being encoded.
pub(crate) const AWKWARD: [&str; 8] = ["/", "?x=1", "#x", "%2F", "+", " ", "é", "日本"];

/// All items of a listing, which ends and has no error.
pub(crate) async fn drain<T>(mut items: ItemStream<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item.unwrap_or_else(|err| panic!("the listing breaks: {err:?}")));
        assert!(all.len() <= MOST_ITEMS, "the listing does not end");
    }
    all
}

/// The error of a call that must be refused with one of these kinds.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T>, kinds: &[ErrorKind]) -> Error {
    match result {
        Ok(_) => panic!("was done, and should have been refused with {kinds:?}"),
        Err(err) => {
            assert!(
                kinds.contains(&err.kind()),
                "{:?} and not {kinds:?}: {err:?}",
                err.kind()
            );
            err
        }
    }
}

/// The call must say that there is no such thing.
#[track_caller]
pub(crate) fn missing<T>(result: Result<T>) {
    refused(result, &[ErrorKind::NotFound]);
}

/// The first item must say that there is no such thing.
pub(crate) async fn missing_stream<T>(mut items: ItemStream<T>) {
    let first = items.next().await;
    missing(first.unwrap_or_else(|| panic!("an empty listing of what is not there")));
}

/// Asking for an ability that is not there must be refused, with the names of the provider
/// and of the ability.
#[track_caller]
pub(crate) fn unsupported<T>(required: Result<T>, provider: &ProviderId, ability: &str) {
    let err = refused(required, &[ErrorKind::Unsupported]);
    assert!(!provider.as_str().is_empty(), "the provider has no name");
    names(&err, provider);
    assert!(err.message().contains(ability), "not {ability}: {err}");
}

/// An error says whose it is.
#[track_caller]
pub(crate) fn names(err: &Error, provider: &ProviderId) {
    assert_eq!(err.provider(), Some(provider), "{err:?}");
}

/// All that an error can print.
pub(crate) fn printed(err: &Error) -> String {
    format!("{err} {err:?} {}", Report(err))
}

/// A text does not hold a secret. What is found is not repeated.
#[track_caller]
pub(crate) fn keeps(secret: &str, text: &str) {
    assert!(!text.contains(secret), "a secret is printed");
}

/// Begins a call and gives it up at its first wait.
pub(crate) fn give_up(call: impl Future) {
    drop(call.now_or_never());
}

/// The call must be done.
#[track_caller]
pub(crate) fn done<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(err) => panic!("{err:?}"),
    }
}

/// Looks again and again until there is something.
///
/// ```text
/// let live = eventually!(fixture, "the deployment goes live", look().await.filter(..));
/// ```
macro_rules! eventually {
    ($fixture:expr, $what:expr, $look:expr) => {{
        let mut looks = 0_u32;
        loop {
            if let Some(seen) = $look {
                break seen;
            }
            looks += 1;
            assert!(
                looks < $fixture.patience(),
                "never seen within {looks} looks: {}",
                $what
            );
            $fixture.pause().await;
        }
    }};
}

pub(crate) use eventually;

/// The accessors that answer `Some` are those that the fixture names.
pub(crate) fn assert_abilities(offered: &[(&str, bool)], declared: &[&str]) {
    for (accessor, is_offered) in offered {
        let is_declared = declared.contains(accessor);
        assert_eq!(
            *is_offered, is_declared,
            "{accessor}: offered {is_offered}, declared {is_declared}"
        );
    }
    for accessor in declared {
        let is_known = offered.iter().any(|(known, _)| known == accessor);
        assert!(is_known, "{accessor} is no accessor of the trait");
    }
}
