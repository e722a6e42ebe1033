//! The buckets of an account, as the REST API has them.

use serde_json::{Value, json};

use super::{Account, Answer, failure, success};

/// A bucket, which is one of its jurisdiction alone.
pub(crate) struct Bucket {
    pub(crate) jurisdiction: String,
    pub(crate) lifecycle: Value,
    cors: Option<Value>,
}

impl Account {
    pub(super) fn bucket(
        &mut self,
        method: &str,
        path: &[&str],
        jurisdiction: &str,
        body: &Value,
    ) -> Answer {
        if let ("POST", []) = (method, path) {
            return self.make_bucket(jurisdiction, body);
        }
        let (name, rest) = path.split_first().unwrap_or((&"", &[]));
        let found = self.buckets.get_mut(*name);
        let Some(bucket) = found.filter(|it| it.jurisdiction == jurisdiction) else {
            return failure(404, 10_006, "The specified bucket does not exist.");
        };
        match (method, rest) {
            ("DELETE", []) => {
                self.buckets.remove(*name);
                success(&json!({}))
            }
            ("GET", ["lifecycle"]) => success(&bucket.lifecycle),
            ("PUT", ["lifecycle"]) => {
                bucket.lifecycle = body.clone();
                success(&json!({}))
            }
            ("GET", ["cors"]) => match &bucket.cors {
                Some(rules) => success(rules),
                None => failure(404, 10_059, "The CORS configuration does not exist."),
            },
            ("PUT", ["cors"]) => {
                bucket.cors = Some(body.clone());
                success(&json!({}))
            }
            ("DELETE", ["cors"]) => {
                bucket.cors = None;
                success(&json!({}))
            }
            _ => failure(400, 7000, "No route for that URI"),
        }
    }

    fn make_bucket(&mut self, jurisdiction: &str, body: &Value) -> Answer {
        let name = body["name"].as_str().unwrap_or_default();
        if self.buckets.contains_key(name) {
            let message = "The bucket you tried to create already exists, and you own it.";
            return failure(409, 10_073, message);
        }
        // As the vendor does for every new bucket.
        let abort = json!({"condition": {"type": "Age", "maxAge": 604_800}});
        let rule = json!({
            "id": "Default Multipart Abort Rule", "enabled": true, "conditions": {"prefix": ""},
            "abortMultipartUploadsTransition": abort,
        });
        let bucket = Bucket {
            jurisdiction: jurisdiction.to_owned(),
            lifecycle: json!({"rules": [rule]}),
            cors: None,
        };
        self.buckets.insert(name.to_owned(), bucket);
        success(&json!({
            "name": name, "jurisdiction": jurisdiction, "storage_class": "Standard",
            "creation_date": "2026-01-02T03:04:05Z",
        }))
    }
}
