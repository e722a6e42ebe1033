//! Every shape, for everybody and for authorized callers, against files in `golden`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ops_health::{Check, CheckCtx, Code, Health, Kind, Outcome, Policy, Scheduler, Unit};
use ops_testkit::ManualClock;

use crate::support::{Act, Reply, Scripted, exact, get, get_authorized, seconds, service};

/// A check that takes 1.2 ms and always finds the same.
struct Fixed(&'static str, Kind, Outcome);

impl Check for Fixed {
    fn name(&self) -> &str {
        self.0
    }

    fn kind(&self) -> Kind {
        self.1
    }

    fn policy(&self) -> Policy {
        exact()
    }

    async fn run(&self, _ctx: &CheckCtx) -> Outcome {
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.2.clone()
    }
}

async fn example(names: bool) -> (Health, Scheduler) {
    let clock = ManualClock::at("2026-01-02T03:04:05.678Z");
    let disk = Outcome::degraded(Code::ThresholdWarn)
        .with_observation("utilization", 0.83, Unit::Ratio)
        .with_observation("available", 1_234_567.0, Unit::Bytes)
        .with_detail("/var/lib/postgresql");
    let redis = Outcome::unhealthy(Code::Timeout).with_detail("redis://u:p@cache:6379 is silent");
    let database = Outcome::healthy().with_observation("round_trip", 0.0012, Unit::Seconds);
    let mut builder = service()
        .clock(Arc::new(clock.clone()))
        .aliases()
        .check(Fixed("database", Kind::Datastore, database))
        .check(Fixed("redis", Kind::Cache, redis))
        .non_critical()
        .check(Fixed("disk", Kind::System, disk))
        .non_critical()
        .liveness("worker", || true)
        .startup_gate("migrations", async { Ok(()) });
    if names {
        builder = builder.expose_names();
    }
    let health = builder.build().unwrap();
    let scheduler = health.start().unwrap();
    tokio::time::sleep(seconds(16)).await;
    clock.advance(seconds(55));
    (health, scheduler)
}

/// The body as it was sent, with a line for each member.
fn shown(reply: &Reply) -> String {
    let head = format!(
        "{} {}\n",
        reply.code(),
        reply.header("content-type").unwrap()
    );
    head + &reply.body.replace(",\"", ",\n\"").replace("{\"", "{\n\"")
}

fn files() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind_to_scope()
}

macro_rules! golden {
    ($($test:ident $format:literal;)+) => {$(
        #[tokio::test(start_paused = true)]
        async fn $test() {
            let uri = concat!("/health?format=", $format);
            let _bound = files();
            let (hidden, _a) = example(false).await;
            insta::assert_snapshot!(concat!($format, "_anonymous"), shown(&get(&hidden, uri)));
            insta::assert_snapshot!(
                concat!($format, "_authorized"),
                shown(&get_authorized(&hidden, uri))
            );
            let (named, _b) = example(true).await;
            insta::assert_snapshot!(
                concat!($format, "_anonymous_with_names"),
                shown(&get(&named, uri))
            );
        }
    )+};
}

golden! {
    the_native_shape_is_as_recorded "native";
    preset_a_is_as_recorded "a";
    preset_b_is_as_recorded "b";
    preset_c_is_as_recorded "c";
    the_draft_is_as_recorded "draft";
}

#[tokio::test(start_paused = true)]
async fn the_other_bodies_are_as_recorded() {
    let _bound = files();
    let (health, _scheduler) = example(true).await;
    let mut all = String::new();
    for uri in [
        "/livez",
        "/healthz",
        "/healthz?verbose",
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/health/checks/disk",
    ] {
        let (public, full) = (get(&health, uri), get_authorized(&health, uri));
        writeln!(
            all,
            "--- {uri}\n{}\n--- authorized\n{}",
            shown(&public),
            shown(&full)
        )
        .unwrap();
    }
    insta::assert_snapshot!("other_bodies", all);
}

/// The bodies of `/health` in each state of a life, for everybody.
#[tokio::test(start_paused = true)]
async fn the_states_of_a_life_are_as_recorded() {
    let _bound = files();
    let clock = ManualClock::at("2026-01-02T03:04:05.678Z");
    let alive = Arc::new(AtomicBool::new(true));
    let signal = Arc::clone(&alive);
    let health = service()
        .clock(Arc::new(clock))
        .liveness("worker", move || signal.load(Ordering::SeqCst))
        .build()
        .unwrap();
    let mut all = String::new();
    let mut record = |state: &str| {
        for shape in ["native", "a", "b", "c", "draft"] {
            let reply = get(&health, &format!("/health?format={shape}"));
            writeln!(all, "--- {state}, {shape}\n{}", shown(&reply)).unwrap();
        }
    };
    record("starting");
    let _scheduler = health.start().unwrap();
    record("serving");
    health.set_maintenance(true);
    record("maintenance");
    health.set_maintenance(false);
    alive.store(false, Ordering::SeqCst);
    record("not alive");
    alive.store(true, Ordering::SeqCst);
    drop(health.drain());
    record("draining");
    insta::assert_snapshot!("states_of_a_life", all);
}

#[tokio::test(start_paused = true)]
async fn what_a_check_tells_of_its_history_is_as_recorded() {
    let _bound = files();
    let clock = ManualClock::at("2026-01-02T03:04:05.678Z");
    let good = Outcome::healthy().with_observation("free", 7.0, Unit::Count);
    let bad = Outcome::unhealthy(Code::Refused).with_detail("nobody listens");
    let (db, queue) = (
        Scripted::healthy("db"),
        Scripted::new("queue", good.clone()),
    );
    let lazy = Scripted::healthy("lazy");
    let health = service()
        .clock(Arc::new(clock.clone()))
        .check(db.clone())
        .check(queue.clone())
        .depends_on("db")
        .check(lazy.clone())
        .on_demand(seconds(1))
        .build()
        .unwrap();
    let _scheduler = health.start().unwrap();
    let pass = async |n: u64| {
        clock.advance(seconds(n));
        tokio::time::sleep(seconds(n)).await;
    };
    pass(1).await;
    db.returns(bad.clone());
    queue.returns(bad);
    pass(22).await;
    lazy.set(Act::Hang);
    get(&health, "/health");
    pass(1).await;
    let mut all = String::new();
    for state in ["refreshing", "pending", "ten minutes later"] {
        let reply = get_authorized(&health, "/health");
        // How long a run took differs by the microsecond.
        let body = mask(&shown(&reply), "\"latencyMs\":");
        writeln!(all, "--- {state}\n{body}").unwrap();
        pass(if state == "pending" { 600 } else { 5 }).await;
    }
    insta::assert_snapshot!("history", all);
}

/// Hides the number behind a key.
fn mask(text: &str, key: &str) -> String {
    text.lines()
        .map(|line| match line.split_once(key) {
            Some((before, rest)) => {
                let end = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
                format!("{before}{key}N{end}\n")
            }
            None => format!("{line}\n"),
        })
        .collect()
}
