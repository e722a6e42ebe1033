//! Receives base backups and throws them away, and tells how fast that was.
//!
//! ```text
//! cargo run --release -p ops-pg-replication --example base_backup_speed -- postgres://user@host/?... [runs]
//! ```

use std::time::{Duration, Instant};

use ops_core::{Error, ErrorKind, Result};
use ops_pg::conninfo;
use ops_pg_replication::{BackupEvent, BaseBackupOptions, ReplicationClient, ReplicationOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let usage = || {
        Error::new(
            ErrorKind::InvalidInput,
            "usage: base_backup_speed URL [RUNS]",
        )
    };
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or_else(usage)?;
    let runs = match arguments.next() {
        Some(runs) => runs.parse().map_err(|_| usage())?,
        None => 5_u32,
    };
    let (info, connect) = conninfo::parse_with_options(&url)?;
    let options = ReplicationOptions::default().with_connect(connect);
    let backup = BaseBackupOptions::default().with_verify_checksums(false);
    for _ in 0..runs {
        let mut client = ReplicationClient::connect(&info, &options).await?;
        client.identify_system().await?;
        let mut backup = client.base_backup(&backup).await?;
        let (started, mut bytes, mut pieces) = (Instant::now(), 0_u64, 0_u64);
        while let Some(event) = backup.next().await? {
            if let BackupEvent::Data(data) = event {
                bytes += data.len() as u64;
                pieces += 1;
            }
        }
        tell(started.elapsed(), bytes, pieces);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is a program")]
#[expect(
    clippy::cast_precision_loss,
    reason = "a figure of three digits is told"
)]
fn tell(took: Duration, bytes: u64, pieces: u64) {
    let seconds = took.as_secs_f64();
    let rate = bytes as f64 / 1e9 / seconds;
    println!("{bytes} bytes in {pieces} pieces, {seconds:.3} s, {rate:.2} GB/s");
}
