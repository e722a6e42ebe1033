//! The query of a probe.

/// What a query asks for. Unknown keys are passed over: probes add their own.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    pub(super) format: Option<&'a str>,
    pub(super) group: Option<&'a str>,
    pub(super) verbose: bool,
    raw: &'a str,
}

impl<'a> Query<'a> {
    pub(super) fn parse(query: Option<&'a str>) -> Self {
        let raw = query.unwrap_or_default();
        let mut parsed = Self {
            raw,
            ..Self::default()
        };
        for (key, value) in pairs(raw) {
            match key {
                "format" => parsed.format = Some(value),
                "group" => parsed.group = Some(value),
                "verbose" => parsed.verbose = value != "false" && value != "0",
                _ => {}
            }
        }
        parsed
    }

    /// Whether checks are to be left out.
    pub(super) fn has_exclusions(&self) -> bool {
        pairs(self.raw).any(|(key, _)| key == "exclude")
    }

    /// Whether `exclude` names that check. Check names need no decoding.
    pub(super) fn excludes(&self, name: &str) -> bool {
        pairs(self.raw)
            .filter(|(key, _)| *key == "exclude")
            .any(|(_, value)| value.split(',').any(|excluded| excluded == name))
    }
}

fn pairs(raw: &str) -> impl Iterator<Item = (&str, &str)> {
    raw.split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}
