//! The suite of [`Monitor`].

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a case is a test, in a function of its own"
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ops_core::id::{HeartbeatId, IncidentId, MonitorId, StatusPageId};
use ops_core::monitor::{ErrorEvent, HeartbeatSpec, Monitor, MonitorSpec, MonitorState};
use ops_core::{Clock, SystemClock, Timestamp};

use crate::fixture::Fixture;
use crate::macros::suite;

mod account;
mod checks;
mod heartbeats;
mod incidents;
mod pages;
mod reports;
mod signals;

/// What the suite needs to know of a provider of [`Monitor`].
#[async_trait]
pub trait MonitorFixture: Fixture {
    /// The provider; the same account at each call.
    fn monitor(&self) -> Arc<dyn Monitor>;

    /// The accessors that answer `Some`, such as `as_heartbeats`, in any order. Written
    /// down, so that an ability that gets lost is seen.
    fn abilities(&self) -> &'static [&'static str];

    /// The present instant by the provider's clock. Defaults to the system's.
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// A check that the vendor can make. Defaults to one by HTTP every 5 minutes.
    fn check(&self, key: &str) -> MonitorSpec {
        MonitorSpec::http(key, format!("https://{key}.example/health"))
    }

    /// A check that the vendor cannot make. Defaults to one of a protocol that nobody has.
    fn bad_check(&self, key: &str) -> MonitorSpec {
        MonitorSpec::http(key, "gopher://bad.example")
    }

    /// A heartbeat that the vendor can keep. Defaults to one of an hour.
    fn heartbeat(&self, key: &str) -> HeartbeatSpec {
        HeartbeatSpec::new(key, Duration::from_secs(3_600))
    }

    /// How many checks do not fit one page of the vendor's listing. A fake with small
    /// pages makes this small. Defaults to 5.
    fn more_than_a_page(&self) -> usize {
        5
    }

    /// An id that could be a check's and is none's.
    fn missing_monitor(&self) -> MonitorId {
        MonitorId::new("ops-test-no-such-monitor").unwrap()
    }

    /// An id that could be a heartbeat's and is none's.
    fn missing_heartbeat(&self) -> HeartbeatId {
        HeartbeatId::new("ops-test-no-such-heartbeat").unwrap()
    }

    /// An id that could be an incident's and is none's.
    fn missing_incident(&self) -> IncidentId {
        IncidentId::new("ops-test-no-such-incident").unwrap()
    }

    /// An id that could be a status page's and is none's.
    fn missing_page(&self) -> StatusPageId {
        StatusPageId::new("ops-test-no-such-page").unwrap()
    }

    /// Makes a check find something. `false`, the default, where that cannot be brought about.
    async fn observe(&self, monitor: &MonitorId, state: MonitorState) -> bool {
        let _ = (monitor, state);
        false
    }

    /// Makes a status page. `None`, the default, where the fixture cannot.
    async fn new_page(&self) -> Option<StatusPageId> {
        None
    }

    /// The errors that the vendor has received. `None`, the default, where that cannot be seen.
    async fn received_errors(&self) -> Option<Vec<ErrorEvent>> {
        None
    }

    /// The texts of the log records that the vendor has received, if that can be seen.
    async fn received_logs(&self) -> Option<Vec<String>> {
        None
    }

    /// The names of the metrics that the vendor has received, if that can be seen.
    async fn received_metrics(&self) -> Option<Vec<String>> {
        None
    }

    /// The versions that were marked as deployed, if that can be seen.
    async fn received_deploys(&self) -> Option<Vec<String>> {
        None
    }

    /// The headlines that were written on a status page, if that can be seen.
    async fn received_updates(&self, page: &StatusPageId) -> Option<Vec<String>> {
        let _ = page;
        None
    }
}

const UNSEEN: &str = "the fixture does not see what the vendor has received";

suite! {
    ($)
    /// One test per case of [`Monitor`](ops_core::Monitor).
    monitor(MonitorFixture, monitor, monitor_quirks_are_justified)

    "M-001" account::m_001_the_abilities_are_those_that_are_declared [];
    "M-002" account::m_002_the_account_is_named [];
    "M-003" account::m_003_a_signal_arrives [];
    "M-004" account::m_004_the_self_test_leaves_no_heartbeat [as_heartbeats];

    "M-010" checks::m_010_a_missing_check_is_made [as_uptime_monitors];
    "M-011" checks::m_011_ensuring_the_same_again_is_unchanged [as_uptime_monitors];
    "M-012" checks::m_012_a_check_that_differs_is_updated [as_uptime_monitors];
    "M-013" checks::m_013_an_updated_check_is_as_it_was_asked_for [as_uptime_monitors];
    "M-014" checks::m_014_each_check_is_answered_in_order [as_uptime_monitors];
    "M-015" checks::m_015_one_bad_check_does_not_stop_the_others [as_uptime_monitors];
    "M-016" checks::m_016_two_checks_of_one_key_are_refused [as_uptime_monitors];
    "M-017" checks::m_017_refused_checks_are_not_made [as_uptime_monitors];
    "M-018" checks::m_018_a_check_keeps_its_id_under_another_name [as_uptime_monitors];
    "M-019" checks::m_019_a_check_is_listed_once_with_its_key [as_uptime_monitors];
    "M-020" checks::m_020_a_long_listing_of_checks_comes_whole [as_uptime_monitors];
    "M-021" checks::m_021_a_paused_check_is_paused [as_uptime_monitors];
    "M-022" checks::m_022_pausing_a_check_twice_is_success [as_uptime_monitors];
    "M-023" checks::m_023_a_paused_check_stays_paused_when_it_is_ensured [as_uptime_monitors];
    "M-024" checks::m_024_a_resumed_check_is_not_paused [as_uptime_monitors];
    "M-025" checks::m_025_a_deleted_check_is_not_found [as_uptime_monitors];
    "M-026" checks::m_026_deleting_a_check_twice_is_success [as_uptime_monitors];
    "M-027" checks::m_027_a_missing_check_is_not_found [as_uptime_monitors];
    "M-028" checks::m_028_pausing_a_missing_check_is_not_found [as_uptime_monitors];
    "M-029" checks::m_029_an_awkward_id_is_nobody_elses [as_uptime_monitors];
    "M-030" checks::m_030_a_target_is_told_without_its_credentials [as_uptime_monitors];
    "M-031" checks::m_031_a_header_is_never_printed [as_uptime_monitors];
    "M-032" checks::m_032_a_check_tells_what_it_has_found [as_uptime_monitors];

    "M-040" heartbeats::m_040_a_missing_heartbeat_is_made [as_heartbeats];
    "M-041" heartbeats::m_041_ensuring_the_same_again_is_unchanged [as_heartbeats];
    "M-042" heartbeats::m_042_the_address_of_a_heartbeat_stays [as_heartbeats];
    "M-043" heartbeats::m_043_a_heartbeat_that_differs_is_updated [as_heartbeats];
    "M-044" heartbeats::m_044_a_beat_makes_it_up [as_heartbeats];
    "M-045" heartbeats::m_045_a_failing_beat_is_no_success [as_heartbeats];
    "M-046" heartbeats::m_046_a_starting_beat_is_no_success [as_heartbeats];
    "M-047" heartbeats::m_047_a_long_message_is_cut_at_a_character [as_heartbeats];
    "M-048" heartbeats::m_048_silence_is_the_alarm [as_heartbeats];
    "M-049" heartbeats::m_049_beating_a_deleted_heartbeat_is_not_found [as_heartbeats];
    "M-050" heartbeats::m_050_a_deleted_heartbeat_is_not_found [as_heartbeats];
    "M-051" heartbeats::m_051_deleting_a_heartbeat_twice_is_success [as_heartbeats];
    "M-052" heartbeats::m_052_a_missing_heartbeat_is_not_found [as_heartbeats];
    "M-053" heartbeats::m_053_a_heartbeat_is_listed_once_with_its_key [as_heartbeats];
    "M-054" heartbeats::m_054_a_period_of_nothing_is_refused [as_heartbeats];
    "M-055" heartbeats::m_055_the_address_is_never_printed [as_heartbeats];

    "M-060" signals::m_060_an_error_arrives_when_it_is_flushed [as_error_sink];
    "M-061" signals::m_061_an_error_arrives_without_credentials [as_error_sink];
    "M-062" signals::m_062_flushing_nothing_is_success [as_error_sink];
    "M-063" signals::m_063_each_error_has_an_id_of_its_own [as_error_sink];
    "M-070" signals::m_070_log_records_arrive [as_log_sink];
    "M-071" signals::m_071_accepted_log_records_are_counted [as_log_sink];
    "M-072" signals::m_072_sending_no_log_records_is_success [as_log_sink];
    "M-073" signals::m_073_metrics_arrive [as_metric_sink];
    "M-074" signals::m_074_a_value_that_is_no_number_is_rejected_alone [as_metric_sink];
    "M-075" signals::m_075_sending_no_metrics_is_success [as_metric_sink];
    "M-076" signals::m_076_a_deployment_is_marked [as_deploy_markers];

    "M-080" incidents::m_080_an_incident_is_opened [as_incidents];
    "M-081" incidents::m_081_one_key_opens_one_incident [as_incidents];
    "M-082" incidents::m_082_an_incident_is_acknowledged_twice [as_incidents];
    "M-083" incidents::m_083_an_incident_is_resolved [as_incidents];
    "M-084" incidents::m_084_resolving_an_incident_twice_is_success [as_incidents];
    "M-085" incidents::m_085_a_resolved_incident_is_not_acknowledged [as_incidents];
    "M-086" incidents::m_086_a_resolved_key_opens_another_incident [as_incidents];
    "M-087" incidents::m_087_a_missing_incident_is_not_found [as_incidents];
    "M-088" incidents::m_088_resolving_a_missing_incident_is_not_found [as_incidents];
    "M-089" incidents::m_089_incidents_are_listed_by_state [as_incidents];
    "M-090" incidents::m_090_incidents_are_listed_newest_first [as_incidents];

    "M-100" pages::m_100_a_status_page_is_listed [as_status_pages];
    "M-101" pages::m_101_a_missing_page_is_not_found [as_status_pages];
    "M-102" pages::m_102_what_is_written_on_a_page_is_there [as_status_pages];
    "M-103" pages::m_103_a_status_is_shown_or_nothing_is_written [as_status_pages];
    "M-104" pages::m_104_writing_on_a_missing_page_is_not_found [as_status_pages];
    "M-110" pages::m_110_a_window_is_listed_once [as_maintenance_windows];
    "M-111" pages::m_111_a_window_lasts_as_long_as_it_was_asked_for [as_maintenance_windows];
    "M-112" pages::m_112_one_key_makes_one_window [as_maintenance_windows];
    "M-113" pages::m_113_a_window_without_length_is_refused [as_maintenance_windows];
    "M-114" pages::m_114_a_window_that_is_over_is_refused [as_maintenance_windows];
    "M-115" pages::m_115_a_window_for_a_missing_check_is_not_found [as_maintenance_windows];
    "M-116" pages::m_116_a_deleted_window_is_not_listed [as_maintenance_windows];
    "M-117" pages::m_117_deleting_a_window_twice_is_success [as_maintenance_windows];

    "M-120" reports::m_120_half_an_hour_down_is_half_of_an_hour [as_uptime_report, as_uptime_monitors];
    "M-121" reports::m_121_what_was_not_watched_has_no_ratio [as_uptime_report, as_uptime_monitors];
    "M-122" reports::m_122_the_report_of_a_missing_check_is_not_found [as_uptime_report];
    "M-123" reports::m_123_a_report_answers_for_the_period [as_uptime_report, as_uptime_monitors];
}
