//! Child processes, from the side of their parent.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::Result;
use crate::job::{CHILD, Half, Job, Task};
use crate::load::{Connection, Load, Loaded};
use crate::site::Site;

/// How long a server may take until all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that has been told what to do. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    pub(crate) async fn start(job: &Job) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(CHILD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = process.stdin.take().ok_or("no standard input")?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let mut child = Self {
            process,
            input,
            output: BufReader::new(output).lines(),
        };
        child.say(&serde_json::to_string(job)?).await?;
        Ok(child)
    }

    async fn say(&mut self, line: &str) -> Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(())
    }

    pub(crate) async fn line(&mut self) -> Result<String> {
        let line = self.output.next_line().await?;
        Ok(line.ok_or("a child ended before it answered")?)
    }

    /// Ends the input, and gives the last line.
    pub(crate) async fn finish(self) -> Result<String> {
        let Self {
            mut process,
            input,
            mut output,
        } = self;
        drop(input);
        let line = output.next_line().await?;
        let status = process.wait().await?;
        if !status.success() {
            return Err(format!("a child failed: {status}").into());
        }
        Ok(line.unwrap_or_default())
    }
}

/// A server in a process of its own.
#[derive(Debug)]
pub(crate) struct Server {
    child: Mutex<Child>,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server, and waits until `/health` is well.
    pub(crate) async fn start(site: Site, workers: usize, half: Option<Half>) -> Result<Self> {
        let task = Task::Serve(site);
        let mut child = Child::start(&Job {
            task,
            workers,
            half,
        })
        .await?;
        let address = child.line().await?.parse()?;
        let server = Self {
            child: Mutex::new(child),
            address,
        };
        let begun = Instant::now();
        let mut connection = Connection::open(address).await?;
        let health = Load::request("/health", false);
        loop {
            let answer = connection.ask(&health).await?;
            if answer.status == 200 {
                return Ok(server);
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("a server still answers {}", answer.status).into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The processor time that the server has taken.
    pub(crate) async fn cpu(&self) -> Result<Duration> {
        let mut child = self.child.lock().await;
        child.say("cpu").await?;
        Ok(Duration::from_nanos(child.line().await?.parse()?))
    }
}

/// Clients at work, until they are told to end.
#[derive(Debug)]
pub(crate) struct Clients(Child);

impl Clients {
    /// Returns when all are connected.
    pub(crate) async fn start(load: Load, workers: usize, half: Option<Half>) -> Result<Self> {
        let task = Task::Load(load);
        let mut child = Child::start(&Job {
            task,
            workers,
            half,
        })
        .await?;
        child.line().await?;
        Ok(Self(child))
    }

    /// What they saw: ends them, or waits for their end where they know when that is.
    pub(crate) async fn finish(self, path: &str) -> Result<Loaded> {
        let loaded: Loaded = serde_json::from_str(&self.0.finish().await?)?;
        if loaded.failed > 0 || loaded.requests == 0 {
            let Loaded {
                requests, failed, ..
            } = loaded;
            return Err(format!("{path}: {failed} of {requests} requests failed").into());
        }
        Ok(loaded)
    }
}
