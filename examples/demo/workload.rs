//! Writers, through the pool, while the backup is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ops_pool::{Acquire, SessionPool};
use ops_testkit::data;
use tokio::task::JoinSet;

use crate::Result;

const WORKERS: u64 = 4;
/// So that the writers do not take the machine away from what is measured.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(2);

pub(crate) struct Workload {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    tasks: JoinSet<Result<(), String>>,
}

impl Workload {
    pub(crate) fn start(pool: &SessionPool) -> Self {
        let (stop, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut tasks = JoinSet::new();
        for worker in 0..WORKERS {
            tasks.spawn(run(
                pool.clone(),
                worker,
                Arc::clone(&stop),
                Arc::clone(&done),
            ));
        }
        Self { stop, done, tasks }
    }

    /// Ends the workload; answers how many transactions it made.
    pub(crate) async fn stop(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(self.done.load(Ordering::Relaxed))
    }
}

async fn run(
    pool: SessionPool,
    worker: u64,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Result<(), String> {
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let session = pool
            .acquire_with(Acquire::new().label("workload"))
            .await
            .map_err(|err| ops_core::Report(&err).to_string())?;
        data::workload_step(&session, worker, turn)
            .await
            .map_err(|err| ops_core::Report(&err).to_string())?;
        drop(session);
        turn += 1;
        done.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
