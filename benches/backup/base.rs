//! Base backups and restores beside pgBackRest and `pg_basebackup`.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ops_backup::BackupId;
use ops_testkit::s3::S3Server;

use crate::book::{Book, OURS};
use crate::cluster::{Cluster, stored};
use crate::harness::Case;
use crate::measure::{Cost, measure};
use crate::ours::{Answer, Order, Place, Task};
use crate::pgbackrest::{self, AS_IT_COMES, BUNDLED, Installed, PgBackRest};
use crate::{Result, megabytes};

const OURS_S3: &str = "ours, to S3";
const SERVER_ZSTD: &str = "pg_basebackup server-zstd:3";
const CLIENT_ZSTD: &str = "pg_basebackup client-zstd:3";
const LIMIT: &str = "limit";
/// How much memory a backup or a restore may take beside what the idle process has, in MiB.
const MEMORY: f64 = 48.0;

const PAGE: u64 = 8192;

const BACKUP: [&str; 3] = [
    "base backup: wall",
    "base backup: CPU of both sides",
    "base backup: peak of the process tree",
];
const STORED: &str = "base backup: stored";
const OBJECTS: &str = "base backup: files or objects";
const ABOVE_IDLE: &str = "base backup: memory above idle";
const S3_ABOVE_IDLE: &str = "base backup to S3: memory above idle";
const RESTORE: [&str; 3] = [
    "restore: wall",
    "restore: CPU",
    "restore: peak of the process tree",
];
const RESTORE_ABOVE_IDLE: &str = "restore: memory above idle";
const DELTA: [&str; 3] = [
    "delta restore: wall",
    "delta restore: CPU",
    "delta restore: peak of the process tree",
];

struct Contest<'a> {
    cluster: &'a Cluster,
    backrest: Vec<PgBackRest>,
    s3: Option<S3Server>,
    book: Book,
    /// Our newest backup.
    id: Option<BackupId>,
}

/// Runs the contenders whose name has one of `chosen` in it, all where none is.
pub(crate) async fn run(
    cluster: &Cluster,
    rounds: usize,
    chosen: &[String],
    others: &[Installed],
) -> Result<Vec<Case>> {
    let mut contest = Contest {
        cluster,
        backrest: pgbackrest::peers(cluster, others),
        s3: S3Server::s3s_fs().await,
        book: Book::default(),
        id: None,
    };
    let mut names = vec![OURS, SERVER_ZSTD, CLIENT_ZSTD];
    names.extend(contest.backrest.iter().map(|it| it.name));
    if contest.s3.is_some() {
        names.push(OURS_S3);
    }
    names.retain(|name| chosen.is_empty() || chosen.iter().any(|it| name.contains(it.as_str())));
    // One round to warm the caches, not counted.
    for round in 0..=rounds {
        for &name in &names {
            contest.cluster.checkpoint().await?;
            match contest.back_up(name, round > 0).await {
                Ok(cost) => eprintln!("round {round}: backup: {name}: {cost:?}"),
                // The S3 server is a simple one; the others go on without it.
                Err(err) if name == OURS_S3 => eprintln!("round {round}: {name}: {err}"),
                Err(err) => return Err(err),
            }
        }
        for &name in &names {
            if name == OURS || contest.backrest(name).is_some() {
                contest.restore(name, round > 0)?;
            }
        }
        names.reverse();
    }
    Ok(contest.cases())
}

impl Contest<'_> {
    fn store(&self) -> PathBuf {
        self.cluster.folder().join("store")
    }

    fn backrest(&self, name: &str) -> Option<&PgBackRest> {
        self.backrest.iter().find(|it| it.name == name)
    }

    async fn back_up(&mut self, name: &'static str, counted: bool) -> Result<Cost> {
        let pid = self.cluster.pg.pid();
        let target = self.cluster.folder().join("peer");
        let mut ours = None;
        let (cost, bytes, files) = match name {
            OURS | OURS_S3 => {
                let place = self.place(name).await?;
                let (mut command, input) =
                    Order::new(self.cluster, Task::Backup, place).command()?;
                // Only the newest is kept, as the peers' are.
                if name == OURS {
                    let _ = fs::remove_dir_all(self.store());
                }
                let (cost, output) = measure(pid, &mut command, &input)?;
                let answer: Answer = serde_json::from_slice(&output)?;
                let figures = (cost, answer.stored, answer.objects as u64);
                ours = Some(answer);
                figures
            }
            SERVER_ZSTD | CLIENT_ZSTD => {
                let side = if name == SERVER_ZSTD {
                    "server"
                } else {
                    "client"
                };
                pg_basebackup(self.cluster, side, &target)?
            }
            _ => {
                let peer = self.backrest(name).ok_or("no such peer")?;
                peer.back_up(self.cluster, "full").await?
            }
        };
        if counted {
            self.book.cost(BACKUP, name, cost);
            self.book.note(STORED, name, megabytes(bytes));
            #[expect(clippy::cast_precision_loss, reason = "a count is shown")]
            self.book.note(OBJECTS, name, files as f64);
        }
        if let Some(answer) = ours {
            if counted {
                let what = if name == OURS {
                    ABOVE_IDLE
                } else {
                    S3_ABOVE_IDLE
                };
                self.note_memory(what, &answer);
            }
            if name == OURS {
                self.id = answer.id;
            }
        }
        Ok(cost)
    }

    fn note_memory(&mut self, what: &'static str, answer: &Answer) {
        let above = answer.above_idle_mib();
        eprintln!("{what}: {above:.0} MiB");
        self.book.note(what, OURS, above);
        self.book.note(what, LIMIT, MEMORY);
    }

    async fn place(&self, name: &str) -> Result<Place> {
        let Some(server) = self.s3.as_ref().filter(|_| name == OURS_S3) else {
            return Ok(Place::Folder(self.store()));
        };
        Ok(Place::S3 {
            endpoint: server.endpoint().to_owned(),
            region: server.region().to_owned(),
            // The server's own test credentials, known to everybody.
            access: server.access_key().to_owned(),
            signing: server.secret_key().to_owned(),
            bucket: server.create_bucket().await,
        })
    }

    /// Restores the newest backup of a contender, then once more over it after one page in a
    /// hundred was changed.
    fn restore(&mut self, name: &'static str, counted: bool) -> Result<()> {
        let folder = self.cluster.shared_folder("restored")?;
        let whole = self.restore_once(name, &folder, false, counted)?;
        let changed = change_pages(&folder.join("base"))?;
        let delta = self.restore_once(name, &folder, true, counted)?;
        self.cluster.discard(&folder)?;
        eprintln!("restore: {name}: {whole:?}, over {changed} changed pages: {delta:?}");
        if counted {
            self.book.cost(RESTORE, name, whole);
            self.book.cost(DELTA, name, delta);
        }
        Ok(())
    }

    fn restore_once(
        &mut self,
        name: &'static str,
        folder: &Path,
        delta: bool,
        counted: bool,
    ) -> Result<Cost> {
        if name != OURS {
            let peer = self.backrest(name).ok_or("no such peer")?;
            return Ok(measure(None, &mut peer.restore(folder, delta), b"")?.0);
        }
        let task = Task::Restore {
            id: self.id.clone().ok_or("there is no backup")?,
            folder: folder.to_owned(),
            delta,
        };
        let place = Place::Folder(self.store());
        let (mut command, input) = Order::new(self.cluster, task, place).command()?;
        let (cost, output) = measure(None, &mut command, &input)?;
        if counted && !delta {
            self.note_memory(RESTORE_ABOVE_IDLE, &serde_json::from_slice(&output)?);
        }
        Ok(cost)
    }

    fn cases(&self) -> Vec<Case> {
        let [wall, cpu, memory] = BACKUP;
        let [restore, restore_cpu, restore_memory] = RESTORE;
        let [delta, delta_cpu, delta_memory] = DELTA;
        let book = &self.book;
        let walls = [(AS_IT_COMES, 0.4), (BUNDLED, 0.75), (SERVER_ZSTD, 1.15)];
        let cases = [
            book.case(wall, "s", &walls),
            book.case(cpu, "s", &[(BUNDLED, 0.8)]),
            book.case(memory, "MiB", &[]),
            book.case(STORED, "MB", &[(BUNDLED, 1.0)]),
            book.case(OBJECTS, "files", &[]),
            book.case(ABOVE_IDLE, "MiB", &[(LIMIT, 1.0)]),
            book.case(S3_ABOVE_IDLE, "MiB", &[(LIMIT, 1.0)]),
            book.case(restore, "s", &[(AS_IT_COMES, 0.7), (BUNDLED, 0.7)]),
            book.case(restore_cpu, "s", &[]),
            book.case(restore_memory, "MiB", &[]),
            book.case(RESTORE_ABOVE_IDLE, "MiB", &[(LIMIT, 1.0)]),
            book.case(delta, "s", &[(AS_IT_COMES, 0.7), (BUNDLED, 0.7)]),
            book.case(delta_cpu, "s", &[]),
            book.case(delta_memory, "MiB", &[]),
        ];
        cases.into_iter().flatten().collect()
    }
}

/// The peer that is part of the server, whose result is thrown away.
pub(crate) fn pg_basebackup(
    cluster: &Cluster,
    side: &str,
    target: &Path,
) -> Result<(Cost, u64, u64)> {
    let compress = format!("--compress={side}-zstd:level=3,workers=2");
    let folder = target.to_string_lossy().into_owned();
    let arguments = [
        "-D", &folder, "-Ft", "-X", "stream", "-c", "fast", &compress,
    ];
    let mut command = cluster.program("pg_basebackup", &arguments);
    command.env_remove("PGDATABASE");
    let (cost, _) = measure(cluster.pg.pid(), &mut command, b"")?;
    let (bytes, files) = stored(target)?;
    fs::remove_dir_all(target)?;
    Ok((cost, bytes, files))
}

/// Overwrites one page in a hundred of each larger file, and says how many those were.
fn change_pages(folder: &Path) -> Result<u64> {
    let mut changed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_dir() {
            changed += change_pages(&entry.path())?;
        } else if meta.len() >= 100 * PAGE {
            let file = fs::File::options().write(true).open(entry.path())?;
            for page in (50..meta.len() / PAGE).step_by(100) {
                file.write_all_at(&[0x5a; 512], page * PAGE + 4096)?;
                changed += 1;
            }
        }
    }
    Ok(changed)
}
