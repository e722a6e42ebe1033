//! The pool over a fake server and a clock that the tests own.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose preparation fails has failed"
)]

mod admin;
mod cancellation;
mod group;
mod outage;
mod overhead;
mod overload;
mod server;
mod serving;
mod show;
mod shutdown;
mod trace;

use std::sync::Arc;

use ops_pool::{Session, SessionPool, SessionPoolBuilder};

use server::{Fake, ToFake};

fn over(fake: &Arc<Fake>) -> SessionPoolBuilder {
    SessionPool::builder_with(Arc::new(ToFake(Arc::clone(fake))))
}

/// Lets everything happen that happens without the clock.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

async fn all_of(pool: &SessionPool, count: usize) -> Vec<Session> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        sessions.push(pool.acquire().await.unwrap());
    }
    sessions
}
