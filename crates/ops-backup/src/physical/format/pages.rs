//! What came of looking at pages.

/// What came of verifying the checksums of the pages of relations.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PageChecks {
    /// Nobody has looked. This is not a pass.
    NotChecked {
        /// Why.
        reason: String,
    },
    /// The pages were looked at.
    Checked {
        /// How many pages have the checksum that they should have.
        good: u64,
        /// How many pages were passed over because they are new and hold nothing.
        new: u64,
        /// How many pages were passed over because they were written after the backup had
        /// begun: they may be torn, and recovery writes them anew.
        recent: u64,
        /// How many pages do not have the checksum that they should have.
        bad: u64,
        /// The first of those that are bad, up to a thousand.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        bad_pages: Vec<BadPage>,
        /// Whether the server has found damaged pages, too, by its own check.
        server_found_bad: bool,
    },
}

impl PageChecks {
    /// Whether a damaged page was found, by us or by the server.
    #[must_use]
    pub fn found_bad(&self) -> bool {
        matches!(self, Self::Checked { bad, server_found_bad, .. } if *bad > 0 || *server_found_bad)
    }
}

/// A page whose checksum is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct BadPage {
    /// The file, relative to the data folder.
    pub path: String,
    /// The page's number in the relation's fork, from 0: that by which PostgreSQL names it.
    pub block: u32,
    /// The checksum that it has.
    pub found: u16,
    /// The checksum that it should have.
    pub expected: u16,
}

impl BadPage {
    /// A page of a file.
    #[must_use]
    pub fn new(path: impl Into<String>, block: u32, found: u16, expected: u16) -> Self {
        Self {
            path: path.into(),
            block,
            found,
            expected,
        }
    }
}
