//! The heartbeat to somebody outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ops_core::memory::MemoryMonitor;
use ops_core::monitor::{BeatKind, HeartbeatSpec, Heartbeats};
use ops_core::{ErrorKind, Monitor};
use ops_health::{DeadMan, Health, Question, Watch, WatchTask};
use tokio::time::sleep;

use crate::support::{WallClock, minutes, seconds, watch};

struct Setup {
    monitor: MemoryMonitor,
    watch: Watch,
    alive: Arc<AtomicBool>,
    running: Option<WatchTask>,
    _scheduler: ops_health::Scheduler,
}

fn setup(change: impl FnOnce(DeadMan) -> DeadMan) -> Setup {
    let clock = WallClock::new();
    let alive = Arc::new(AtomicBool::new(true));
    let signal = Arc::clone(&alive);
    let health = Health::builder()
        .service("shop")
        .clock(Arc::new(clock.clone()))
        .liveness("worker", move || signal.load(Ordering::SeqCst))
        .build()
        .unwrap();
    let monitor = MemoryMonitor::with_clock(Arc::new(clock));
    let spec = HeartbeatSpec::new("shop", minutes(1));
    let dead_man = DeadMan::new(Arc::new(monitor.clone()), spec);
    let watch = watch(&health).dead_man(change(dead_man)).build().unwrap();
    let scheduler = health.start().unwrap();
    let running = Some(watch.start().unwrap());
    Setup {
        monitor,
        watch,
        alive,
        running,
        _scheduler: scheduler,
    }
}

impl Setup {
    async fn heartbeat(&self) -> ops_core::id::HeartbeatId {
        use futures_util::StreamExt as _;
        let listed: Vec<_> = self.monitor.list_heartbeats().collect().await;
        listed.into_iter().next().unwrap().unwrap().id
    }

    async fn beats(&self) -> usize {
        let id = self.heartbeat().await;
        let beats = self.monitor.beats(&id).unwrap();
        assert!(beats.iter().all(|one| one.beat.kind == BeatKind::Success));
        beats.len()
    }
}

#[tokio::test(start_paused = true)]
async fn it_beats_once_a_period() {
    let setup = setup(|one| one);
    sleep(seconds(30)).await;
    assert_eq!(setup.beats().await, 1);
    sleep(minutes(10)).await;
    assert_eq!(setup.beats().await, 11);
    let report = &setup.watch.heartbeats()[0];
    assert_eq!(
        (report.beats, report.withheld, report.consecutive_failures),
        (11, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_withheld_while_the_process_is_not_alive() {
    let setup = setup(|one| one);
    sleep(seconds(90)).await;
    assert_eq!(setup.beats().await, 2);
    setup.alive.store(false, Ordering::SeqCst);
    sleep(minutes(10)).await;
    assert_eq!(setup.beats().await, 2);
    assert!(setup.watch.heartbeats()[0].withheld > 10);
    setup.alive.store(true, Ordering::SeqCst);
    sleep(seconds(10)).await;
    assert_eq!(
        setup.beats().await,
        3,
        "a process that is well again says so soon"
    );
}

#[tokio::test(start_paused = true)]
async fn it_can_be_asked_to_tell_of_every_outage() {
    let setup = setup(|one| one.while_good(Question::Ready));
    sleep(seconds(30)).await;
    assert_eq!(setup.beats().await, 1);
    setup.alive.store(false, Ordering::SeqCst);
    sleep(minutes(5)).await;
    assert_eq!(setup.beats().await, 1);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_watch() {
    let mut setup = setup(|one| one);
    sleep(seconds(30)).await;
    setup.running.take();
    sleep(minutes(10)).await;
    assert_eq!(setup.beats().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_somebody_deleted_is_made_again() {
    let setup = setup(|one| one);
    sleep(seconds(30)).await;
    let id = setup.heartbeat().await;
    setup.monitor.delete_heartbeat(&id).await.unwrap();
    sleep(minutes(2)).await;
    assert_ne!(setup.heartbeat().await, id);
    assert!(setup.beats().await >= 1);
    assert_eq!(setup.watch.heartbeats()[0].last_failure, None);
}

/// A monitor whose vendor never answers.
#[derive(Debug)]
struct Hangs;

#[ops_core::async_trait]
impl Monitor for Hangs {
    fn provider(&self) -> ops_core::ProviderId {
        "hangs".into()
    }

    fn limits(&self) -> ops_core::monitor::MonitorLimits {
        ops_core::monitor::MonitorLimits::default()
    }

    async fn describe(&self) -> ops_core::Result<ops_core::monitor::MonitorDescription> {
        Err(ops_core::Error::unsupported("describing"))
    }

    async fn self_test(&self) -> ops_core::Result<ops_core::monitor::SelfTest> {
        Err(ops_core::Error::unsupported("testing"))
    }

    fn as_heartbeats(&self) -> Option<&dyn Heartbeats> {
        Some(self)
    }
}

#[ops_core::async_trait]
impl Heartbeats for Hangs {
    fn list_heartbeats(&self) -> ops_core::ItemStream<ops_core::monitor::Heartbeat> {
        Box::pin(futures_util::stream::empty())
    }

    async fn heartbeat(
        &self,
        _: &ops_core::id::HeartbeatId,
    ) -> ops_core::Result<ops_core::monitor::Heartbeat> {
        std::future::pending().await
    }

    async fn ensure_heartbeat(
        &self,
        _: HeartbeatSpec,
    ) -> ops_core::Result<ops_core::Ensured<ops_core::monitor::Heartbeat>> {
        std::future::pending().await
    }

    async fn beat(
        &self,
        _: &ops_core::monitor::Heartbeat,
        _: ops_core::monitor::Beat,
    ) -> ops_core::Result<()> {
        std::future::pending().await
    }

    async fn delete_heartbeat(
        &self,
        _: &ops_core::id::HeartbeatId,
    ) -> ops_core::Result<ops_core::DeleteOutcome> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_never_answers_is_asked_again_and_told_of() {
    let health = Health::builder().service("shop").build().unwrap();
    let spec = HeartbeatSpec::new("shop", minutes(1));
    let watch = watch(&health)
        .dead_man(DeadMan::new(Arc::new(Hangs), spec))
        .build()
        .unwrap();
    let (_checks, _watching) = (health.start().unwrap(), watch.start().unwrap());
    sleep(minutes(5)).await;
    let report = &watch.heartbeats()[0];
    assert!(report.consecutive_failures > 4, "{report:?}");
    assert_eq!(
        (report.beats, report.last_failure),
        (0, Some(ErrorKind::Timeout))
    );
    assert!(watch.alerts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_check_of_heartbeats_hears_of_every_beat() {
    use ops_health::checks::{Heartbeat, LastSuccess};
    let last = LastSuccess::new();
    let check = Heartbeat::new(last.clone(), minutes(1));
    let setup = setup(|one| one.reports_to(last));
    let health = Health::builder().check(check).build().unwrap();
    let _scheduler = health.start().unwrap();
    sleep(minutes(10)).await;
    assert_eq!(health.checks()[0].status, ops_health::Status::Healthy);
    setup.alive.store(false, Ordering::SeqCst);
    sleep(minutes(10)).await;
    assert_eq!(health.checks()[0].status, ops_health::Status::Unhealthy);
}
