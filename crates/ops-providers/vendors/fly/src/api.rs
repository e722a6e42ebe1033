//! What is sent: every operation of Fly that this crate uses, and each request as a value.
//! References: <https://docs.machines.dev> for the Machines API,
//! <https://fly.io/docs/monitoring/logs-api-options/> for logs.

use std::collections::BTreeMap;
use std::time::Duration;

use ops_core::id::{AppId, DomainId};
use ops_core::{Secret, Timestamp};
use ops_http::{ApiRequest, Operation, PagedRequest, Paging, header};
use serde_json::json;

use crate::model::body::{CreateApp, CreateMachine, CreateRelease, UpdateMachine};
use crate::model::{self, Machine, Release};

ops_http::operations! {
    /// Asks whether the DNS records of a host name are there: asking twice does no harm.
    CHECK_CERTIFICATE = Operation::post("App_Certificates_check", "/apps/{app_name}/certificates/{hostname}/check")
        .idempotent()
        .serves(&["Hosting/Domains"]);
    /// Adds a host name and asks for its certificate.
    CREATE_CERTIFICATE = Operation::post("App_Certificates_acme_create", "/apps/{app_name}/certificates/acme")
        .serves(&["Hosting/Domains"]);
    /// Removes a host name.
    DELETE_CERTIFICATE = Operation::delete("App_Certificates_delete", "/apps/{app_name}/certificates/{hostname}")
        .serves(&["Hosting/Domains"]);
    /// Lists host names.
    LIST_CERTIFICATES = Operation::get("App_Certificates_list", "/apps/{app_name}/certificates")
        .serves(&["Hosting/Domains"]);
    /// Answers a host name with the DNS records that it needs.
    SHOW_CERTIFICATE = Operation::get("App_Certificates_show", "/apps/{app_name}/certificates/{hostname}")
        .serves(&["Hosting/Domains"]);
    /// Gives an app an address.
    ASSIGN_ADDRESS = Operation::post("App_IPAssignments_create", "/apps/{app_name}/ip_assignments")
        .serves(&["Hosting"]);
    /// Lists the addresses of an app.
    LIST_ADDRESSES = Operation::get("App_IPAssignments_list", "/apps/{app_name}/ip_assignments")
        .serves(&["Hosting", "Hosting/Domains"]);
    /// Makes an app.
    CREATE_APP = Operation::post("Apps_create", "/apps")
        .serves(&["Hosting/CreateApps"]);
    /// Deletes an app and all that is in it.
    DELETE_APP = Operation::delete("Apps_delete", "/apps/{app_name}")
        .serves(&["Hosting"]);
    /// Lists the apps of an organization.
    LIST_APPS = Operation::get("Apps_list", "/apps")
        .serves(&["Hosting"]);
    /// Answers an app.
    SHOW_APP = Operation::get("Apps_show", "/apps/{app_name}")
        .serves(&["Hosting/CreateApps"]);
    /// Keeps requests away from a machine.
    CORDON_MACHINE = Operation::post("Machines_cordon", "/apps/{app_name}/machines/{machine_id}/cordon")
        .idempotent()
        .serves(&["Hosting", "Hosting/Rollback", "Hosting/Scale"]);
    /// Makes a machine.
    CREATE_MACHINE = Operation::post("Machines_create", "/apps/{app_name}/machines")
        .serves(&["Hosting", "Hosting/Rollback", "Hosting/Scale"]);
    /// Takes a lease of a machine, or prolongs it.
    LEASE_MACHINE = Operation::post("Machines_create_lease", "/apps/{app_name}/machines/{machine_id}/lease")
        .serves(&["Hosting", "Hosting/EnvVars", "Hosting/Restart", "Hosting/Rollback", "Hosting/Scale"]);
    /// Removes a machine.
    DELETE_MACHINE = Operation::delete("Machines_delete", "/apps/{app_name}/machines/{machine_id}")
        .serves(&["Hosting", "Hosting/Rollback", "Hosting/Scale"]);
    /// Lists the machines of an app.
    LIST_MACHINES = Operation::get("Machines_list", "/apps/{app_name}/machines")
        .serves(&["Hosting", "Hosting/AppSecrets", "Hosting/EnvVars", "Hosting/Logs", "Hosting/Restart", "Hosting/Rollback", "Hosting/Scale"]);
    /// Gives a lease back.
    RELEASE_MACHINE = Operation::delete("Machines_release_lease", "/apps/{app_name}/machines/{machine_id}/lease")
        .serves(&["Hosting", "Hosting/EnvVars", "Hosting/Restart", "Hosting/Rollback", "Hosting/Scale"]);
    /// Restarts a machine.
    RESTART_MACHINE = Operation::post("Machines_restart", "/apps/{app_name}/machines/{machine_id}/restart")
        .idempotent()
        .serves(&["Hosting/Restart"]);
    /// Answers a machine.
    SHOW_MACHINE = Operation::get("Machines_show", "/apps/{app_name}/machines/{machine_id}")
        .serves(&["Hosting", "Hosting/EnvVars", "Hosting/Restart", "Hosting/Rollback", "Hosting/Scale"]);
    /// Stops a machine.
    STOP_MACHINE = Operation::post("Machines_stop", "/apps/{app_name}/machines/{machine_id}/stop")
        .idempotent()
        .serves(&["Hosting", "Hosting/Rollback", "Hosting/Scale"]);
    /// Lets requests through to a machine.
    UNCORDON_MACHINE = Operation::post("Machines_uncordon", "/apps/{app_name}/machines/{machine_id}/uncordon")
        .idempotent()
        .serves(&["Hosting", "Hosting/Rollback"]);
    /// Replaces the configuration of a machine, where it is still at a certain version.
    UPDATE_MACHINE = Operation::post("Machines_update", "/apps/{app_name}/machines/{machine_id}")
        .serves(&["Hosting", "Hosting/EnvVars", "Hosting/Rollback", "Hosting/Scale"]);
    /// Waits until a machine is in a state.
    WAIT_MACHINE = Operation::get("Machines_wait", "/apps/{app_name}/machines/{machine_id}/wait")
        .serves(&["Hosting", "Hosting/EnvVars", "Hosting/Restart", "Hosting/Rollback", "Hosting/Scale"]);
    /// Removes a secret.
    DELETE_SECRET = Operation::delete("Secret_delete", "/apps/{app_name}/secrets/{secret_name}")
        .serves(&["Hosting", "Hosting/AppSecrets", "Hosting/EnvVars"]);
    /// Answers a secret with its value.
    GET_SECRET = Operation::get("Secret_get", "/apps/{app_name}/secrets/{secret_name}")
        .serves(&["Hosting", "Hosting/AppSecrets", "Hosting/EnvVars"]);
    /// Lists the names of secrets.
    LIST_SECRETS = Operation::get("Secrets_list", "/apps/{app_name}/secrets")
        .serves(&["Hosting", "Hosting/AppSecrets", "Hosting/EnvVars"]);
    /// Sets secrets: twice is the same as once.
    SET_SECRETS = Operation::post("Secrets_update", "/apps/{app_name}/secrets")
        .idempotent()
        .serves(&["Hosting/AppSecrets", "Hosting/EnvVars"]);
    /// Answers an app with its releases, newest first (GraphQL).
    APP = Operation::post("app", "/graphql")
        .safe()
        .serves(&["Hosting", "Hosting/Logs", "Hosting/Rollback", "Hosting/Scale"]);
    /// Writes down that a release begins (GraphQL).
    CREATE_RELEASE = Operation::post("createRelease", "/graphql")
        .serves(&["Hosting", "Hosting/Rollback"]);
    /// Writes down how a release goes (GraphQL): twice is the same as once.
    UPDATE_RELEASE = Operation::post("updateRelease", "/graphql")
        .idempotent()
        .serves(&["Hosting", "Hosting/Rollback"]);
    /// Reads what an app printed. Fly documents it apart from its descriptions.
    READ_LOGS = Operation::get("logs", "/api/v1/apps/{app_name}/logs")
        .serves(&["Hosting/Logs"]);
}

const APP_DOCUMENT: &str = "query($name: String!, $first: Int!, $after: String) { \
    app(name: $name) { hostname createdAt \
    releases: releasesUnprocessed(first: $first, after: $after) { \
    nodes { id version status imageRef createdAt updatedAt } \
    pageInfo { endCursor hasNextPage } } } }";

const CREATE_RELEASE_DOCUMENT: &str = "mutation($input: CreateReleaseInput!) { \
    createRelease(input: $input) { \
    release { id version status imageRef createdAt updatedAt } } }";

const UPDATE_RELEASE_DOCUMENT: &str = "mutation($input: UpdateReleaseInput!) { \
    updateRelease(input: $input) { release { id } } }";

/// How many releases one page holds.
pub(crate) const RELEASES_PER_PAGE: u32 = 50;

const DOMAINS_PER_PAGE: u32 = 500;

/// How much longer than its own time a wait may take.
const WAIT_MARGIN: Duration = Duration::from_secs(10);

const NONCE: header::HeaderName = header::HeaderName::from_static("fly-machine-lease-nonce");

fn of_app(operation: &'static Operation, app: &AppId) -> ApiRequest {
    ApiRequest::new(operation)
        .segment("app_name", app.as_str())
        .resource(app.as_str())
}

fn of_domain(operation: &'static Operation, app: &AppId, domain: &DomainId) -> ApiRequest {
    of_app(operation, app)
        .segment("hostname", domain.as_str())
        .resource(domain.as_str())
}

/// A machine, and the lease that we have of it, if any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) app: &'a AppId,
    pub(crate) machine: &'a str,
    pub(crate) nonce: Option<&'a Secret>,
}

fn of_machine(operation: &'static Operation, at: At<'_>) -> ApiRequest {
    let request = of_app(operation, at.app)
        .segment("machine_id", at.machine)
        .resource(at.machine);
    match at.nonce {
        Some(nonce) => request.secret_header(NONCE, nonce),
        None => request,
    }
}

fn of_secret(operation: &'static Operation, app: &AppId, name: &str) -> ApiRequest {
    of_app(operation, app)
        .segment("secret_name", name)
        .resource(name)
}

pub(crate) fn app(app: &AppId, first: u32) -> ApiRequest<model::AppAnswer> {
    let variables = json!({ "name": app.as_str(), "first": first, "after": null });
    ApiRequest::graphql(&APP, APP_DOCUMENT, &variables).resource(app.as_str())
}

pub(crate) fn assign_address(app: &AppId, kind: &str) -> ApiRequest {
    of_app(&ASSIGN_ADDRESS, app).body_json(&json!({ "type": kind }))
}

pub(crate) fn check_certificate(app: &AppId, domain: &DomainId) -> ApiRequest<model::Certificate> {
    of_domain(&CHECK_CERTIFICATE, app, domain).json()
}

pub(crate) fn cordon(at: At<'_>) -> ApiRequest {
    of_machine(&CORDON_MACHINE, at)
}

pub(crate) fn create_app(body: &CreateApp<'_>) -> ApiRequest {
    ApiRequest::new(&CREATE_APP)
        .resource(body.name)
        .body_json(body)
}

pub(crate) fn create_certificate(app: &AppId, name: &str) -> ApiRequest<model::Certificate> {
    of_app(&CREATE_CERTIFICATE, app)
        .resource(name)
        .body_json(&json!({ "hostname": name }))
        .json()
}

pub(crate) fn create_machine(app: &AppId, body: &CreateMachine<'_>) -> ApiRequest<Machine> {
    of_app(&CREATE_MACHINE, app).body_json(body).json()
}

pub(crate) fn create_release(body: &CreateRelease<'_>) -> ApiRequest<model::CreatedRelease> {
    let variables = json!({ "input": body });
    ApiRequest::graphql(&CREATE_RELEASE, CREATE_RELEASE_DOCUMENT, &variables).resource(body.app_id)
}

pub(crate) fn delete_app(app: &AppId) -> ApiRequest<bool> {
    of_app(&DELETE_APP, app).existed()
}

pub(crate) fn delete_certificate(app: &AppId, domain: &DomainId) -> ApiRequest<bool> {
    of_domain(&DELETE_CERTIFICATE, app, domain).existed()
}

pub(crate) fn delete_machine(at: At<'_>) -> ApiRequest<bool> {
    of_machine(&DELETE_MACHINE, at)
        .query("force", true)
        .existed()
}

pub(crate) fn delete_secret(app: &AppId, name: &str) -> ApiRequest<bool> {
    of_secret(&DELETE_SECRET, app, name).existed()
}

pub(crate) fn find_certificate(
    app: &AppId,
    domain: &DomainId,
) -> ApiRequest<Option<model::Certificate>> {
    of_domain(&SHOW_CERTIFICATE, app, domain).json_or_absent()
}

/// Answers the value of a secret, where there is one of that name.
pub(crate) fn get_secret(app: &AppId, name: &str) -> ApiRequest<Option<model::SecretValue>> {
    of_secret(&GET_SECRET, app, name)
        .query("show_secrets", true)
        .json_or_absent()
}

/// Takes a lease, or prolongs the one that is held.
pub(crate) fn lease(at: At<'_>, seconds: u64) -> ApiRequest<model::LeaseAnswer> {
    let body = json!({ "ttl": seconds, "description": "a change by ops-fly" });
    let request = of_machine(&LEASE_MACHINE, at).body_json(&body);
    // A lease that is ours already is prolonged however often it is asked for.
    if at.nonce.is_some() {
        request.idempotent()
    } else {
        request
    }
    .json()
}

pub(crate) fn list_addresses(app: &AppId) -> ApiRequest<model::Addresses> {
    of_app(&LIST_ADDRESSES, app).json()
}

pub(crate) fn list_apps(organization: &str) -> ApiRequest<model::Apps> {
    ApiRequest::new(&LIST_APPS)
        .query("org_slug", organization)
        .json()
}

pub(crate) fn list_certificates(
    app: &AppId,
) -> PagedRequest<model::Certificates, model::Certificate> {
    of_app(&LIST_CERTIFICATES, app)
        .query("limit", DOMAINS_PER_PAGE)
        .json::<model::Certificates>()
        .paged(Paging::Cursor("cursor"), |page| Ok(page.into()))
}

pub(crate) fn list_machines(app: &AppId, include_deleted: bool) -> ApiRequest<Vec<Machine>> {
    let request = of_app(&LIST_MACHINES, app);
    if include_deleted {
        request.query("include_deleted", true)
    } else {
        request
    }
    .json()
}

pub(crate) fn list_releases(app: &AppId) -> PagedRequest<model::AppAnswer, Release> {
    self::app(app, RELEASES_PER_PAGE)
        .paged(Paging::BodyCursor("/variables/after"), TryInto::try_into)
}

pub(crate) fn list_secrets(app: &AppId) -> ApiRequest<model::Secrets> {
    of_app(&LIST_SECRETS, app).json()
}

/// The lines behind an instant, oldest first; without one the newest hundred of a day.
pub(crate) fn logs(app: &AppId, token: Option<&str>) -> ApiRequest<model::LogPage> {
    of_app(&READ_LOGS, app)
        .query_opt("next_token", token)
        .json()
}

/// The token that stands for an instant.
pub(crate) fn log_token(at: Timestamp) -> String {
    format!("{}000000", at.unix_millis())
}

pub(crate) fn release_lease(at: At<'_>) -> ApiRequest {
    of_machine(&RELEASE_MACHINE, at)
}

pub(crate) fn restart(at: At<'_>) -> ApiRequest {
    of_machine(&RESTART_MACHINE, at)
}

pub(crate) fn set_secrets(app: &AppId, values: &BTreeMap<&str, &str>) -> ApiRequest {
    of_app(&SET_SECRETS, app).body_json(&json!({ "values": values }))
}

pub(crate) fn show_app(app: &AppId) -> ApiRequest<model::App> {
    of_app(&SHOW_APP, app).json()
}

pub(crate) fn show_machine(at: At<'_>) -> ApiRequest<Machine> {
    of_machine(&SHOW_MACHINE, at).json()
}

pub(crate) fn stop(at: At<'_>) -> ApiRequest {
    of_machine(&STOP_MACHINE, at).body_json(&json!({}))
}

pub(crate) fn uncordon(at: At<'_>) -> ApiRequest {
    of_machine(&UNCORDON_MACHINE, at)
}

/// What is read, changed and written back goes to the version that was read and to no other.
pub(crate) fn update_machine(at: At<'_>, body: &UpdateMachine<'_>) -> ApiRequest<Machine> {
    let request = of_machine(&UPDATE_MACHINE, at).body_json(body);
    request.json()
}

pub(crate) fn update_release(release: &str, status: &str) -> ApiRequest<model::UpdatedRelease> {
    let variables = json!({ "input": { "releaseId": release, "status": status } });
    ApiRequest::graphql(&UPDATE_RELEASE, UPDATE_RELEASE_DOCUMENT, &variables).resource(release)
}

/// Waits at the vendor, for whole seconds.
pub(crate) fn wait(at: At<'_>, version: Option<&str>, state: &str, time: Duration) -> ApiRequest {
    of_machine(&WAIT_MACHINE, at)
        .query_opt("version", version)
        .query("state", state)
        .query("timeout", time.as_secs().max(1))
        .timeout(time + WAIT_MARGIN)
}

#[cfg(test)]
mod tests;
