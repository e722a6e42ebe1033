//! Random operations against a map in memory.

use std::collections::BTreeMap;

use ops_core::object_store::{DeleteOutcome, ListOptions, PutCondition, PutOptions};
use ops_core::{ErrorKind, ObjectStore};
use proptest::prelude::*;

use crate::support::{Scratch, key, list, noise, open, read};

#[derive(Clone, Debug)]
enum Step {
    Put(usize, u64, usize),
    Create(usize, u64, usize),
    /// Replaces, with the present version or with that of another key.
    Swap(usize, u64, bool),
    Get(usize),
    Delete(usize),
    Copy(usize, usize),
    List(usize, Option<usize>),
    Reopen,
}

/// Keys that sort, nest and collide in every way.
const KEYS: [&str; 12] = [
    "a", "a-b", "a.b", "a/b", "a/b/c", "a/b-c", "a/bc", "ab", "b/c/d/e", "b/c", "b/c.d", "z z/é",
];
const PREFIXES: [&str; 8] = ["", "a", "a/", "a/b", "b/c", "b/c/", "c", "z"];

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let size = prop_oneof![Just(0), 1..100_usize, 131_000..131_200_usize, Just(262_144)];
    prop_oneof![
        4 => (key.clone(), any::<u64>(), size.clone()).prop_map(|(k, s, n)| Step::Put(k, s, n)),
        2 => (key.clone(), any::<u64>(), size).prop_map(|(k, s, n)| Step::Create(k, s, n)),
        2 => (key.clone(), any::<u64>(), any::<bool>()).prop_map(|(k, s, b)| Step::Swap(k, s, b)),
        3 => key.clone().prop_map(Step::Get),
        3 => key.clone().prop_map(Step::Delete),
        1 => (key.clone(), key.clone()).prop_map(|(a, b)| Step::Copy(a, b)),
        2 => (0..PREFIXES.len(), proptest::option::of(key)).prop_map(|(p, k)| Step::List(p, k)),
        1 => Just(Step::Reopen),
    ]
}

type Model = BTreeMap<String, Vec<u8>>;

/// Whether a key cannot be written, since it is a folder or lies in an object.
fn is_blocked(model: &Model, name: &str) -> bool {
    model.keys().any(|other| {
        other
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('/'))
            || name
                .strip_prefix(other.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
    })
}

async fn apply(scratch: &mut Scratch, model: &mut Model, step: Step) {
    let store = &scratch.store;
    match step {
        Step::Put(k, seed, size) => {
            let data = noise(seed, size);
            let put = store
                .put(&key(KEYS[k]), data.clone().into(), PutOptions::default())
                .await;
            if is_blocked(model, KEYS[k]) {
                assert_eq!(put.unwrap_err().kind(), ErrorKind::Conflict);
            } else {
                assert_eq!(put.unwrap().size_bytes, data.len() as u64);
                model.insert(KEYS[k].to_owned(), data);
            }
        }
        Step::Create(k, seed, size) => {
            let data = noise(seed, size);
            let put = store
                .put(
                    &key(KEYS[k]),
                    data.clone().into(),
                    PutOptions::if_none_match(),
                )
                .await;
            if model.contains_key(KEYS[k]) {
                assert_eq!(put.unwrap_err().kind(), ErrorKind::AlreadyExists);
            } else if is_blocked(model, KEYS[k]) {
                assert_eq!(put.unwrap_err().kind(), ErrorKind::Conflict);
            } else {
                put.unwrap();
                model.insert(KEYS[k].to_owned(), data);
            }
        }
        Step::Swap(k, seed, right) => {
            let present = store.head(&key(KEYS[k])).await;
            let Ok(present) = present else {
                assert!(!model.contains_key(KEYS[k]));
                return;
            };
            let etag = if right {
                present.etag.unwrap()
            } else {
                ops_core::object_store::ETag::new("none")
            };
            let data = noise(seed, 50);
            let put = store
                .put(
                    &key(KEYS[k]),
                    data.clone().into(),
                    PutOptions::if_match(etag),
                )
                .await;
            assert_eq!(put.is_ok(), right);
            if right {
                model.insert(KEYS[k].to_owned(), data);
            }
        }
        Step::Get(k) => match (read(store, KEYS[k]).await, model.get(KEYS[k])) {
            (Ok(data), Some(expected)) => assert!(data == *expected),
            (Err(err), None) => assert!(err.is_not_found()),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        },
        Step::Delete(k) => {
            let outcome = store.delete(&key(KEYS[k])).await.unwrap();
            let was_there = model.remove(KEYS[k]).is_some();
            assert_eq!(outcome == DeleteOutcome::Deleted, was_there);
        }
        Step::Copy(from, to) => {
            let copied = store
                .copy(&key(KEYS[from]), &key(KEYS[to]), PutCondition::Always)
                .await;
            match model.get(KEYS[from]).cloned() {
                None => assert!(copied.unwrap_err().is_not_found()),
                Some(_) if is_blocked(model, KEYS[to]) => {
                    assert_eq!(copied.unwrap_err().kind(), ErrorKind::Conflict);
                }
                Some(data) => {
                    copied.unwrap();
                    model.insert(KEYS[to].to_owned(), data);
                }
            }
        }
        Step::List(p, after) => {
            let mut options = ListOptions::prefix(PREFIXES[p]);
            options.start_after = after.map(|k| key(KEYS[k]));
            let expected: Vec<String> = model
                .keys()
                .filter(|name| name.starts_with(PREFIXES[p]))
                .filter(|name| after.is_none_or(|k| name.as_str() > KEYS[k]))
                .cloned()
                .collect();
            assert_eq!(list(store, options).await, expected);
        }
        Step::Reopen => scratch.store = open(scratch.dir.path()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_store_behaves_as_a_sorted_map(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut scratch = Scratch::new();
            let mut model = Model::new();
            for step in steps {
                apply(&mut scratch, &mut model, step).await;
            }
            assert_eq!(list(&scratch.store, ListOptions::default()).await, model.keys().cloned().collect::<Vec<_>>());
            assert_eq!(scratch.metadata_files().len(), model.len());
            assert_eq!(scratch.temporary_files(), 0);
        });
    }
}
