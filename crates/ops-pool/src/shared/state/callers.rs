//! Who waits, and who has what.

use tokio::task::Id;

use super::slot::{Caller, Holding};
use super::{Deferred, Effect, State};
use crate::core::{Now, ServerId, WaiterId};
use crate::shared::REMINDER;

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
    pub(in crate::shared) fn note_waiter(
        &mut self,
        waiter: WaiterId,
        caller: Caller,
        now: Now,
        deferred: &mut Deferred,
    ) {
        if self.reminder.is_none() {
            self.reminder = Some(now.after(REMINDER));
            deferred.push(Effect::Rearm);
        }
        if self.callers.len() <= waiter.index() {
            self.callers.resize_with(waiter.index() + 1, || None);
        }
        if let Some(kept) = self.callers.get_mut(waiter.index()) {
            *kept = Some(caller);
        }
    }

    /// Wakes whoever has waited for a while and has not been woken for that before.
    pub(in crate::shared) fn remind(&mut self, now: Now, deferred: &mut Deferred) {
        if self.reminder.is_none_or(|at| now < at) {
            return;
        }
        let mut more = false;
        for (index, caller) in self.callers.iter_mut().enumerate() {
            let Some(caller) = caller.as_mut().filter(|caller| !caller.reminded) else {
                continue;
            };
            // One that has just come may not have said yet how to wake it.
            let waited = now >= caller.since.after(REMINDER);
            match self.wakers.get_mut(index).and_then(Option::take) {
                Some(waker) if waited => {
                    caller.reminded = true;
                    deferred.push(Effect::Wake(waker));
                }
                waker => {
                    more = true;
                    if let Some(kept) = self.wakers.get_mut(index) {
                        *kept = waker;
                    }
                }
            }
        }
        self.reminder = more.then(|| now.after(REMINDER));
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
            reminded: false,
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
