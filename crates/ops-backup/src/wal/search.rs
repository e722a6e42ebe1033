//! Finding the last of many objects without listing them.

use futures_util::StreamExt;
use ops_core::object_store::ListOptions;
use ops_core::{ObjectKey, ObjectStore};

use super::OPERATION;
use crate::error::{Error, Result};

/// The first object of a listing.
pub(crate) async fn first(
    store: &dyn ObjectStore,
    options: ListOptions,
) -> Result<Option<ObjectKey>> {
    let mut listing = store.list(options);
    match listing.next().await {
        None => Ok(None),
        Some(Ok(meta)) => Ok(Some(meta.key)),
        Some(Err(err)) => Err(Error::store(OPERATION, err)),
    }
}

/// The largest number of objects whose keys sort by their numbers.
///
/// A store lists forwards only, so that the last object costs a listing of all that come
/// before it. Here the question "is there an object after this one?" is asked at doubling
/// distances and then by halving: about two requests per binary digit of the distance, and
/// none of them reads more than one page, however many years of objects there are.
/// Objects with other names are stepped over.
pub(crate) async fn last_under(
    store: &dyn ObjectStore,
    options: impl Fn(Option<ObjectKey>) -> ListOptions + Send + Sync,
    number: impl Fn(&ObjectKey) -> Option<u64> + Send + Sync,
    key: impl Fn(u64) -> Result<ObjectKey> + Send + Sync,
) -> Result<Option<u64>> {
    let after = async |after: Option<ObjectKey>| -> Result<Option<u64>> {
        let mut after = after;
        loop {
            match first(store, options(after)).await? {
                None => return Ok(None),
                Some(found) => match number(&found) {
                    Some(number) => return Ok(Some(number)),
                    None => after = Some(found),
                },
            }
        }
    };
    let Some(mut last) = after(None).await? else {
        return Ok(None);
    };
    // Nothing lies after `end`.
    let mut end = None;
    let mut step = 1_u64;
    loop {
        let probe = match end {
            None => last.saturating_add(step),
            Some(end) if last >= end => return Ok(Some(last)),
            Some(end) => last + (end - last) / 2,
        };
        match after(Some(key(probe)?)).await? {
            Some(found) => last = found,
            // Whether the probed object itself is there is still open.
            None => end = Some(probe),
        }
        match end {
            None => step = step.saturating_mul(2),
            Some(end) if end == last + 1 || end == last => {
                let there = store.head(&key(end)?).await;
                return match there {
                    Ok(_) => Ok(Some(end)),
                    Err(err) if err.kind() == ops_core::ErrorKind::NotFound => Ok(Some(last)),
                    Err(err) => Err(Error::store(OPERATION, err)),
                };
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use ops_core::memory::MemoryObjectStore;
    use ops_core::object_store::PutOptions;
    use proptest::prelude::*;

    use super::*;

    fn key(number: u64) -> ObjectKey {
        ObjectKey::new(format!("n/{number:020}")).unwrap()
    }

    fn found(numbers: &[u64]) -> Option<u64> {
        let store = MemoryObjectStore::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            for &number in numbers {
                let key = key(number);
                store
                    .put(&key, "x".into(), PutOptions::default())
                    .await
                    .unwrap();
            }
            let other = ObjectKey::new("n/00000000000000000000.tmp").unwrap();
            store
                .put(&other, "x".into(), PutOptions::default())
                .await
                .unwrap();
            let options = |after| {
                let mut options = ListOptions::prefix("n/");
                options.start_after = after;
                options
            };
            let number = |key: &ObjectKey| key.as_str().strip_prefix("n/")?.parse().ok();
            last_under(&store, options, number, |it| Ok(key(it)))
                .await
                .unwrap()
        })
    }

    proptest! {
        #[test]
        fn the_last_is_found_whatever_is_missing_before_it(
            numbers in proptest::collection::vec(prop_oneof![0_u64..40, 0_u64..1_000_000], 0..30)
        ) {
            prop_assert_eq!(found(&numbers), numbers.iter().max().copied());
        }
    }
}
