//! The records of a zone.

use std::net::{Ipv4Addr, Ipv6Addr};

use ops_http::test_util::Recorded;
use serde_json::{Value, json};

use super::{Answer, Zone, failure, success};

/// What a request is refused with.
type Refused = (u16, u32, &'static str);

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

impl Zone {
    /// The records that are asked for, by name.
    pub(super) fn list(&self, request: &Recorded) -> Vec<Value> {
        let name = request.query("name.exact");
        let kind = request.query("type");
        let wanted = |record: &&Value| {
            name.as_deref()
                .is_none_or(|name| name.eq_ignore_ascii_case(text(record, "name")))
                && kind
                    .as_deref()
                    .is_none_or(|kind| kind == text(record, "type"))
        };
        let mut records: Vec<Value> = self.records.iter().filter(wanted).cloned().collect();
        if request.query("order").as_deref() == Some("name") {
            records.sort_by(|a, b| text(a, "name").cmp(text(b, "name")));
        }
        records
    }

    /// All of it or nothing.
    pub(super) fn batch(&mut self, body: &Value, sequence: u64) -> Answer {
        let before = self.records.clone();
        match self.try_batch(body, sequence) {
            Ok(result) => success(&result),
            Err((status, code, message)) => {
                self.records = before;
                failure(status, code, message)
            }
        }
    }

    fn try_batch(&mut self, body: &Value, sequence: u64) -> Result<Value, Refused> {
        let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        let (mut deletes, mut patches, mut posts) = (Vec::new(), Vec::new(), Vec::new());
        for delete in list("deletes") {
            deletes.push(self.take(&delete)?);
        }
        for patch in list("patches") {
            let mut record = self.take(&patch)?;
            for (field, value) in patch.as_object().into_iter().flatten() {
                record[field] = value.clone();
            }
            patches.push(self.keep(record)?);
        }
        for (post, number) in list("posts").into_iter().zip(sequence..) {
            let mut record = json!({
                "id": format!("{number:032x}"),
                "created_on": "2026-01-02T03:04:05Z", "modified_on": "2026-01-02T03:04:05Z",
                "comment": null, "tags": [], "settings": {}, "meta": {}, "proxied": false,
            });
            for (field, value) in post.as_object().into_iter().flatten() {
                record[field] = value.clone();
            }
            posts.push(self.keep(record)?);
        }
        Ok(json!({"deletes": deletes, "patches": patches, "puts": [], "posts": posts}))
    }

    fn take(&mut self, named: &Value) -> Result<Value, Refused> {
        let found = self.records.iter().position(|it| it["id"] == named["id"]);
        let index = found.ok_or((404, 81_044, "Record does not exist."))?;
        Ok(self.records.remove(index))
    }

    /// Checks a record against the others, completes it as the vendor does, and keeps it.
    fn keep(&mut self, mut record: Value) -> Result<Value, Refused> {
        let name = text(&record, "name").to_lowercase();
        let is_within = name == self.name || name.ends_with(&format!(".{}", self.name));
        // A name outside the zone is taken for one below it.
        let name = if is_within {
            name
        } else {
            format!("{name}.{}", self.name)
        };
        record["name"] = json!(name);
        let kind = text(&record, "type").to_owned();
        let content = content(&kind, &record).ok_or((400, 9005, "Content is invalid."))?;
        record["content"] = json!(content);
        let is_address = matches!(kind.as_str(), "A" | "AAAA" | "CNAME");
        record["proxiable"] = json!(is_address);
        match record["ttl"].as_u64() {
            _ if record["proxied"] == json!(true) => record["ttl"] = json!(1),
            Some(1 | 60..=86_400) => {}
            _ => {
                return Err((
                    400,
                    9021,
                    "Invalid TTL. Must be between 60 and 86400 seconds.",
                ));
            }
        }
        for other in self.records.iter().filter(|it| text(it, "name") == name) {
            let other_kind = text(other, "type");
            if other_kind == kind
                && other["content"] == record["content"]
                && other["priority"] == record["priority"]
            {
                return Err((400, 81_058, "An identical record already exists."));
            }
            let one_is_cname = (kind == "CNAME") != (other_kind == "CNAME");
            if one_is_cname && is_address && matches!(other_kind, "A" | "AAAA" | "CNAME") {
                return Err((
                    400,
                    81_053,
                    "An A, AAAA, or CNAME record with that host already exists.",
                ));
            }
        }
        self.records.push(record.clone());
        Ok(record)
    }
}

/// What the vendor shows as the content of a record; `None` where it refuses it.
fn content(kind: &str, record: &Value) -> Option<String> {
    let said = record["content"].as_str().map(str::to_owned);
    let data = &record["data"];
    Some(match kind {
        "A" => said?.parse::<Ipv4Addr>().ok()?.to_string(),
        "AAAA" => said?.parse::<Ipv6Addr>().ok()?.to_string(),
        "CAA" => format!(
            "{} {} \"{}\"",
            data["flags"],
            text(data, "tag"),
            text(data, "value")
        ),
        "SRV" => format!(
            "{} {} {}",
            data["weight"],
            data["port"],
            text(data, "target")
        ),
        "TXT" => said.filter(|it| it.starts_with('"') && it.ends_with('"'))?,
        _ => said.or_else(|| data.is_object().then(|| data.to_string()))?,
    })
}
