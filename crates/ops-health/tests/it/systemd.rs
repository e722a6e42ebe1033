//! What systemd hears, on a socket of our own.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ops_health::{DrainPlan, Health, Systemd, Watchdog};
use tempfile::TempDir;

use crate::support::{Scripted, seconds, service};

/// Everything heard until a datagram contains the text.
fn until(heard: &UnixDatagram, text: &str) -> Vec<String> {
    heard.set_read_timeout(Some(seconds(20))).unwrap();
    let mut all = Vec::new();
    loop {
        let mut buffer = [0; 512];
        let n = heard
            .recv(&mut buffer)
            .unwrap_or_else(|err| panic!("never heard {text}: {err}; but {all:?}"));
        all.push(String::from_utf8(buffer[..n].to_vec()).unwrap());
        if all.last().unwrap().contains(text) {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_hears_of_the_start_every_change_and_the_end() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let heard = UnixDatagram::bind(&path).unwrap();
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let health = service()
        .systemd(Systemd::new(&path, None).unwrap())
        .check(Scripted::healthy("db"))
        .startup_gate("migrations", async {
            let _ = gate.await;
            Ok(())
        })
        .drain_plan(DrainPlan::new(seconds(0), seconds(1)))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    let first = until(&heard, "STATUS=starting, unhealthy");
    assert!(
        first.join("\n").contains("EXTEND_TIMEOUT_USEC=30000000"),
        "{first:?}"
    );
    assert!(!first.join("\n").contains("READY=1"), "{first:?}");
    open.send(()).unwrap();
    let ready = until(&heard, "STATUS=serving, healthy");
    assert_eq!(ready.join("\n").matches("READY=1").count(), 1, "{ready:?}");
    health.drain().await;
    let end = until(&heard, "STOPPING=1");
    assert!(!end.join("\n").contains("READY=1"), "{end:?}");
    health.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alives_end_when_the_process_is_not_alive() {
    let name = format!("ops-health-test-{}", std::process::id());
    let heard =
        UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
    let alive = Arc::new(AtomicBool::new(true));
    let signal = Arc::clone(&alive);
    let limit = Duration::from_millis(300);
    let systemd = Systemd::new(format!("@{name}"), Some(limit)).unwrap();
    let health = service()
        .systemd(systemd)
        .watchdog(Watchdog::new().interval(Duration::from_millis(20)))
        .liveness("worker", move || signal.load(Ordering::SeqCst))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    for _ in 0..3 {
        until(&heard, "WATCHDOG=1");
    }
    alive.store(false, Ordering::SeqCst);
    // What was on its way may still come.
    std::thread::sleep(limit);
    heard.set_nonblocking(true).unwrap();
    let mut buffer = [0; 512];
    while heard.recv(&mut buffer).is_ok() {}
    std::thread::sleep(3 * limit);
    let mut late = Vec::new();
    while let Ok(n) = heard.recv(&mut buffer) {
        late.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
    }
    assert!(
        !late.iter().any(|text| text.contains("WATCHDOG=1")),
        "{late:?}"
    );
}

#[test]
fn a_keep_alive_that_cannot_come_in_time_is_a_problem_of_the_build() {
    let systemd = || Systemd::new("@x", Some(seconds(1))).unwrap();
    let without = Health::builder().systemd(systemd()).build().unwrap_err();
    assert!(without.message().contains("no watchdog"), "{without}");
    let late = Health::builder()
        .systemd(systemd())
        .watchdog(Watchdog::new())
        .build()
        .unwrap_err();
    assert!(late.message().contains("looks only every 500ms"), "{late}");
    assert!(Systemd::new("x".repeat(200), None).is_err());
}
