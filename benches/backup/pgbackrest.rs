//! pgBackRest: the one that the distribution packages, and others that are named.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cluster::{Cluster, stored};
use crate::measure::{Cost, measure};

const STANZA: &str = "bench";
/// The packaged one, in the search path.
const PACKAGED: &str = "pgbackrest";

/// As it comes.
pub(crate) const AS_IT_COMES: &str = "pgbackrest zst:3";
/// The fastest form of versions that do not store blocks.
pub(crate) const BUNDLED: &str = "pgbackrest zst:1, bundled";

/// A configuration with a repository of its own.
#[derive(Clone, Debug)]
pub(crate) struct PgBackRest {
    pub(crate) name: &'static str,
    program: PathBuf,
    config: PathBuf,
    pub(crate) repository: PathBuf,
    user: Option<(u32, u32)>,
}

/// An installed version.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    program: PathBuf,
    /// Such as `2.45`.
    version: String,
}

impl Installed {
    /// The packaged one, where there is one.
    fn packaged() -> Option<Self> {
        Self::at(PACKAGED.into()).ok()
    }

    /// Asks a program for its version.
    pub(crate) fn at(program: PathBuf) -> Result<Self> {
        let what = program.display();
        let output = Command::new(&program)
            .arg("version")
            .output()
            .map_err(|err| format!("{what}: {err}"))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        match printed.trim().strip_prefix("pgBackRest ") {
            Some(version) if output.status.success() => Ok(Self {
                version: version.to_owned(),
                program,
            }),
            _ => Err(format!("{what} is no pgBackRest").into()),
        }
    }
}

/// The version of the packaged one; says so where it is not installed.
pub(crate) fn version() -> Option<String> {
    let packaged = Installed::packaged().map(|it| it.version);
    if packaged.is_none() {
        eprintln!("no pgbackrest: this peer is left out");
    }
    packaged
}

/// All that can back up a cluster: the packaged one in two forms, and each of the `others` in
/// its fastest, which stores the blocks that have changed. Says which cannot.
pub(crate) fn peers(cluster: &Cluster, others: &[Installed]) -> Vec<PgBackRest> {
    let zst1 = "compress-type=zst\ncompress-level=1\nrepo1-bundle=y";
    let mut wanted = Vec::new();
    if let Some(version) = version() {
        eprintln!("the packaged pgbackrest is {version}");
        let zst3 = "compress-type=zst\ncompress-level=3";
        let packaged = Path::new(PACKAGED);
        wanted.push((AS_IT_COMES, packaged, zst3.to_owned()));
        wanted.push((BUNDLED, packaged, zst1.to_owned()));
    }
    for Installed { program, version } in others {
        let name = format!("pgbackrest {version} zst:1, blocks").leak();
        wanted.push((name, program, format!("{zst1}\nrepo1-block=y")));
    }
    let made = wanted.into_iter().filter_map(|(name, program, settings)| {
        PgBackRest::with(cluster, program, name, &settings)
            .inspect_err(|err| eprintln!("{name} is left out: {err}"))
            .ok()
    });
    made.collect()
}

impl PgBackRest {
    /// Makes a repository of the packaged one.
    pub(crate) fn new(cluster: &Cluster, name: &'static str, settings: &str) -> Result<Self> {
        Self::with(cluster, Path::new(PACKAGED), name, settings)
    }

    /// Writes the configuration and makes the stanza.
    fn with(cluster: &Cluster, program: &Path, name: &'static str, settings: &str) -> Result<Self> {
        let folder = cluster.shared_folder(&name.replace([' ', ','], "-"))?;
        let of = |part: &str| -> Result<PathBuf> {
            let name = folder.strip_prefix(cluster.folder())?.join(part);
            cluster.shared_folder(&name.to_string_lossy())
        };
        let config = folder.join("pgbackrest.conf");
        let (repository, spool) = (of("repo")?, of("spool")?);
        let text = format!(
            "[global]\nrepo1-path={}\nspool-path={}\nlog-path={}\nlock-path={}\n\
             log-level-console=warn\nlog-level-file=off\nprocess-max=2\nstart-fast=y\n\
             archive-timeout=120\nrepo1-retention-full=99\n{settings}\n\
             [{STANZA}]\npg1-path={}\npg1-port={}\npg1-socket-path={}\npg1-user=postgres\n",
            repository.display(),
            spool.display(),
            of("log")?.display(),
            of("lock")?.display(),
            cluster.pg.data_dir().display(),
            cluster.pg.port(),
            cluster.pg.socket_dir().display(),
        );
        fs::write(&config, text)?;
        let ours = Self {
            name,
            program: program.to_owned(),
            config,
            repository,
            user: cluster.pg.run_as().map(|user| (user.uid(), user.gid())),
        };
        let made = ours.command(&["stanza-create"]).output()?;
        if !made.status.success() {
            let said = [made.stdout, made.stderr].concat();
            let said = String::from_utf8_lossy(&said).trim().replace('\n', " ");
            return Err(format!("stanza-create: {said}").into());
        }
        Ok(ours)
    }

    /// Runs it as the server's user, who owns the data and archives.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(format!("--config={}", self.config.display()))
            .arg(format!("--stanza={STANZA}"))
            .args(arguments)
            .current_dir("/");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// The `archive_command`.
    pub(crate) fn archive_command(&self) -> String {
        let (program, config) = (self.program.display(), self.config.display());
        format!("{program} --config={config} --stanza={STANZA} archive-push %p")
    }

    /// Takes a backup of a kind, such as `full`. Returns what it cost, and the bytes and files
    /// that were stored; earlier backups are kept.
    pub(crate) async fn back_up(&self, cluster: &Cluster, kind: &str) -> Result<(Cost, u64, u64)> {
        cluster
            .set("archive_command", &self.archive_command())
            .await?;
        let mut command = self.command(&[&format!("--type={kind}"), "backup"]);
        let measured = measure(cluster.pg.pid(), &mut command, b"");
        cluster.set("archive_command", "true").await?;
        let cost = measured?.0;
        let newest = self.repository.join("backup").join(STANZA).join("latest");
        let (bytes, files) = stored(&newest)?;
        Ok((cost, bytes, files))
    }

    pub(crate) fn restore(&self, folder: &Path, delta: bool) -> Command {
        let path = format!("--pg1-path={}", folder.display());
        let mut arguments = vec![path.as_str(), "--archive-mode=off", "restore"];
        if delta {
            arguments.insert(0, "--delta");
        }
        self.command(&arguments)
    }
}
