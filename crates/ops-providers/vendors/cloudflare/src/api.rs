//! What is sent: each operation that this crate can send, and each request as a value.
//!
//! Cloudflare's API v4 as of its SDK 7.3.0, <https://developers.cloudflare.com/api>. Every
//! answer comes in an envelope, `model::Envelope`; lists come in numbered pages.

use ops_core::dns::RecordQuery;
use ops_core::id::ZoneId;
use ops_core::{Error, ErrorKind, Result};
use ops_http::{ApiRequest, Next, Operation, PageOf, PagedRequest, Paging};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::model::{self, Envelope};

ops_http::operations! {
    /// Changes records in one transaction. A record that is made twice is refused, not
    /// doubled, but so would be the whole batch: it is not sent again.
    BATCH_RECORDS = Operation::post("dns.records.batch", "/zones/{zone_id}/dns_records/batch")
        .serves(&["Dns"]);
    /// Changes one setting of a zone.
    EDIT_SETTING = Operation::patch("zones.settings.edit", "/zones/{zone_id}/settings/{setting_id}")
        .idempotent()
        .serves(&["Dns/ZoneTls"]);
    /// Answers one setting of a zone.
    GET_SETTING = Operation::get("zones.settings.get", "/zones/{zone_id}/settings/{setting_id}")
        .serves(&["Dns/ZoneTls"]);
    /// Answers a zone.
    GET_ZONE = Operation::get("zones.get", "/zones/{zone_id}").serves(&["Dns"]);
    /// Lists the records of a zone.
    LIST_RECORDS = Operation::get("dns.records.list", "/zones/{zone_id}/dns_records")
        .serves(&["Dns"]);
    /// Lists the zones that the token reaches.
    LIST_ZONES = Operation::get("zones.list", "/zones").serves(&["Dns"]);
    /// Removes from a zone's cache.
    PURGE_CACHE = Operation::post("cache.purge", "/zones/{zone_id}/purge_cache")
        .idempotent()
        .serves(&["Cdn", "Cdn/PurgeTags", "Cdn/PurgeHosts"]);
}

/// The number of the first page of a list.
const PAGES: Paging = Paging::Page {
    parameter: "page",
    first: 1,
};

/// Changes records in one transaction: deletes, then patches, then posts.
///
/// <https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/batch>
pub(crate) fn batch_records(zone: &ZoneId, batch: &model::Batch) -> ApiRequest<model::Accepted> {
    of_zone(&BATCH_RECORDS, zone).body_json(batch).json()
}

/// Changes one setting.
///
/// <https://developers.cloudflare.com/api/resources/zones/subresources/settings/methods/edit>
pub(crate) fn edit_setting(
    zone: &ZoneId,
    setting: &'static str,
    value: &Value,
) -> ApiRequest<Envelope<model::Setting>> {
    let request = of_zone(&EDIT_SETTING, zone).segment("setting_id", setting);
    request.body_json(&json!({ "value": value })).json()
}

/// Asks for one setting.
///
/// <https://developers.cloudflare.com/api/resources/zones/subresources/settings/methods/get>
pub(crate) fn get_setting(
    zone: &ZoneId,
    setting: &'static str,
) -> ApiRequest<Envelope<model::Setting>> {
    of_zone(&GET_SETTING, zone)
        .segment("setting_id", setting)
        .json()
}

/// Asks for a zone.
///
/// <https://developers.cloudflare.com/api/resources/zones/methods/get>
pub(crate) fn get_zone(zone: &ZoneId) -> ApiRequest<Envelope<model::Zone>> {
    of_zone(&GET_ZONE, zone).json()
}

/// Lists records, those of one name behind each other.
///
/// <https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/list>
pub(crate) fn list_records(
    zone: &ZoneId,
    query: &RecordQuery,
) -> PagedRequest<Envelope<Vec<model::Record>>, model::Record> {
    of_zone(&LIST_RECORDS, zone)
        .query("order", "name")
        .query("per_page", 100)
        .query_opt("name.exact", query.name.as_ref())
        .query_opt("type", query.kind.as_ref())
        .json()
        .paged(PAGES, page)
}

/// Lists zones.
///
/// <https://developers.cloudflare.com/api/resources/zones/methods/list>
pub(crate) fn list_zones() -> PagedRequest<Envelope<Vec<model::Zone>>, model::Zone> {
    let request = ApiRequest::new(&LIST_ZONES).query("per_page", 50);
    request.json().paged(PAGES, page)
}

/// Removes what is named from the cache.
///
/// <https://developers.cloudflare.com/api/resources/cache/methods/purge>
pub(crate) fn purge_cache(zone: &ZoneId, what: &model::Purge) -> ApiRequest<model::Accepted> {
    of_zone(&PURGE_CACHE, zone).body_json(what).json()
}

fn of_zone(operation: &'static Operation, zone: &ZoneId) -> ApiRequest {
    ApiRequest::new(operation)
        .segment("zone_id", zone.as_str())
        .resource(zone.as_str())
}

/// Takes a numbered page apart.
fn page<T: DeserializeOwned>(page: Envelope<Vec<T>>) -> Result<PageOf<T>> {
    let has_more = page.result_info.is_some_and(|info| info.has_more());
    if has_more && page.result.is_empty() {
        let message = "a page is empty, and is not the last";
        return Err(Error::new(ErrorKind::Decode, message));
    }
    Ok(PageOf {
        items: page.result,
        next: if has_more { Next::More } else { Next::End },
    })
}

#[cfg(test)]
mod tests {
    use ops_core::dns::{DnsName, RecordType};
    use ops_http::Idempotency;

    use super::*;

    #[track_caller]
    fn assert_sends<T>(request: &ApiRequest<T>, line: &str, body: &str) {
        let method = request.operation().method();
        assert_eq!(format!("{method} {}", request.path_and_query()), line);
        assert_eq!(std::str::from_utf8(request.body().unwrap()).unwrap(), body);
    }

    #[test]
    fn requests_are_what_the_vendor_expects() {
        let zone = ZoneId::new("z/1?").unwrap();
        let batch = model::Batch {
            deletes: vec![model::Named {
                id: "r1".to_owned(),
            }],
            ..model::Batch::default()
        };
        assert_sends(
            &batch_records(&zone, &batch),
            "POST /zones/z%2F1%3F/dns_records/batch",
            r#"{"deletes":[{"id":"r1"}]}"#,
        );
        assert_sends(
            &edit_setting(&zone, "ssl", &json!("strict")),
            "PATCH /zones/z%2F1%3F/settings/ssl",
            r#"{"value":"strict"}"#,
        );
        assert_sends(
            &get_setting(&zone, "http3"),
            "GET /zones/z%2F1%3F/settings/http3",
            "",
        );
        assert_sends(&get_zone(&zone), "GET /zones/z%2F1%3F", "");
        assert_sends(
            list_records(&zone, &RecordQuery::default()).first(),
            "GET /zones/z%2F1%3F/dns_records?order=name&per_page=100",
            "",
        );
        let query = RecordQuery::default()
            .with_name(DnsName::new("*.shop.example").unwrap())
            .with_kind(RecordType::Txt);
        assert_sends(
            list_records(&zone, &query).first(),
            "GET /zones/z%2F1%3F/dns_records?order=name&per_page=100&name.exact=%2A.shop.example&type=TXT",
            "",
        );
        assert_sends(list_zones().first(), "GET /zones?per_page=50", "");
        assert_sends(
            &purge_cache(&zone, &model::Purge::Hosts(vec!["shop.example".to_owned()])),
            "POST /zones/z%2F1%3F/purge_cache",
            r#"{"hosts":["shop.example"]}"#,
        );
        assert_sends(
            &purge_cache(&zone, &model::Purge::Everything(true)),
            "POST /zones/z%2F1%3F/purge_cache",
            r#"{"purge_everything":true}"#,
        );
    }

    #[test]
    fn only_the_batch_must_not_be_repeated() {
        let once: Vec<&str> = OPERATIONS
            .iter()
            .filter(|it| it.class() == Idempotency::Once)
            .map(|it| it.id())
            .collect();
        assert_eq!(once, ["dns.records.batch"]);
    }

    #[test]
    fn a_list_ends_with_its_last_page() {
        let read = |body: &str| {
            let envelope: Envelope<Vec<model::Setting>> = serde_json::from_str(body).unwrap();
            page(envelope).map(|page| page.next)
        };
        let next = |info: &str| {
            read(&format!(
                r#"{{"result": [{{"value": 1}}], "result_info": {info}}}"#
            ))
            .unwrap()
        };
        assert_eq!(next(r#"{"page": 1, "total_pages": 2}"#), Next::More);
        assert_eq!(next(r#"{"page": 2, "total_pages": 2}"#), Next::End);
        for unknown in ["null", "{}", r#"{"page": 1}"#] {
            assert_eq!(next(unknown), Next::End);
        }
        let empty = r#"{"result": [], "result_info": {"page": 1, "total_pages": 9}}"#;
        assert_eq!(read(empty).unwrap_err().kind(), ErrorKind::Decode);
    }
}
