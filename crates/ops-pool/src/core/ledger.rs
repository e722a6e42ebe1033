//! The places of a group: how many are taken, and who wants one.

/// The places of a group of pools, which are told apart by `M`.
///
/// It does not know how many places a pool wants: that changes with every caller, and the
/// pool's own core knows.
#[derive(Debug)]
pub(crate) struct Ledger<M> {
    limit: usize,
    in_use: usize,
    /// Who wants places, in the order in which they asked.
    queue: Vec<Wanted<M>>,
}

#[derive(Debug)]
struct Wanted<M> {
    pool: M,
    /// Callers wait: what is idle elsewhere is closed for them.
    pressing: bool,
}

impl<M: Clone + PartialEq> Ledger<M> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            in_use: 0,
            queue: Vec::new(),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    pub(crate) fn free(&self) -> usize {
        self.limit - self.in_use
    }

    pub(crate) fn take(&mut self, places: usize) {
        self.in_use += places;
    }

    pub(crate) fn give_back(&mut self, places: usize) {
        self.in_use -= places;
    }

    /// Notes that a pool wants places, and whether callers wait for them. It keeps the place
    /// in line that it has.
    pub(crate) fn enlist(&mut self, pool: &M, pressing: bool) {
        match self.queue.iter_mut().find(|it| it.pool == *pool) {
            Some(wanted) => wanted.pressing = pressing,
            None => self.queue.push(Wanted {
                pool: pool.clone(),
                pressing,
            }),
        }
    }

    pub(crate) fn delist(&mut self, pool: &M) {
        self.queue.retain(|wanted| wanted.pool != *pool);
    }

    /// Who is next after `skip` others. Pools in which callers wait come first.
    pub(crate) fn candidate(&self, skip: usize) -> Option<M> {
        let (pressing, rest): (Vec<_>, Vec<_>) =
            self.queue.iter().partition(|wanted| wanted.pressing);
        let mut all = pressing.into_iter().chain(rest);
        all.nth(skip).map(|wanted| wanted.pool.clone())
    }

    /// Pools in which callers wait.
    pub(crate) fn pressing(&self) -> impl Iterator<Item = &M> {
        let pressing = self.queue.iter().filter(|wanted| wanted.pressing);
        pressing.map(|wanted| &wanted.pool)
    }
}
