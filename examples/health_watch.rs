//! Watches a service over time: an objective, alerts, an incident and the heartbeat to a
//! monitor outside. Its database breaks after two seconds and is repaired after five; what
//! people are told, and the post-mortem, are printed.
//!
//! Run with `cargo run -p ops-examples --example health_watch`. It takes ten seconds.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ops_core::memory::{MemoryMonitor, MemoryNotifier};
use ops_core::monitor::HeartbeatSpec;
use ops_health::alert::{LogNotifier, Sink, standard_rules};
use ops_health::incident::{Actor, IncidentEvent, IncidentLog, JsonLinesIncidents};
use ops_health::slo::Slo;
use ops_health::traffic::{Served, Traffic};
use ops_health::{Code, DeadMan, Health, Kind, Outcome, Policy, Watch, check_fn};
use tokio::time::sleep;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let broken = Arc::new(AtomicBool::new(false));

    let switch = Arc::clone(&broken);
    let database = check_fn("database", Kind::Datastore, move |_| {
        let broken = switch.load(Ordering::Relaxed);
        async move {
            if broken {
                Outcome::unhealthy(Code::Refused).with_detail("no route to 10.0.0.7")
            } else {
                Outcome::healthy()
            }
        }
    });
    let quick = Policy::default()
        .with_interval(Duration::from_millis(200))
        .with_thresholds(1, 1);
    let health = Health::builder()
        .service("shop")
        .check(database)
        .policy(|_| quick)
        .build()?;

    // In a service these are a chat, a telephone and a monitor of a vendor.
    let chat = MemoryNotifier::new();
    let outside = MemoryMonitor::new();
    let traffic = Traffic::new();
    let slo = Slo::builder("availability")
        .objective(0.999)
        .with_requests()
        .journal(folder.path().join("availability.slo"))
        .build()?;
    let incidents = IncidentLog::builder()
        .store(JsonLinesIncidents::new(
            folder.path().join("incidents.jsonl"),
        ))
        .open()
        .await?;
    let watch = Watch::builder(&health)
        .environment("prod")
        .slo(slo.clone())
        .traffic(traffic.clone())
        .rules(standard_rules(seconds(24 * 3600)))
        // Ten seconds are too short for a minute of patience.
        .adjust("service_down", |rule| {
            rule.hold_for(seconds(1))
                .clear_for(seconds(1))
                .runbook("https://wiki.example/shop-down")
        })
        .incidents(incidents.clone())
        .sink(Sink::chat("chat", Arc::new(chat.clone())))
        .sink(Sink::new("log", Arc::new(LogNotifier)))
        .dead_man(DeadMan::new(
            Arc::new(outside),
            HeartbeatSpec::new("shop", seconds(2)),
        ))
        .build()?;
    let scheduler = health.start()?;
    let watching = watch.start()?;

    sleep(seconds(2)).await;
    broken.store(true, Ordering::Relaxed);
    for _ in 0..30 {
        traffic.record(Served::Error, Duration::from_millis(3));
        sleep(Duration::from_millis(100)).await;
    }
    if let Some(incident) = incidents.list().first() {
        let ann = Actor::person("ann");
        watch.acknowledge(incident.key(), "ann")?;
        let text = "the database's host was restarted".to_owned();
        let note = IncidentEvent::Mitigated { text };
        incidents.record(incident.id(), ann, note).await?;
    }
    broken.store(false, Ordering::Relaxed);
    sleep(seconds(5)).await;

    println!("what people were told:\n");
    for message in chat.received() {
        println!("{}\n", message.text);
    }
    for incident in incidents.list() {
        println!("{}", incident.to_markdown());
    }
    println!("budget left: {:.2} %", slo.remaining() * 100.0);
    println!("burn of the last 5 min: {:.1}", slo.burn(seconds(300)));
    for heartbeat in watch.heartbeats() {
        println!("beats that arrived: {}", heartbeat.beats);
    }
    watching.stop().await;
    scheduler.stop().await;
    Ok(())
}
