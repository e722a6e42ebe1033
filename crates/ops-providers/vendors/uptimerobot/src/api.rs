//! What is sent: every operation of UptimeRobot's API v3 that this crate uses, and each
//! request as a value. Reference: <https://uptimerobot.com/api/v3/>.

use ops_core::Timestamp;
use ops_core::usage::Period;
use ops_http::{ApiRequest, Operation, PagedRequest, Paging};
use serde_json::json;

use crate::model::body::MonitorBody;
use crate::model::maintenance::{Window, WindowBody};
use crate::model::page::{self, AnnouncementBody, Page};
use crate::model::{self, stats};

ops_http::operations! {
    /// Writes on a status page.
    CREATE_ANNOUNCEMENT = Operation::post("PspAnnouncementsController_create", "/psps/{pspId}/announcements")
        .serves(&["Monitor/StatusPages"]);
    /// Makes a monitor of any type, heartbeats included.
    CREATE_MONITOR = Operation::post("MonitorsController_create", "/monitors")
        .serves(&["Monitor", "Monitor/Heartbeats", "Monitor/UptimeMonitors"]);
    /// Makes a maintenance window.
    CREATE_WINDOW = Operation::post("MaintenanceWindowsController_create", "/maintenance-windows")
        .serves(&["Monitor/MaintenanceWindows"]);
    /// Deletes a monitor of any type, and its history.
    DELETE_MONITOR = Operation::delete("MonitorsController_delete", "/monitors/{id}")
        .serves(&["Monitor", "Monitor/Heartbeats", "Monitor/UptimeMonitors"]);
    /// Deletes a maintenance window.
    DELETE_WINDOW = Operation::delete("MaintenanceWindowsController_delete", "/maintenance-windows/{id}")
        .serves(&["Monitor/MaintenanceWindows"]);
    /// Answers the account that the key belongs to.
    GET_ACCOUNT = Operation::get("UserController_getMe", "/user/me")
        .serves(&["Monitor"]);
    /// Answers a monitor of any type.
    GET_MONITOR = Operation::get("MonitorsController_get", "/monitors/{id}")
        .serves(&["Monitor", "Monitor/Heartbeats", "Monitor/UptimeMonitors", "Monitor/UptimeReport"]);
    /// Answers a status page.
    GET_PAGE = Operation::get("PspController_get", "/psps/{id}")
        .serves(&["Monitor/StatusPages"]);
    /// Answers how long the answers to a monitor took.
    GET_RESPONSE_TIMES = Operation::get("MonitorsController_getMonitorResponseTimeStats", "/monitors/{id}/stats/response-time")
        .serves(&["Monitor/UptimeReport"]);
    /// Answers how much of the time a monitor was up.
    GET_UPTIME = Operation::get("MonitorsController_getMonitorUptimeStats", "/monitors/{id}/stats/uptime")
        .serves(&["Monitor/UptimeReport"]);
    /// Lists monitors of all types.
    LIST_MONITORS = Operation::get("MonitorsController_list", "/monitors")
        .serves(&["Monitor", "Monitor/Heartbeats", "Monitor/MaintenanceWindows", "Monitor/UptimeMonitors"]);
    /// Lists status pages.
    LIST_PAGES = Operation::get("PspController_list", "/psps")
        .serves(&["Monitor/StatusPages"]);
    /// Lists maintenance windows.
    LIST_WINDOWS = Operation::get("MaintenanceWindowsController_list", "/maintenance-windows")
        .serves(&["Monitor/MaintenanceWindows"]);
    /// Stops to look. UptimeRobot calls it idempotent.
    PAUSE_MONITOR = Operation::post("MonitorsController_pause", "/monitors/{id}/pause")
        .idempotent()
        .serves(&["Monitor/UptimeMonitors"]);
    /// Looks again. UptimeRobot calls it idempotent.
    START_MONITOR = Operation::post("MonitorsController_start", "/monitors/{id}/start")
        .idempotent()
        .serves(&["Monitor/UptimeMonitors"]);
    /// Sets the fields that are sent: twice is the same as once.
    UPDATE_MONITOR = Operation::patch("MonitorsController_update", "/monitors/{id}")
        .idempotent()
        .serves(&["Monitor", "Monitor/Heartbeats", "Monitor/UptimeMonitors"]);
}

/// A beat. It goes to another host, which no description is about, and so is not among
/// [`OPERATIONS`].
pub(crate) static BEAT: Operation =
    Operation::get("heartbeat", "/{key}").serves(&["Monitor", "Monitor/Heartbeats"]);

/// The most that one page of monitors may hold.
const MONITORS_PER_PAGE: u32 = 200;

fn of(operation: &'static Operation, id: u64) -> ApiRequest {
    let id = id.to_string();
    ApiRequest::new(operation)
        .segment("id", id.as_str())
        .resource(id)
}

pub(crate) fn account() -> ApiRequest<model::Account> {
    ApiRequest::new(&GET_ACCOUNT).json()
}

/// Sends a beat to the address that ends with this key, for the heartbeat of this id.
pub(crate) fn beat(key: &str, heartbeat: &str) -> ApiRequest {
    ApiRequest::new(&BEAT)
        .segment("key", key)
        .resource(heartbeat)
}

pub(crate) fn create_announcement(page: u64, body: &AnnouncementBody<'_>) -> ApiRequest {
    let page = page.to_string();
    ApiRequest::new(&CREATE_ANNOUNCEMENT)
        .segment("pspId", page.as_str())
        .resource(page)
        .body_json(body)
}

pub(crate) fn create_monitor(body: &MonitorBody) -> ApiRequest<model::Monitor> {
    ApiRequest::new(&CREATE_MONITOR).body_json(body).json()
}

pub(crate) fn create_window(body: &WindowBody) -> ApiRequest<Window> {
    ApiRequest::new(&CREATE_WINDOW).body_json(body).json()
}

pub(crate) fn delete_monitor(id: u64) -> ApiRequest<bool> {
    of(&DELETE_MONITOR, id).existed()
}

pub(crate) fn delete_window(id: u64) -> ApiRequest<bool> {
    of(&DELETE_WINDOW, id).existed()
}

pub(crate) fn monitor(id: u64) -> ApiRequest<model::Monitor> {
    of(&GET_MONITOR, id).json()
}

/// Lists all monitors, or those with a tag.
pub(crate) fn monitors(tag: Option<&str>) -> PagedRequest<Page<model::Monitor>, model::Monitor> {
    let listing = ApiRequest::new(&LIST_MONITORS)
        .query("limit", MONITORS_PER_PAGE)
        .query_opt("tags", tag);
    paged(listing.json())
}

pub(crate) fn page(id: u64) -> ApiRequest<page::StatusPage> {
    of(&GET_PAGE, id).json()
}

pub(crate) fn pages() -> PagedRequest<Page<page::StatusPage>, page::StatusPage> {
    paged(ApiRequest::new(&LIST_PAGES).json())
}

/// UptimeRobot says that a body, even an empty one, makes it accept the request.
pub(crate) fn pause_monitor(id: u64) -> ApiRequest {
    of(&PAUSE_MONITOR, id).body_json(&json!({}))
}

/// As [`pause_monitor`].
pub(crate) fn start_monitor(id: u64) -> ApiRequest {
    of(&START_MONITOR, id).body_json(&json!({}))
}

pub(crate) fn response_times(id: u64, period: Period) -> ApiRequest<stats::ResponseTimes> {
    within(of(&GET_RESPONSE_TIMES, id), period).json()
}

pub(crate) fn update_monitor(id: u64, body: &MonitorBody) -> ApiRequest<model::Monitor> {
    of(&UPDATE_MONITOR, id).body_json(body).json()
}

pub(crate) fn uptime(id: u64, period: Period) -> ApiRequest<stats::UptimeStats> {
    within(of(&GET_UPTIME, id), period).json()
}

pub(crate) fn windows() -> PagedRequest<Page<Window>, Window> {
    paged(ApiRequest::new(&LIST_WINDOWS).json())
}

/// The link to the next page is read for its cursor alone, which goes to our own base URL:
/// so no answer can send the API key elsewhere.
fn paged<T: 'static>(listing: ApiRequest<Page<T>>) -> PagedRequest<Page<T>, T> {
    listing.paged(Paging::Cursor("cursor"), Page::into_items)
}

/// The whole seconds around a period.
fn within(request: ApiRequest, period: Period) -> ApiRequest {
    let seconds = |at: Timestamp| at.strftime_utc("%Y-%m-%dT%H:%M:%SZ");
    let almost = std::time::Duration::from_nanos(999_999_999);
    request
        .query("from", seconds(period.start))
        .query("to", seconds(period.end.saturating_add(almost)))
}

#[cfg(test)]
mod tests;
