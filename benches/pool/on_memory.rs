//! Pools of connections that do nothing: what is measured is the pool alone.
//!
//! Ours is as a service has it, over the driver and the tap. The peers hold a number
//! each, which is the least that they can be given.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bb8_postgres::bb8::{self, ManageConnection};
use deadpool::Runtime;
use deadpool::managed::{self, Metrics, RecycleResult};
use ops_pool::{SessionPool, SessionPoolBuilder};

use crate::Result;
use crate::peer::{Bb8, Deadpool, Mobc, Ours};
use crate::wire::Memory;

/// As long as nobody should ever wait.
const LONG: Duration = Duration::from_mins(2);

/// A connection of a peer.
pub(crate) type Number = Box<u64>;

/// Makes the peers' connections, in as much time as ours take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers(pub(crate) Memory);

impl Numbers {
    async fn make(&self) -> Number {
        self.0.take_connect_time().await;
        Box::new(1)
    }
}

impl managed::Manager for Numbers {
    type Type = Number;
    type Error = Infallible;

    async fn create(&self) -> Result<Number, Infallible> {
        Ok(self.make().await)
    }

    async fn recycle(&self, _: &mut Number, _: &Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}

impl ManageConnection for Numbers {
    type Connection = Number;
    type Error = Infallible;

    async fn connect(&self) -> Result<Number, Infallible> {
        Ok(self.make().await)
    }

    async fn is_valid(&self, _: &mut Number) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Number) -> bool {
        false
    }
}

#[mobc::async_trait]
impl mobc::Manager for Numbers {
    type Connection = Number;
    type Error = Infallible;

    async fn connect(&self) -> Result<Number, Infallible> {
        Ok(self.make().await)
    }

    async fn check(&self, number: Number) -> Result<Number, Infallible> {
        Ok(number)
    }
}

/// Our pool over a server in memory, as it comes but for `change`.
pub(crate) fn ours(
    memory: &Memory,
    size: usize,
    change: impl FnOnce(SessionPoolBuilder) -> SessionPoolBuilder,
) -> Result<Ours> {
    let builder = SessionPool::builder_with(Arc::new(memory.clone())).pool_size(size);
    Ok(Ours(change(builder).build()?))
}

pub(crate) fn deadpool(memory: &Memory, size: usize) -> Result<Deadpool<Numbers>> {
    let pool = managed::Pool::builder(Numbers(memory.clone()))
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .build()?;
    Ok(Deadpool(pool))
}

pub(crate) async fn bb8(memory: &Memory, size: u32) -> Result<Bb8<Numbers>> {
    let pool = bb8::Pool::builder()
        .max_size(size)
        .test_on_check_out(false)
        .connection_timeout(LONG)
        .build(Numbers(memory.clone()))
        .await?;
    Ok(Bb8(pool))
}

pub(crate) fn mobc(memory: &Memory, size: u64) -> Mobc<Numbers> {
    let pool = mobc::Pool::builder()
        .max_open(size)
        .max_idle(size)
        .test_on_check_out(false)
        .get_timeout(Some(LONG))
        .build(Numbers(memory.clone()));
    Mobc(pool)
}
