//! Servers for tests, against the real PostgreSQL.

use ops_core::ErrorKind;
use ops_pg::process::{Io, Program};
use ops_pg::server::Shutdown;
use ops_testkit::Pg;
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn a_server_answers_and_is_gone_when_it_is_dropped() {
    let Some(pg) = Pg::start().await else { return };
    let client = pg.client("postgres").await;
    let row = client.query_one("SELECT 1 + 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 2);

    let (pid, folder) = (
        pg.pid().unwrap(),
        pg.data_dir().parent().unwrap().to_owned(),
    );
    drop(pg);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(!folder.exists());
}

#[tokio::test]
async fn data_survives_a_kill_and_a_new_start_on_the_same_port() {
    let Some(mut pg) = Pg::builder().tcp(true).start().await else {
        return;
    };
    pg.create_database("shop").await;
    let client = pg.client("shop").await;
    client
        .batch_execute("CREATE TABLE goods AS SELECT 42 AS id")
        .await
        .unwrap();
    let port = pg.port();

    for _ in 0..3 {
        pg.kill9().await;
        pg.start_again().await;
    }
    pg.stop(Shutdown::Fast).await;
    pg.start_again().await;

    assert_eq!(pg.port(), port);
    let client = pg.client("shop").await;
    let row = client.query_one("SELECT id FROM goods", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
}

#[tokio::test]
async fn urls_and_programs_of_postgresql_reach_the_server() {
    for tcp in [false, true] {
        let builder = Pg::builder()
            .tcp(tcp)
            .with(|it| it.password("p@ss/word").superuser("ad min"));
        let Some(pg) = builder.start().await else {
            return;
        };
        pg.create_database("a b").await;
        if !pg.binaries().has("psql") {
            return ops_testkit::fixture::skip("psql is not installed");
        }
        let mut psql = Program::new(pg.bin("psql"))
            .args([
                "-X",
                "-A",
                "-t",
                "-c",
                "SELECT current_user || '/' || current_database()",
            ])
            .args(["-d", &pg.url("a b")])
            .stdout(Io::Piped)
            .spawn()
            .unwrap();
        let mut text = String::new();
        psql.take_stdout()
            .unwrap()
            .read_to_string(&mut text)
            .await
            .unwrap();
        psql.wait()
            .await
            .unwrap()
            .check(ErrorKind::Unavailable)
            .unwrap();
        assert_eq!(text, "ad min/a b\n", "tcp: {tcp}");
    }
}
