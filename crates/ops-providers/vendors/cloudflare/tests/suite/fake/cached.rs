//! What is cached in front of a zone.

use serde_json::{Value, json};

use super::{Answer, Zone, failure, success};

/// What one request may name: <https://developers.cloudflare.com/cache/how-to/purge-cache>.
const MOST: usize = 100;

impl Zone {
    /// Forgets what a body names.
    pub(super) fn purge(&mut self, id: &str, body: Value) -> Answer {
        let names = |field: &str| -> Vec<String> {
            let listed = body[field].as_array().into_iter().flatten();
            listed
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let [files, prefixes, tags, hosts] = ["files", "prefixes", "tags", "hosts"].map(names);
        let count = files.len() + prefixes.len() + tags.len() + hosts.len();
        let everything = body["purge_everything"] == json!(true);
        if (count == 0) != everything || count > MOST {
            return failure(
                400,
                1012,
                "Request must contain what to purge, and not too much",
            );
        }
        self.cached.retain(|url, marks| {
            let place = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            let host = place.split('/').next().unwrap_or_default();
            let is_named = everything
                || files.contains(url)
                || prefixes.iter().any(|prefix| place.starts_with(prefix))
                || tags.iter().any(|tag| marks.contains(tag))
                || hosts.iter().any(|name| name == host);
            !is_named
        });
        self.purges.push(body);
        success(&json!({ "id": id }))
    }
}
