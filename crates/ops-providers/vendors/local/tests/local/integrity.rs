//! Content that is not what was written.

use std::os::unix::fs::FileExt;
use std::path::Path;

use futures_util::StreamExt;
use ops_core::object_store::{ByteRange, GetOptions, PutCondition, PutOptions};
use ops_core::{ErrorKind, ObjectStore};

use crate::support::{Random, Scratch, key, noise, put, read, read_with};

const LENGTH: usize = 1_400_000;
const SIZE: u64 = LENGTH as u64;

/// Flips a bit the way a disk does: the time of the file stays.
fn flip_bit(path: &Path, offset: u64, bit: u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, offset).unwrap();
    file.set_modified(modified).unwrap();
}

/// Writes over a file, with a time of its own even where the clock has not moved.
fn overwrite(path: &Path, data: &[u8]) {
    std::fs::write(path, data).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_is_found_by_a_whole_read_before_its_block_is_handed_out() {
    let scratch = Scratch::new();
    let data = noise(1, LENGTH);
    let mut random = Random(11);
    for round in 0..40 {
        put(&scratch.store, "x", data.clone()).await;
        let offset = random.below(SIZE);
        flip_bit(&scratch.path("x"), offset, random.below(8));
        let mut body = scratch
            .store
            .get(&key("x"), GetOptions::default())
            .await
            .unwrap()
            .body;
        let mut handed_out = Vec::new();
        let err = loop {
            match body
                .next()
                .await
                .expect("the body ended as if nothing were wrong")
            {
                Ok(part) => handed_out.extend_from_slice(&part),
                Err(err) => break err,
            }
        };
        assert_eq!(
            err.kind(),
            ErrorKind::Integrity,
            "round {round}, offset {offset}"
        );
        assert_eq!(err.resource(), Some("x"));
        assert!(
            handed_out.len() as u64 <= offset,
            "round {round}, offset {offset}"
        );
        assert!(data.starts_with(&handed_out));
        assert!(body.next().await.is_none());
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found_by_a_ranged_read_of_its_block_only() {
    let scratch = Scratch::new();
    let data = noise(2, LENGTH);
    let mut random = Random(12);
    for round in 0..40 {
        put(&scratch.store, "x", data.clone()).await;
        let offset = random.below(SIZE);
        flip_bit(&scratch.path("x"), offset, random.below(8));
        let start = offset - random.below(offset + 1).min(90_000);
        let range = ByteRange::Bounded {
            offset: start,
            length: offset - start + 1,
        };
        let err = read_with(&scratch.store, "x", GetOptions::range(range))
            .await
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Integrity, "round {round}, {range:?}");

        let clean = (offset + SIZE / 2) % SIZE;
        let range = ByteRange::Bounded {
            offset: clean,
            length: 1,
        };
        let got = read_with(&scratch.store, "x", GetOptions::range(range))
            .await
            .unwrap();
        assert_eq!(got, [data[usize::try_from(clean).unwrap()]]);
    }
}

#[tokio::test]
async fn damage_that_the_block_checksums_agree_with_is_found_before_the_last_bytes() {
    let scratch = Scratch::new();
    let mut data = noise(20, LENGTH);
    put(&scratch.store, "x", data.clone()).await;
    flip_bit(&scratch.path("x"), 5, 0);
    data[5] ^= 1;
    // The table of checksums stands first in the metadata.
    let meta = scratch.metadata_files().pop().unwrap();
    let meta = std::fs::File::options().write(true).open(meta).unwrap();
    let crc = crc32c::crc32c(&data[..128 * 1024]);
    meta.write_all_at(&crc.to_le_bytes(), 0).unwrap();
    let body = scratch
        .store
        .get(&key("x"), GetOptions::default())
        .await
        .unwrap()
        .body;
    let items: Vec<_> = body.collect().await;
    let (last, before) = items.split_last().unwrap();
    assert_eq!(last.as_ref().unwrap_err().kind(), ErrorKind::Integrity);
    assert!(
        before
            .iter()
            .map(|part| part.as_ref().unwrap().len())
            .sum::<usize>()
            < LENGTH
    );
}

#[tokio::test]
async fn a_change_that_also_changed_the_time_is_found_before_the_first_byte() {
    let scratch = Scratch::new();
    put(&scratch.store, "x", noise(3, 300_000)).await;
    let mut changed = noise(3, 300_000);
    changed[299_999] ^= 1;
    overwrite(&scratch.path("x"), &changed);
    let err = scratch
        .store
        .get(&key("x"), GetOptions::default())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    assert_eq!(
        scratch.store.head(&key("x")).await.unwrap_err().kind(),
        ErrorKind::Integrity
    );
}

#[tokio::test]
async fn a_touched_object_is_still_what_was_written() {
    let scratch = Scratch::new();
    let written = put(&scratch.store, "x", noise(4, 300_000)).await;
    let file = std::fs::File::options()
        .write(true)
        .open(scratch.path("x"))
        .unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let meta = scratch.store.head(&key("x")).await.unwrap();
    assert_eq!(meta.etag, written.etag);
    assert_eq!(meta.last_modified, ops_core::Timestamp::UNIX_EPOCH);
    assert!(read(&scratch.store, "x").await.unwrap() == noise(4, 300_000));
}

#[tokio::test]
async fn a_truncated_or_extended_object_is_found_at_once() {
    let scratch = Scratch::new();
    for length in [0, 1, 299_999, 300_001] {
        put(&scratch.store, "x", noise(5, 300_000)).await;
        let file = std::fs::File::options()
            .write(true)
            .open(scratch.path("x"))
            .unwrap();
        file.set_len(length).unwrap();
        let err = read(&scratch.store, "x").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Integrity, "{length} bytes");
        let err = scratch.store.head(&key("x")).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Integrity, "{length} bytes");
    }
}

#[tokio::test]
async fn an_object_that_is_truncated_while_it_is_read_ends_with_an_error() {
    let scratch = Scratch::new();
    put(&scratch.store, "x", noise(6, 8_000_000)).await;
    let body = scratch
        .store
        .get(&key("x"), GetOptions::default())
        .await
        .unwrap()
        .body;
    let file = std::fs::File::options()
        .write(true)
        .open(scratch.path("x"))
        .unwrap();
    file.set_len(4_000_000).unwrap();
    let items: Vec<_> = body.collect().await;
    let (last, before) = items.split_last().unwrap();
    assert_eq!(last.as_ref().unwrap_err().kind(), ErrorKind::Integrity);
    assert!(before.iter().all(Result::is_ok));
}

#[tokio::test]
async fn two_objects_that_were_swapped_are_found() {
    let scratch = Scratch::new();
    put(&scratch.store, "a", noise(7, 200_000)).await;
    put(&scratch.store, "b", noise(8, 200_000)).await;
    std::fs::rename(scratch.path("a"), scratch.path("c")).unwrap();
    std::fs::rename(scratch.path("b"), scratch.path("a")).unwrap();
    std::fs::rename(scratch.path("c"), scratch.path("b")).unwrap();
    for name in ["a", "b"] {
        assert_eq!(
            read(&scratch.store, name).await.unwrap_err().kind(),
            ErrorKind::Integrity
        );
    }
}

#[tokio::test]
async fn damaged_metadata_is_found_and_a_new_write_heals_it() {
    let scratch = Scratch::new();
    let mut random = Random(13);
    for round in 0..60 {
        put(&scratch.store, "x", noise(9, 700_000)).await;
        let meta = scratch.metadata_files().pop().unwrap();
        let length = meta.metadata().unwrap().len();
        flip_bit(&meta, random.below(length), random.below(8));
        match read(&scratch.store, "x").await {
            // The damaged bytes belonged to a version that was replaced.
            Ok(data) => assert!(data == noise(9, 700_000), "round {round}"),
            Err(err) => assert_eq!(err.kind(), ErrorKind::Integrity, "round {round}"),
        }
        put(&scratch.store, "x", noise(10, 70)).await;
        assert_eq!(read(&scratch.store, "x").await.unwrap(), noise(10, 70));
    }
}

#[tokio::test]
async fn a_damaged_object_does_not_satisfy_a_condition_on_its_version() {
    let scratch = Scratch::new();
    let written = put(&scratch.store, "x", noise(11, 200_000)).await;
    overwrite(&scratch.path("x"), &noise(12, 200_000));
    let options = PutOptions::if_match(written.etag.unwrap());
    let err = scratch
        .store
        .put(&key("x"), "new".into(), options)
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Integrity);
    let err = scratch
        .store
        .put(&key("x"), "new".into(), PutOptions::if_none_match())
        .await;
    assert_eq!(err.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn damage_does_not_survive_a_copy_unnoticed() {
    let scratch = Scratch::new();
    put(&scratch.store, "x", noise(13, 900_000)).await;
    flip_bit(&scratch.path("x"), 850_000, 3);
    let found = match scratch
        .store
        .copy(&key("x"), &key("y"), PutCondition::Always)
        .await
    {
        Err(err) => err,
        // Where blocks are shared, nothing was read, and the copy has the same damage.
        Ok(_) => read(&scratch.store, "y").await.unwrap_err(),
    };
    assert_eq!(found.kind(), ErrorKind::Integrity);
    assert_eq!(scratch.temporary_files(), 0);
}

#[tokio::test]
async fn a_reader_keeps_its_version_while_writers_replace_and_delete_it() {
    let scratch = Scratch::new();
    put(&scratch.store, "x", noise(14, 6_000_000)).await;
    let body = scratch
        .store
        .get(&key("x"), GetOptions::default())
        .await
        .unwrap()
        .body;
    put(&scratch.store, "x", noise(15, 6_000_000)).await;
    put(&scratch.store, "x", noise(16, 6_000_000)).await;
    scratch.store.delete(&key("x")).await.unwrap();
    let parts: Vec<_> = body.map(Result::unwrap).collect().await;
    assert!(parts.concat() == noise(14, 6_000_000));
}
