//! The examples of health: what they show is what they say.

use std::process::Stdio;
use std::time::Duration;

use ops_testkit::{Pg, wait_until};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

use crate::example;

const LONG: Duration = Duration::from_secs(30);

/// The service of the example, and what it logs.
struct Service {
    process: Child,
    log: Lines<BufReader<ChildStdout>>,
    lines: Vec<String>,
}

impl Service {
    fn start(pg: &Pg, folder: &std::path::Path) -> Self {
        let mut process = Command::new(example("health_full"))
            .args(["127.0.0.1:0", "127.0.0.1:0"])
            .env("DATABASE_URL", pg.url("postgres"))
            .env("HEALTH_TOKEN", "0123456789-t0ken-canary-0123456789")
            .env("STATE_FOLDER", folder)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            process,
            log,
            lines: Vec::new(),
        }
    }

    /// The address that was given as this argument, as the log tells it.
    async fn address(&mut self, argument: u64) -> String {
        loop {
            let next = tokio::time::timeout(LONG, self.log.next_line());
            let line = next.await.unwrap().unwrap().unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            self.lines.push(line);
            if event["message"] == "listening" && event["context"]["argument"] == argument {
                return event["context"]["address"].as_str().unwrap().to_owned();
            }
        }
    }

    /// Asks it to leave, and waits until it has. Everything that it logged.
    async fn leaves(mut self) -> String {
        let pid = i32::try_from(self.process.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let rest = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                self.lines.push(line);
            }
        };
        tokio::time::timeout(LONG, rest).await.unwrap();
        assert!(self.process.wait().await.unwrap().success());
        self.lines.join("\n")
    }
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, body.to_owned())
}

async fn json(address: &str, path: &str) -> Value {
    serde_json::from_str(&get(address, path).await.1).unwrap()
}

#[tokio::test]
async fn the_full_example_has_checks_objective_alerts_heartbeat_metrics_and_a_page() {
    let started = Pg::builder()
        .with(|server| server.password("s3cret-canary"))
        .tcp(true)
        .start();
    let Some(pg) = started.await else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(&pg, folder.path());
    let operators = service.address(2).await;
    let public = service.address(1).await;

    assert_eq!(get(&public, "/").await, (200, "hello".to_owned()));
    let checks = [
        "database",
        "connections",
        "database_size",
        "heartbeat",
        "pool",
        "runtime",
    ];
    wait_until("the first runs", LONG, async || {
        let details = json(&operators, "/health").await;
        let is_healthy = |check| details["checks"][check]["status"] == "healthy";
        checks.into_iter().all(is_healthy)
    })
    .await;
    let details = json(&operators, "/health").await;
    assert_eq!(json(&public, "/health").await["checks"], Value::Null);

    let data = json(&operators, "/health/ui/data").await;
    assert_eq!(data["slos"][0]["name"], "availability", "{data:#}");
    assert!(data["alerts"].is_array() && data["incidents"].is_array());
    let (code, page) = get(&operators, "/health/ui").await;
    assert!(code == 200 && page.contains("<!doctype html>"), "{page}");
    let (code, metrics) = get(&operators, "/metrics").await;
    assert_eq!(code, 200);
    for metric in [
        "ops_slo_error_budget_remaining_ratio{slo=\"availability\"}",
        "ops_health_check_up{check=\"database\",critical=\"true\"} 1",
        "ops_pool_max{pool=\"pool\"}",
        "ops_alerts_firing{rule=\"service_down\"",
    ] {
        assert!(metrics.contains(metric), "{metric} is missing in {metrics}");
    }

    let log = service.leaves().await;
    assert!(
        !format!("{log}{details}{metrics}").contains("canary"),
        "{log}"
    );
    assert!(folder.path().join("availability.slo").is_file());
}

/// What an example that ends by itself prints.
async fn shown(name: &str) -> String {
    let run = Command::new(example(name)).kill_on_drop(true).output();
    let output = tokio::time::timeout(LONG, run).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_example_of_a_watch_tells_of_an_outage_and_writes_its_post_mortem() {
    let text = shown("health_watch").await;
    for line in [
        "[firing P0] shop:prod: the service is down",
        "cause: database (refused)",
        "runbook: https://wiki.example/shop-down",
        "[acknowledged P0] shop:prod: the service is down",
        "[resolved P0] shop:prod: the service is down",
        "# P0: the service is down",
        "## What was the root cause?",
        "the database's host was restarted",
        "beats that arrived: ",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    // What a check says is for operators alone.
    assert!(!text.contains("10.0.0.7"), "{text}");
}

#[tokio::test]
async fn the_example_of_a_drain_answers_every_request() {
    let text = shown("drain").await;
    for line in [
        "draining takes up to 30s, but pm2 kills after 1.6s",
        "draining, ready: 503 Service Unavailable",
        "flushed",
        ", failed: 0",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(!text.contains("answered: 0,"), "{text}");
}
