//! Work that nobody waits for, on the same pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ops_pool::{Acquire, AcquireError, SessionPool};
use tokio::task::JoinHandle;

use crate::Result;

/// As many jobs at a time as the pool has sessions: enough to take all of them.
const WORKERS: usize = 4;

pub(crate) struct Jobs {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
    workers: Vec<JoinHandle<Result<()>>>,
}

impl Jobs {
    pub(crate) fn start(pool: &SessionPool) -> Self {
        let (stop, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let workers = (0..WORKERS).map(|_| {
            let (pool, stop, done) = (pool.clone(), Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    work(&pool).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        Self {
            workers: workers.collect(),
            stop,
            done,
        }
    }

    /// Lets the jobs under way end, and tells how many were done.
    pub(crate) async fn stop(self) -> Result<u32> {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await??;
        }
        Ok(self.done.load(Ordering::Relaxed))
    }
}

/// A job takes 20 ms. It has time: it waits in its own lane, for as long as it must.
async fn work(pool: &SessionPool) -> Result<()> {
    let how = || Acquire::new().lane("jobs").label("job");
    let session = loop {
        match pool.acquire_with(how()).await {
            Err(AcquireError::Overloaded { expected, .. }) => tokio::time::sleep(expected).await,
            other => break other?,
        }
    };
    session.batch_execute("SELECT pg_sleep(0.02)").await?;
    Ok(())
}
