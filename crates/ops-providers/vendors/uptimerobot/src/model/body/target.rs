//! What a check asks.

use std::collections::{BTreeMap, BTreeSet};

use ops_core::Result;
use ops_core::monitor::{HttpMethod, HttpTarget, MonitorTarget};
use url::Url;

use super::{CaseSensitive, Config, Exposed, MonitorBody};
use crate::error::{invalid, unsupported};

/// The longest address, in characters.
const MAX_URL: usize = 10_000;
/// The longest keyword, in characters.
const MAX_KEYWORD: usize = 500;
/// The most reminders of a certificate's end, and the earliest of them.
const MAX_REMINDERS: usize = 10;
const MAX_REMINDER_DAYS: u16 = 365;
/// What counts as up by UptimeRobot's default. It is sent, so that it can be compared.
const SUCCESS: [&str; 2] = ["2xx", "3xx"];

impl MonitorBody {
    pub(super) fn look_at(&mut self, target: &MonitorTarget) -> Result<()> {
        match target {
            MonitorTarget::Http(target) => return self.ask(target),
            MonitorTarget::Tcp { host, port } => {
                if *port == 0 {
                    return Err(invalid("the port is 0"));
                }
                self.r#type = Some("PORT");
                self.url = Some(host_name(host)?);
                self.port = Some(*port);
            }
            MonitorTarget::Ping { host } => {
                self.r#type = Some("PING");
                self.url = Some(host_name(host)?);
            }
            MonitorTarget::Dns { name } => {
                self.r#type = Some("DNS");
                self.url = Some(host_name(name)?);
                // Without records to find it is looked whether the name resolves at all.
                self.config = Some(Config::default());
                // Not a field of such a check.
                self.timeout = None;
            }
            _ => return Err(unsupported("a check of this kind")),
        }
        Ok(())
    }

    fn ask(&mut self, target: &HttpTarget) -> Result<()> {
        let url = Url::parse(&target.url).map_err(|_| invalid("the address is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("the address is neither http nor https"));
        }
        if target.url.chars().count() > MAX_URL {
            return Err(invalid("the address is longer than 10000 characters"));
        }
        self.r#type = Some("HTTP");
        self.url = Some(target.url.clone());
        self.http_method_type = Some(match target.method {
            HttpMethod::Get => "GET",
            HttpMethod::Head => "HEAD",
            HttpMethod::Post => "POST",
            _ => return Err(unsupported("a check by this method")),
        });
        self.success_http_response_codes = Some(codes(&target.expected_status)?);
        let headers = target.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), Exposed(value.clone())));
        self.custom_http_headers = Some(headers.collect::<BTreeMap<_, _>>());
        self.remind(&target.certificate_expiry_days, url.scheme() == "https")?;
        match &target.keyword {
            Some(keyword) => self.find(keyword, target.method),
            None => Ok(()),
        }
    }

    fn find(&mut self, keyword: &str, method: HttpMethod) -> Result<()> {
        // UptimeRobot trims it, too.
        let keyword = keyword.trim();
        if keyword.is_empty() || keyword.chars().count() > MAX_KEYWORD {
            return Err(invalid("a keyword has 1 to 500 characters"));
        }
        if method == HttpMethod::Head {
            return Err(invalid("an answer to HEAD holds no keyword"));
        }
        self.r#type = Some("KEYWORD");
        self.keyword_type = Some("ALERT_NOT_EXISTS");
        self.keyword_case_type = Some(CaseSensitive::Word);
        self.keyword_value = Some(keyword.to_owned());
        Ok(())
    }

    fn remind(&mut self, days: &[u16], is_https: bool) -> Result<()> {
        let days: BTreeSet<u16> = days.iter().copied().collect();
        if days.len() > MAX_REMINDERS || days.iter().any(|days| *days > MAX_REMINDER_DAYS) {
            return Err(invalid(
                "a certificate has at most 10 reminders, within 365 days",
            ));
        }
        if !days.is_empty() && !is_https {
            return Err(invalid("an address with http has no certificate"));
        }
        if is_https {
            self.ssl_expiration_reminder = Some(!days.is_empty());
            self.config = Some(Config {
                ssl_expiration_period_days: Some(days),
            });
        }
        Ok(())
    }
}

fn codes(expected: &[u16]) -> Result<BTreeSet<String>> {
    if expected.is_empty() {
        return Ok(SUCCESS.map(str::to_owned).into());
    }
    if !expected.iter().all(|code| (100..600).contains(code)) {
        return Err(invalid("a status lies between 100 and 599"));
    }
    Ok(expected.iter().map(u16::to_string).collect())
}

fn host_name(host: &str) -> Result<String> {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || "/?#@".contains(c);
    if host.is_empty() || host.chars().count() > MAX_URL || host.contains(is_bad) {
        return Err(invalid("the host is no name and no address"));
    }
    Ok(host.to_owned())
}
