//! How much the transfers of a store may hold in memory together.

use std::sync::Arc;

use ops_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit of the budget: a semaphore counts at most 2^32 of them at once.
const UNIT: u64 = 1024;

/// A number of bytes that transfers share.
///
/// A transfer that holds nothing may always take one part without asking. So transfers
/// that feed each other, such as a read of an object into a write of another, cannot wait
/// for each other for ever; what is in memory is at most the budget and one part for each
/// transfer.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    total: u32,
}

/// A share of the budget, given back when it is dropped; or one part beyond it.
#[derive(Debug)]
pub(crate) struct Share(
    #[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>,
);

impl Share {
    /// The one part that a transfer has without asking.
    pub(crate) const BEYOND: Self = Self(None);
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let total = units(bytes);
        Self {
            units: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// How many bytes there are in all.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.total) * UNIT
    }

    /// Waits for a share. One that is larger than the whole budget takes all of it.
    pub(crate) async fn share(&self, bytes: u64) -> Result<Share> {
        let units = units(bytes).min(self.total);
        let permit = Arc::clone(&self.units).acquire_many_owned(units).await;
        permit.map(|permit| Share(Some(permit))).map_err(|source| {
            Error::new(ErrorKind::Internal, "the byte budget is closed").with_source(source)
        })
    }

    /// A share if there is one now.
    pub(crate) fn try_share(&self, bytes: u64) -> Option<Share> {
        let units = units(bytes).min(self.total);
        let permit = Arc::clone(&self.units).try_acquire_many_owned(units);
        permit.ok().map(|permit| Share(Some(permit)))
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT))
        .unwrap_or(u32::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn shares_never_exceed_the_budget_and_come_back() {
        let budget = Budget::new(10 * UNIT);
        let first = budget.try_share(6 * UNIT).unwrap();
        assert!(budget.try_share(5 * UNIT).is_none());
        assert!(budget.share(5 * UNIT).now_or_never().is_none());
        drop(first);
        let _second = budget.share(5 * UNIT).await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_is_larger_than_the_budget_takes_all_of_it() {
        let budget = Budget::new(10 * UNIT);
        let _whole = budget.share(u64::MAX).await.unwrap();
        assert!(budget.try_share(1).is_none());
    }
}
