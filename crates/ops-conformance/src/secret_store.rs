//! The suite of [`SecretStore`].

#![expect(
    clippy::unwrap_used,
    reason = "a case is a test, in a function of its own"
)]

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::id::{SecretName, SecretVersionId};
use ops_core::secret_store::{SecretMeta, SecretStore, SetSecretRequest};

use crate::case::Outcome;
use crate::fixture::Fixture;
use crate::macros::suite;
use crate::support::{done, drain};

mod account;
mod deletes;
mod lists;
mod reads;
mod restores;
mod rotations;
mod sets;
mod values;
mod versions;

/// What the suite needs to know of a provider of [`SecretStore`].
///
/// The store may hold other secrets than those of the cases.
#[async_trait]
pub trait SecretStoreFixture: Fixture {
    /// The provider; the same store at each call.
    fn store(&self) -> Arc<dyn SecretStore>;

    /// The accessors that answer `Some`, such as `as_read_secrets`, in any order. Written
    /// down, so that an ability that gets lost is seen.
    fn abilities(&self) -> &'static [&'static str];

    /// A name that the vendor can keep and that nothing else has. Defaults to one of `A-Z`,
    /// `0-9` and `_`.
    fn name(&self, what: &str) -> SecretName {
        let name = self.unique(what).replace('-', "_").to_ascii_uppercase();
        SecretName::new(name).unwrap()
    }

    /// A name that could be a secret's and is none's.
    fn missing_secret(&self) -> SecretName {
        SecretName::new("OPS_TEST_NO_SUCH_SECRET").unwrap()
    }

    /// An id that could be a version's and is none's.
    fn missing_version(&self) -> SecretVersionId {
        SecretVersionId::new("999999").unwrap()
    }

    /// Puts a secret into a store that the provider cannot write, such as a line into a
    /// file. `false`, the default, where that cannot be brought about.
    async fn seed(&self, name: &SecretName, value: &str) -> bool {
        let _ = (name, value);
        false
    }

    /// The value of a secret that the provider cannot read. `None`, the default, where that
    /// cannot be seen.
    async fn kept(&self, name: &SecretName) -> Option<String> {
        let _ = name;
        None
    }

    /// How many secrets, and how many versions, do not fit one page of the vendor's
    /// listing. A fake with small pages makes this small. Defaults to 5.
    fn more_than_a_page(&self) -> usize {
        5
    }

    /// Tells the vendor how to rotate a secret. `false`, the default, where that cannot be
    /// brought about.
    async fn configure_rotation(&self, name: &SecretName) -> bool {
        let _ = name;
        false
    }
}

const NOT_MADE: Outcome = Outcome::NotOffered("nothing can be put into the store");
const UNSEEN: Outcome = Outcome::NotOffered("the fixture does not see what is kept");

/// The store of one case.
struct Vault<'a> {
    fixture: &'a dyn SecretStoreFixture,
    store: Arc<dyn SecretStore>,
}

impl<'a> Vault<'a> {
    fn new(fixture: &'a dyn SecretStoreFixture) -> Self {
        let store = fixture.store();
        Self { fixture, store }
    }

    /// Sets a secret of a store that can be written.
    async fn set(&self, name: &SecretName, value: &str) -> SecretMeta {
        let write = self.store.as_write_secrets().unwrap();
        done(write.set_secret(name, SetSecretRequest::new(value)).await)
    }

    /// Puts a secret into the store, in whichever way that can be done.
    async fn put(&self, name: &SecretName, value: &str) -> bool {
        if self.store.as_write_secrets().is_some() {
            self.set(name, value).await;
            return true;
        }
        self.fixture.seed(name, value).await
    }

    /// A secret that is there.
    async fn given(&self, what: &str, value: &str) -> Option<SecretName> {
        let name = self.fixture.name(what);
        self.put(&name, value).await.then_some(name)
    }

    /// The value of a secret that is there, where it can be seen.
    async fn value(&self, name: &SecretName) -> Option<String> {
        match self.store.as_read_secrets() {
            Some(read) => Some(done(read.read_secret(name).await).value.expose().to_owned()),
            None => self.fixture.kept(name).await,
        }
    }

    /// How often a name is listed.
    async fn listed(&self, name: &SecretName) -> usize {
        let all = drain(self.store.list_secrets()).await;
        all.iter().filter(|meta| meta.name == *name).count()
    }

    async fn is_there(&self, name: &SecretName) -> bool {
        self.store.secret(name).await.is_ok()
    }
}

/// A name that is a little longer than another one.
fn longer(name: &SecretName, tail: &str) -> SecretName {
    SecretName::new(format!("{name}{tail}")).unwrap()
}

suite! {
    ($)
    /// One test per case of [`SecretStore`](ops_core::SecretStore).
    secret_store(SecretStoreFixture, store, secret_store_quirks_are_justified)

    "S-001" account::s_001_the_abilities_are_those_that_are_declared [];
    "S-002" account::s_002_a_refusal_names_the_provider [];
    "S-003" account::s_003_the_credential_is_not_printed [];

    "S-010" lists::s_010_a_secret_is_listed_once [];
    "S-011" lists::s_011_a_secret_is_described_under_its_name [];
    "S-012" lists::s_012_a_missing_secret_is_not_found [];
    "S-013" lists::s_013_a_long_listing_comes_whole_and_once [];
    "S-014" lists::s_014_a_listing_that_is_given_up_does_not_disturb_the_next [];
    "S-015" lists::s_015_an_awkward_name_is_nobody_elses [];
    "S-016" lists::s_016_no_value_is_in_a_listing [];
    "S-017" lists::s_017_a_secret_is_not_changed_before_it_is_made [];
    "S-018" lists::s_018_concurrent_looks_do_not_mix [];

    "S-020" reads::s_020_a_value_is_read_or_that_is_unsupported_by_name [];
    "S-021" reads::s_021_a_missing_value_is_not_found [as_read_secrets];
    "S-022" reads::s_022_several_values_are_read_in_their_order [as_read_secrets];
    "S-023" reads::s_023_one_missing_value_fails_alone [as_read_secrets];
    "S-024" reads::s_024_reading_nothing_answers_nothing [as_read_secrets];
    "S-025" reads::s_025_a_name_that_is_asked_twice_is_answered_twice [as_read_secrets];
    "S-026" reads::s_026_more_values_than_a_page_are_read [as_read_secrets];
    "S-027" reads::s_027_concurrent_reads_do_not_mix [as_read_secrets];
    "S-028" reads::s_028_the_value_of_an_awkward_name_is_nobody_elses [as_read_secrets];

    "S-030" values::s_030_spaces_at_the_ends_of_a_value_are_kept [];
    "S-031" values::s_031_line_ends_in_a_value_are_kept [];
    "S-032" values::s_032_quotes_and_backslashes_are_kept [];
    "S-033" values::s_033_references_in_a_value_are_kept [];
    "S-034" values::s_034_letters_of_every_script_are_kept [];
    "S-035" values::s_035_a_value_of_white_space_is_kept [];
    "S-036" values::s_036_the_longest_value_is_kept [];

    "S-040" sets::s_040_a_secret_is_set_or_that_is_unsupported_by_name [];
    "S-041" sets::s_041_setting_again_replaces_the_value [as_write_secrets];
    "S-042" sets::s_042_setting_leaves_the_others [as_write_secrets];
    "S-043" sets::s_043_a_secret_that_is_set_again_is_listed_once [as_write_secrets];
    "S-044" sets::s_044_setting_the_same_again_succeeds [as_write_secrets];
    "S-045" sets::s_045_an_empty_value_is_refused [as_write_secrets];
    "S-046" sets::s_046_a_value_over_the_limit_is_refused [as_write_secrets];
    "S-047" sets::s_047_a_refused_value_replaces_nothing [as_write_secrets];
    "S-048" sets::s_048_a_refused_value_makes_no_secret [as_write_secrets];
    "S-049" sets::s_049_a_name_over_the_limit_is_refused [as_write_secrets];
    "S-050" sets::s_050_an_awkward_name_is_kept_as_it_is_or_refused [as_write_secrets];
    "S-051" sets::s_051_names_that_differ_in_case_do_not_mix [as_write_secrets];
    "S-052" sets::s_052_a_refusal_does_not_repeat_the_value [as_write_secrets];
    "S-053" sets::s_053_concurrent_sets_do_not_mix [as_write_secrets];
    "S-054" sets::s_054_concurrent_sets_of_one_secret_leave_one_of_the_values [as_write_secrets];
    "S-055" sets::s_055_a_set_that_is_given_up_leaves_a_whole_value [as_write_secrets];
    "S-056" sets::s_056_setting_answers_the_secret [as_write_secrets];

    "S-060" deletes::s_060_a_deleted_secret_is_not_found [as_write_secrets];
    "S-061" deletes::s_061_a_deleted_secret_is_not_listed [as_write_secrets];
    "S-062" deletes::s_062_a_deleted_secret_is_not_read [as_write_secrets, as_read_secrets];
    "S-063" deletes::s_063_deleting_twice_is_success [as_write_secrets];
    "S-064" deletes::s_064_deleting_what_never_was_is_success [as_write_secrets];
    "S-065" deletes::s_065_deleting_leaves_the_others [as_write_secrets];
    "S-066" deletes::s_066_a_deleted_name_can_be_set_again_at_once [as_write_secrets];
    "S-067" deletes::s_067_a_name_that_is_set_again_has_the_new_value [as_write_secrets];
    "S-068" deletes::s_068_deleting_an_awkward_name_deletes_nobody_else [as_write_secrets];

    "S-070" versions::s_070_versions_are_listed_or_unsupported_by_name [];
    "S-071" versions::s_071_versions_are_listed_newest_first [as_secret_versions, as_write_secrets];
    "S-072" versions::s_072_exactly_the_last_version_is_current [as_secret_versions, as_write_secrets];
    "S-073" versions::s_073_the_value_before_is_read [as_secret_versions, as_write_secrets];
    "S-074" versions::s_074_the_current_version_is_read [as_secret_versions, as_write_secrets];
    "S-075" versions::s_075_a_missing_version_is_not_found [as_secret_versions];
    "S-076" versions::s_076_versions_of_a_missing_secret_are_not_found [as_secret_versions];
    "S-077" versions::s_077_a_version_of_a_missing_secret_is_not_found [as_secret_versions];
    "S-078" versions::s_078_one_key_makes_one_version [as_secret_versions, as_write_secrets];
    "S-079" versions::s_079_the_key_of_another_value_is_a_conflict [as_secret_versions, as_write_secrets];
    "S-080" versions::s_080_a_conflicting_set_changes_nothing [as_secret_versions, as_write_secrets];
    "S-081" versions::s_081_a_long_listing_of_versions_comes_whole [as_secret_versions, as_write_secrets];
    "S-082" versions::s_082_a_deleted_secret_has_no_versions [as_secret_versions, as_write_secrets];
    "S-083" versions::s_083_a_value_names_its_version [as_secret_versions, as_read_secrets];
    "S-084" versions::s_084_setting_answers_the_version [as_secret_versions, as_write_secrets];
    "S-085" versions::s_085_an_awkward_version_is_nobody_elses [as_secret_versions];

    "S-090" rotations::s_090_a_rotation_is_told_or_unsupported_by_name [];
    "S-091" rotations::s_091_a_secret_without_rotation_is_not_rotated [as_rotate_secrets];
    "S-092" rotations::s_092_a_missing_secret_is_not_rotated [as_rotate_secrets];
    "S-093" rotations::s_093_the_rotation_of_a_missing_secret_is_not_found [as_rotate_secrets];
    "S-094" rotations::s_094_the_old_value_stays_until_a_rotation_has_ended [as_rotate_secrets];
    "S-095" rotations::s_095_a_rotation_replaces_the_value [as_rotate_secrets];
    "S-096" rotations::s_096_one_key_starts_one_rotation [as_rotate_secrets];
    "S-097" rotations::s_097_a_rotation_beside_another_is_a_conflict [as_rotate_secrets];
    "S-098" rotations::s_098_a_rotation_tells_when_it_has_ended [as_rotate_secrets];
    "S-099" rotations::s_099_the_version_that_a_rotation_makes_is_current [as_rotate_secrets];

    "S-110" restores::s_110_a_deleted_secret_is_restored_or_that_is_unsupported_by_name [];
    "S-111" restores::s_111_a_restored_secret_has_its_value [as_restore_secrets, as_write_secrets];
    "S-112" restores::s_112_restoring_what_is_there_leaves_it [as_restore_secrets, as_write_secrets];
    "S-113" restores::s_113_restoring_what_never_was_is_not_found [as_restore_secrets];
    "S-114" restores::s_114_a_restored_secret_is_listed [as_restore_secrets, as_write_secrets];
}
