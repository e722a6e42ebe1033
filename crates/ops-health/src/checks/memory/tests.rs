use std::fs;

use tempfile::TempDir;

use super::*;

const MIB: u64 = 1024 * 1024;

/// A machine with 8 GiB, of which 2 GiB are used, and a process of 64 MiB.
fn machine(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    let common = [
        (
            "proc/meminfo",
            "MemTotal:        8388608 kB\nMemFree:          100000 kB\nMemAvailable:    6291456 kB\n",
        ),
        ("proc/self/status", "Name:\tx\nVmRSS:\t   65536 kB\n"),
    ];
    for (path, text) in common.iter().chain(files) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn write(root: &TempDir, path: &str, text: &str) {
    fs::write(root.path().join(path), text).unwrap();
}

async fn look(check: &Memory) -> Outcome {
    check.run(&CheckCtx::new(Duration::from_secs(5))).await
}

async fn found(check: &Memory) -> (Status, Code) {
    let outcome = look(check).await;
    (outcome.status(), outcome.code())
}

fn observed(outcome: &Outcome, name: &str) -> f64 {
    let all = outcome.observations();
    all.iter().find(|o| o.name == name).unwrap().value
}

#[expect(clippy::cast_precision_loss, reason = "mebibytes")]
fn bytes(n: u64) -> f64 {
    n as f64
}

fn v2(current: u64, inactive: u64, max: &str) -> TempDir {
    let (current, stat) = (
        current.to_string(),
        format!("anon 1\ninactive_file {inactive}\n"),
    );
    machine(&[
        ("proc/self/cgroup", "0::/system.slice/app.service\n"),
        ("sys/fs/cgroup/memory.current", "999999999\n"),
        ("sys/fs/cgroup/system.slice/memory.max", "max\n"),
        (
            "sys/fs/cgroup/system.slice/app.service/memory.current",
            &current,
        ),
        ("sys/fs/cgroup/system.slice/app.service/memory.max", max),
        ("sys/fs/cgroup/system.slice/app.service/memory.stat", &stat),
        (
            "sys/fs/cgroup/system.slice/app.service/memory.events",
            "low 0\noom 0\noom_kill 0\noom_group_kill 0\n",
        ),
    ])
}

#[tokio::test]
async fn a_group_of_version_2_is_judged_by_its_own_limit_and_without_cache() {
    let max = (256 * MIB).to_string();
    for (used, expected) in [
        (204, (Status::Healthy, Code::Ok)),
        (205, (Status::Degraded, Code::ThresholdWarn)),
        (230, (Status::Degraded, Code::ThresholdWarn)),
        (231, (Status::Unhealthy, Code::ThresholdFail)),
    ] {
        let root = v2((used + 25) * MIB, 25 * MIB, &max);
        assert_eq!(
            found(&Memory::new().root(root.path())).await,
            expected,
            "{used} MiB"
        );
    }
    let root = v2(100 * MIB, 0, &max);
    let outcome = look(&Memory::new().root(root.path())).await;
    assert!((observed(&outcome, "limit") - bytes(256 * MIB)).abs() < 1.0);
    assert!((observed(&outcome, "rss") - bytes(64 * MIB)).abs() < 1.0);
}

#[tokio::test]
async fn the_limit_of_a_group_above_holds_too() {
    let root = v2(300 * MIB, 0, "max\n");
    write(
        &root,
        "sys/fs/cgroup/system.slice/memory.max",
        &(320 * MIB).to_string(),
    );
    let check = Memory::new().root(root.path());
    assert_eq!(
        found(&check).await,
        (Status::Unhealthy, Code::ThresholdFail)
    );
}

#[tokio::test]
async fn without_a_limit_the_machine_counts() {
    for max in ["max\n".to_owned(), (64 * 1024 * MIB).to_string()] {
        let root = v2(100 * MIB, 0, &max);
        let outcome = look(&Memory::new().root(root.path())).await;
        assert!(
            (observed(&outcome, "utilization") - 0.25).abs() < 1e-9,
            "{max}"
        );
    }
    let root = machine(&[]);
    let outcome = look(&Memory::new().root(root.path())).await;
    assert!((observed(&outcome, "utilization") - 0.25).abs() < 1e-9);
}

#[tokio::test]
async fn a_limit_of_our_own_is_held_against_what_is_ours() {
    let fail = (Status::Unhealthy, Code::ThresholdFail);
    for (used, own, expected) in [
        (100, 256, (Status::Healthy, Code::Ok)),
        (250, 256, fail),
        // The lower of the two.
        (250, 1024, (Status::Degraded, Code::ThresholdWarn)),
    ] {
        let root = v2(used * MIB, 0, &(300 * MIB).to_string());
        let check = Memory::new().root(root.path()).limit(own * MIB);
        assert_eq!(found(&check).await, expected, "{used} of {own} MiB");
    }
    let root = v2(250 * MIB, 0, "max\n");
    let check = Memory::new().root(root.path()).limit(256 * MIB);
    assert_eq!(found(&check).await, fail);
    // Without a group, what this process has in memory: 64 MiB.
    let root = machine(&[]);
    let check = Memory::new().root(root.path()).limit(70 * MIB);
    assert_eq!(found(&check).await, fail);
}

#[tokio::test]
async fn a_group_of_version_1_is_read_as_well() {
    let root = machine(&[
        (
            "proc/self/cgroup",
            "12:cpu,cpuacct:/docker/1\n5:memory:/docker/1\n1:name=systemd:/\n0::/\n",
        ),
        // The path of the outside is not there inside: the mount is the group.
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "241172480\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
        (
            "sys/fs/cgroup/memory/memory.stat",
            "inactive_file 1\ntotal_inactive_file 20971520\n",
        ),
        (
            "sys/fs/cgroup/memory/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        ),
    ]);
    let outcome = look(&Memory::new().root(root.path())).await;
    assert!((observed(&outcome, "used") - bytes(210 * MIB)).abs() < 1.0);
    assert!((observed(&outcome, "oom_kills") - 3.0).abs() < 1e-9);
    assert_eq!(outcome.code(), Code::ThresholdWarn);
    // What version 1 calls unlimited.
    write(
        &root,
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "9223372036854771712\n",
    );
    let outcome = look(&Memory::new().root(root.path())).await;
    assert_eq!(outcome.code(), Code::Ok);
}

#[tokio::test]
async fn a_kill_since_the_last_run_degrades_once() {
    let root = v2(10 * MIB, 0, &(256 * MIB).to_string());
    let events = "sys/fs/cgroup/system.slice/app.service/memory.events";
    write(&root, events, "oom_kill 2\n");
    let check = Memory::new().root(root.path());
    // Kills of the time before are history.
    assert_eq!(found(&check).await, (Status::Healthy, Code::Ok));
    write(&root, events, "oom_kill 3\n");
    assert_eq!(found(&check).await, (Status::Degraded, Code::Exhausted));
    assert_eq!(found(&check).await, (Status::Healthy, Code::Ok));
}

#[tokio::test]
async fn a_machine_that_tells_nothing_is_an_error_and_no_panic() {
    let root = TempDir::new().unwrap();
    let check = Memory::new().root(root.path());
    assert_eq!(found(&check).await, (Status::Unhealthy, Code::NotFound));
    let root = machine(&[
        ("proc/meminfo", "nonsense\n"),
        ("proc/self/cgroup", "0::/../x\n"),
    ]);
    let check = Memory::new().root(root.path());
    assert_eq!(found(&check).await, (Status::Unhealthy, Code::Failed));
}

#[tokio::test]
async fn this_machine_has_a_plausible_use() {
    let outcome = look(&Memory::new()).await;
    let used = observed(&outcome, "utilization");
    assert!((0.0..=1.0).contains(&used), "{outcome:?}");
    assert!(observed(&outcome, "rss") > 1e6);
}
