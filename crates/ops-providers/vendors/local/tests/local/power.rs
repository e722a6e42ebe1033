//! A machine that loses power: what was acknowledged must be on the disk.
//!
//! The store lies on an ext4 file system in an image file. What the image holds is what the
//! disk would hold: a copy of it, taken while the writer is stopped, is the disk after a
//! power failure. The options of the mount take away what ext4 does for programs that forget
//! to sync.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ops_local::Durability;

use crate::child::{Work, start};
use crate::kill::{check, expectations};
use crate::support::{Random, is_root, open, skipped};

#[expect(clippy::disallowed_methods, reason = "a tool of the system, in a test")]
fn run(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}

/// An image that is mounted, unmounted when dropped.
struct Mounted<'a>(&'a str);

impl<'a> Mounted<'a> {
    fn new(image: &str, at: &'a str) -> Option<Self> {
        let options = "loop,noauto_da_alloc,data=writeback,commit=300";
        run("mount", &["-o", options, image, at]).then_some(Self(at))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // A process that another test starts holds our files until it has become its program.
        for _ in 0..100 {
            if run("umount", &[self.0]) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("cannot unmount {}", self.0);
    }
}

/// Copies the image, again where it changed meanwhile.
fn copy_unchanged(from: &Path, to: &Path) {
    for _ in 0..20 {
        std::fs::copy(from, to).unwrap();
        if std::fs::read(from).unwrap() == std::fs::read(to).unwrap() {
            return;
        }
    }
    panic!("the image never stands still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_power_failure() {
    if !is_root() {
        return skipped("mounting an image needs root");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (live, image, copy) = (path("live"), path("image"), path("copy"));
    let (after, log) = (path("after"), path("log"));
    std::fs::create_dir(&live).unwrap();
    std::fs::create_dir(&after).unwrap();
    std::fs::File::create(&image)
        .unwrap()
        .set_len(24 << 20)
        .unwrap();
    if !run("mkfs.ext4", &["-q", "-F", &image]) {
        return skipped("mkfs.ext4 is missing");
    }
    let Some(_live) = Mounted::new(&image, &live) else {
        return skipped("mounting an image is not allowed here");
    };
    let mut random = Random(0x706f_7765);
    let work = Work::Churn {
        root: Path::new(&live),
        log: Path::new(&log),
        durability: Durability::Full,
        seed: 7,
    };
    let child = start(&work);
    let pid = child.pid();
    let mut acknowledged = 0;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_micros(20_000 + random.below(60_000))).await;
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        copy_unchanged(Path::new(&image), Path::new(&copy));
        let expected = expectations(Path::new(&log));
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();

        let mounted = Mounted::new(&copy, &after).expect("the copy cannot be mounted");
        let store = open(Path::new(&after));
        check(&store, &expected).await;
        drop((store, mounted));
        acknowledged = std::fs::read_to_string(&log)
            .unwrap()
            .matches("done")
            .count();
    }
    child.kill();
    assert!(acknowledged > 40, "only {acknowledged} writes");
}
