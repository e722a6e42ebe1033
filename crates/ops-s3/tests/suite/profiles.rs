//! What each server can do, as the README tells it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt;
use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{ObjectStore, ObjectStoreExt};
use ops_s3::{S3Store, StoreProfile};

use crate::support::{Fault, Server, key, keys, noise, pieces, read};

const README: &str = include_str!("../../README.md");

/// What is not found out by trying.
const GIVEN: [&str; 6] = [
    "min_part_bytes",
    "max_part_bytes",
    "max_object_bytes",
    "max_put_bytes",
    "max_copy_bytes",
    "max_delete_keys",
];

/// What the README says of a server.
fn documented(server: &str) -> BTreeMap<&'static str, &'static str> {
    let mut rows = README
        .lines()
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .skip_while(|cells| cells.get(1) != Some(&"profile"));
    let header = rows.next().expect("the README has the table");
    let column = header.iter().position(|cell| cell.starts_with(server));
    let column = column.expect("the table has the server");
    rows.skip(1)
        .take_while(|cells| cells.len() == header.len())
        .map(|cells| (cells[1].trim_matches('`'), cells[column]))
        .collect()
}

/// The same, of a profile.
fn shown(profile: &StoreProfile) -> BTreeMap<String, String> {
    let word = |value: &str| match value {
        "true" => "yes".to_owned(),
        "false" | "None" => "no".to_owned(),
        _ => value
            .trim_start_matches("Some(")
            .trim_end_matches(')')
            .to_lowercase(),
    };
    let text = profile.to_string();
    let fields = text.lines().filter_map(|line| line.split_once(": "));
    fields
        .filter(|(name, _)| !GIVEN.contains(name))
        .map(|(name, value)| (name.to_owned(), word(value)))
        .collect()
}

async fn probed(server: &Server) -> S3Store {
    let store = server
        .builder()
        .probe_part_sizes(true)
        .open()
        .await
        .unwrap();
    assert!(keys(&store, ListOptions::default()).await.is_empty());
    if let Some(fake) = server.as_fake() {
        assert!(fake.open_uploads().is_empty());
    }
    store
}

fn assert_documented(server: &str, profile: &StoreProfile, by_chance: &[&str]) {
    let mut told = documented(server);
    let mut shown = shown(profile);
    for name in by_chance {
        assert!(told.remove(name).is_some() && shown.remove(*name).is_some());
    }
    let shown: BTreeMap<_, _> = shown
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(told, shown, "{server}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_says_what_the_fake_can_do() {
    let server = Server::fake().await;
    assert_documented("`S3Fake`", probed(&server).await.profile(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_says_what_s3s_fs_can_do() {
    let server = Server::start().await;
    // Whether two of the racing creates win is a matter of chance.
    assert_documented(
        "s3s-fs",
        probed(&server).await.profile(),
        &["put_if_none_match"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_says_what_localstack_can_do() {
    let Some(server) = Server::localstack().await else {
        return;
    };
    let store = probed(&server).await;
    assert_documented("LocalStack", store.profile(), &[]);
    assert_eq!(store.sweep_uploads(Duration::ZERO).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_leaves_no_version_in_a_bucket_that_keeps_them() {
    for server in [Some(Server::fake().await), Server::localstack().await] {
        let Some(server) = server else { return };
        let store = server.store().await;
        let versions = store.require_versions().unwrap();
        versions.set_versioning(true).await.unwrap();
        server.builder().open().await.unwrap();
        let left: Vec<_> = versions.list_versions("").try_collect().await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_dropped_in_an_upload_abandons_it() {
    let server = Server::fake().await;
    let fake = server.as_fake().unwrap();
    server.fault(1, "UploadPart&partNumber=10000", Fault::Silence);
    tokio::select! {
        _ = server.builder().open() => panic!("the probe ended"),
        () = async {
            server.wait_for("partNumber=10000").await;
            // Before the probe is dropped, which abandons it.
            assert_eq!(fake.open_uploads().len(), 1);
        } => {}
    }
    let clean = async {
        while !fake.open_uploads().is_empty() || !fake.keys("bucket").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), clean)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_parts_and_parts_of_one_size_are_found_out_and_kept_to() {
    let server = Server::fake().await;
    let fake = server.as_fake().unwrap();
    fake.behave(|it| (it.max_parts, it.equal_part_sizes) = (1_000, true));
    let unasked = server.builder().open().await.unwrap();
    let asked = probed(&server).await;
    let found = |store: &S3Store| (store.profile().max_parts, store.profile().equal_parts);
    assert_eq!(
        (found(&unasked), found(&asked)),
        ((1_000, false), (1_000, true))
    );
    // Parts that grow would not be equal.
    assert_eq!(asked.limits().max_object_bytes, Some(1_000 * (5 << 20)));
    let data = noise(23 << 20);
    let stream = pieces(data.clone(), 1 << 20);
    let a = key("a");
    let written = asked.put_stream(&a, stream, PutOptions::default());
    written.await.unwrap();
    assert!(read(&asked, "a").await.unwrap() == data);
}
