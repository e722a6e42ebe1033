//! What goes over the wire, named as the vendor names it.

use ops_core::dns::{DnsName, ZoneState};
use ops_core::id::ZoneId;
use ops_core::{Error, ErrorKind, Result, dns};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What every answer comes in. Whether it tells of a failure has been looked at before.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<T> {
    pub(crate) result: T,
    pub(crate) result_info: Option<ResultInfo>,
}

/// An envelope whose result says nothing that we do not know.
#[derive(Debug, Deserialize)]
pub(crate) struct Accepted {}

/// Where in a list a page is. The vendor describes these as numbers of any kind.
#[derive(Debug, Deserialize)]
pub(crate) struct ResultInfo {
    page: Option<f64>,
    total_pages: Option<f64>,
}

impl ResultInfo {
    pub(crate) fn has_more(&self) -> bool {
        self.page
            .zip(self.total_pages)
            .is_some_and(|(page, last)| page < last)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Zone {
    id: String,
    name: String,
    status: Option<String>,
    name_servers: Option<Vec<String>>,
}

impl TryFrom<Zone> for dns::Zone {
    type Error = Error;

    fn try_from(zone: Zone) -> Result<Self> {
        let id = ZoneId::new(zone.id).map_err(|err| not_understood("id", err))?;
        let name = DnsName::new(zone.name).map_err(|err| not_understood("name", err))?;
        let state = match zone.status.as_deref() {
            Some("active") => ZoneState::Active,
            Some("initializing" | "pending") => ZoneState::Pending,
            other => ZoneState::Other(other.unwrap_or("unknown").to_owned()),
        };
        let servers = zone
            .name_servers
            .unwrap_or_default()
            .into_iter()
            .map(DnsName::new);
        let servers: Result<Vec<_>> = servers.collect();
        let servers = servers.map_err(|err| not_understood("name_servers", err))?;
        Ok(Self::new(id, name, state).with_name_servers(servers))
    }
}

/// One record. Depending on its type it has a `content`, a `data`, or both.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) content: Option<String>,
    pub(crate) data: Option<Map<String, Value>>,
    pub(crate) priority: Option<f64>,
    /// In seconds; 1 is the vendor's own choice.
    pub(crate) ttl: Option<f64>,
    pub(crate) proxied: Option<bool>,
}

impl Record {
    pub(crate) fn name(&self) -> Result<DnsName> {
        DnsName::new(self.name.as_str()).map_err(|err| not_understood("name", err))
    }
}

/// Changes that are made together, or not at all, in the order of the fields.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Batch {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) deletes: Vec<Named>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) patches: Vec<Patch>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) posts: Vec<NewRecord>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.deletes.is_empty() && self.patches.is_empty() && self.posts.is_empty()
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Named {
    pub(crate) id: String,
}

/// A change of a record. Its comment, tags and settings stay.
#[derive(Debug, Serialize)]
pub(crate) struct Patch {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) record: NewRecord,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct NewRecord {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) ttl: u64,
    /// Only for types that can be proxied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxied: Option<bool>,
    #[serde(flatten)]
    pub(crate) says: Says,
}

/// What a record says, in one of the vendor's forms.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Says {
    Mail { priority: u16, content: String },
    Content { content: String },
    Data { data: Map<String, Value> },
}

/// A setting of a zone. What its value is depends on the setting.
#[derive(Debug, Deserialize)]
pub(crate) struct Setting {
    #[serde(default)]
    pub(crate) value: Value,
}

/// What to remove from a cache: exactly one of these.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purge {
    Files(Vec<String>),
    Hosts(Vec<String>),
    /// Without the scheme.
    Prefixes(Vec<String>),
    #[serde(rename = "purge_everything")]
    Everything(bool),
    Tags(Vec<String>),
}

#[cold]
pub(crate) fn not_understood(field: &'static str, source: Error) -> Error {
    Error::new(
        ErrorKind::Decode,
        format!("the field {field} is not what it should be"),
    )
    .with_source(source)
}
