//! Machines, and what can be read out of and written into their configuration.

use std::collections::BTreeMap;
use std::fmt;

use ops_core::Secret;
use ops_http::decode::or_default;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The release that made this version of a machine, as the vendor's own client writes it.
pub(crate) const RELEASE_ID: &str = "fly_release_id";
pub(crate) const RELEASE_VERSION: &str = "fly_release_version";
pub(crate) const PLATFORM: &str = "fly_platform_version";
pub(crate) const PROCESS_GROUP: &str = "fly_process_group";

/// The release for which this crate has made the machine beside the ones that served.
pub(crate) const ROLLOUT: &str = "ops_rollout";
/// The machines, by id and with commas, whose place it takes.
pub(crate) const REPLACES: &str = "ops_replaces";
/// The idempotency key of the deployment, and what was asked for with it.
pub(crate) const DEPLOY_KEY: &str = "ops_deploy_key";
pub(crate) const DEPLOY_REQUEST: &str = "ops_deploy_request";
/// What the deployment was described with.
pub(crate) const DESCRIPTION: &str = "ops_description";

/// Groups of machines that do something once, as the vendor's own client names them.
const TASKS: [&str; 3] = [
    "fly_app_release_command",
    "fly_app_test_machine_command",
    "fly_app_console",
];

/// `Machine`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Machine {
    pub(crate) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) state: String,
    pub(crate) region: Option<String>,
    pub(crate) instance_id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) config: Config,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) checks: Vec<Check>,
    /// The lease that a machine was made with.
    pub(crate) nonce: Option<Secret>,
}

/// `CheckStatus`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Check {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) status: String,
}

impl Machine {
    /// Whether it is there and serves the app, other than a machine for one task.
    pub(crate) fn serves(&self) -> bool {
        let is_gone = matches!(self.state.as_str(), "destroyed" | "destroying");
        !is_gone && !self.config.is_task()
    }

    /// Whether it runs, or is on its way.
    pub(crate) fn is_awake(&self) -> bool {
        !matches!(
            self.state.as_str(),
            "stopped" | "stopping" | "suspended" | "suspending" | "failed"
        )
    }

    /// Why it will not come up, where it will not.
    pub(crate) fn failure(&self) -> Option<String> {
        matches!(
            self.state.as_str(),
            "failed" | "stopped" | "suspended" | "destroying" | "destroyed"
        )
        .then(|| format!("machine {} is {}", self.id, self.state))
    }

    /// The first of its checks that does not pass.
    pub(crate) fn failing_check(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.status != "passing")
    }

    /// Whether it takes the place of the machine with this id.
    pub(crate) fn replaces(&self, id: &str) -> bool {
        let replaced = self.config.metadata(REPLACES).unwrap_or_default();
        replaced.split(',').any(|it| it == id)
    }
}

/// `fly.MachineConfig`, with all that it holds: it is read, changed and written back whole.
#[derive(Clone, Default, Deserialize, Serialize, PartialEq)]
#[serde(transparent)]
pub(crate) struct Config(Map<String, Value>);

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables and files that somebody else has put in may be anybody's secrets.
        f.debug_struct("Config")
            .field("image", &self.text("image"))
            .finish_non_exhaustive()
    }
}

impl Config {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get(key)?.as_str()
    }

    /// Sets an entry of the metadata, or removes it.
    pub(crate) fn set_metadata(&mut self, key: &str, value: Option<&str>) {
        let metadata = self.object("metadata");
        match value {
            Some(value) => drop(metadata.insert(key.to_owned(), value.into())),
            None => drop(metadata.remove(key)),
        }
    }

    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        let env = self.0.get("env").and_then(Value::as_object);
        let texts = env.into_iter().flatten();
        texts
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    pub(crate) fn set_env(&mut self, env: &BTreeMap<String, String>) {
        let env = env
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().into()));
        self.0
            .insert("env".to_owned(), Value::Object(env.collect()));
    }

    /// The first service, which is the one for HTTP.
    pub(crate) fn service(&self) -> Option<&Map<String, Value>> {
        self.0.get("services")?.get(0)?.as_object()
    }

    pub(crate) fn services_mut(&mut self) -> impl Iterator<Item = &mut Map<String, Value>> {
        let services = self.0.get_mut("services").and_then(Value::as_array_mut);
        services
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
    }

    /// Whether a volume binds it to its machine.
    pub(crate) fn has_volume(&self) -> bool {
        let mounts = self.0.get("mounts").and_then(Value::as_array);
        mounts.is_some_and(|mounts| !mounts.is_empty())
    }

    /// The group of processes that the vendor's own client counts it to.
    pub(crate) fn group(&self) -> &str {
        self.metadata(PROCESS_GROUP).unwrap_or("app")
    }

    fn is_task(&self) -> bool {
        let destroys_itself = self.0.get("auto_destroy").and_then(Value::as_bool);
        destroys_itself == Some(true) || TASKS.contains(&self.group())
    }

    /// An object inside, made where it is not there.
    pub(crate) fn object(&mut self, name: &str) -> &mut Map<String, Value> {
        let value = self.0.entry(name).or_insert(Value::Null);
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(object) => object,
            _ => unreachable!("it was made an object just now"),
        }
    }
}
