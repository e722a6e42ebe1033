//! What throwaway servers leave when they are dropped, killed or orphaned: nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "support/server.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use ops_pg::binaries::Binaries;
use ops_pg::process::{Io, Program};
use ops_pg::server::{ThrowawayServer, sweep};
use ops_testkit::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};

use support::{SOON, client, installed, new_folder, servers_below, shared, text};

/// Whether a process runs; a zombie, which its new parent has yet to reap, does not.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_killed_server_starts_again_in_its_folder_with_its_clients_gone() {
    let Some(builder) = shared().await else {
        return;
    };
    let mut server = builder
        .setting("synchronous_commit", "on")
        .start()
        .await
        .unwrap();
    let before = client(&server).await;
    before
        .batch_execute("CREATE TABLE t AS SELECT 'kept' AS v")
        .await
        .unwrap();
    let busy = client(&server).await;
    // It never looks whether its server is still there.
    let query =
        tokio::spawn(async move { busy.batch_execute("DO 'BEGIN LOOP END LOOP; END'").await });
    wait_until("the query to run", SOON, async || {
        let sql = "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'DO%'";
        text(&before, sql).await == "1"
    })
    .await;
    let pid = server.pid().unwrap();

    server.kill9().await.unwrap();
    assert!(!runs(pid));
    let answer = tokio::time::timeout(SOON, query).await;
    assert!(
        answer
            .expect("a process of the server lives on")
            .unwrap()
            .is_err()
    );
    server.start().await.unwrap();
    server.start().await.unwrap();

    assert_ne!(server.pid().unwrap(), pid);
    assert_eq!(
        text(&client(&server).await, "SELECT v FROM t").await,
        "kept"
    );
    assert!(server.log_tail().contains("automatic recovery in progress"));
}

#[tokio::test]
async fn a_start_after_a_crash_waits_for_the_processes_that_are_left() {
    let Some(builder) = shared().await else {
        return;
    };
    let mut server = builder.start().await.unwrap();
    let session = client(&server).await;
    let backend = text(&session, "SELECT pg_backend_pid()::text")
        .await
        .parse()
        .unwrap();
    let backend = Pid::from_raw(backend).unwrap();
    let postmaster = Pid::from_raw(i32::try_from(server.pid().unwrap()).unwrap()).unwrap();
    kill_process(backend, Signal::STOP).unwrap();
    kill_process(postmaster, Signal::KILL).unwrap();
    wait_until("the server to die", SOON, async || !server.is_running()).await;

    let start = tokio::spawn(async move {
        server.start().await.unwrap();
        server
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(
        !start.is_finished(),
        "it did not wait for the process that is left"
    );
    kill_process(backend, Signal::CONT).unwrap();
    let server = start.await.unwrap();
    assert_eq!(text(&client(&server).await, "SELECT 'back'").await, "back");
}

#[tokio::test]
async fn a_dropped_server_leaves_no_process_no_folder_and_no_shared_memory() {
    let Some(builder) = shared().await else {
        return;
    };
    for killed in [false, true] {
        let mut server = builder.clone().tcp(true).start().await.unwrap();
        let (pid, folder) = (
            server.pid().unwrap(),
            server.data_dir().parent().unwrap().to_owned(),
        );
        let pid_file = fs::read_to_string(server.data_dir().join("postmaster.pid")).unwrap();
        let segment = pid_file
            .lines()
            .nth(6)
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap();
        assert!(has_segment(segment));
        if killed {
            server.kill9().await.unwrap();
        }
        let begun = std::time::Instant::now();
        drop(server);
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        assert!(
            !runs(pid) && !folder.exists() && !has_segment(segment),
            "killed: {killed}"
        );
    }
}

/// Whether there is a System V segment of shared memory of that id.
fn has_segment(id: &str) -> bool {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    table
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(id))
}

#[test]
fn a_server_outlives_the_runtime_that_it_was_started_in() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let Some(builder) = runtime().block_on(shared()) else {
        return;
    };
    let mut server = runtime().block_on(builder.start()).unwrap();
    runtime().block_on(async {
        assert_eq!(
            text(&client(&server).await, "SELECT 'there'").await,
            "there"
        );
        server.kill9().await.unwrap();
        server.start().await.unwrap();
    });
    let pid = server.pid().unwrap();
    drop(server);
    assert!(!runs(pid));
}

#[tokio::test]
async fn servers_that_start_together_in_a_new_parent_share_one_template() {
    let Some(binaries) = installed().await else {
        return;
    };
    let folder = new_folder();
    let builder = ThrowawayServer::builder(binaries, folder.path()).durable(false);
    let starts: Vec<_> = (0..4)
        .map(|_| tokio::spawn(builder.clone().tcp(true).start()))
        .collect();
    let mut servers = Vec::new();
    for start in starts {
        servers.push(start.await.unwrap().unwrap());
    }
    let mut identifiers = Vec::new();
    for server in &servers {
        let sql = "SELECT system_identifier::text FROM pg_control_system()";
        identifiers.push(text(&client(server).await, sql).await);
    }
    identifiers.dedup();
    assert_eq!(identifiers.len(), 1);
    drop(servers);
    assert_eq!(servers_below(folder.path()), 0);
}

#[tokio::test]
#[ignore = "run by the test below, as a process of its own that is killed"]
async fn hold_a_server_in_the_working_folder() {
    let parent = std::env::current_dir().unwrap();
    let bin = fs::read_to_string(parent.join("bin")).unwrap();
    let binaries = Binaries::at(bin).await.unwrap();
    let server = ThrowawayServer::builder(binaries, parent)
        .durable(false)
        .start()
        .await
        .unwrap();
    println!(
        "\nHOLDING {} {}",
        server.pid().unwrap(),
        server.data_dir().display()
    );
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_sweep_removes_what_a_killed_process_left_and_nothing_else() {
    let Some(binaries) = installed().await else {
        return;
    };
    let folder = new_folder();
    let parent = folder.path();
    fs::write(parent.join("bin"), binaries.folder().to_str().unwrap()).unwrap();
    let alive = ThrowawayServer::builder(binaries, parent)
        .durable(false)
        .start()
        .await
        .unwrap();

    let helper = Program::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "hold_a_server_in_the_working_folder",
        ])
        .current_dir(parent)
        .stdout(Io::Piped);
    let mut owner = helper.spawn().unwrap();
    let mut lines = BufReader::new(owner.take_stdout().unwrap()).lines();
    let said = loop {
        let line = lines.next_line().await.unwrap().expect("the helper ended");
        if let Some(said) = line.strip_prefix("HOLDING ") {
            break said.to_owned();
        }
    };
    let (pid, data) = said.split_once(' ').unwrap();
    let pid: u32 = pid.parse().unwrap();
    assert_eq!(
        sweep(parent).await.unwrap(),
        0,
        "a server whose owner lives was swept"
    );

    let owner_pid = Pid::from_raw(i32::try_from(owner.pid().unwrap()).unwrap()).unwrap();
    kill_process(owner_pid, Signal::KILL).unwrap();
    owner.wait().await.unwrap();
    assert!(
        runs(pid),
        "the server ended with its owner: there is nothing to sweep"
    );

    assert_eq!(sweep(parent).await.unwrap(), 1);
    assert!(!runs(pid));
    assert!(!Path::new(data).parent().unwrap().exists());
    assert_eq!(text(&client(&alive).await, "SELECT 'alive'").await, "alive");
    assert_eq!(sweep(parent).await.unwrap(), 0);
}

#[tokio::test]
async fn a_sweep_of_a_parent_that_does_not_exist_removes_nothing() {
    assert_eq!(sweep("/nonexistent/parent").await.unwrap(), 0);
}
