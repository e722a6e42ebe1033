//! How fast content streams through, beside copying a file and syncing it.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use ops_core::ObjectStore;
use ops_core::object_store::{GetOptions, PutOptions};
use ops_local::Local;

use crate::support::{key, noise};

const TOTAL: usize = 1 << 30;
const MEGABYTES: f64 = 1_073.741_824;

/// Writes 1 GiB from memory and syncs it, as `dd conv=fsync` does.
fn plain_write(path: &Path, chunk: &[u8]) {
    let mut file = std::fs::File::create(path).unwrap();
    for _ in 0..TOTAL / chunk.len() {
        file.write_all(chunk).unwrap();
    }
    file.sync_all().unwrap();
}

/// Copies a file and syncs the copy, as `cp` and `sync` do.
fn plain_copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    std::fs::File::open(to).unwrap().sync_all().unwrap();
}

fn plain_read(path: &Path) {
    let mut file = std::fs::File::open(path).unwrap();
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer).unwrap() > 0 {}
}

fn report(what: &str, begun: Instant) {
    let rate = MEGABYTES / begun.elapsed().as_secs_f64();
    println!("{what:32} {rate:7.0} MB/s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes several GiB and only prints; run it in release"]
async fn a_gibibyte_is_streamed_beside_a_plain_copy() {
    let dir = tempfile::tempdir().unwrap();
    let store = Local::open(dir.path()).unwrap();
    for round in 1..=3 {
        println!("round {round}");
        let plain = dir.path().join("plain");
        let begun = Instant::now();
        plain_write(&plain, &noise(1, 1 << 20));
        report("write + fsync", begun);
        let begun = Instant::now();
        plain_copy(&plain, &dir.path().join("copy"));
        report("cp + fsync", begun);
        let begun = Instant::now();
        plain_read(&plain);
        report("read", begun);
        for size in [64 << 10, 1 << 20] {
            let chunk = Bytes::from(noise(2, size));
            let parts = futures_util::stream::repeat(chunk)
                .take(TOTAL / size)
                .map(Ok);
            let begun = Instant::now();
            store
                .put_stream(&key("x"), Box::pin(parts), PutOptions::default())
                .await
                .unwrap();
            report(&format!("put_stream in {} KiB", size >> 10), begun);
        }
        let begun = Instant::now();
        let mut body = store
            .get(&key("x"), GetOptions::default())
            .await
            .unwrap()
            .body;
        while let Some(part) = body.next().await {
            part.unwrap();
        }
        report("get, verified", begun);
        let small: Vec<_> = (0..200).map(|n| key(&format!("small/{n}"))).collect();
        let begun = Instant::now();
        for key in &small {
            store
                .put(key, Bytes::from_static(b"small"), PutOptions::default())
                .await
                .unwrap();
        }
        println!(
            "put of a small object            {:7.0} us",
            begun.elapsed().as_secs_f64() * 1e6 / 200.0
        );
        store.delete_many(small).await.unwrap();
    }
}
