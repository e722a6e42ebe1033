//! Control groups, versions 1 and 2.

use std::path::{Path, PathBuf};

use super::{Usage, field, number};

/// What this process's group uses and may use, if it is in one.
pub(super) fn usage(root: &Path) -> Option<Usage> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    v2(root, &groups).or_else(|| v1(root, &groups))
}

fn v2(root: &Path, groups: &str) -> Option<Usage> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = root.join("sys/fs/cgroup");
    let group = existing(&mount, path, "memory.current")?;
    let current = number(&group.join("memory.current"))?;
    let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let events = std::fs::read_to_string(group.join("memory.events")).unwrap_or_default();
    Some(Usage {
        used: current.saturating_sub(field(&stat, "inactive_file").unwrap_or(0)),
        // `max` is no number, and no limit.
        limit: lowest(&mount, &group, "memory.max"),
        oom_kills: field(&events, "oom_kill"),
        rss: None,
        source: "the control group, version 2",
    })
}

fn v1(root: &Path, groups: &str) -> Option<Usage> {
    let path = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let controllers = parts.nth(1)?;
        let path = parts.next()?;
        controllers
            .split(',')
            .any(|controller| controller == "memory")
            .then_some(path)
    })?;
    let mount = root.join("sys/fs/cgroup/memory");
    let group = existing(&mount, path, "memory.usage_in_bytes")?;
    let current = number(&group.join("memory.usage_in_bytes"))?;
    let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let control = std::fs::read_to_string(group.join("memory.oom_control")).unwrap_or_default();
    Some(Usage {
        used: current.saturating_sub(field(&stat, "total_inactive_file").unwrap_or(0)),
        limit: lowest(&mount, &group, "memory.limit_in_bytes"),
        oom_kills: field(&control, "oom_kill"),
        rss: None,
        source: "the control group, version 1",
    })
}

/// The folder of the group. From inside of a container without a namespace of its own, the
/// path is the one outside, and the mount itself is the group.
fn existing(mount: &Path, path: &str, file: &str) -> Option<PathBuf> {
    let own = mount.join(path.trim_start_matches('/'));
    // A path out of the mount belongs to another namespace.
    let is_inside = !path.split('/').any(|part| part == "..");
    [own, mount.to_owned()]
        .into_iter()
        .skip(usize::from(!is_inside))
        .find(|folder| folder.join(file).exists())
}

/// The lowest limit from the group up to the mount.
fn lowest(mount: &Path, group: &Path, file: &str) -> u64 {
    group
        .ancestors()
        .take_while(|folder| folder.starts_with(mount))
        .filter_map(|folder| number(&folder.join(file)))
        .min()
        .unwrap_or(u64::MAX)
}
