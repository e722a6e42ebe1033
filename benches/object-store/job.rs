//! What a contender is asked to do, and what it answers.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    PutLarge,
    GetLarge,
    PutSmall,
    GetSmall,
}

impl Kind {
    /// In an order in which what is read was written before.
    pub(crate) const ALL: [Self; 4] = [
        Self::PutLarge,
        Self::GetLarge,
        Self::PutSmall,
        Self::GetSmall,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::PutLarge => "put one large object",
            Self::GetLarge => "get one large object",
            Self::PutSmall => "put many objects of 4 KiB",
            Self::GetSmall => "get many objects of 4 KiB",
        }
    }
}

/// A job, handed to a contender on its standard input: credentials are in no argument.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access: String,
    pub(crate) signing: String,
    pub(crate) bucket: String,
    /// The file that becomes the large object.
    pub(crate) source: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) objects: usize,
    pub(crate) object_bytes: usize,
}

/// What a contender answers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) peak_mib: f64,
}

/// Bytes that do not compress, the same in each run.
pub(crate) fn write_noise(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..bytes / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    file.flush()
}
