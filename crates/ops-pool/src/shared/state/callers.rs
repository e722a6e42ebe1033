//! Who waits, and who has what.

use tokio::task::Id;

use super::State;
use super::slot::{Caller, Holding};
use crate::core::{Now, ServerId, WaiterId};

impl State {
    /// The session of this connection is used by another task than the one that
    /// acquired it.
    pub(in crate::shared) fn moved(&mut self, server: ServerId) {
        let slot = self.slots.get_mut(server.index());
        if let Some(held) = slot.and_then(|slot| slot.holder.as_mut()) {
            held.caller.by.task = None;
        }
    }

    /// Whether the task has a session of this pool.
    pub(in crate::shared) fn is_holder(&self, task: Id) -> bool {
        let mut holders = self.slots.iter().filter_map(|slot| slot.holder.as_ref());
        holders.any(|held| held.caller.by.task == Some(task))
    }

    /// Notes who waits, so that it can be told when everybody waits for everybody.
    pub(in crate::shared) fn note_waiter(&mut self, waiter: WaiterId, caller: Caller) {
        if self.callers.len() <= waiter.index() {
            self.callers.resize_with(waiter.index() + 1, || None);
        }
        if let Some(kept) = self.callers.get_mut(waiter.index()) {
            *kept = Some(caller);
        }
    }

    fn is_waiting(&self, task: Id) -> bool {
        let mut callers = self.callers.iter().flatten();
        callers.any(|caller| caller.by.task == Some(task))
    }

    /// Who waits, in no order.
    pub(in crate::shared) fn callers(&self) -> impl Iterator<Item = &Caller> {
        self.callers.iter().flatten()
    }

    /// A caller that has just come.
    #[inline]
    pub(in crate::shared) fn caller(&mut self, holding: &Holding, now: Now) -> Caller {
        self.came += 1;
        Caller {
            by: holding.clone(),
            number: self.came,
            since: now,
        }
    }

    pub(in crate::shared) fn forget_waiter(&mut self, waiter: WaiterId) -> Option<Caller> {
        self.callers.get_mut(waiter.index())?.take()
    }

    /// Whether every connection that the pool may have is held by a task that itself waits
    /// for another one: nobody will ever go on.
    pub(in crate::shared) fn is_deadlocked(&self) -> bool {
        let settings = self.core.settings();
        let limit = settings.pool_size + settings.reserve_pool_size;
        let holders = self.slots.iter().filter_map(|slot| slot.holder.as_ref());
        let stuck = holders.filter(|held| {
            held.caller
                .by
                .task
                .is_some_and(|task| self.is_waiting(task))
        });
        let counts = self.core.counts();
        counts.active >= limit && stuck.count() == counts.active
    }
}
