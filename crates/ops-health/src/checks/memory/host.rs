//! The machine's memory, and the process's.

use std::io;
use std::path::Path;

use super::{Usage, field};

const KIB: u64 = 1024;

/// What the machine uses and has.
pub(super) fn usage(root: &Path) -> io::Result<Usage> {
    let info = std::fs::read_to_string(root.join("proc/meminfo"))?;
    let kib = |name| field(&info, name).map(|n| n.saturating_mul(KIB));
    let (Some(total), Some(available)) = (kib("MemTotal:"), kib("MemAvailable:")) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "meminfo does not tell what is available",
        ));
    };
    Ok(Usage {
        used: total.saturating_sub(available),
        limit: total,
        oom_kills: None,
        rss: None,
        source: "the machine",
    })
}

/// What this process has in memory.
pub(super) fn rss(root: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(root.join("proc/self/status")).ok()?;
    field(&status, "VmRSS:").map(|n| n.saturating_mul(KIB))
}
