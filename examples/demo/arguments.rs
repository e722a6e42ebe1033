//! The command line.

use std::path::PathBuf;

use crate::Result;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// How much data pgbench makes in the throwaway server, in bytes. Other kinds of rows
    /// come on top.
    pub(crate) size_bytes: u64,
    pub(crate) json: Option<PathBuf>,
    pub(crate) database_url: Option<String>,
    pub(crate) store: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut parsed = Self {
            size_bytes: 300_000_000,
            json: None,
            database_url: None,
            store: None,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--size" => parsed.size_bytes = parse_size(&value()?)?,
                "--json" => parsed.json = Some(value()?.into()),
                "--database-url" => parsed.database_url = Some(value()?),
                "--store" => parsed.store = Some(value()?.into()),
                _ => {
                    return Err(format!(
                        "{name} is not known; see the head of examples/demo/main.rs"
                    )
                    .into());
                }
            }
        }
        if parsed.database_url.is_some() != parsed.store.is_some() {
            return Err("--database-url and --store go together".into());
        }
        Ok(parsed)
    }
}

/// `300MB`, `3GB`, or bytes.
fn parse_size(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 1,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        other => return Err(format!("{other} is not a unit of size; MB and GB are").into()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text} is not a size"))?;
    Ok(number.saturating_mul(unit))
}
