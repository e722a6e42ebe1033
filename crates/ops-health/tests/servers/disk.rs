//! Disks that fill up.

use std::time::{Duration, Instant};

use ops_health::checks::Disk;
use ops_health::{Check, CheckCtx, Code, Question, Status};

use crate::measure::{Found, HEALTHY, TENTH, Watched};
use crate::mount::Mount;
use crate::support::codes;

const MIB: usize = 1 << 20;

const WARNS: Found = (Status::Degraded, Code::ThresholdWarn);
const FAILS: Found = (Status::Unhealthy, Code::ThresholdFail);

#[tokio::test]
async fn a_disk_that_fills_up_warns_at_81_percent_and_fails_at_86() {
    let Some(disk) = Mount::new("size=100m") else {
        return;
    };
    let watched = Watched::start(Disk::new(disk.path()), TENTH, HEALTHY).await;
    disk.fill("most", 79 * MIB);
    tokio::time::sleep(TENTH.detection()).await;
    assert_eq!(watched.found("disk"), HEALTHY, "79 % are no warning");

    disk.fill("more", 2 * MIB);
    let since = Instant::now();
    watched
        .detects("a disk filled to 81 %", "disk", since, WARNS)
        .await;
    let verdict = watched.health.verdict(Question::Health);
    assert_eq!(verdict.status, Status::Degraded);
    let last = disk.fill("last", 5 * MIB);
    let since = Instant::now();
    watched
        .detects("a disk filled to 86 %", "disk", since, FAILS)
        .await;
    assert_eq!(codes(&watched.health), [200; 4], "it is not critical");

    std::fs::remove_file(last).unwrap();
    std::fs::remove_file(disk.path().join("more")).unwrap();
    let since = Instant::now();
    watched
        .recovers("a full disk", "disk", since, Duration::ZERO)
        .await;
}

#[tokio::test]
async fn a_disk_without_inodes_is_full_however_much_room_it_has() {
    let Some(disk) = Mount::new("size=100m,nr_inodes=1000") else {
        return;
    };
    let watched = Watched::start(Disk::new(disk.path()), TENTH, HEALTHY).await;
    for n in 0..860 {
        disk.fill(&n.to_string(), 0);
    }
    let since = Instant::now();
    watched
        .detects("a disk with 86 % of its inodes used", "disk", since, FAILS)
        .await;
}

#[tokio::test]
async fn a_mount_is_not_mistaken_for_the_one_that_it_is_in() {
    let Some(outer) = Mount::new("size=20m") else {
        return;
    };
    let Some(inner) = outer.within("size=20m") else {
        return;
    };
    outer.fill("all", 19 * MIB);
    let look = async |path: &std::path::Path| {
        let ctx = CheckCtx::new(Duration::from_secs(5));
        let outcome = Check::run(&Disk::new(path), &ctx).await;
        (outcome.status(), outcome.code())
    };
    assert_eq!(look(outer.path()).await, FAILS);
    assert_eq!(look(inner.path()).await, HEALTHY);
    std::fs::create_dir(inner.path().join("deeper")).unwrap();
    assert_eq!(look(&inner.path().join("deeper")).await, HEALTHY);
}
