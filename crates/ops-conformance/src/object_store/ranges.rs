//! Parts of objects.

use ops_core::ErrorKind;
use ops_core::object_store::{ByteRange, GetOptions, GetResult};

use super::{Folder, ObjectStoreFixture, noise};
use crate::support::{done, refused};

const DIGITS: &str = "0123456789";

/// A range of ten digits.
async fn digits(fixture: &dyn ObjectStoreFixture, range: ByteRange) -> ops_core::Result<String> {
    let folder = Folder::new(fixture);
    folder.put("r", DIGITS).await;
    let read = folder.read_with("r", GetOptions::range(range)).await?;
    Ok(String::from_utf8(read.to_vec()).unwrap())
}

fn bounded(offset: u64, length: u64) -> ByteRange {
    ByteRange::Bounded { offset, length }
}

pub(super) async fn o_020_a_range_is_read_from_its_offset(fixture: &dyn ObjectStoreFixture) {
    assert_eq!(done(digits(fixture, bounded(2, 3)).await), "234");
    assert_eq!(done(digits(fixture, bounded(0, 1)).await), "0");
}

pub(super) async fn o_021_a_range_beyond_the_end_is_cut(fixture: &dyn ObjectStoreFixture) {
    assert_eq!(done(digits(fixture, bounded(8, 100)).await), "89");
    assert_eq!(done(digits(fixture, bounded(5, u64::MAX)).await), "56789");
}

pub(super) async fn o_022_the_rest_from_an_offset_is_read(fixture: &dyn ObjectStoreFixture) {
    assert_eq!(done(digits(fixture, ByteRange::From(7)).await), "789");
    assert_eq!(done(digits(fixture, ByteRange::From(0)).await), DIGITS);
}

pub(super) async fn o_023_the_last_bytes_are_read(fixture: &dyn ObjectStoreFixture) {
    assert_eq!(done(digits(fixture, ByteRange::Suffix(4)).await), "6789");
}

pub(super) async fn o_024_more_last_bytes_than_there_are_is_the_whole(
    fixture: &dyn ObjectStoreFixture,
) {
    assert_eq!(done(digits(fixture, ByteRange::Suffix(100)).await), DIGITS);
}

pub(super) async fn o_025_a_range_behind_the_end_is_refused(fixture: &dyn ObjectStoreFixture) {
    for range in [
        bounded(10, 1),
        bounded(2, 0),
        ByteRange::From(10),
        ByteRange::From(u64::MAX),
        ByteRange::Suffix(0),
    ] {
        refused(digits(fixture, range).await, &[ErrorKind::InvalidInput]);
    }
}

async fn suffix(fixture: &dyn ObjectStoreFixture) -> GetResult {
    let folder = Folder::new(fixture);
    folder.put("r", DIGITS).await;
    let options = GetOptions::range(ByteRange::Suffix(4));
    done(folder.store.get(&folder.key("r"), options).await)
}

pub(super) async fn o_026_a_range_tells_which_bytes_it_holds(fixture: &dyn ObjectStoreFixture) {
    assert_eq!(suffix(fixture).await.range, 6..10);
}

pub(super) async fn o_027_a_range_tells_the_size_of_the_whole(fixture: &dyn ObjectStoreFixture) {
    assert_eq!(suffix(fixture).await.meta.size_bytes, 10);
}

pub(super) async fn o_028_a_range_of_a_large_object_is_exact(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let data = noise(28, fixture.several_parts());
    folder.put("large", data.clone()).await;
    let (offset, length) = (data.len() / 3, data.len() / 2);
    let range = bounded(offset as u64, length as u64);
    let read = done(folder.read_with("large", GetOptions::range(range)).await);
    assert!(read == data[offset..offset + length], "other bytes");
}
