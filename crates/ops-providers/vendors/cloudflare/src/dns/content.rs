//! What a record says, between the vendor's forms and ours.
//!
//! Some types have a `content`, `MX` with a `priority` beside it, and some a `data` with
//! fields. The fields are those of zone files in their order, so all of them go through that
//! text.

use ops_core::dns::{RecordData, RecordType};
use ops_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use super::text;
use crate::model::{Record, Says};

/// One field of `data`.
enum Field {
    Number(&'static str),
    Text(&'static str),
}

use Field::{Number, Text};

/// The fields of a type that has `data`, in the order of zone files.
fn fields(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "CAA" => &[Number("flags"), Text("tag"), Text("value")],
        "CERT" => &[
            Number("type"),
            Number("key_tag"),
            Number("algorithm"),
            Text("certificate"),
        ],
        "DNSKEY" => &[
            Number("flags"),
            Number("protocol"),
            Number("algorithm"),
            Text("public_key"),
        ],
        "DS" => &[
            Number("key_tag"),
            Number("algorithm"),
            Number("digest_type"),
            Text("digest"),
        ],
        "HTTPS" | "SVCB" => &[Number("priority"), Text("target"), Text("value")],
        "SMIMEA" | "TLSA" => &[
            Number("usage"),
            Number("selector"),
            Number("matching_type"),
            Text("certificate"),
        ],
        "SRV" => &[
            Number("priority"),
            Number("weight"),
            Number("port"),
            Text("target"),
        ],
        "SSHFP" => &[Number("algorithm"), Number("type"), Text("fingerprint")],
        _ => return None,
    })
}

/// What a record of the vendor says.
pub(super) fn read(record: &Record) -> Result<RecordData> {
    let kind = RecordType::from_name(&record.kind);
    let content = record.content.as_deref().unwrap_or_default();
    let text = match (&kind, fields(kind.as_str()), &record.data) {
        (RecordType::Txt, ..) => text::unquoted(content),
        (RecordType::Mx, ..) => format!("{} {content}", record.priority.unwrap_or_default()),
        (_, Some(fields), Some(data)) => joined(fields, data),
        _ if content.is_empty() => return Err(Error::new(ErrorKind::Decode, "nothing is said")),
        _ => content.to_owned(),
    };
    RecordData::parse(&kind, &text)
}

/// The vendor's form of what a record says.
pub(super) fn write(data: &RecordData) -> Result<Says> {
    let kind = data.kind();
    if let Some(fields) = fields(kind.as_str()) {
        let data = split(fields, &data.to_string());
        return data.map(|data| Says::Data { data }).ok_or_else(|| {
            let problem = format!("not what a record of type {kind} says");
            Error::new(ErrorKind::InvalidInput, problem)
        });
    }
    Ok(match data {
        RecordData::Mx {
            preference,
            exchange,
        } => Says::Mail {
            priority: *preference,
            content: exchange.to_string(),
        },
        RecordData::Txt(text) => Says::Content {
            content: text::quoted(text),
        },
        RecordData::A(_) | RecordData::Aaaa(_) | RecordData::Cname(_) | RecordData::Ns(_) => {
            Says::Content {
                content: data.to_string(),
            }
        }
        RecordData::Other { kind, text } if matches!(kind.as_str(), "OPENPGPKEY" | "PTR") => {
            Says::Content {
                content: text.clone(),
            }
        }
        _ => {
            let problem = format!("records of type {kind} cannot be written");
            return Err(Error::new(ErrorKind::Unsupported, problem));
        }
    })
}

fn joined(fields: &[Field], data: &Map<String, Value>) -> String {
    let field = |field: &Field| {
        let (Number(name) | Text(name)) = field;
        match data.get(*name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    };
    let fields: Vec<String> = fields.iter().map(field).collect();
    fields.join(" ").trim_end().to_owned()
}

/// The last field takes what is left, which may be nothing.
fn split(fields: &[Field], text: &str) -> Option<Map<String, Value>> {
    let mut rest = text.trim();
    let mut data = Map::new();
    for (index, field) in fields.iter().enumerate() {
        let is_last = index + 1 == fields.len();
        let (word, behind) = if is_last {
            (rest, "")
        } else {
            rest.split_once(char::is_whitespace).unwrap_or((rest, ""))
        };
        rest = behind.trim_start();
        let (name, value) = match field {
            Number(name) => (name, Value::from(word.parse::<u16>().ok()?)),
            Text(name) => (name, Value::from(word)),
        };
        data.insert((*name).to_owned(), value);
    }
    Some(data)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn data(kind: &str, text: &str) -> RecordData {
        RecordData::parse(&RecordType::from_name(kind), text).unwrap()
    }

    /// The record that the vendor has of what was written.
    fn kept(kind: &str, says: &Says) -> Record {
        let mut record = serde_json::to_value(says).unwrap();
        record["id"] = json!("r1");
        record["name"] = json!("shop.example");
        record["type"] = json!(kind);
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn what_is_written_is_what_the_vendor_expects() {
        for (kind, text, expected) in [
            ("A", "192.0.2.7", json!({"content": "192.0.2.7"})),
            (
                "MX",
                "10 mx.shop.example",
                json!({"priority": 10, "content": "mx.shop.example"}),
            ),
            ("TXT", "a\"b", json!({"content": "\"a\\\"b\""})),
            (
                "SRV",
                "1 2 443 sip.shop.example",
                json!({"data": {"priority": 1, "weight": 2, "port": 443, "target": "sip.shop.example"}}),
            ),
            (
                "CAA",
                "0 issue authority.example; validationmethods=dns-01",
                json!({"data": {"flags": 0, "tag": "issue", "value": "authority.example; validationmethods=dns-01"}}),
            ),
            (
                "HTTPS",
                "1 .",
                json!({"data": {"priority": 1, "target": ".", "value": ""}}),
            ),
            (
                "TLSA",
                "3 1 1 0123abcd",
                json!({"data": {"usage": 3, "selector": 1, "matching_type": 1, "certificate": "0123abcd"}}),
            ),
            ("PTR", "shop.example", json!({"content": "shop.example"})),
        ] {
            let said = data(kind, text);
            let says = write(&said).unwrap();
            assert_eq!(serde_json::to_value(&says).unwrap(), expected);
            assert_eq!(read(&kept(kind, &says)).unwrap(), said, "{kind}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let err = write(&data("LOC", "51 30 12 N 0 7 39 W 0m")).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported);
        for (kind, text) in [
            ("TLSA", "three 1 1 00"),
            ("DS", "70000 1 1 00"),
            ("SSHFP", ""),
        ] {
            let err = write(&data(kind, text)).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput, "{kind} {text}");
        }
    }

    #[test]
    fn a_record_that_says_nothing_is_not_understood() {
        for kind in ["A", "MX", "SRV", "CAA", "LOC"] {
            let record = json!({"id": "r1", "name": "shop.example", "type": kind});
            read(&serde_json::from_value(record).unwrap()).unwrap_err();
        }
    }
}
