//! What an idle connection costs in memory: the pool's part and the driver's.
//!
//! Each contender opens connections in a process of its own, to a server in this one.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use ops_core::database::{ConnectInfo, Engine, Host, TlsMode, TlsSettings};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_postgres::NoTls;

use crate::Result;
use crate::measure::{Samples, resident};
use crate::on_postgres;
use crate::options::Options;
use crate::peer::{Pool, warm};
use crate::report::Table;
use crate::wire::talk;

pub(crate) const NAME: &str = "footprint";

/// Connections that are there before counting starts, so that what is there once is not
/// counted.
const BEFORE: u16 = 50;
const COUNT: u16 = 1_000;
const DRIVER: &str = "tokio-postgres, no pool";
const CONTENDERS: [&str; 6] = [DRIVER, "ours", "deadpool", "bb8", "mobc", "sqlx"];

/// What a child is to do.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    contender: String,
    port: u16,
}

impl FromStr for Job {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('@');
        let (contender, port) = parts.ok_or("a job is a contender @ a port")?;
        Ok(Self {
            contender: contender.to_owned(),
            port: port.parse().map_err(|err| format!("{port}: {err}"))?,
        })
    }
}

pub(crate) async fn run(options: &Options) -> Result<Vec<Table>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, || false));
        }
    });
    let mut samples = Samples::default();
    for _ in 0..options.rounds.min(3) {
        for name in CONTENDERS {
            samples.add(name, &[measure(name, port).await?]);
        }
    }
    server.abort();
    let mut table = Table::new(
        format!("memory of an idle connection, {COUNT} of them"),
        &[("resident", "bytes"), ("less driver", "bytes")],
    );
    let driver = samples.median(DRIVER, 0);
    for name in CONTENDERS {
        let all = samples.median(name, 0);
        // sqlx has a driver of its own.
        let pool = if name == "sqlx" {
            f64::NAN
        } else {
            all - driver
        };
        table.row(name, vec![all, pool]);
    }
    Ok(vec![table])
}

async fn measure(contender: &str, port: u16) -> Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--footprint", &format!("{contender}@{port}")])
        .output()
        .await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{contender} did not tell what it takes: {said}").into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Opens connections, and prints what each takes.
pub(crate) async fn child(job: &Job) -> Result<()> {
    let info = ConnectInfo::new(Engine::Postgres, Host::Tcp("127.0.0.1".into()), job.port)
        .with_user("bench")
        .with_database("bench")
        .with_tls(TlsSettings::new(TlsMode::Disable));
    let size = BEFORE + COUNT;
    let fast = deadpool_postgres::RecyclingMethod::Fast;
    let bytes = match job.contender.as_str() {
        DRIVER => driver(SocketAddr::from(([127, 0, 0, 1], job.port))).await?,
        "ours" => taken(on_postgres::ours(&info, size.into(), |pool| pool)?).await?,
        "deadpool" => taken(on_postgres::deadpool(&info, size.into(), fast)?).await?,
        "bb8" => taken(on_postgres::bb8(&info, size.into(), false).await?).await?,
        "mobc" => taken(on_postgres::mobc(&info, size.into())?).await?,
        "sqlx" => {
            let pool = on_postgres::sqlx(&info, |pool| pool.max_connections(size.into()))?;
            taken(pool).await?
        }
        unknown => return Err(format!("{unknown} is no contender").into()),
    };
    println!("{bytes}");
    Ok(())
}

async fn taken<P: Pool>(pool: P) -> Result<f64> {
    warm(&pool, BEFORE.into()).await?;
    settle().await;
    let before = resident()?;
    warm(&pool, (BEFORE + COUNT).into()).await?;
    settle().await;
    Ok((resident()? - before) / f64::from(COUNT))
}

async fn driver(server: SocketAddr) -> Result<f64> {
    let mut config = tokio_postgres::Config::new();
    config.host(server.ip().to_string()).port(server.port());
    config.user("bench").dbname("bench");
    let mut clients = Vec::with_capacity((BEFORE + COUNT).into());
    let mut before = 0.0;
    for number in 0..BEFORE + COUNT {
        if number == BEFORE {
            settle().await;
            before = resident()?;
        }
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        clients.push(client);
    }
    settle().await;
    let bytes = (resident()? - before) / f64::from(COUNT);
    drop(clients);
    Ok(bytes)
}

/// Lets everything come to rest that was set in motion.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}
