//! The places of a group: how many are taken, and who waits for one.

use std::collections::VecDeque;

/// The places of a group of pools, which are told apart by `M`.
#[derive(Debug)]
pub(crate) struct Ledger<M> {
    limit: usize,
    in_use: usize,
    queue: VecDeque<Wanted<M>>,
}

#[derive(Debug)]
struct Wanted<M> {
    pool: M,
    permits: usize,
    /// Callers wait: what is idle elsewhere is closed for them.
    pressing: bool,
}

/// Places that somebody gets who has waited.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Served<M> {
    pub(crate) pool: M,
    pub(crate) permits: usize,
    pub(crate) pressing: bool,
}

impl<M: Clone + PartialEq> Ledger<M> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            in_use: 0,
            queue: VecDeque::new(),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    /// How many places are waited for by pools in which callers wait.
    pub(crate) fn pressing(&self) -> usize {
        let pressing = self.queue.iter().filter(|wanted| wanted.pressing);
        pressing.map(|wanted| wanted.permits).sum()
    }

    /// Whether callers of another pool wait for a place.
    pub(crate) fn is_pressed_by_others(&self, pool: &M) -> bool {
        let mut pressing = self.queue.iter().filter(|wanted| wanted.pressing);
        pressing.any(|wanted| wanted.pool != *pool)
    }

    /// Takes places as far as there are any, and waits in line for the rest. Pools in
    /// which callers wait come before the others.
    pub(crate) fn take(&mut self, pool: M, permits: usize, pressing: bool) -> usize {
        let before_it = |wanted: &Wanted<M>| wanted.pressing || !pressing;
        let now = if self.queue.iter().any(before_it) {
            0
        } else {
            permits.min(self.limit - self.in_use)
        };
        self.in_use += now;
        if now < permits {
            self.queue.push_back(Wanted {
                pool,
                permits: permits - now,
                pressing,
            });
        }
        now
    }

    /// Frees places, and gives them to whoever is next in line.
    pub(crate) fn free(&mut self, permits: usize) -> Vec<Served<M>> {
        self.in_use -= permits;
        let mut served = Vec::new();
        while self.in_use < self.limit
            && let Some(mut head) = self.pop()
        {
            let now = head.permits.min(self.limit - self.in_use);
            self.in_use += now;
            head.permits -= now;
            served.push(Served {
                pool: head.pool.clone(),
                permits: now,
                pressing: head.pressing,
            });
            if head.permits > 0 {
                self.queue.push_front(head);
            }
        }
        served
    }

    fn pop(&mut self) -> Option<Wanted<M>> {
        let pressing = self.queue.iter().position(|wanted| wanted.pressing);
        self.queue.remove(pressing.unwrap_or(0))
    }

    /// Takes a pool out of the line; how many places it was waiting for.
    pub(crate) fn leave(&mut self, pool: &M) -> usize {
        let mut left = 0;
        self.queue.retain(|wanted| {
            let its = wanted.pool == *pool;
            left += if its { wanted.permits } else { 0 };
            !its
        });
        left
    }

    /// Callers wait in the pool now. How many places it waits for.
    pub(crate) fn press(&mut self, pool: &M) -> usize {
        let mut waits = 0;
        for wanted in self.queue.iter_mut().filter(|it| it.pool == *pool) {
            wanted.pressing = true;
            waits += wanted.permits;
        }
        waits
    }
}
