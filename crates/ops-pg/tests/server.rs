//! Throwaway servers, against the real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "support/server.rs"]
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use ops_core::{ErrorKind, Report};
use ops_pg::connect::{ConnectOptions, connect};
use ops_pg::process::{Program, User};
use ops_pg::server::{Shutdown, ThrowawayServer};
use ops_testkit::{fixture, wait_until};

use support::{SOON, client, installed, new_folder, servers_below, shared, text};

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
}

#[tokio::test]
async fn what_a_server_is_told_in_confidence_is_not_printed() {
    let Some(builder) = shared().await else {
        return;
    };
    let builder = builder
        .password("canary-1")
        .setting("primary_conninfo", "host=db password=canary-2")
        .data_file("server.key", "canary-3");
    let printed = format!("{builder:?}");
    let server = builder.start().await.unwrap();
    let printed = format!("{printed} {server:?}");
    assert!(printed.contains("primary_conninfo") && printed.contains("server.key"));
    assert!(!printed.contains("canary"), "{printed}");
    // The bytes of the file, as `Debug` would print them.
    assert!(!printed.contains("99, 97, 110"), "{printed}");
    assert!(!server.log_tail().contains("canary"));

    let key = server.data_dir().join("server.key");
    assert_eq!(fs::read(&key).unwrap(), b"canary-3");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
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
        .args(["-r", "--preserve=mode", "--"])
        .arg(origin.data_dir().join("."))
        .arg(drill.data_dir());
    assert!(copy.spawn().unwrap().wait().await.unwrap().success());
    for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"] {
        fs::remove_file(drill.data_dir().join(name)).unwrap();
    }
    drill.adopt_data_dir().await.unwrap();
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
        return fixture::inapplicable("only root runs servers as another user");
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
async fn a_data_folder_that_lies_elsewhere_stays_when_the_server_goes() {
    let Some(builder) = shared().await else {
        return;
    };
    let elsewhere = new_folder();
    let data = elsewhere.path().join("data");
    fs::create_dir(&data).unwrap();
    let refused = builder.clone().data_dir(&data).start().await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidConfig);
    // Moved there by whoever restores.
    let mut first = builder.clone().start().await.unwrap();
    first.create_database("kept").await.unwrap();
    first.stop(Shutdown::Fast).await.unwrap();
    fs::remove_dir(&data).unwrap();
    fs::rename(first.data_dir(), &data).unwrap();
    drop(first);
    let mut second = builder.data_dir(&data).create_empty().await.unwrap();
    second.set_overriding("work_mem", "7MB");
    second.start().await.unwrap();
    assert_eq!(second.data_dir(), data);
    let info = second.connect_info("kept");
    let client = connect(&info, &ConnectOptions::default()).await.unwrap();
    assert_eq!(text(&client, "SHOW work_mem").await, "7MB");
    drop((client, second));
    assert!(data.join("PG_VERSION").exists());
    assert!(!data.join("postmaster.pid").exists(), "and it was ended");
}
