//! A writer that is killed at any moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ops_core::ObjectStore;
use ops_core::object_store::{DeleteOutcome, ListOptions};
use ops_local::{Durability, Local};

use crate::child::{KEYS, Work, content, name, start};
use crate::support::{Random, Scratch, files, key, list, open, read};

/// The generation that a key holds, if it is there.
type State = Option<u64>;

/// What a key may hold: the last write that was acknowledged, or the one that was cut short.
#[derive(Clone, Default)]
pub(crate) struct Expected {
    acknowledged: State,
    in_flight: Option<State>,
}

/// Reads what the writer logged.
pub(crate) fn expectations(log: &Path) -> BTreeMap<u64, Expected> {
    let mut expected: BTreeMap<u64, Expected> = BTreeMap::new();
    let mut current = None;
    for line in std::fs::read_to_string(log).unwrap_or_default().lines() {
        if let Some(begun) = line.strip_prefix("begin ") {
            let (number, generation) = begun.split_once(' ').unwrap();
            let number: u64 = number.parse().unwrap();
            expected.entry(number).or_default().in_flight = Some(generation.parse().ok());
            current = Some(number);
        } else {
            let one = expected.get_mut(&current.unwrap()).unwrap();
            one.acknowledged = one.in_flight.take().unwrap();
        }
    }
    expected
}

/// Checks every key of a store against what its writer logged, and says what each one holds.
pub(crate) async fn check(
    store: &Local,
    expected: &BTreeMap<u64, Expected>,
) -> BTreeMap<u64, State> {
    let mut found = BTreeMap::new();
    let mut present = Vec::new();
    for number in 0..KEYS {
        let name = name(number);
        let Expected {
            acknowledged,
            in_flight,
        } = expected.get(&number).cloned().unwrap_or_default();
        let allowed = [Some(acknowledged), in_flight].into_iter().flatten();
        let actual = match read(store, &name).await {
            Ok(data) => Some(data),
            Err(err) if err.is_not_found() => None,
            Err(err) => panic!("{name}: {err:?}"),
        };
        let held = allowed
            .into_iter()
            .find(|generation| generation.map(|one| content(&name, one)) == actual)
            .unwrap_or_else(|| {
                let head = actual
                    .as_deref()
                    .map(|data| String::from_utf8_lossy(&data[..data.len().min(20)]).into_owned());
                panic!("{name} holds {head:?} instead of {acknowledged:?} or {in_flight:?}")
            });
        if let Some(data) = actual {
            let meta = store.head(&key(&name)).await.unwrap();
            assert_eq!(meta.size_bytes, data.len() as u64);
            present.push(name);
        }
        found.insert(number, held);
    }
    present.sort();
    assert_eq!(list(store, ListOptions::default()).await, present);
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_killed_leaves_each_object_old_or_new() {
    let scratch = Scratch::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut random = Random(0x6b69_6c6c);
    let mut leftovers = 0;
    for round in 0..200_u64 {
        let durability = if round % 2 == 0 {
            Durability::Full
        } else {
            Durability::None
        };
        let seed = (round + 1) * 1_000_000;
        let before = log.as_file().metadata().unwrap().len();
        let work = Work::Churn {
            root: scratch.dir.path(),
            log: log.path(),
            durability,
            seed,
        };
        let child = start(&work);
        crate::support::wait_until(|| log.as_file().metadata().unwrap().len() > before).await;
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        child.kill();

        leftovers += scratch.temporary_files();
        let store = open(scratch.dir.path());
        assert_eq!(
            files(&scratch.path(".ops/tmp")).len(),
            0,
            "round {round}: not swept"
        );
        let expected = expectations(log.path());
        let found = check(&store, &expected).await;
        // What was cut short is settled now, one way or the other.
        settle(log.path(), &expected, &found);
    }
    assert!(
        leftovers > 20,
        "only {leftovers} kills came in the middle of a write"
    );

    let store = open(scratch.dir.path());
    for number in 0..KEYS {
        let deleted = store.delete(&key(&name(number))).await.unwrap();
        assert!(matches!(
            deleted,
            DeleteOutcome::Deleted | DeleteOutcome::AlreadyGone
        ));
    }
    assert_eq!(scratch.metadata_files().len(), 0);
    assert_eq!(
        files(scratch.dir.path()).len(),
        65,
        "only the locks are left"
    );
}

fn settle(log: &Path, expected: &BTreeMap<u64, Expected>, found: &BTreeMap<u64, State>) {
    use std::io::Write;

    let mut log = std::fs::File::options().append(true).open(log).unwrap();
    for (number, one) in expected {
        if one.in_flight.is_some() {
            let held = found[number].map_or("gone".to_owned(), |generation| generation.to_string());
            log.write_all(format!("begin {number} {held}\ndone\n").as_bytes())
                .unwrap();
        }
    }
}
