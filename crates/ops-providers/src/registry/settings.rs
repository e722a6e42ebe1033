//! The settings of one provider, as they were written.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// The settings of one provider, as a configuration holds them. Read by serde from JSON,
/// TOML or what else it reads; with `#[serde(flatten)]` beside keys of the application:
///
/// ```
/// use ops_providers::registry::Settings;
///
/// #[derive(serde::Deserialize)]
/// struct Entry {
///     provider: String,
///     #[serde(flatten)]
///     settings: Settings,
/// }
///
/// let entry: Entry = toml::from_str(r#"
///     provider = "neon"
///     project = "spring-example-302709"
///     api_key = { env = "NEON_API_KEY" }
/// "#)?;
/// assert_eq!(entry.provider, "neon");
/// assert_eq!(format!("{:?}", entry.settings), r#"Settings(["api_key", "project"])"#);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Settings(pub(super) BTreeMap<String, serde_json::Value>);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Somebody may have written a secret after all.
        let keys: Vec<&String> = self.0.keys().collect();
        f.debug_tuple("Settings").field(&keys).finish()
    }
}
