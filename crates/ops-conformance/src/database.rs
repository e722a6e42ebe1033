//! The suite of [`Database`].

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a case is a test, in a function of its own"
)]

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::database::{CreateDatabaseRequest, Database, DatabaseSize, Engine};
use ops_core::id::{BranchId, DatabaseId, NativeBackupId};

use crate::fixture::Fixture;
use crate::macros::suite;

mod backups;
mod base;
mod branches;
mod numbers;
mod provision;
mod restores;

/// Where a text is written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In the instance that the provider stands for.
    Here,
    /// In another instance of the account.
    Instance(DatabaseId),
    /// In a branch of this instance.
    Branch(BranchId),
}

/// What the suite needs to know of a provider of [`Database`].
#[async_trait]
pub trait DatabaseFixture: Fixture {
    /// The provider of an instance that answers; the same instance at each call.
    fn database(&self) -> Arc<dyn Database>;

    /// The accessors that answer `Some`, such as `as_stats`, in any order. Written down,
    /// so that an ability that gets lost is seen.
    fn abilities(&self) -> &'static [&'static str];

    /// A request for the smallest instance that the vendor makes. Defaults to PostgreSQL.
    fn new_database(&self, name: &str) -> CreateDatabaseRequest {
        CreateDatabaseRequest::new(name, Engine::Postgres)
    }

    /// A size to which an instance can be changed. `None` where nothing can be changed.
    fn size(&self) -> Option<DatabaseSize> {
        Some(DatabaseSize::default().with_plan("large"))
    }

    /// How many instances and branches do not fit one page of the vendor's listing. A
    /// fake with small pages makes this small. Defaults to 5.
    fn more_than_a_page(&self) -> u32 {
        5
    }

    /// An id that could be an instance's and is none's.
    fn missing_database(&self) -> DatabaseId {
        DatabaseId::new("ops-test-no-such-database").unwrap()
    }

    /// An id that could be a backup's and is none's.
    fn missing_backup(&self) -> NativeBackupId {
        NativeBackupId::new("ops-test-no-such-backup").unwrap()
    }

    /// An id that could be a branch's and is none's.
    fn missing_branch(&self) -> BranchId {
        BranchId::new("ops-test-no-such-branch").unwrap()
    }

    /// Writes the one text that a place holds. `false`, the default, where the fixture
    /// cannot reach the data.
    async fn write(&self, place: &Place, text: &str) -> bool {
        let _ = (place, text);
        false
    }

    /// Reads the one text that a place holds.
    async fn read(&self, place: &Place) -> Option<String> {
        let _ = place;
        None
    }
}

const UNREACHED: &str = "the fixture does not reach the data";

suite! {
    ($)
    /// One test per case of [`Database`](ops_core::Database).
    database(DatabaseFixture, database, database_quirks_are_justified)

    "D-001" base::d_001_the_abilities_are_those_that_are_declared [];
    "D-002" base::d_002_an_instance_that_answers_is_available [];
    "D-003" base::d_003_the_version_is_told [];
    "D-004" base::d_004_description_and_address_name_one_engine [];
    "D-005" base::d_005_a_ping_is_answered [];
    "D-006" base::d_006_the_password_is_never_printed [];
    "D-007" base::d_007_concurrent_calls_are_all_answered [];

    "D-020" provision::d_020_an_instance_that_was_made_is_listed [as_provision];
    "D-021" provision::d_021_one_key_makes_one_instance [as_provision];
    "D-022" provision::d_022_a_taken_name_already_exists [as_provision];
    "D-023" provision::d_023_a_taken_name_names_the_instance_that_has_it [as_provision];
    "D-025" provision::d_025_an_instance_has_the_name_that_was_asked_for [as_provision];
    "D-026" provision::d_026_a_missing_instance_is_not_found [as_provision];
    "D-027" provision::d_027_the_address_of_a_missing_instance_is_not_found [as_provision];
    "D-028" provision::d_028_resizing_a_missing_instance_is_not_found [as_provision];
    "D-029" provision::d_029_a_resized_instance_becomes_available_again [as_provision];
    "D-030" provision::d_030_a_minimum_above_the_maximum_is_refused [as_provision];
    "D-031" provision::d_031_a_deleted_instance_is_not_found [as_provision];
    "D-032" provision::d_032_deleting_an_instance_twice_is_success [as_provision];
    "D-033" provision::d_033_a_deleted_instance_is_not_listed [as_provision];
    "D-034" provision::d_034_deleting_one_instance_leaves_the_others [as_provision];
    "D-035" provision::d_035_a_long_listing_of_instances_comes_whole_and_once [as_provision];
    "D-036" provision::d_036_an_awkward_id_is_nobody_elses [as_provision];

    "D-040" backups::d_040_a_backup_becomes_complete [as_native_backups];
    "D-041" backups::d_041_backups_are_listed_newest_first [as_native_backups];
    "D-042" backups::d_042_one_key_makes_one_backup [as_native_backups];
    "D-043" backups::d_043_a_missing_backup_is_not_found [as_native_backups];
    "D-044" backups::d_044_a_window_holds_its_ends [as_native_backups];
    "D-045" restores::d_045_restoring_a_missing_backup_is_not_found [as_native_backups];
    "D-046" restores::d_046_an_instant_outside_the_window_is_refused [as_native_backups];
    "D-047" restores::d_047_a_backup_that_runs_cannot_be_restored [as_native_backups];
    "D-048" restores::d_048_a_new_instance_holds_what_the_backup_held [as_native_backups];
    "D-049" restores::d_049_restoring_to_a_new_instance_leaves_the_old_one [as_native_backups];
    "D-050" restores::d_050_a_restore_to_a_taken_name_already_exists [as_native_backups, as_provision];
    "D-051" restores::d_051_an_instant_is_restored_as_it_was [as_native_backups];
    "D-052" restores::d_052_a_restore_in_place_takes_the_place_of_what_is_there [as_native_backups];
    "D-053" restores::d_053_what_was_preserved_holds_what_was_there [as_native_backups, as_branching];

    "D-060" branches::d_060_a_branch_that_was_made_is_listed [as_branching];
    "D-061" branches::d_061_one_key_makes_one_branch [as_branching];
    "D-062" branches::d_062_a_taken_name_already_exists [as_branching];
    "D-063" branches::d_063_a_taken_name_names_the_branch_that_has_it [as_branching];
    "D-064" branches::d_064_one_branch_is_the_default [as_branching];
    "D-065" branches::d_065_the_default_branch_is_not_deleted [as_branching];
    "D-066" branches::d_066_a_deleted_branch_is_not_found [as_branching];
    "D-067" branches::d_067_deleting_a_branch_twice_is_success [as_branching];
    "D-068" branches::d_068_a_missing_branch_is_not_found [as_branching];
    "D-069" branches::d_069_a_missing_parent_is_not_found [as_branching];
    "D-070" branches::d_070_the_address_of_a_missing_branch_is_not_found [as_branching];
    "D-071" branches::d_071_a_branch_has_an_address_of_its_own [as_branching];
    "D-072" branches::d_072_a_branch_holds_what_its_parent_held [as_branching];
    "D-073" branches::d_073_the_parent_does_not_see_what_is_written_to_a_branch [as_branching];
    "D-074" branches::d_074_a_branch_does_not_see_what_is_written_to_its_parent [as_branching];
    "D-075" branches::d_075_a_long_listing_of_branches_comes_whole_and_once [as_branching];
    "D-076" branches::d_076_a_branch_names_its_parent [as_branching];

    "D-080" numbers::d_080_connections_stay_within_the_limit [as_stats];
    "D-081" numbers::d_081_the_database_is_no_larger_than_the_instance [as_stats];
    "D-082" numbers::d_082_active_statements_are_sorted_by_time [as_stats];
    "D-083" numbers::d_083_only_statements_that_ran_long_enough_are_told [as_stats];
    "D-084" numbers::d_084_slow_statements_are_sorted_by_cost [as_stats];
    "D-085" numbers::d_085_no_more_slow_statements_than_asked_for [as_stats];
    "D-086" numbers::d_086_tables_are_sorted_by_size [as_stats];
    "D-087" numbers::d_087_no_more_tables_than_asked_for [as_stats];
    "D-090" numbers::d_090_settings_are_sorted_by_name [as_audit];
    "D-091" numbers::d_091_no_setting_holds_a_secret [as_audit];
    "D-092" numbers::d_092_roles_are_sorted_by_name [as_audit];
    "D-093" numbers::d_093_extensions_are_sorted_by_name [as_audit];
    "D-094" numbers::d_094_without_a_table_every_migration_is_pending [as_audit];
    "D-100" numbers::d_100_usage_answers_for_the_period_that_was_asked_for [as_usage];
    "D-101" numbers::d_101_a_budget_comes_back_in_the_report [as_usage];
    "D-102" numbers::d_102_no_quantity_is_below_zero [as_usage];
}
