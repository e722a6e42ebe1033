//! A Redis server that goes away, hangs, or cannot save.

use std::time::{Duration, Instant};

use ops_health::checks::Redis;
use ops_health::{Code, Status};
use ops_testkit::{Redis as Server, wait_until};

use crate::measure::{Found, HEALTHY, Rhythm, TENTH, Watched};
use crate::mount::Mount;
use crate::support::seconds;
use crate::tell::tell;

const READ_ONLY: Found = (Status::Unhealthy, Code::ReadOnly);

/// Only every sixth run asks for more than PING.
const SIXTH: Rhythm = Rhythm {
    interval: Duration::from_millis(500),
    retry: Duration::from_millis(400),
    timeout: Duration::from_millis(300),
    runs: 6,
};

fn check(server: &Server) -> Redis {
    let url = format!("redis+unix://{}", server.socket().display());
    Redis::new(url.as_str())
}

async fn say(server: &Server, command: &str) {
    let answer = tell(server, command).await;
    assert!(answer.starts_with("+OK"), "{command}: {answer}");
}

async fn until_info(server: &Server, line: &str) {
    wait_until(line, seconds(20), async || {
        tell(server, "INFO persistence").await.contains(line)
    })
    .await;
}

#[tokio::test]
async fn a_server_whose_folder_is_gone_cannot_save_and_is_told_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start_in(folder.path()).await else {
        return;
    };
    let watched = Watched::start(check(&server), SIXTH, HEALTHY).await;
    folder.close().unwrap();
    // It saves by itself, as soon as a key has changed for a second, and goes on when it
    // cannot: who asks with PING alone sees nothing.
    say(&server, "CONFIG SET stop-writes-on-bgsave-error no").await;
    say(&server, "CONFIG SET save \"1 1\"").await;
    say(&server, "SET key value").await;
    until_info(&server, "rdb_last_bgsave_status:err").await;
    let since = Instant::now();
    assert!(tell(&server, "PING").await.starts_with("+PONG"));
    watched
        .detects("Redis that cannot save", "redis", since, READ_ONLY)
        .await;
}

#[tokio::test]
async fn a_server_whose_disk_is_full_cannot_append_and_is_told_in_time() {
    let Some(disk) = Mount::new("size=4m") else {
        return;
    };
    let Some(server) = Server::start_in(disk.path()).await else {
        return;
    };
    say(&server, "CONFIG SET appendonly yes").await;
    until_info(&server, "aof_rewrite_in_progress:0").await;
    let watched = Watched::start(check(&server), TENTH, HEALTHY).await;
    let others = disk.fill("of_others", 3 << 20);
    let value = "x".repeat(10_000);
    wait_until("the disk to be full", seconds(20), async || {
        let answer = tell(&server, &format!("SET key {value}")).await;
        answer.starts_with("-MISCONF")
    })
    .await;
    until_info(&server, "aof_last_write_status:err").await;
    let since = Instant::now();
    // Such a server refuses PING as well: the first run sees it.
    assert!(tell(&server, "PING").await.starts_with("-MISCONF"));
    watched
        .detects("Redis whose disk is full", "redis", since, READ_ONLY)
        .await;

    std::fs::remove_file(others).unwrap();
    until_info(&server, "aof_last_write_status:ok").await;
    let since = Instant::now();
    watched
        .recovers("Redis whose disk is full", "redis", since, TENTH.retry)
        .await;
}

#[tokio::test]
async fn a_server_that_is_killed_or_hangs_is_told_in_time() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let watched = Watched::start(check(&server), TENTH, HEALTHY).await;
    // Answers nobody for so long.
    say(&server, "CLIENT PAUSE 4000 ALL").await;
    let since = Instant::now();
    let timeout = (Status::Unhealthy, Code::Timeout);
    watched
        .detects("Redis hanging", "redis", since, timeout)
        .await;
    let over = since + seconds(4);
    tokio::time::sleep_until(over.into()).await;
    watched
        .recovers("Redis hanging", "redis", over, TENTH.retry)
        .await;
    server.kill9().await;
    let since = Instant::now();
    let refused = (Status::Unhealthy, Code::Refused);
    watched
        .detects("Redis killed", "redis", since, refused)
        .await;
    server.start_again().await;
    watched
        .recovers("Redis killed", "redis", Instant::now(), TENTH.retry)
        .await;
}
