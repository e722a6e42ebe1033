//! The suite of [`ObjectStore`].

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a case is a test, in a function of its own"
)]

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use ops_core::object_store::{
    GetOptions, ListOptions, ObjectKey, ObjectMeta, ObjectStore, PutOptions,
};
use ops_core::{Result, Secret};

use crate::fixture::Fixture;
use crate::macros::suite;
use crate::support::{done, drain};

mod abilities;
mod checksums;
mod conditions;
mod copies;
mod deletes;
mod lists;
mod locks;
mod objects;
mod ranges;
mod streams;
mod uploads;
mod versions;

/// What the suite needs to know of a provider of [`ObjectStore`].
///
/// Every case keeps to a folder of its own, so that the bucket may be a shared one.
#[async_trait]
pub trait ObjectStoreFixture: Fixture {
    /// The provider; the same bucket at each call.
    fn store(&self) -> Arc<dyn ObjectStore>;

    /// The accessors that answer `Some`, such as `as_presign`, in any order. Written
    /// down, so that an ability that gets lost is seen.
    fn abilities(&self) -> &'static [&'static str];

    /// How many objects do not fit one page of the store's listing, nor one request of
    /// `delete_many`. Defaults to 1,050: S3 has pages of 1,000.
    fn more_than_a_page(&self) -> usize {
        1_050
    }

    /// How many bytes need several parts, the last one not full. Defaults to 11 MiB and
    /// one byte: parts are of 5 MiB at least.
    fn several_parts(&self) -> usize {
        11 * 1024 * 1024 + 1
    }

    /// Lengths at which an object ends with a part. Defaults to 5, 8 and 10 MiB, which are
    /// sizes of parts in use.
    fn full_parts(&self) -> Vec<usize> {
        [5, 8, 10].map(|mebibytes| mebibytes * 1024 * 1024).into()
    }

    /// How many uploads have begun and neither ended nor been abandoned. `None`, the
    /// default, where that cannot be seen.
    async fn pending_uploads(&self) -> Option<usize> {
        None
    }

    /// Uses a signed URL as a browser would, with `GET`. `None`, the default, where the
    /// fixture cannot.
    async fn fetch(&self, url: &Secret) -> Option<Result<Bytes>> {
        let _ = url;
        None
    }

    /// Uses a signed URL as a browser would, with `PUT`. `None`, the default, where the
    /// fixture cannot.
    async fn send(&self, url: &Secret, data: Bytes) -> Option<Result<()>> {
        let _ = (url, data);
        None
    }

    /// Whether the bucket is this fixture's alone, so that its versioning, its rules and
    /// the bucket itself may be changed. Defaults to `true`.
    fn owns_bucket(&self) -> bool {
        true
    }
}

const SHARED: &str = "the bucket is not the fixture's alone";

/// A folder that one case keeps to.
struct Folder {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl Folder {
    fn new(fixture: &dyn ObjectStoreFixture) -> Self {
        Self {
            store: fixture.store(),
            prefix: format!("{}/", fixture.unique("case")),
        }
    }

    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(format!("{}{name}", self.prefix)).unwrap()
    }

    async fn put(&self, name: &str, data: impl Into<Bytes>) -> ObjectMeta {
        done(
            self.put_with(name, data.into(), PutOptions::default())
                .await,
        )
    }

    async fn put_with(&self, name: &str, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        self.store.put(&self.key(name), data, options).await
    }

    async fn read(&self, name: &str) -> Result<Bytes> {
        self.read_with(name, GetOptions::default()).await
    }

    async fn read_with(&self, name: &str, options: GetOptions) -> Result<Bytes> {
        use futures_util::TryStreamExt;
        let object = self.store.get(&self.key(name), options).await?;
        let chunks: Vec<Bytes> = object.body.try_collect().await?;
        Ok(chunks.concat().into())
    }

    async fn is_missing(&self, name: &str) -> bool {
        // By which error is another case.
        self.store.head(&self.key(name)).await.is_err()
    }

    /// Whether an object is in the listing of the folder, as far as there is one.
    async fn is_listed(&self, name: &str) -> bool {
        let listed = self.store.list(ListOptions::prefix(self.prefix.as_str()));
        let key = self.key(name);
        let mut listed = pin!(listed.filter_map(async |meta| meta.ok()));
        while let Some(meta) = listed.next().await {
            if meta.key == key {
                return true;
            }
        }
        false
    }

    /// The objects whose names begin so, after a name.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Vec<ObjectMeta> {
        let mut options = ListOptions::prefix(format!("{}{prefix}", self.prefix));
        options.start_after = after.map(|name| self.key(name));
        drain(self.store.list(options)).await
    }

    /// Their names, sorted: the order of a listing is another case.
    async fn names(&self, prefix: &str, after: Option<&str>) -> Vec<String> {
        let listed = self.list(prefix, after).await;
        let name = |meta: ObjectMeta| {
            let key = String::from(meta.key);
            match key.strip_prefix(&self.prefix) {
                Some(name) => name.to_owned(),
                None => panic!("{key} is listed and has not the prefix"),
            }
        };
        let mut names: Vec<_> = listed.into_iter().map(name).collect();
        names.sort();
        names
    }
}

/// Bytes without a pattern, always the same for a seed. None of them is 0.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes().map(|byte| byte.max(1))
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes.into()
}

suite! {
    ($)
    /// One test per case of [`ObjectStore`](ops_core::ObjectStore).
    object_store(ObjectStoreFixture, store, object_store_quirks_are_justified)

    "O-001" objects::o_001_the_abilities_are_those_that_are_declared [];
    "O-002" objects::o_002_bytes_of_every_value_are_read_as_they_were_put [];
    "O-003" objects::o_003_an_empty_object_is_an_object [];
    "O-004" objects::o_004_a_write_answers_the_key_and_the_size [];
    "O-005" objects::o_005_head_tells_the_size_and_the_version [];
    "O-006" objects::o_006_a_later_write_takes_the_place_of_an_earlier_one [];
    "O-007" objects::o_007_the_head_of_a_missing_object_is_not_found [];
    "O-008" objects::o_008_reading_a_missing_object_is_not_found [];
    "O-009" objects::o_009_a_media_type_that_is_kept_is_the_one_that_was_set [];
    "O-010" objects::o_010_awkward_keys_are_kept_apart [];
    "O-011" objects::o_011_a_long_key_is_kept_whole [];
    "O-012" objects::o_012_a_reader_sees_one_version [];
    "O-013" objects::o_013_concurrent_calls_do_not_mix [];

    "O-020" ranges::o_020_a_range_is_read_from_its_offset [];
    "O-021" ranges::o_021_a_range_beyond_the_end_is_cut [];
    "O-022" ranges::o_022_the_rest_from_an_offset_is_read [];
    "O-023" ranges::o_023_the_last_bytes_are_read [];
    "O-024" ranges::o_024_more_last_bytes_than_there_are_is_the_whole [];
    "O-025" ranges::o_025_a_range_behind_the_end_is_refused [];
    "O-026" ranges::o_026_a_range_tells_which_bytes_it_holds [];
    "O-027" ranges::o_027_a_range_tells_the_size_of_the_whole [];
    "O-028" ranges::o_028_a_range_of_a_large_object_is_exact [];

    "O-030" conditions::o_030_a_create_loses_to_what_is_there_and_changes_nothing [];
    "O-033" conditions::o_033_a_swap_of_another_version_is_a_conflict [];
    "O-034" conditions::o_034_a_swap_of_what_is_gone_is_a_conflict [];
    "O-035" conditions::o_035_of_racing_creates_one_wins [];
    "O-036" conditions::o_036_racing_swaps_lose_no_update [];
    "O-037" conditions::o_037_a_streamed_create_loses_to_what_is_there [];
    "O-038" conditions::o_038_a_streamed_swap_of_another_version_is_a_conflict [];
    "O-039" conditions::o_039_what_was_deleted_can_be_created_again [];
    "O-040" conditions::o_040_reading_another_version_is_a_conflict [];
    "O-041" conditions::o_041_the_version_that_is_there_can_be_asked_for [];

    "O-050" checksums::o_050_a_wrong_checksum_is_refused [];
    "O-051" checksums::o_051_a_refused_checksum_leaves_nothing [];
    "O-052" checksums::o_052_a_right_checksum_is_accepted [];
    "O-053" checksums::o_053_a_wrong_checksum_of_a_stream_is_refused [];
    "O-054" checksums::o_054_a_checksum_that_is_told_is_the_contents [];

    "O-060" lists::o_060_objects_are_listed_in_the_order_of_their_bytes [];
    "O-061" lists::o_061_a_prefix_chooses_what_begins_with_it [];
    "O-062" lists::o_062_a_listing_starts_after_a_key [];
    "O-063" lists::o_063_prefix_and_start_hold_together [];
    "O-064" lists::o_064_a_prefix_of_nothing_lists_nothing [];
    "O-065" lists::o_065_a_long_listing_comes_whole_and_once [];
    "O-066" lists::o_066_a_listing_tells_the_sizes [];
    "O-067" lists::o_067_a_listing_tells_the_versions [];
    "O-068" lists::o_068_an_awkward_prefix_is_taken_as_it_is [];

    "O-070" deletes::o_070_a_deleted_object_is_not_found [];
    "O-071" deletes::o_071_deleting_what_is_missing_is_success [];
    "O-072" deletes::o_072_a_deleted_object_is_not_listed [];
    "O-073" deletes::o_073_deleting_one_object_leaves_those_that_begin_alike [];
    "O-074" deletes::o_074_deleting_many_leaves_the_others [];
    "O-075" deletes::o_075_each_of_many_is_answered_in_order [];
    "O-076" deletes::o_076_more_than_a_request_of_many_are_deleted [];
    "O-077" deletes::o_077_deleting_none_is_success [];
    "O-078" deletes::o_078_awkward_keys_are_deleted_with_many [];

    "O-080" copies::o_080_a_copy_has_the_content [];
    "O-081" copies::o_081_a_copy_answers_the_new_key_and_the_size [];
    "O-082" copies::o_082_a_copy_leaves_the_source [];
    "O-083" copies::o_083_copying_what_is_missing_is_not_found [];
    "O-084" copies::o_084_a_copy_takes_the_place_of_what_is_there [];
    "O-085" copies::o_085_a_copy_that_creates_loses_to_what_is_there [];
    "O-086" copies::o_086_awkward_keys_are_copied [];

    "O-090" streams::o_090_an_empty_stream_is_an_empty_object [];
    "O-091" streams::o_091_a_small_stream_is_put_whole [];
    "O-092" streams::o_092_a_stream_of_several_parts_is_put_whole [];
    "O-093" streams::o_093_a_stream_of_full_parts_is_put_whole [];
    "O-094" streams::o_094_a_streamed_write_answers_the_size [];
    "O-095" streams::o_095_a_failing_stream_gives_back_its_error [];
    "O-096" streams::o_096_a_failing_stream_leaves_nothing [];
    "O-097" streams::o_097_a_failing_stream_leaves_the_old_version [];
    "O-098" uploads::o_098_nothing_is_visible_before_the_stream_has_ended [];
    "O-099" uploads::o_099_a_dropped_upload_leaves_nothing_visible [];
    "O-100" uploads::o_100_a_dropped_upload_of_several_parts_is_abandoned [];
    "O-101" uploads::o_101_a_failing_upload_of_several_parts_is_abandoned [];

    "O-111" abilities::o_111_a_signed_url_writes [as_presign];
    "O-112" abilities::o_112_a_url_for_reading_does_not_write [as_presign];
    "O-113" abilities::o_113_a_signed_url_ends [as_presign];
    "O-114" abilities::o_114_a_signed_url_tells_when_it_ends [as_presign];
    "O-115" abilities::o_115_a_signed_url_reads_whatever_the_key [as_presign];
    "O-116" abilities::o_116_a_url_for_a_month_is_refused [as_presign];
    "O-120" abilities::o_120_rules_are_read_as_they_were_set [as_lifecycle];
    "O-121" abilities::o_121_rules_take_the_place_of_all_earlier_ones [as_lifecycle];
    "O-122" abilities::o_122_two_rules_of_one_name_are_refused [as_lifecycle];
    "O-123" abilities::o_123_a_rule_expires_what_has_its_prefix [as_lifecycle];
    "O-130" abilities::o_130_making_the_bucket_again_is_success [as_bucket_admin];
    "O-131" abilities::o_131_a_bucket_that_holds_something_is_not_removed [as_bucket_admin];
    "O-132" abilities::o_132_an_empty_bucket_is_removed_twice_and_made_again [as_bucket_admin];

    "O-140" versions::o_140_versioning_is_told_as_it_was_set [as_versions];
    "O-141" versions::o_141_old_versions_are_listed_newest_first [as_versions];
    "O-142" versions::o_142_an_old_version_is_restored [as_versions];
    "O-143" versions::o_143_restoring_a_missing_version_is_not_found [as_versions];
    "O-144" versions::o_144_a_delete_leaves_a_mark_and_the_content [as_versions];
    "O-145" versions::o_145_a_version_is_removed_for_good [as_versions];
    "O-146" versions::o_146_one_version_is_the_latest [as_versions];
    "O-147" versions::o_147_versions_that_are_kept_stay_when_keeping_stops [as_versions];

    "O-150" locks::o_150_an_object_without_a_lock_tells_none [as_object_lock];
    "O-151" locks::o_151_a_retention_is_read_as_it_was_set [as_object_lock];
    "O-152" locks::o_152_a_retention_gets_longer [as_object_lock];
    "O-153" locks::o_153_a_retention_does_not_get_shorter [as_object_lock];
    "O-154" locks::o_154_the_retention_of_a_missing_object_is_not_found [as_object_lock];
    "O-155" locks::o_155_a_locked_version_is_not_removed [as_object_lock, as_versions];
}
