//! What the reference does about an event.

use super::*;

impl Model {
    pub(super) fn acquire(
        &mut self,
        lane: LaneId,
        name: Option<WaiterId>,
        now: Now,
        retry_at: Option<Now>,
    ) {
        if self.draining {
            return self.out.push(Action::Refuse(Refusal::ShuttingDown));
        }
        let fresh = self
            .next_idle()
            .filter(|(_, since)| !self.is_stale(*since, now));
        if self.waiting() == 0
            && self.may_take(lane.0, self.capacity())
            && let Some((server, _)) = fresh
        {
            self.idle.retain(|(other, _)| *other != server);
            self.lent.insert(server, lane);
            return self.out.push(Action::Grant(server));
        }
        if let Some(refusal) = self.refusal(now, retry_at) {
            return self.out.push(Action::Refuse(refusal));
        }
        if let Some(name) = name {
            self.queues[lane.0].push_back((name, now));
            self.out.push(Action::Wait(name));
        }
    }

    pub(super) fn collect(&mut self, waiter: WaiterId) {
        let queued = self.queues.iter().flatten().any(|(it, _)| *it == waiter);
        if let Some((server, lane)) = self.served.remove(&waiter) {
            self.lent.insert(server, lane);
            self.out.push(Action::Grant(server));
        } else if let Some(refusal) = self.refused.remove(&waiter) {
            self.out.push(Action::Refuse(refusal));
        } else if queued {
            self.out.push(Action::Wait(waiter));
        }
    }

    pub(super) fn release(&mut self, server: ServerId, verdict: Verdict, now: Now) {
        if !self.lent.contains_key(&server) {
            return;
        }
        let ages_out = self.is_too_old(server, now) && !self.successor_first();
        self.lent.remove(&server);
        let gone = self.gone.remove(&server);
        let reason = match verdict {
            Verdict::Close(reason) => Some(reason),
            _ if gone => Some(CloseReason::ServerGone),
            Verdict::Clean | Verdict::Reusable => self.not_kept(server),
        };
        match reason {
            Some(reason) => self.close(server, reason),
            None if ages_out => self.age_out(server, now),
            None if verdict == Verdict::Reusable => {
                self.resetting.insert(server, now);
                self.out.push(Action::Reset(server));
            }
            None => self.offer(server, now),
        }
    }

    pub(super) fn failed(&mut self, server: ServerId, failure: Failure, retry_in: Duration) {
        self.generations.remove(&server);
        self.failing = Some(failure);
        if failure != Failure::Starting && self.all() == 0 {
            self.refuse_all(Refusal::ServerDown { retry_in });
        }
    }

    pub(super) fn server_gone(&mut self, server: ServerId, retry_in: Duration) {
        if self.connecting.remove(&server) {
            return self.failed(server, Failure::Unreachable, retry_in);
        }
        if self.lent.contains_key(&server) {
            self.gone.insert(server);
            return;
        }
        let waiter = self.served.iter().find(|(_, (other, _))| *other == server);
        let waiter = waiter.map(|(waiter, (_, lane))| (*waiter, *lane));
        if let Some((waiter, lane)) = waiter {
            self.served.remove(&waiter);
            if self.draining {
                self.refused.insert(waiter, Refusal::ShuttingDown);
            } else {
                // To its place among those who have not been served.
                let came = |waiter: &WaiterId| self.came.get(waiter).copied().unwrap_or_default();
                let mut queue = self.queues[lane.0].clone();
                queue.push_back((waiter, came(&waiter).0));
                queue
                    .make_contiguous()
                    .sort_by_key(|(waiter, _)| came(waiter).1);
                self.queues[lane.0] = queue;
            }
        }
        let before = self.idle.len();
        self.idle.retain(|(other, _)| *other != server);
        let was_idle = self.idle.len() < before;
        if was_idle || waiter.is_some() || self.resetting.remove(&server).is_some() {
            self.close(server, CloseReason::ServerGone);
        }
    }

    pub(super) fn close_unused(&mut self, reason: CloseReason) {
        let mut unused: Vec<ServerId> = self.idle.drain(..).map(|(server, _)| server).collect();
        if !self.settings.round_robin {
            unused.reverse();
        }
        unused.extend(std::mem::take(&mut self.connecting));
        for server in unused {
            self.close(server, reason);
        }
    }

    pub(super) fn resize(&mut self, event: Event) {
        let Event::Resize {
            pool_size,
            min_pool_size,
            reserve_pool_size,
        } = event
        else {
            return;
        };
        self.settings.pool_size = pool_size;
        self.settings.min_pool_size = min_pool_size;
        self.settings.reserve_pool_size = reserve_pool_size;
        while self.all() > self.limit() && !self.idle.is_empty() {
            let (server, _) = self.idle.remove(0);
            self.close(server, CloseReason::PoolShrunk);
        }
    }
}
