//! [`ZoneTls`] of a zone, which Cloudflare has as one setting each.
//!
//! | here | there |
//! | --- | --- |
//! | `mode` | `ssl` |
//! | `min_version` | `min_tls_version` |
//! | `http3` | `http3` |
//! | `always_https` | `always_use_https` |
//! | `hsts` | `security_header`, whose `nosniff` is left as it is |
//!
//! A value that Cloudflare does not describe is told as unknown.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future;
use ops_core::Result;
use ops_core::dns::{EdgeTlsMode, EdgeTlsVersion, Hsts, ZoneTls, ZoneTlsChange, ZoneTlsSettings};
use ops_core::id::ZoneId;
use serde_json::{Value, json};

use crate::{Cloudflare, PROVIDER, api};

const MODE: &str = "ssl";
const MIN_VERSION: &str = "min_tls_version";
const HTTP3: &str = "http3";
const ALWAYS_HTTPS: &str = "always_use_https";
const HSTS: &str = "security_header";

/// Where the part of [`HSTS`] is that this is about.
const HSTS_PART: &str = "strict_transport_security";

#[async_trait]
impl ZoneTls for Cloudflare {
    async fn tls_settings(&self, zone: &ZoneId) -> Result<ZoneTlsSettings> {
        let (settings, _) = self.settings(zone).await?;
        Ok(settings)
    }

    async fn set_tls_settings(
        &self,
        zone: &ZoneId,
        change: ZoneTlsChange,
    ) -> Result<ZoneTlsSettings> {
        let (mut settings, header) = self.settings(zone).await?;
        change.check(&settings).map_err(|err| {
            err.with_provider(PROVIDER)
                .with_operation("dns.set_tls_settings")
        })?;
        for (setting, value) in edits(change.differing_from(&settings), &header) {
            let edited = self
                .api
                .execute(api::edit_setting(zone, setting, &value))
                .await?;
            apply(&mut settings, setting, &edited.result.value);
        }
        Ok(settings)
    }
}

impl Cloudflare {
    /// All settings, and the value of [`HSTS`], of which more than we know must be kept.
    async fn settings(&self, zone: &ZoneId) -> Result<(ZoneTlsSettings, Value)> {
        let names = [MODE, MIN_VERSION, HTTP3, ALWAYS_HTTPS, HSTS];
        let get = async |setting| {
            let found = self.api.execute(api::get_setting(zone, setting)).await?;
            Ok((setting, found.result.value))
        };
        let values: Vec<(&str, Value)> = future::try_join_all(names.map(get)).await?;
        let mut settings = ZoneTlsSettings::default();
        let mut header = Value::Null;
        for (setting, value) in values {
            apply(&mut settings, setting, &value);
            if setting == HSTS {
                header = value;
            }
        }
        Ok((settings, header))
    }
}

/// The settings to change, in the order in which none of them locks visitors out.
fn edits(change: ZoneTlsChange, header: &Value) -> Vec<(&'static str, Value)> {
    let ZoneTlsChange {
        mode,
        min_version,
        http3,
        always_https,
        hsts,
        ..
    } = change;
    let hsts = hsts.map(|hsts| (hsts.is_on(), (HSTS, header_with(header, hsts))));
    let (on, off) = match hsts {
        Some((true, edit)) => (Some(edit), None),
        Some((false, edit)) => (None, Some(edit)),
        None => (None, None),
    };
    let switch = |on: bool| Value::from(if on { "on" } else { "off" });
    let edits = [
        off,
        mode.map(|mode| (MODE, mode_value(mode))),
        min_version.map(|version| (MIN_VERSION, version_value(version))),
        http3.map(|on| (HTTP3, switch(on))),
        always_https.map(|on| (ALWAYS_HTTPS, switch(on))),
        on,
    ];
    edits.into_iter().flatten().collect()
}

fn mode_value(mode: EdgeTlsMode) -> Value {
    Value::from(match mode {
        EdgeTlsMode::Off => "off".to_owned(),
        EdgeTlsMode::Flexible => "flexible".to_owned(),
        EdgeTlsMode::Full => "full".to_owned(),
        EdgeTlsMode::Strict => "strict".to_owned(),
        EdgeTlsMode::Other(word) => word,
        other => format!("{other:?}").to_lowercase(),
    })
}

fn version_value(version: EdgeTlsVersion) -> Value {
    Value::from(match version {
        EdgeTlsVersion::V1_0 => "1.0",
        EdgeTlsVersion::V1_1 => "1.1",
        EdgeTlsVersion::V1_2 => "1.2",
        _ => "1.3",
    })
}

/// The value of [`HSTS`] with other rules, and all else as it was.
fn header_with(header: &Value, hsts: Hsts) -> Value {
    let mut part = header.get(HSTS_PART).cloned().unwrap_or_else(|| json!({}));
    if let Some(part) = part.as_object_mut() {
        part.insert("enabled".to_owned(), hsts.is_on().into());
        part.insert("max_age".to_owned(), hsts.max_age.as_secs().into());
        part.insert(
            "include_subdomains".to_owned(),
            hsts.include_subdomains.into(),
        );
        part.insert("preload".to_owned(), hsts.preload.into());
    }
    json!({ HSTS_PART: part })
}

/// Reads one setting.
fn apply(settings: &mut ZoneTlsSettings, setting: &str, value: &Value) {
    match setting {
        MODE => settings.mode = value.as_str().map(mode),
        MIN_VERSION => settings.min_version = value.as_str().and_then(version),
        HTTP3 => settings.http3 = switch(value),
        ALWAYS_HTTPS => settings.always_https = switch(value),
        _ => settings.hsts = value.get(HSTS_PART).map(hsts),
    }
}

fn mode(value: &str) -> EdgeTlsMode {
    match value {
        "off" => EdgeTlsMode::Off,
        "flexible" => EdgeTlsMode::Flexible,
        "full" => EdgeTlsMode::Full,
        "strict" => EdgeTlsMode::Strict,
        other => EdgeTlsMode::Other(other.to_owned()),
    }
}

fn version(value: &str) -> Option<EdgeTlsVersion> {
    match value {
        "1.0" => Some(EdgeTlsVersion::V1_0),
        "1.1" => Some(EdgeTlsVersion::V1_1),
        "1.2" => Some(EdgeTlsVersion::V1_2),
        "1.3" => Some(EdgeTlsVersion::V1_3),
        _ => None,
    }
}

fn switch(value: &Value) -> Option<bool> {
    match value.as_str() {
        Some("on") => Some(true),
        Some("off") => Some(false),
        _ => None,
    }
}

fn hsts(part: &Value) -> Hsts {
    let is = |name: &str| part.get(name).and_then(Value::as_bool).unwrap_or_default();
    if !is("enabled") {
        return Hsts::OFF;
    }
    let max_age = part
        .get("max_age")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    Hsts::new(Duration::from_secs(max_age))
        .with_include_subdomains(is("include_subdomains"))
        .with_preload(is("preload"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    fn names(change: ZoneTlsChange) -> Vec<&'static str> {
        edits(change, &Value::Null)
            .into_iter()
            .map(|(setting, _)| setting)
            .collect()
    }

    #[test]
    fn tls_comes_before_hsts_and_hsts_goes_before_tls() {
        let on = ZoneTlsChange::hardened().with_hsts(Hsts::new(YEAR));
        assert_eq!(names(on), [MODE, MIN_VERSION, HTTP3, ALWAYS_HTTPS, HSTS]);
        let off = ZoneTlsChange::default()
            .with_mode(EdgeTlsMode::Off)
            .with_hsts(Hsts::OFF);
        assert_eq!(names(off), [HSTS, MODE]);
    }

    #[test]
    fn what_else_the_header_says_is_kept() {
        let present = json!({"strict_transport_security": {"enabled": false, "nosniff": true}});
        let hsts = Hsts::new(YEAR).with_include_subdomains(true);
        let expected = json!({"strict_transport_security": {
            "enabled": true, "max_age": 31_536_000, "include_subdomains": true, "preload": false, "nosniff": true,
        }});
        assert_eq!(header_with(&present, hsts), expected);
    }

    #[test]
    fn what_is_not_described_is_unknown() {
        let mut settings = ZoneTlsSettings::default();
        for (setting, value) in [
            (MODE, json!("origin_pull")),
            (MIN_VERSION, json!("1.4")),
            (HTTP3, json!("maybe")),
            (ALWAYS_HTTPS, json!(7)),
            (HSTS, json!(null)),
        ] {
            apply(&mut settings, setting, &value);
        }
        let expected =
            ZoneTlsSettings::default().with_mode(EdgeTlsMode::Other("origin_pull".to_owned()));
        assert_eq!(settings, expected);
    }
}
