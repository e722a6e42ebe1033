//! What a check or a heartbeat should be: the body of a creation and of a change, and the
//! comparison with what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ops_core::monitor::{Confirmation, HeartbeatSpec, MonitorSpec};
use ops_core::{Result, Secret};
use serde::{Serialize, Serializer};

use super::Monitor;
use super::text::{KEY_TAG, tag_of_key, unescape};
use crate::error::{invalid, unsupported};

mod target;

/// The longest interval of anything: 31 days.
const MAX_INTERVAL: u64 = 2_678_400;
/// The shortest period of a heartbeat.
const MIN_PERIOD: u64 = 30;
/// The longest grace of a heartbeat: a day.
const MAX_GRACE: u64 = 86_400;
/// The longest timeout of a check.
const MAX_TIMEOUT: u64 = 60;
/// The longest name, in characters.
const MAX_NAME: usize = 250;
/// From where checks look.
const REGIONS: [&str; 4] = ["na", "eu", "as", "oc"];

/// `CreateMonitorDto` of each type, and `UpdateMonitorDto`. A field that is `None` is not
/// sent, and not compared.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MonitorBody {
    friendly_name: String,
    /// Not sent with a change, which cannot change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    interval: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_period: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_method_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_http_response_codes: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_http_headers: Option<BTreeMap<String, Exposed>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyword_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyword_case_type: Option<CaseSensitive>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyword_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssl_expiration_reminder: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Config>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region_data: Option<RegionData>,
    tag_names: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_alert_contacts: Option<[u64; 0]>,
}

/// Its parts are merged into what is there.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(skip_serializing_if = "Option::is_none")]
    ssl_expiration_period_days: Option<BTreeSet<u16>>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct RegionData {
    region: BTreeSet<String>,
    manual_selected: bool,
}

/// A secret on its way to UptimeRobot.
#[derive(Clone)]
struct Exposed(Secret);

impl Serialize for Exposed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

/// A creation takes a word, a change and every answer a number.
#[derive(Clone, Copy)]
enum CaseSensitive {
    Word,
    Number,
}

impl Serialize for CaseSensitive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Word => serializer.serialize_str("CaseSensitive"),
            Self::Number => serializer.serialize_u8(0),
        }
    }
}

impl MonitorBody {
    /// A check, where UptimeRobot can make it.
    pub(crate) fn check(spec: &MonitorSpec, min_interval: Duration) -> Result<Self> {
        if spec.confirmation != Confirmation::default() {
            return Err(unsupported("a time until a change of state counts"));
        }
        if spec.interval < min_interval {
            let least = min_interval.as_secs();
            return Err(invalid(format!("the interval is shorter than {least} s")));
        }
        let interval = seconds("interval", spec.interval, 1, MAX_INTERVAL)?;
        let timeout = seconds("timeout", spec.timeout, 1, MAX_TIMEOUT)?;
        let mut body = Self::new(&spec.key, &spec.name, interval)?;
        body.timeout = Some(timeout);
        body.look_at(&spec.target)?;
        for tag in &spec.tags {
            if tag.is_empty() || tag.contains(',') || tag.chars().any(char::is_uppercase) {
                return Err(invalid("a tag is of small letters, without a comma"));
            }
            if tag.starts_with(KEY_TAG) {
                return Err(invalid(format!("no other tag may begin with {KEY_TAG}")));
            }
            body.tag_names.insert(tag.clone());
        }
        if !spec.regions.is_empty() {
            let names = spec.regions.iter().map(|region| region.as_str().to_owned());
            let region: BTreeSet<String> = names.collect();
            if !region.iter().all(|it| REGIONS.contains(&it.as_str())) {
                return Err(invalid("a region is one of na, eu, as, oc"));
            }
            body.region_data = Some(RegionData {
                region,
                manual_selected: true,
            });
        }
        Ok(body)
    }

    /// A heartbeat, where UptimeRobot can keep it.
    pub(crate) fn heartbeat(spec: &HeartbeatSpec) -> Result<Self> {
        let period = seconds("period", spec.period, MIN_PERIOD, MAX_INTERVAL)?;
        // The part of a second that a beat may be later does no harm.
        let grace = spec.grace.as_secs() + u64::from(spec.grace.subsec_nanos() > 0);
        if grace > MAX_GRACE {
            return Err(invalid("the grace is longer than 86400 s"));
        }
        let mut body = Self::new(&spec.key, &spec.name, period)?;
        body.r#type = Some("HEARTBEAT");
        body.grace_period = Some(grace);
        Ok(body)
    }

    fn new(key: &str, name: &str, interval: u64) -> Result<Self> {
        if key.is_empty() {
            return Err(invalid("the key is empty"));
        }
        if name.is_empty() || name.chars().count() > MAX_NAME {
            return Err(invalid("a name has 1 to 250 characters"));
        }
        Ok(Self {
            friendly_name: name.to_owned(),
            r#type: None,
            url: None,
            port: None,
            interval,
            timeout: None,
            grace_period: None,
            http_method_type: None,
            success_http_response_codes: None,
            custom_http_headers: None,
            keyword_type: None,
            keyword_case_type: None,
            keyword_value: None,
            ssl_expiration_reminder: None,
            config: None,
            region_data: None,
            tag_names: BTreeSet::from([tag_of_key(key)]),
            assigned_alert_contacts: None,
        })
    }

    /// Tells nobody of what it finds.
    pub(crate) fn without_alerts(mut self) -> Self {
        self.assigned_alert_contacts = Some([]);
        self
    }

    pub(crate) fn type_name(&self) -> &'static str {
        self.r#type.unwrap_or_default()
    }

    /// The same as a change of what is there.
    pub(crate) fn as_change(&self) -> Self {
        let mut change = self.clone();
        change.r#type = None;
        change.keyword_case_type = change.keyword_case_type.map(|_| CaseSensitive::Number);
        change
    }

    /// Whether what is there is as it should be.
    pub(crate) fn is(&self, seen: &Monitor) -> bool {
        let url = seen.url.as_ref().map(|url| unescape(url.expose()));
        let keyword = seen.keyword_value.as_deref().map(unescape);
        let tags: BTreeSet<&str> = seen.tags.iter().map(|tag| tag.name.as_str()).collect();
        self.friendly_name == unescape(&seen.friendly_name)
            && seen.interval == Some(self.interval)
            && same(self.url.as_ref(), url.as_ref())
            && same(self.port.map(u64::from), seen.port)
            && same(self.timeout, seen.timeout)
            && same(self.grace_period, seen.grace_period)
            && same(self.http_method_type, Some(seen.http_method_type.as_str()))
            && same(self.keyword_value.as_ref(), keyword.as_ref())
            && same(self.keyword_type, Some(seen.keyword_type.as_str()))
            && self.has_case_of(seen)
            && self.has_codes_of(seen)
            && self.has_headers_of(seen)
            && self.has_reminders_of(seen)
            && self.has_regions_of(seen)
            && self.tag_names.iter().map(String::as_str).eq(tags)
    }

    fn has_case_of(&self, seen: &Monitor) -> bool {
        let case = self.keyword_case_type.map(|_| "0");
        same(case, Some(seen.keyword_case_type.as_str()))
    }

    fn has_codes_of(&self, seen: &Monitor) -> bool {
        let there: BTreeSet<_> = seen.success_http_response_codes.iter().collect();
        let wanted = self.success_http_response_codes.as_ref();
        wanted.is_none_or(|wanted| wanted.iter().eq(there))
    }

    fn has_headers_of(&self, seen: &Monitor) -> bool {
        let Some(wanted) = &self.custom_http_headers else {
            return true;
        };
        let there = &seen.custom_http_headers;
        let there: BTreeMap<_, _> = there
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), &value.0))
            .collect();
        let is_there = |(name, value): (&String, &Exposed)| {
            let found = there.get(name);
            found.is_some_and(|found| found.matches(value.0.expose()))
        };
        wanted.len() == there.len() && wanted.iter().all(is_there)
    }

    fn has_reminders_of(&self, seen: &Monitor) -> bool {
        let config = self.config.as_ref();
        let Some(wanted) = config.and_then(|it| it.ssl_expiration_period_days.as_ref()) else {
            return true;
        };
        let there = seen.config.as_ref();
        let there = there.map(|it| it.ssl_expiration_period_days.iter());
        let there: BTreeSet<_> = there.into_iter().flatten().collect();
        wanted.iter().eq(there) && seen.ssl_expiration_reminder == self.ssl_expiration_reminder
    }

    fn has_regions_of(&self, seen: &Monitor) -> bool {
        let there: BTreeSet<_> = seen.regional_data.names.iter().collect();
        let wanted = self.region_data.as_ref();
        wanted.is_none_or(|wanted| wanted.region.iter().eq(there))
    }
}

/// Whether a field that is wanted is there so.
fn same<T: PartialEq + Copy>(wanted: Option<T>, there: Option<T>) -> bool {
    wanted.is_none() || wanted == there
}

/// Whole seconds between two numbers of them.
fn seconds(what: &str, span: Duration, least: u64, most: u64) -> Result<u64> {
    let seconds = span.as_secs();
    if span.subsec_nanos() > 0 || !(least..=most).contains(&seconds) {
        let message = format!("the {what} is whole seconds between {least} and {most}");
        return Err(invalid(message));
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests;
