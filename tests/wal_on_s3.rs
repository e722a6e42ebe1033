//! The WAL of a server in a store that speaks S3 and fails.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;
use std::time::Duration;

use ops_backup::wal::{ArchiverOptions, ArchiverState, WalArchive};
use ops_backup::{Backup, Encryption, Lsn};
use ops_core::ObjectStore;
use ops_postgres::Postgres;
use ops_s3::{S3Credentials, S3Store, StoreProfile};
use ops_testkit::s3::{Fault, S3Fake};
use ops_testkit::{Pg, wait_until};
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_mins(1);

async fn store(fake: &S3Fake) -> Arc<dyn ObjectStore> {
    let store = S3Store::builder("bucket")
        .endpoint(fake.endpoint())
        .allow_http(true)
        .region(fake.region())
        .credentials(S3Credentials::new(fake.access_key(), fake.secret_key()))
        .profile(StoreProfile::aws())
        .attempt_timeout(Duration::from_secs(3))
        .open()
        .await
        .unwrap();
    Arc::new(store)
}

async fn flushed(pg: &Pg) -> Lsn {
    let client = pg.client("postgres").await;
    let sql = "SELECT pg_current_wal_flush_lsn()::text";
    let row = client.query_one(sql, &[]).await.unwrap();
    row.get::<_, String>(0).parse().unwrap()
}

async fn write(pg: &Pg) {
    let client = pg.client("postgres").await;
    let sql = "CREATE TABLE IF NOT EXISTS w (x text); INSERT INTO w \
               SELECT repeat(md5(random()::text), 20) FROM generate_series(1, 4000)";
    client.batch_execute(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_gets_into_a_store_that_speaks_s3_whole_whatever_the_store_does() {
    let pg = Pg::builder()
        .with(|server| server.wal_segment_size_mb(1))
        .setting("wal_keep_size", "1GB")
        .start()
        .await;
    let Some(pg) = pg else { return };
    let fake = S3Fake::start_seeded(7).await;
    fake.create_bucket("bucket");
    let store = store(&fake).await;
    let database = Postgres::builder(pg.connect_info("postgres"))
        .build()
        .unwrap();
    let backup = Backup::builder(Arc::new(database), Arc::clone(&store))
        .encryption(Encryption::none())
        .build()
        .unwrap();
    let options = ArchiverOptions::new()
        .with_part_interval(Duration::from_millis(100))
        .with_max_backoff(Duration::from_millis(300))
        .with_upload_timeout(Duration::from_secs(5));
    let archiver = backup.archiver(options).unwrap();
    let stop = CancellationToken::new();
    let (running, stopped) = (archiver.clone(), stop.clone());
    let task = tokio::spawn(async move { running.run(stopped).await });
    wait_until("the stream", SOON, async || {
        archiver.status().state == ArchiverState::Streaming
    })
    .await;
    // A write that is not done, one that is done and not answered, one that is cut off, one
    // whose bytes are altered on their way, and storms.
    let put = "PutObject";
    fake.inject(Fault::unavailable().on(put).chance(0.15));
    fake.inject(Fault::internal_error().on(put).chance(0.1));
    fake.inject(Fault::lose_answer().on(put).chance(0.1));
    fake.inject(Fault::reset_upload(2000).on(put).chance(0.1));
    fake.inject(Fault::corrupt_upload(900).on(put).chance(0.1));
    fake.inject(Fault::slow_down().on("ListObjectsV2").chance(0.1));
    fake.inject(Fault::truncate_answer(10).on("GetObject").chance(0.1));
    for _ in 0..8 {
        write(&pg).await;
    }
    let end = flushed(&pg).await;
    wait_until("the WAL to be durable", SOON, async || {
        assert!(!task.is_finished(), "{:?}", archiver.status());
        archiver.status().durable.is_some_and(|it| it >= end)
    })
    .await;
    let status = archiver.status();
    assert!(status.retried_uploads > 0, "no fault came: {status:?}");
    assert_eq!(status.gaps, []);
    fake.heal();
    stop.cancel();
    task.await.unwrap().unwrap();

    let archive = WalArchive::open(store, "", None, Vec::new()).await;
    let archive = archive.unwrap().unwrap();
    let coverage = archive.coverage(None).await.unwrap();
    assert_eq!(coverage.runs.len(), 1, "{:?}", coverage.runs);
    let (run, size) = (&coverage.runs[0], archive.segment_size());
    assert!(run.end >= end);
    let folder = tempfile::tempdir().unwrap();
    let mut compared = 0;
    let last = run.end.segment_number(size);
    for number in run.start.segment_number(size)..last {
        let name = Lsn::new(number * size.bytes())
            .segment(run.timeline, size)
            .file_name(size);
        let to = folder.path().join(&name);
        let file = ops_backup::wal::WalFile::parse(&name, size).unwrap();
        let options = ops_backup::wal::FetchOptions::default();
        archive.fetch(&file, &to, options).await.unwrap();
        let own = std::fs::read(pg.data_dir().join("pg_wal").join(&name)).unwrap();
        assert!(std::fs::read(&to).unwrap() == own, "{name}");
        compared += 1;
    }
    assert!(compared >= 4, "{compared}");
}
