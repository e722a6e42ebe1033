//! The suite of [`Hosting`].

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a case is a test, in a function of its own"
)]

use std::sync::Arc;

use async_trait::async_trait;
use ops_core::hosting::{
    CreateAppRequest, DeployRequest, DeploySource, Deployment, DeploymentState, Hosting,
    MachineSize,
};
use ops_core::id::{AppId, DeploymentId, Region};

use crate::fixture::Fixture;
use crate::macros::suite;
use crate::support::{done, eventually};

mod apps;
mod create;
mod deployments;
mod domains;
mod env;
mod logs;
mod operate;
mod rollback;
mod scale;
mod secrets;

/// What the suite needs to know of a provider of [`Hosting`].
#[async_trait]
pub trait HostingFixture: Fixture {
    /// The provider; the same account at each call.
    fn hosting(&self) -> Arc<dyn Hosting>;

    /// The accessors that answer `Some`, such as `as_rollback`, in any order. Written
    /// down, so that an ability that gets lost is seen.
    fn abilities(&self) -> &'static [&'static str];

    /// Makes an app with nothing deployed. Defaults to
    /// [`CreateApps::create_app`](ops_core::hosting::CreateApps::create_app); a provider without
    /// that ability makes it at its fake.
    async fn new_app(&self) -> AppId {
        let hosting = self.hosting();
        let Some(apps) = hosting.as_create_apps() else {
            panic!("a fixture of a provider without `as_create_apps` makes apps by itself");
        };
        let request = CreateAppRequest::new(self.unique("app"));
        done(apps.create_app(request).await).id
    }

    /// An id that could be an app's and is none's.
    fn missing_app(&self) -> AppId {
        AppId::new("ops-test-no-such-app").unwrap()
    }

    /// An id that could be a deployment's and is none's.
    fn missing_deployment(&self) -> DeploymentId {
        DeploymentId::new("ops-test-no-such-deployment").unwrap()
    }

    /// Something that can be deployed, a different one for each number. Defaults to an image.
    fn source(&self, version: u32) -> DeploySource {
        DeploySource::image(format!("registry.example/shop:{version}"))
    }

    /// A deployment that the vendor cannot carry out, which is `Unsupported`. Defaults to
    /// `None`: there is none.
    fn refused_request(&self) -> Option<DeployRequest> {
        None
    }

    /// A size that the vendor has, other than its default. `None` where it has no sizes.
    fn size(&self) -> Option<MachineSize> {
        Some(MachineSize::named("shared-cpu-2x"))
    }

    /// Two regions that the vendor has. Empty where there is no choice.
    fn regions(&self) -> Vec<Region> {
        ["fra", "lhr"].map(|name| Region::new(name).unwrap()).into()
    }

    /// How many apps and deployments do not fit one page of the vendor's listing. A fake
    /// with small pages makes this small. Defaults to 5.
    fn more_than_a_page(&self) -> u32 {
        5
    }

    /// Makes the next deployment of an app fail. `false`, the default, where that cannot
    /// be brought about.
    async fn fail_next_deployment(&self, app: &AppId) -> bool {
        let _ = app;
        false
    }

    /// Makes the app print a line on its standard output. `false`, the default, where that
    /// cannot be brought about.
    async fn print(&self, app: &AppId, line: &str) -> bool {
        let _ = (app, line);
        false
    }

    /// A host name that can be added to an app and that nothing else has.
    fn host_name(&self) -> String {
        format!("{}.example", self.unique("host"))
    }

    /// Makes the DNS records that a domain asks for. `false` where that cannot be done;
    /// defaults to `true` without doing anything, for a fake that finds them by itself.
    async fn publish_records(&self, name: &str) -> bool {
        let _ = name;
        true
    }
}

/// Deploys a version and waits until it is live.
async fn release(fixture: &dyn HostingFixture, app: &AppId, version: u32) -> Deployment {
    let request = DeployRequest::new(fixture.source(version));
    let started = done(fixture.hosting().deploy(app, request).await);
    wait_live(fixture, app, &started.id).await
}

/// Waits until a deployment will not change by itself any more.
async fn wait_ended(fixture: &dyn HostingFixture, app: &AppId, id: &DeploymentId) -> Deployment {
    let hosting = fixture.hosting();
    eventually!(
        fixture,
        format_args!("deployment {id} comes to an end"),
        Some(done(hosting.deployment(app, id).await)).filter(|seen| seen.state.is_terminal())
    )
}

async fn wait_live(fixture: &dyn HostingFixture, app: &AppId, id: &DeploymentId) -> Deployment {
    let ended = wait_ended(fixture, app, id).await;
    assert_eq!(ended.state, DeploymentState::Live, "{ended:?}");
    ended
}

suite! {
    ($)
    /// One test per case of [`Hosting`](ops_core::Hosting).
    ///
    /// ```text
    /// ops_conformance::hosting!(FakeFixture::start().await);
    /// ops_conformance::hosting!(fixture(), quirks: &[Quirk::skip("H-017", "why", "https://…")]);
    /// ```
    hosting(HostingFixture, hosting, hosting_quirks_are_justified)

    "H-001" apps::h_001_the_abilities_are_those_that_are_declared [];
    "H-002" apps::h_002_an_app_without_a_deployment_names_none [];
    "H-003" apps::h_003_the_listing_names_each_app_once_and_ends [];
    "H-004" apps::h_004_a_long_listing_of_apps_comes_whole [];
    "H-005" apps::h_005_a_missing_app_is_not_found [];
    "H-006" apps::h_006_an_awkward_app_id_is_nobody_elses [];
    "H-007" apps::h_007_concurrent_calls_do_not_mix [];
    "H-008" apps::h_008_deleting_an_app_twice_is_success [];
    "H-009" apps::h_009_a_deleted_app_is_not_found [];
    "H-010" apps::h_010_a_deleted_app_is_not_listed [];
    "H-011" apps::h_011_deleting_one_app_leaves_the_others [];
    "H-012" apps::h_012_deleting_what_never_was_is_success [];

    "H-020" deployments::h_020_a_deployment_names_its_app [];
    "H-021" deployments::h_021_the_app_names_the_deployment_that_is_live [];
    "H-022" deployments::h_022_a_live_deployment_stays_live_until_the_next_is [];
    "H-023" deployments::h_023_a_deployment_whose_place_was_taken_is_superseded [];
    "H-024" deployments::h_024_deployments_are_listed_newest_first [];
    "H-025" deployments::h_025_a_long_listing_of_deployments_comes_whole [];
    "H-026" deployments::h_026_one_key_makes_one_deployment [];
    "H-027" deployments::h_027_one_key_for_another_deployment_is_a_conflict [];
    "H-028" deployments::h_028_deploying_a_previous_deployment_deploys_its_source [];
    "H-029" deployments::h_029_a_failed_deployment_is_told_apart [];
    "H-030" deployments::h_030_a_failed_deployment_leaves_the_live_one [];
    "H-031" deployments::h_031_what_the_vendor_cannot_deploy_is_refused_and_nothing_starts [];
    "H-032" deployments::h_032_deploying_to_a_missing_app_is_not_found [];
    "H-033" deployments::h_033_deployments_of_a_missing_app_are_not_found [];
    "H-034" deployments::h_034_a_missing_deployment_is_not_found [];
    "H-035" deployments::h_035_deploying_a_missing_deployment_is_not_found [];
    "H-036" deployments::h_036_an_awkward_deployment_id_is_nobody_elses [];
    "H-037" deployments::h_037_an_app_keeps_its_name_over_a_deployment [];
    "H-038" deployments::h_038_settings_take_effect_with_their_deployment [as_scale];
    "H-039" deployments::h_039_deployments_of_two_apps_do_not_mix [];

    "H-040" create::h_040_an_app_is_listed_once_it_was_made [as_create_apps];
    "H-041" create::h_041_one_key_makes_one_app [as_create_apps];
    "H-042" create::h_042_a_taken_name_already_exists [as_create_apps];
    "H-043" create::h_043_a_taken_name_names_the_app_that_has_it [as_create_apps];
    "H-044" create::h_044_an_app_has_the_name_that_was_asked_for [as_create_apps];
    "H-045" create::h_045_settings_that_cannot_be_are_refused_and_nothing_is_made [as_create_apps];

    "H-050" rollback::h_050_rolling_back_deploys_what_served_before [as_rollback];
    "H-051" rollback::h_051_rolling_back_to_a_deployment_deploys_that_one [as_rollback];
    "H-052" rollback::h_052_a_rollback_takes_over [as_rollback];
    "H-053" rollback::h_053_one_key_rolls_back_once [as_rollback];
    "H-054" rollback::h_054_before_a_second_release_there_is_nothing_to_go_back_to [as_rollback];
    "H-055" rollback::h_055_what_never_was_live_is_no_target [as_rollback];
    "H-056" rollback::h_056_a_missing_target_is_not_found [as_rollback];
    "H-057" rollback::h_057_variables_are_not_rolled_back [as_rollback, as_env_vars];
    "H-058" rollback::h_058_rolling_back_a_missing_app_is_not_found [as_rollback];

    "H-060" scale::h_060_scaling_changes_the_number_of_instances [as_scale];
    "H-061" scale::h_061_scaling_changes_the_size [as_scale];
    "H-062" scale::h_062_scaling_changes_the_regions [as_scale];
    "H-063" scale::h_063_what_is_not_asked_for_stays [as_scale];
    "H-064" scale::h_064_a_minimum_above_the_maximum_is_refused [as_scale];
    "H-065" scale::h_065_a_refused_request_changes_nothing [as_scale];
    "H-066" scale::h_066_regions_named_twice_are_refused [as_scale];
    "H-067" scale::h_067_the_scale_of_a_missing_app_is_not_found [as_scale];
    "H-068" scale::h_068_scaling_a_missing_app_is_not_found [as_scale];

    "H-070" env::h_070_variables_are_read_as_they_were_set [as_env_vars];
    "H-071" env::h_071_values_with_odd_characters_survive [as_env_vars];
    "H-072" env::h_072_setting_a_variable_leaves_the_others [as_env_vars];
    "H-073" env::h_073_setting_the_same_again_is_unchanged [as_env_vars];
    "H-074" env::h_074_a_variable_is_removed [as_env_vars];
    "H-075" env::h_075_removing_a_missing_variable_is_unchanged [as_env_vars];
    "H-076" env::h_076_a_variable_never_replaces_a_secret [as_env_vars, as_app_secrets];
    "H-077" env::h_077_a_refused_change_sets_no_variable_at_all [as_env_vars, as_app_secrets];
    "H-078" env::h_078_removing_variables_leaves_secrets_alone [as_env_vars, as_app_secrets];
    "H-079" env::h_079_variables_survive_a_deployment [as_env_vars];
    "H-080" env::h_080_variables_of_a_missing_app_are_not_found [as_env_vars];
    "H-081" env::h_081_setting_variables_of_a_missing_app_is_not_found [as_env_vars];
    "H-082" env::h_082_variables_of_two_apps_do_not_mix [as_env_vars];

    "H-090" secrets::h_090_secrets_are_listed_by_name [as_app_secrets];
    "H-091" secrets::h_091_a_value_never_comes_back_in_debug [as_app_secrets];
    "H-092" secrets::h_092_a_secret_is_not_among_the_variables [as_app_secrets, as_env_vars];
    "H-093" secrets::h_093_setting_a_secret_leaves_the_others [as_app_secrets];
    "H-094" secrets::h_094_a_secret_never_replaces_a_variable [as_app_secrets, as_env_vars];
    "H-095" secrets::h_095_a_secret_is_removed [as_app_secrets];
    "H-096" secrets::h_096_removing_a_missing_secret_is_unchanged [as_app_secrets];
    "H-097" secrets::h_097_secrets_survive_a_deployment [as_app_secrets];
    "H-098" secrets::h_098_secrets_of_a_missing_app_are_not_found [as_app_secrets];
    "H-099" secrets::h_099_setting_secrets_of_a_missing_app_is_not_found [as_app_secrets];

    "H-110" logs::h_110_lines_are_read_oldest_first_and_end [as_logs];
    "H-111" logs::h_111_the_last_lines_alone_can_be_read [as_logs];
    "H-112" logs::h_112_lines_since_an_instant_can_be_read [as_logs];
    "H-113" logs::h_113_lines_before_an_instant_can_be_read [as_logs];
    "H-114" logs::h_114_lines_of_one_source_can_be_read [as_logs];
    "H-115" logs::h_115_a_follower_sees_a_later_line [as_logs];
    "H-116" logs::h_116_a_follower_ends_when_the_app_is_deleted [as_logs];
    "H-117" logs::h_117_logs_of_a_missing_app_are_not_found [as_logs];
    "H-118" logs::h_118_lines_of_one_deployment_can_be_read [as_logs];

    "H-120" domains::h_120_a_new_domain_names_the_records_it_needs [as_domains];
    "H-121" domains::h_121_adding_a_domain_again_answers_the_same [as_domains];
    "H-122" domains::h_122_a_domain_of_another_app_already_exists [as_domains];
    "H-123" domains::h_123_what_is_no_host_name_is_refused [as_domains];
    "H-124" domains::h_124_a_domain_is_verified_once_its_records_are_there [as_domains];
    "H-125" domains::h_125_a_verified_domain_gets_a_certificate [as_domains];
    "H-126" domains::h_126_a_domain_is_listed_once [as_domains];
    "H-127" domains::h_127_a_removed_domain_is_not_found [as_domains];
    "H-128" domains::h_128_removing_a_domain_twice_is_success [as_domains];
    "H-129" domains::h_129_a_missing_domain_is_not_found [as_domains];
    "H-130" domains::h_130_domains_of_a_missing_app_are_not_found [as_domains];
    "H-131" domains::h_131_adding_a_domain_to_a_missing_app_is_not_found [as_domains];
    "H-132" domains::h_132_domains_survive_a_deployment [as_domains];

    "H-140" operate::h_140_a_restart_keeps_the_deployment_that_is_live [as_restart];
    "H-141" operate::h_141_what_was_never_deployed_cannot_restart [as_restart];
    "H-142" operate::h_142_restarting_a_missing_app_is_not_found [as_restart];
    "H-150" operate::h_150_usage_answers_for_the_period_that_was_asked_for [as_usage];
    "H-151" operate::h_151_a_budget_comes_back_in_the_report [as_usage];
    "H-152" operate::h_152_no_quantity_is_below_zero [as_usage];
}
