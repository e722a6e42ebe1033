//! Servers for tests, against the real PostgreSQL.

use ops_pg::server::Shutdown;
use ops_testkit::Pg;

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
