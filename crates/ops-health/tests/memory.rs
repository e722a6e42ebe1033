//! What the health of a service costs in memory. Alone in its process, so that nothing else
//! is counted.

#![cfg(test)]
#![cfg(target_os = "linux")]

use std::time::Duration;

use http::Request;
use ops_health::alert::standard_rules;
use ops_health::slo::Slo;
use ops_health::{Code, Health, Kind, Outcome, Unit, Watch, check_fn};

/// Memory of this process that no file stands behind, in bytes.
fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

/// A service that runs for so long, and is asked once a second.
async fn live(checks: u64, lasting: u64) -> u64 {
    let mut builder = Health::builder()
        .service("shop")
        .bearer_token("x".repeat(32).as_str());
    for n in 0..checks {
        let check = check_fn(format!("check_{n}"), Kind::Custom, move |_| {
            // Some come and go, so that everything that is kept is kept.
            let outcome = match n % 4 {
                0 => Outcome::unhealthy(Code::Refused),
                1 => Outcome::degraded(Code::Saturated),
                _ => Outcome::healthy(),
            };
            let outcome = outcome
                .with_observation("utilization", 0.5, Unit::Ratio)
                .with_observation("waiters", 3.0, Unit::Count)
                .with_detail("no route to the host");
            async { outcome }
        });
        builder = builder.check(check).non_critical();
    }
    let health = builder.build().unwrap();
    let slo = Slo::builder("availability")
        .objective(0.999)
        .build()
        .unwrap();
    let rules = standard_rules(Duration::from_secs(24 * 3600));
    let watch = Watch::builder(&health)
        .slo(slo)
        .rules(rules)
        .build()
        .unwrap();
    let (_scheduler, _watching) = (health.start().unwrap(), watch.start().unwrap());
    for _ in 0..lasting {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for uri in ["/health", "/health/ready"] {
            let request = Request::builder().uri(uri);
            let request = request.header("authorization", format!("Bearer {}", "x".repeat(32)));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert!(!health.respond(&parts).body().is_empty());
        }
    }
    anonymous()
}

#[tokio::test(start_paused = true)]
async fn twenty_checks_and_an_objective_take_less_than_a_megabyte() {
    // What is made once, whoever comes.
    live(1, 10).await;
    let before = anonymous();
    let after = live(20, 1800).await;
    let took = after.saturating_sub(before);
    println!("20 checks and an objective take {} KiB", took / 1024);
    assert!(took < 1 << 20, "{took} bytes");
}
