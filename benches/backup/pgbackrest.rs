//! pgBackRest, as the distribution packages it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::cluster::Cluster;

const STANZA: &str = "bench";

/// A configuration with a repository of its own.
#[derive(Clone, Debug)]
pub(crate) struct PgBackRest {
    pub(crate) name: &'static str,
    config: PathBuf,
    pub(crate) repository: PathBuf,
    user: Option<(u32, u32)>,
}

/// Whether it is installed; says so where it is not.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("pgbackrest").arg("version").output().ok();
    let version = output.filter(|it| it.status.success());
    if version.is_none() {
        eprintln!("no pgbackrest: this peer is left out");
    }
    version.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}

impl PgBackRest {
    /// Writes the configuration and makes the stanza.
    pub(crate) fn new(cluster: &Cluster, name: &'static str, settings: &str) -> Result<Self> {
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
            config,
            repository,
            user: cluster.pg.run_as().map(|user| (user.uid(), user.gid())),
        };
        let made = ours.command(&["stanza-create"]).output()?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stdout);
            return Err(format!("pgbackrest stanza-create: {said}").into());
        }
        Ok(ours)
    }

    /// Runs it as the server's user, who owns the data and archives.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("pgbackrest");
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
        let config = self.config.display();
        format!("pgbackrest --config={config} --stanza={STANZA} archive-push %p")
    }

    /// The folder of the newest backup; earlier ones are kept.
    pub(crate) fn newest(&self) -> PathBuf {
        self.repository.join("backup").join(STANZA).join("latest")
    }

    pub(crate) fn backup(&self) -> Command {
        self.command(&["--type=full", "backup"])
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
