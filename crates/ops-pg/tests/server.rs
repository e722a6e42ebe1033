//! Throwaway servers, against the real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use ops_core::{ErrorKind, Report};
use ops_pg::binaries::{Binaries, Finder};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::process::{Io, Program, User};
use ops_pg::server::{Shutdown, ThrowawayServer, ThrowawayServerBuilder, sweep};
use ops_testkit::{fixture, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_postgres::Client;

const SOON: Duration = Duration::from_secs(20);

async fn installed() -> Option<Binaries> {
    let all = Finder::from_env().all().await;
    let server = all.into_iter().find(Binaries::has_server);
    if server.is_none() {
        fixture::skip("no PostgreSQL server is installed");
    }
    server
}

/// A server below the folder that tests share, with its template made already.
async fn shared() -> Option<ThrowawayServerBuilder> {
    Some(ThrowawayServer::builder(installed().await?, fixture::folder()).durable(false))
}

async fn client(server: &ThrowawayServer) -> Client {
    connect(&server.connect_info("postgres"), &ConnectOptions::default())
        .await
        .unwrap()
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Whether a process runs; a zombie, which its new parent has yet to reap, does not.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// An empty folder where servers are made fast.
fn new_folder() -> TempDir {
    fs::create_dir_all(fixture::folder()).unwrap();
    tempfile::tempdir_in(fixture::folder()).unwrap()
}

fn servers_below(parent: &Path) -> usize {
    let entries = fs::read_dir(parent)
        .unwrap()
        .map(|it| it.unwrap().file_name());
    entries
        .filter(|name| name.to_string_lossy().starts_with("pg-"))
        .count()
}

#[tokio::test]
async fn two_servers_run_side_by_side() {
    let Some(builder) = shared().await else {
        return;
    };
    let (first, second) = tokio::join!(
        builder.clone().tcp(true).start(),
        builder
            .tcp(true)
            .superuser("admin")
            .setting("work_mem", "5MB")
            .start()
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.port(), second.port());
    assert_ne!(first.data_dir(), second.data_dir());
    first.create_database("only \"here\"").await.unwrap();

    let info = first.connect_info("only \"here\"");
    connect(&info, &ConnectOptions::default()).await.unwrap();
    let client = client(&second).await;
    let count = client
        .query_one("SELECT count(*) FROM pg_database", &[])
        .await
        .unwrap();
    assert_eq!(count.get::<_, i64>(0), 3);
    assert_eq!(text(&client, "SELECT current_user::text").await, "admin");
    assert_eq!(text(&client, "SHOW work_mem").await, "5MB");
    assert_eq!(text(&client, "SHOW fsync").await, "off");
}

#[tokio::test]
async fn a_server_is_private_unless_it_is_asked_to_listen() {
    let Some(builder) = shared().await else {
        return;
    };
    let server = builder.durable(true).start().await.unwrap();
    let folder = server.socket_dir().parent().unwrap();
    let meta = fs::metadata(folder).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o700);
    let user = server
        .run_as()
        .map_or(rustix::process::geteuid().as_raw(), User::uid);
    assert_eq!(meta.uid(), user);
    let process = fs::metadata(format!("/proc/{}", server.pid().unwrap())).unwrap();
    assert_eq!(process.uid(), user);

    let client = client(&server).await;
    assert_eq!(text(&client, "SHOW listen_addresses").await, "");
    assert_eq!(text(&client, "SHOW fsync").await, "on");
    assert_eq!(text(&client, "SHOW server_encoding").await, "UTF8");
}

#[tokio::test]
async fn a_password_is_asked_for_over_tcp() {
    let Some(builder) = shared().await else {
        return;
    };
    let server = builder
        .tcp(true)
        .password("right horse")
        .start()
        .await
        .unwrap();
    let client = client(&server).await;
    assert_eq!(text(&client, "SELECT current_user::text").await, "postgres");

    let wrong = server.connect_info("postgres").with_password("wrong horse");
    let err = connect(&wrong, &ConnectOptions::default())
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unauthenticated);
    assert!(!format!("{server:?}").contains("right horse"));
}

#[tokio::test]
async fn a_database_is_copied_from_a_template() {
    let Some(builder) = shared().await else {
        return;
    };
    let server = builder.start().await.unwrap();
    server.create_database("model").await.unwrap();
    let model = connect(&server.connect_info("model"), &ConnectOptions::default())
        .await
        .unwrap();
    model
        .batch_execute("CREATE TABLE t AS SELECT 'copied' AS v")
        .await
        .unwrap();
    drop(model);
    wait_until("the model to be free", SOON, async || {
        server.create_database_from("copy", "model").await.is_ok()
    })
    .await;
    let copy = connect(&server.connect_info("copy"), &ConnectOptions::default())
        .await
        .unwrap();
    assert_eq!(text(&copy, "SELECT v FROM t").await, "copied");
    let err = server.create_database("copy").await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn each_way_of_stopping_does_what_it_says() {
    let Some(builder) = shared().await else {
        return;
    };
    let mut server = builder.start().await.unwrap();
    let busy = client(&server).await;
    let smart = tokio::time::timeout(Duration::from_millis(300), server.stop(Shutdown::Smart));
    assert!(
        smart.await.is_err(),
        "a smart stop did not wait for the client"
    );
    assert!(server.is_running());
    drop(busy);
    server.stop(Shutdown::Smart).await.unwrap();
    assert!(!server.is_running() && server.pid().is_none());

    for how in [Shutdown::Fast, Shutdown::Immediate] {
        server.start().await.unwrap();
        let busy = client(&server).await;
        server.stop(how).await.unwrap();
        assert!(!server.is_running());
        assert!(busy.simple_query("SELECT 1").await.is_err());
        server.stop(how).await.unwrap();
    }
    assert!(server.log_tail().contains("immediate shutdown request"));
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
    assert!(query.await.unwrap().is_err());
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
async fn settings_can_be_changed_between_two_starts_and_by_alter_system() {
    let Some(builder) = shared().await else {
        return;
    };
    let server = builder
        .setting("work_mem", "5MB")
        .overriding_setting("max_wal_senders", "3")
        .start();
    let mut server = server.await.unwrap();
    let before = client(&server).await;
    before
        .batch_execute("ALTER SYSTEM SET work_mem = '6MB'")
        .await
        .unwrap();
    before
        .batch_execute("ALTER SYSTEM SET max_wal_senders = '4'")
        .await
        .unwrap();
    before
        .batch_execute("ALTER SYSTEM SET port = '1'")
        .await
        .unwrap();
    server.set("application_name", "it's a \\ name");
    server.stop(Shutdown::Fast).await.unwrap();
    server.start().await.unwrap();

    let after = client(&server).await;
    assert_eq!(text(&after, "SHOW work_mem").await, "6MB");
    assert_eq!(text(&after, "SHOW max_wal_senders").await, "3");
    let sql = "SELECT boot_val || reset_val FROM pg_settings WHERE name = 'cluster_name'";
    assert_eq!(text(&after, sql).await, "");
    let sql = "SELECT setting FROM pg_file_settings WHERE name = 'application_name'";
    assert_eq!(text(&after, sql).await, "it's a \\ name");
}

#[tokio::test]
async fn a_restored_data_folder_runs_under_our_configuration_and_not_its_own() {
    let Some(builder) = shared().await else {
        return;
    };
    let mut origin = builder
        .clone()
        .setting("synchronous_commit", "on")
        .start()
        .await
        .unwrap();
    let session = client(&origin).await;
    session
        .batch_execute("CREATE TABLE t AS SELECT 'restored' AS v")
        .await
        .unwrap();
    session
        .batch_execute("ALTER SYSTEM SET archive_mode = on")
        .await
        .unwrap();
    session
        .batch_execute("ALTER SYSTEM SET shared_preload_libraries = 'absent'")
        .await
        .unwrap();
    origin.stop(Shutdown::Fast).await.unwrap();

    let mut drill = builder
        .overriding_setting("archive_mode", "off")
        .overriding_setting("shared_preload_libraries", "")
        .create_empty()
        .await
        .unwrap();
    assert_eq!(fs::read_dir(drill.data_dir()).unwrap().count(), 0);
    let copy = Program::new("/bin/cp")
        .args(["-a", "--"])
        .arg(origin.data_dir().join("."))
        .arg(drill.data_dir());
    assert!(copy.spawn().unwrap().wait().await.unwrap().success());
    for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"] {
        fs::remove_file(drill.data_dir().join(name)).unwrap();
    }
    drill.start().await.unwrap();

    let restored = client(&drill).await;
    assert_eq!(text(&restored, "SELECT v FROM t").await, "restored");
    assert_eq!(text(&restored, "SHOW archive_mode").await, "off");
}

#[tokio::test]
async fn a_server_that_refuses_its_settings_fails_with_the_end_of_its_log() {
    let Some(builder) = shared().await else {
        return;
    };
    let err = builder
        .clone()
        .setting("shared_buffers", "a lot")
        .start()
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(!err.is_retryable());
    let report = Report(&err).to_string();
    assert!(
        report.contains("invalid value for parameter \"shared_buffers\""),
        "{report}"
    );
    assert!(!report.contains('\n'), "{report}");

    let err = builder
        .setting("shared_preload_libraries", "absent")
        .start()
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(
        Report(&err)
            .to_string()
            .contains("could not access file \"absent\"")
    );
}

#[tokio::test]
async fn what_would_break_the_configuration_file_is_refused() {
    let Some(builder) = shared().await else {
        return;
    };
    for broken in [
        builder.clone().setting("work_mem", "1MB'\nfsync = on"),
        builder.clone().setting("work mem", "1MB"),
        builder.clone().overriding_setting("", "1MB"),
        builder
            .clone()
            .hba("local all all trust\nhost all all 0.0.0.0/0 trust"),
    ] {
        let err = broken.start().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    }
}

#[tokio::test]
async fn a_port_that_somebody_took_meanwhile_is_an_error_that_says_so() {
    let Some(builder) = shared().await else {
        return;
    };
    let mut server = builder.tcp(true).start().await.unwrap();
    server.stop(Shutdown::Fast).await.unwrap();
    let thief = tokio::net::TcpListener::bind(("127.0.0.1", server.port()))
        .await
        .unwrap();
    let err = server.start().await.unwrap_err();
    assert!(
        Report(&err).to_string().contains("Address already in use"),
        "{}",
        Report(&err)
    );
    drop(thief);
    server.start().await.unwrap();
}

#[tokio::test]
async fn a_socket_path_that_is_too_long_is_refused_in_words() {
    let Some(binaries) = installed().await else {
        return;
    };
    let folder = new_folder();
    let parent = folder.path().join("x".repeat(100));
    let builder = ThrowawayServer::builder(binaries, &parent);
    let err = builder.start().await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(
        err.to_string().contains("choose a shorter parent folder"),
        "{err}"
    );
    assert_eq!(servers_below(&parent), 0);
}

#[tokio::test]
async fn a_parent_that_others_may_write_to_is_refused() {
    let Some(binaries) = installed().await else {
        return;
    };
    let folder = new_folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let err = ThrowawayServer::builder(binaries, folder.path())
        .start()
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(
        err.to_string().contains("nobody else may write to it"),
        "{err}"
    );
}

#[tokio::test]
async fn a_parent_that_the_servers_user_cannot_reach_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return fixture::skip("only root runs servers as another user");
    }
    let Some(binaries) = installed().await else {
        return;
    };
    let folder = new_folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let parent = folder.path().join("parent");
    let err = ThrowawayServer::builder(binaries, parent)
        .start()
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(err.to_string().contains("who cannot pass through"), "{err}");
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
