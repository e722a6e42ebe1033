//! Pages of listings, and status pages.

use ops_core::id::StatusPageId;
use ops_core::monitor::{StatusPage as CoreStatusPage, StatusUpdate};
use ops_core::{Error, ErrorKind, Result, Timestamp};
use ops_http::decode::or_default;
use ops_http::{Next, PageOf};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::text::unescape;
use crate::error::invalid;

/// The longest headline and text of an announcement, in characters.
const MAX_TITLE: usize = 255;
const MAX_CONTENT: usize = 2_000;

/// Where pages without a domain of their own are served.
const PAGES_URL: &str = "https://stats.uptimerobot.com";

/// One page of a listing, and a link to the next.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    #[serde(default, rename = "nextLink")]
    next_link: Option<String>,
    #[serde(bound = "T: Deserialize<'de>", deserialize_with = "or_default")]
    data: Vec<T>,
}

impl<T> Page<T> {
    pub(crate) fn into_items(self) -> Result<PageOf<T>> {
        let link = self.next_link.filter(|link| !link.is_empty());
        let next = link.map_or(Ok(Next::End), |link| cursor_of(&link).map(Next::Cursor))?;
        Ok(PageOf {
            items: self.data,
            next,
        })
    }
}

/// The parameter `cursor` of a link, wherever the link leads.
fn cursor_of(link: &str) -> Result<String> {
    let query = link.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let cursor = parameters.find_map(|(name, value)| (name == "cursor").then_some(value));
    let cursor = cursor.filter(|cursor| !cursor.is_empty());
    cursor.map(Into::into).ok_or_else(|| {
        let message = "the field nextLink has no cursor";
        Error::new(ErrorKind::Decode, message)
    })
}

/// A status page, which UptimeRobot calls a PSP.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusPage {
    id: u64,
    friendly_name: String,
    custom_domain: Option<String>,
    /// The public end of its address.
    #[serde(rename = "urlKey")]
    slug: Option<String>,
}

impl TryFrom<StatusPage> for CoreStatusPage {
    type Error = Error;

    /// What the page says of its monitors is told nowhere; the status in the answer is
    /// whether it is published.
    fn try_from(page: StatusPage) -> Result<Self> {
        let id = StatusPageId::new(page.id.to_string())?;
        let seen = Self::new(id, unescape(&page.friendly_name));
        let domain = page.custom_domain.filter(|domain| !domain.is_empty());
        Ok(match (domain, page.slug) {
            (Some(domain), _) => seen.with_url(format!("https://{domain}")),
            (None, Some(slug)) => seen.with_url(format!("{PAGES_URL}/{slug}")),
            (None, None) => seen,
        })
    }
}

/// `CreatePspAnnouncementRequestDto`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnnouncementBody<'a> {
    title: &'a str,
    content: &'a str,
    status: &'static str,
    r#type: &'static str,
    start_date: String,
}

impl<'a> AnnouncementBody<'a> {
    /// An announcement that everybody sees from now on.
    pub(crate) fn new(update: &'a StatusUpdate, now: Timestamp) -> Result<Self> {
        for (what, text, longest) in [
            ("headline", &update.title, MAX_TITLE),
            ("text", &update.message, MAX_CONTENT),
        ] {
            if text.chars().count() > longest {
                let message = format!("the {what} is longer than {longest} characters");
                return Err(invalid(message));
            }
        }
        Ok(Self {
            title: &update.title,
            content: &update.message,
            status: "Published",
            r#type: "Info",
            start_date: now.strftime_utc("%Y-%m-%dT%H:%M:%S.000Z"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn the_cursor_of_a_link_is_found_wherever_it_leads() {
        for (link, cursor) in [
            ("https://api.uptimerobot.com/v3/monitors?cursor=12", "12"),
            ("/v3/monitors?limit=5&cursor=a%2Fb%26c#cursor=9", "a/b&c"),
            ("?cursor=7&limit=3", "7"),
            ("/v3/monitors?tags=a%26cursor%3D3&cursor=8", "8"),
        ] {
            assert_eq!(cursor_of(link).unwrap(), cursor);
        }
        for link in ["nonsense", "/v3/monitors", "?cursor=", "?limit=1"] {
            let err = cursor_of(link).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Decode, "{link}");
        }
    }

    #[test]
    fn the_last_page_is_told_from_the_others() {
        for last in [
            json!({ "data": [], "nextLink": null }),
            json!({ "data": null, "nextLink": "" }),
        ] {
            let page: Page<u8> = from_value(last).unwrap();
            assert_eq!(page.into_items().unwrap().next, Next::End);
        }
    }

    #[test]
    fn a_page_is_served_at_its_own_domain_where_it_has_one() {
        let page =
            |told| CoreStatusPage::try_from(from_value::<StatusPage>(told).unwrap()).unwrap();
        let told =
            json!({ "id": 4, "friendlyName": "Q&amp;A", "customDomain": "", "urlKey": "x1" });
        let seen = page(told);
        assert_eq!(seen.name, "Q&A");
        assert_eq!(
            seen.url.as_deref(),
            Some("https://stats.uptimerobot.com/x1")
        );
        let told = json!({
            "id": 4, "friendlyName": "Q", "customDomain": "status.example", "urlKey": "x1",
        });
        assert_eq!(page(told).url.as_deref(), Some("https://status.example"));
    }
}
