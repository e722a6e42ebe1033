//! `StatusPages` and `MaintenanceWindows`.

use std::time::Duration;

use ops_core::id::{IdempotencyKey, MaintenanceId};
use ops_core::monitor::{
    CreateMaintenanceRequest, MaintenanceWindow, MaintenanceWindows, PageStatus, StatusUpdate,
};
use ops_core::{DeleteOutcome, ErrorKind};

use super::{MonitorFixture, UNSEEN};
use crate::case::Outcome;
use crate::support::{done, drain, missing, refused};

const NO_PAGES: &str = "the fixture makes no status pages";
const HOUR: Duration = Duration::from_secs(3_600);

pub(super) async fn m_100_a_status_page_is_listed(fixture: &dyn MonitorFixture) -> Outcome {
    let Some(page) = fixture.new_page().await else {
        return Outcome::NotOffered(NO_PAGES);
    };
    let monitor = fixture.monitor();
    let pages = drain(monitor.as_status_pages().unwrap().list_status_pages()).await;
    assert_eq!(pages.iter().filter(|each| each.id == page).count(), 1);
    Outcome::Passed
}

pub(super) async fn m_101_a_missing_page_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let pages = monitor.as_status_pages().unwrap();
    missing(pages.status_page(&fixture.missing_page()).await);
}

pub(super) async fn m_102_what_is_written_on_a_page_is_there(
    fixture: &dyn MonitorFixture,
) -> Outcome {
    let Some(page) = fixture.new_page().await else {
        return Outcome::NotOffered(NO_PAGES);
    };
    if fixture.received_updates(&page).await.is_none() {
        return Outcome::NotOffered(UNSEEN);
    }
    let monitor = fixture.monitor();
    let title = fixture.unique("news");
    let update = StatusUpdate::new(title.as_str(), "We are looking into it.");
    let pages = monitor.as_status_pages().unwrap();
    done(pages.post_status_update(&page, update).await);
    assert_eq!(fixture.received_updates(&page).await, Some(vec![title]));
    Outcome::Passed
}

pub(super) async fn m_103_a_status_is_shown_or_nothing_is_written(
    fixture: &dyn MonitorFixture,
) -> Outcome {
    let Some(page) = fixture.new_page().await else {
        return Outcome::NotOffered(NO_PAGES);
    };
    let monitor = fixture.monitor();
    let pages = monitor.as_status_pages().unwrap();
    let update = StatusUpdate::new("Slow", "The shop is slow.").with_status(PageStatus::Degraded);
    match pages.post_status_update(&page, update).await {
        Err(err) if err.is_unsupported() => {
            let written = fixture.received_updates(&page).await.unwrap_or_default();
            assert!(written.is_empty(), "{written:?}");
        }
        posted => {
            done(posted);
            let seen = done(pages.status_page(&page).await).status;
            assert!(
                matches!(seen, None | Some(PageStatus::Degraded)),
                "{seen:?}"
            );
        }
    }
    Outcome::Passed
}

pub(super) async fn m_104_writing_on_a_missing_page_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let pages = monitor.as_status_pages().unwrap();
    let update = StatusUpdate::new("Down", "We are looking into it.");
    missing(
        pages
            .post_status_update(&fixture.missing_page(), update)
            .await,
    );
}

/// A window of an hour, an hour from now.
fn request(fixture: &dyn MonitorFixture) -> CreateMaintenanceRequest {
    let starts_at = fixture.now().saturating_add(HOUR);
    CreateMaintenanceRequest::new(fixture.unique("work"), starts_at, HOUR)
}

async fn make(fixture: &dyn MonitorFixture) -> MaintenanceWindow {
    let monitor = fixture.monitor();
    let windows = monitor.as_maintenance_windows().unwrap();
    done(windows.create_maintenance(request(fixture)).await)
}

async fn listed(windows: &dyn MaintenanceWindows) -> Vec<MaintenanceId> {
    let windows = drain(windows.list_maintenance()).await;
    windows.into_iter().map(|window| window.id).collect()
}

pub(super) async fn m_110_a_window_is_listed_once(fixture: &dyn MonitorFixture) {
    let made = make(fixture).await;
    let monitor = fixture.monitor();
    let ids = listed(monitor.as_maintenance_windows().unwrap()).await;
    assert_eq!(ids.iter().filter(|id| **id == made.id).count(), 1);
}

pub(super) async fn m_111_a_window_lasts_as_long_as_it_was_asked_for(fixture: &dyn MonitorFixture) {
    let made = make(fixture).await;
    assert_eq!(made.ends_at.saturating_since(made.starts_at), HOUR);
}

pub(super) async fn m_112_one_key_makes_one_window(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let windows = monitor.as_maintenance_windows().unwrap();
    let key = IdempotencyKey::new(fixture.unique("key")).unwrap();
    let request = request(fixture).with_idempotency_key(key);
    let made = done(windows.create_maintenance(request.clone()).await);
    let again = done(windows.create_maintenance(request).await);
    assert_eq!(made.id, again.id);
}

pub(super) async fn m_113_a_window_without_length_is_refused(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let mut request = request(fixture);
    request.duration = Duration::ZERO;
    let windows = monitor.as_maintenance_windows().unwrap();
    refused(
        windows.create_maintenance(request).await,
        &[ErrorKind::InvalidInput],
    );
}

pub(super) async fn m_114_a_window_that_is_over_is_refused(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let mut request = request(fixture);
    request.starts_at = fixture.now().saturating_sub(48 * HOUR);
    let windows = monitor.as_maintenance_windows().unwrap();
    refused(
        windows.create_maintenance(request).await,
        &[ErrorKind::InvalidInput],
    );
}

pub(super) async fn m_115_a_window_for_a_missing_check_is_not_found(fixture: &dyn MonitorFixture) {
    let monitor = fixture.monitor();
    let request = request(fixture).with_monitors(vec![fixture.missing_monitor()]);
    let windows = monitor.as_maintenance_windows().unwrap();
    refused(
        windows.create_maintenance(request).await,
        &[ErrorKind::NotFound, ErrorKind::Unsupported],
    );
}

pub(super) async fn m_116_a_deleted_window_is_not_listed(fixture: &dyn MonitorFixture) {
    let made = make(fixture).await;
    let monitor = fixture.monitor();
    let windows = monitor.as_maintenance_windows().unwrap();
    done(windows.delete_maintenance(&made.id).await);
    assert!(!listed(windows).await.contains(&made.id));
}

pub(super) async fn m_117_deleting_a_window_twice_is_success(fixture: &dyn MonitorFixture) {
    let made = make(fixture).await;
    let monitor = fixture.monitor();
    let windows = monitor.as_maintenance_windows().unwrap();
    let first = done(windows.delete_maintenance(&made.id).await);
    assert_ne!(first, DeleteOutcome::AlreadyGone);
    let again = done(windows.delete_maintenance(&made.id).await);
    assert_ne!(again, DeleteOutcome::Deleted);
}
