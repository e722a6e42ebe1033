//! What the tests have in common.

use std::time::Duration;

use ops_core::Error;
use ops_core::database::ConnectInfo;
use ops_pg_replication::{
    BackupEnd, BackupEvent, BackupStart, BaseBackup, Mode, Notice, ReplicationClient,
    ReplicationOptions, SlotName, Tablespace,
};
use ops_testkit::{Pg, PgBuilder, fixture};

/// The most that a step may take on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a peer may be silent in a test that must also go well before: a machine that is
/// busy with other tests may stand still for a while.
pub(crate) const A_WHILE: Duration = Duration::from_secs(3);

/// The servers of every installed major.
pub(crate) async fn majors() -> Vec<u32> {
    let majors = Pg::available_majors().await;
    let majors: Vec<_> = majors.into_iter().map(|major| major.0).collect();
    if majors.is_empty() {
        fixture::skip("no server of PostgreSQL is installed");
    }
    majors.into_iter().filter(|major| *major >= 13).collect()
}

pub(crate) fn server(major: u32) -> PgBuilder {
    Pg::builder().major(major)
}

pub(crate) fn slot(name: &str) -> SlotName {
    SlotName::new(name).unwrap()
}

pub(crate) async fn physical(info: &ConnectInfo) -> ReplicationClient {
    ReplicationClient::connect(info, &ReplicationOptions::default())
        .await
        .unwrap()
}

pub(crate) async fn with_database(info: &ConnectInfo) -> ReplicationClient {
    let options = ReplicationOptions::default().with_mode(Mode::Database);
    ReplicationClient::connect(info, &options).await.unwrap()
}

/// A base backup that has been received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) start: BackupStart,
    pub(crate) archives: Vec<Archive>,
    pub(crate) manifest: Option<Vec<u8>>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) progress: Vec<u64>,
    pub(crate) end: BackupEnd,
}

#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) name: String,
    pub(crate) tablespace: Option<Tablespace>,
    pub(crate) bytes: Vec<u8>,
}

/// Receives a base backup to its end.
pub(crate) async fn receive(backup: &mut BaseBackup) -> Result<Received, Error> {
    let start = backup.start().clone();
    let mut archives: Vec<Archive> = Vec::new();
    let mut manifest: Option<Vec<u8>> = None;
    let (mut notices, mut progress, mut end) = (Vec::new(), Vec::new(), None);
    let mut looks = false;
    while let Some(event) = next(backup, &mut looks).await? {
        assert!(end.is_none(), "nothing follows the end");
        match event {
            BackupEvent::Archive { name, tablespace } => archives.push(Archive {
                name,
                tablespace,
                bytes: Vec::new(),
            }),
            BackupEvent::Data(data) => archives.last_mut().unwrap().bytes.extend(&data[..]),
            BackupEvent::Progress(done) => progress.push(done),
            BackupEvent::ManifestBegin => manifest = Some(Vec::new()),
            BackupEvent::Manifest(data) => manifest.as_mut().unwrap().extend(&data[..]),
            BackupEvent::Notice(notice) => notices.push(notice),
            BackupEvent::End(it) => end = Some(it),
            other => panic!("{other:?} is not known"),
        }
    }
    Ok(Received {
        start,
        archives,
        manifest,
        notices,
        progress,
        end: end.expect("a backup that ends has an end"),
    })
}

/// The next event, for which every other time only what has been read is looked at first.
async fn next(backup: &mut BaseBackup, looks: &mut bool) -> Result<Option<BackupEvent>, Error> {
    *looks = !*looks;
    if *looks && let Some(event) = backup.buffered()? {
        return Ok(Some(event));
    }
    backup.next().await
}
