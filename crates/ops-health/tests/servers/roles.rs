//! A standby that takes over.

use std::ffi::OsStr;
use std::time::Instant;

use ops_core::database::Role;
use ops_health::checks::Postgres;
use ops_health::{Code, Status};
use ops_testkit::Pg;

use crate::measure::{Found, HEALTHY, TENTH, Watched};
use crate::mount::call;

const WRONG: Found = (Status::Unhealthy, Code::WrongRole);

/// Copies the primary, and lets the copy follow it.
async fn standby_of(primary: &Pg) -> Option<Pg> {
    let host = primary.socket_dir().display().to_string();
    let conninfo = format!("host={host} port={} user=postgres", primary.port());
    let standby = Pg::builder()
        .major(primary.binaries().major().0)
        .setting("primary_conninfo", &conninfo)
        .create_empty()
        .await?;
    let options = ["--checkpoint=fast", "--wal-method=stream", "--no-sync"];
    let from_to = ["--dbname".as_ref(), conninfo.as_ref(), "--pgdata".as_ref()];
    let arguments = options.into_iter().map(OsStr::new).chain(from_to);
    let arguments = arguments.chain([standby.data_dir().as_os_str()]);
    let copied = call(primary.bin("pg_basebackup"), arguments).unwrap();
    assert!(copied.status.success(), "{copied:?}");
    std::fs::write(standby.data_dir().join("standby.signal"), "").unwrap();
    standby.adopt_data_dir().await.unwrap();
    Some(standby)
}

#[tokio::test]
async fn a_promoted_standby_is_told_in_time_by_who_wants_it_and_who_does_not() {
    let Some(mut primary) = Pg::builder().setting("wal_level", "replica").start().await else {
        return;
    };
    let Some(mut standby) = standby_of(&primary).await else {
        return;
    };
    standby.start_again().await;
    let follower = standby.connect_info("postgres");
    let writes = Postgres::new(follower.clone()).named("writes");
    let writes = Watched::start(writes, TENTH, WRONG).await;
    let reads = Postgres::new(follower).expect(Role::Replica).named("reads");
    let reads = Watched::start(reads, TENTH, HEALTHY).await;

    primary.kill9().await;
    let client = standby.client("postgres").await;
    let promoted: bool = client
        .query_one("SELECT pg_promote()", &[])
        .await
        .unwrap()
        .get(0);
    assert!(promoted);
    let since = Instant::now();
    let (wanted, unwanted) = (
        "a standby, where a primary is wanted",
        "a promoted standby, where a replica is wanted",
    );
    // At the same time: neither waits for the other.
    tokio::join!(
        reads.detects(unwanted, "reads", since, WRONG),
        writes.recovers(wanted, "writes", since, TENTH.retry),
    );
}
