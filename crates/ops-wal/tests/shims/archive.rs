//! `archive_command`.

use std::fs;

use ops_testkit::{Pg, wait_until};

use crate::scene::{Running, SOON, Scene, flushed, server, write};

/// How many files the server has archived, and how often that failed.
async fn archiver(pg: &Pg) -> (i64, i64, Option<String>) {
    let client = pg.client("postgres").await;
    let row = client
        .query_one(
            "SELECT archived_count, failed_count, last_archived_wal FROM pg_stat_archiver",
            &[],
        )
        .await
        .unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn switched(pg: &Pg) -> String {
    let client = pg.client("postgres").await;
    let row = client
        .query_one("SELECT pg_walfile_name(pg_switch_wal())", &[])
        .await
        .unwrap();
    row.get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_archives_by_the_command_and_every_segment_is_its_own() {
    let scene = Scene::new();
    let config = scene.configure_all(
        "archive.toml",
        &format!("spool = \"{}\"", scene.path("spool").display()),
        "key",
        &scene.store_folder(),
        "",
    );
    let builder = server()
        .setting("archive_mode", "on")
        .setting("archive_command", &scene.command(&config, "archive %p %f"));
    let Some(pg) = builder.start().await else {
        return;
    };
    write(&pg, 3).await;
    let last = switched(&pg).await;
    wait_until("the last segment", SOON, async || {
        archiver(&pg).await.2 >= Some(last.clone())
    })
    .await;
    let (archived, failed, _) = archiver(&pg).await;
    assert_eq!(failed, 0, "{}", pg.log_tail());
    assert!(archived >= 3);
    // One epoch for all of them: the spool keeps it.
    let archive = scene.archive().await;
    let coverage = archive.coverage(None).await.unwrap();
    assert_eq!(coverage.runs.len(), 1);
    let epochs = scene
        .store_folder()
        .join(format!("wal/{}/epochs", archive.system_id()));
    assert_eq!(fs::read_dir(epochs).unwrap().count(), 1);
    let data = pg.data_dir();
    let to = scene.path("to");
    let to = to.to_str().unwrap();
    let own = fs::read(data.join("pg_wal").join(&last)).unwrap();
    scene.expect(0, &config, data, &["restore", &last, to]);
    assert!(fs::read(to).unwrap() == own);

    // The server may ask again, and may not come with something else.
    let wal = format!("pg_wal/{last}");
    scene.expect(0, &config, data, &["archive", &wal, &last]);
    let mut other = own.clone();
    let end = other.len() - 1;
    other[end] ^= 1;
    fs::write(scene.path("other"), other).unwrap();
    let changed = scene.path("other");
    let text = scene.expect(
        1,
        &config,
        data,
        &["archive", changed.to_str().unwrap(), &last],
    );
    assert!(text.contains("other bytes"), "{text}");
    scene.expect(0, &config, data, &["restore", &last, to]);
    assert!(fs::read(to).unwrap() == own, "it was overwritten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_its_name_says_is_refused() {
    let scene = Scene::new();
    let config = scene.configure("config.toml", "");
    let Some(pg) = server().start().await else {
        return;
    };
    write(&pg, 2).await;
    let last = switched(&pg).await;
    let data = pg.data_dir();
    let wal = data.join("pg_wal").join(&last);
    let content = fs::read(&wal).unwrap();
    let refused = |name: &str, content: &[u8]| {
        let path = scene.path("file");
        fs::write(&path, content).unwrap();
        scene.expect(1, &config, data, &["archive", path.to_str().unwrap(), name])
    };
    let next = "000000010000000000000FF0";
    assert!(refused(next, &content).contains("another position"));
    assert!(refused(&last, &content[..1000]).contains("shorter"));
    assert!(refused(&last, &[&content[..], b"x"].concat()).contains("longer"));
    assert!(refused("nonsense", &content).contains("no file of the WAL"));
    let mut foreign = content.clone();
    foreign[24] ^= 1;
    assert!(
        refused(&last, &foreign).contains("another cluster")
            || refused(&last, &foreign).contains("WAL of the cluster")
    );
    assert!(!scene.store_folder().join("wal").join("segments").exists());
    scene.expect(
        0,
        &config,
        data,
        &["archive", &format!("pg_wal/{last}"), &last],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_and_the_stream_fill_one_archive() {
    let scene = Scene::new();
    let config = scene.configure("config.toml", "");
    let builder = server()
        .setting("archive_mode", "on")
        .setting("archive_command", &scene.command(&config, "archive %p %f"));
    let Some(pg) = builder.start().await else {
        return;
    };
    let running = Running::start(&scene.backup(&pg)).await;
    write(&pg, 4).await;
    let last = switched(&pg).await;
    let end = flushed(&pg).await;
    wait_until("the last segment", SOON, async || {
        // This process and the server belong to different users, and both write.
        scene.share();
        archiver(&pg).await.2 >= Some(last.clone())
    })
    .await;
    running.stop_at(end).await;
    let runs = scene.archive().await.coverage(None).await.unwrap().runs;
    assert_eq!(runs.len(), 1);
    assert!(runs[0].end >= end);
}
