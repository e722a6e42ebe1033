//! A limit on the connections of several pools together.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::shared::Shared;

/// Limits how many connections several pools have together: PgBouncer's
/// `max_db_connections` for the pools of one database, `max_user_connections` for those
/// of one user. A pool may be in several groups.
///
/// A pool in which callers wait takes the place of the connection that has been idle for
/// longest in another pool of the group. Pools that find no place wait in the order in
/// which they asked.
///
/// ```
/// use ops_core::database::{ConnectInfo, Engine, Host};
/// use ops_pool::{PoolGroup, SessionPool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), ops_core::Error> {
/// let shop = PoolGroup::new(30);
/// let info = |user: &str| {
///     ConnectInfo::new(Engine::Postgres, Host::Tcp("localhost".into()), 5432)
///         .with_user(user)
///         .with_database("shop")
/// };
/// let web = SessionPool::builder(info("web")).pool_size(25).group(&shop).build()?;
/// let reports = SessionPool::builder(info("reports")).pool_size(10).group(&shop).build()?;
/// assert_eq!(shop.in_use(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PoolGroup {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    max_connections: usize,
    state: Mutex<State>,
    /// How many places are waited for by pools in which callers wait.
    pressing: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    in_use: usize,
    members: Vec<Weak<Shared>>,
    /// Who waits for how many places.
    queue: VecDeque<Wanted>,
}

impl State {
    /// Takes out whoever is next: pools in which callers wait come first.
    fn pop(&mut self) -> Option<Wanted> {
        let pressing = self.queue.iter().position(|wanted| wanted.pressing);
        self.queue.remove(pressing.unwrap_or(0))
    }
}

#[derive(Debug)]
struct Wanted {
    pool: Weak<Shared>,
    permits: usize,
    /// Callers wait: what is idle elsewhere is closed for them.
    pressing: bool,
}

impl Wanted {
    fn is_of(&self, pool: &Arc<Shared>) -> bool {
        std::ptr::eq(self.pool.as_ptr(), Arc::as_ptr(pool))
    }
}

impl PoolGroup {
    /// A group whose pools have at most so many connections together. Zero is without
    /// limit, as in PgBouncer.
    #[must_use]
    pub fn new(max_connections: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                max_connections: if max_connections == 0 {
                    usize::MAX
                } else {
                    max_connections
                },
                state: Mutex::default(),
                pressing: AtomicUsize::new(0),
            }),
        }
    }

    /// How many connections the pools have, those that are being opened among them.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.lock().in_use
    }

    /// The limit; None is none.
    #[must_use]
    pub fn max_connections(&self) -> Option<usize> {
        let limit = self.inner.max_connections;
        (limit < usize::MAX).then_some(limit)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.inner.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn join(&self, pool: &Arc<Shared>) {
        let mut state = self.lock();
        state.members.retain(|member| member.strong_count() > 0);
        state.members.push(Arc::downgrade(pool));
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    /// Takes places as far as there are any, and waits in line for the rest.
    fn take(&self, pool: &Arc<Shared>, permits: usize, pressing: bool) -> usize {
        let mut state = self.lock();
        let free = self.inner.max_connections - state.in_use;
        let before_it = |wanted: &Wanted| wanted.pressing || !pressing;
        let now = if state.queue.iter().any(before_it) {
            0
        } else {
            permits.min(free)
        };
        state.in_use += now;
        if now < permits {
            state.queue.push_back(Wanted {
                pool: Arc::downgrade(pool),
                permits: permits - now,
                pressing,
            });
            self.note_pressing(&state);
        }
        now
    }

    /// Frees places, and gives them to whoever is next in line.
    fn free(&self, permits: usize) -> Vec<(Arc<Shared>, usize, bool)> {
        let mut state = self.lock();
        state.in_use -= permits;
        let mut served = Vec::new();
        while state.in_use < self.inner.max_connections
            && let Some(mut head) = state.pop()
        {
            let Some(pool) = head.pool.upgrade() else {
                continue;
            };
            let now = head.permits.min(self.inner.max_connections - state.in_use);
            state.in_use += now;
            head.permits -= now;
            served.push((pool, now, head.pressing));
            if head.permits > 0 {
                state.queue.push_front(head);
            }
        }
        self.note_pressing(&state);
        served
    }

    /// Takes a pool out of the line; how many places it was waiting for.
    fn leave(&self, pool: &Arc<Shared>) -> usize {
        let mut state = self.lock();
        let mut left = 0;
        state.queue.retain(|wanted| {
            left += if wanted.is_of(pool) {
                wanted.permits
            } else {
                0
            };
            !wanted.is_of(pool)
        });
        self.note_pressing(&state);
        left
    }

    /// Callers wait in the pool now. How many places it waits for.
    fn press(&self, pool: &Arc<Shared>) -> usize {
        let mut state = self.lock();
        let mut waits = 0;
        for wanted in state.queue.iter_mut().filter(|it| it.is_of(pool)) {
            wanted.pressing = true;
            waits += wanted.permits;
        }
        self.note_pressing(&state);
        waits
    }

    fn note_pressing(&self, state: &State) {
        let pressing = state.queue.iter().filter(|wanted| wanted.pressing);
        let places = pressing.map(|wanted| wanted.permits).sum();
        self.inner.pressing.store(places, Ordering::Relaxed);
    }

    /// Whether callers of another pool wait for a place.
    fn is_pressed_by_others(&self, pool: &Arc<Shared>) -> bool {
        self.inner.pressing.load(Ordering::Relaxed) > 0 && {
            let state = self.lock();
            let mut pressing = state.queue.iter().filter(|wanted| wanted.pressing);
            pressing.any(|wanted| !wanted.is_of(pool))
        }
    }

    /// Closes what has been idle for longest in any other pool of the group. False where
    /// nothing is idle.
    fn evict(&self, except: &Arc<Shared>) -> bool {
        let members: Vec<_> = {
            let state = self.lock();
            state.members.iter().filter_map(Weak::upgrade).collect()
        };
        let others = members
            .into_iter()
            .filter(|pool| !Arc::ptr_eq(pool, except));
        let oldest = others
            .filter_map(|pool| Some((pool.oldest_idle()?, pool)))
            .min_by_key(|(since, _)| *since);
        if let Some((_, pool)) = &oldest {
            pool.evict();
        }
        oldest.is_some()
    }
}

/// The groups that a pool is in, in the order in which they are asked: the same for every
/// pool, so that no two of them wait for each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups(Vec<PoolGroup>);

impl Groups {
    pub(crate) fn add(&mut self, group: &PoolGroup) {
        if let Err(place) = self.0.binary_search_by_key(&group.id(), PoolGroup::id) {
            self.0.insert(place, group.clone());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn join(&self, pool: &Arc<Shared>) {
        for group in &self.0 {
            group.join(pool);
        }
    }

    /// Asks for places, in every group one after the other.
    pub(crate) fn request(&self, pool: &Arc<Shared>, permits: usize, pressing: bool) {
        self.ask_from(0, pool, permits, pressing);
        if !pressing {
            return;
        }
        for group in &self.0 {
            // Each eviction frees a place, which goes to the head of the line.
            for _ in 0..group.press(pool) {
                if !group.evict(pool) {
                    break;
                }
            }
        }
    }

    fn ask_from(&self, first: usize, pool: &Arc<Shared>, permits: usize, pressing: bool) {
        let mut granted = permits;
        for group in self.0.iter().skip(first) {
            if granted == 0 {
                return;
            }
            granted = group.take(pool, granted, pressing);
        }
        if granted > 0 {
            pool.granted(granted);
        }
    }

    /// Gives places back, in every group.
    pub(crate) fn give_back(&self, permits: usize) {
        for group in &self.0 {
            pass_on(group, permits);
        }
    }

    /// Goes on with places that a group has given.
    pub(crate) fn permitted(
        &self,
        pool: &Arc<Shared>,
        by: &PoolGroup,
        permits: usize,
        pressing: bool,
    ) {
        let place = self.0.iter().position(|group| group.id() == by.id());
        if let Some(place) = place {
            self.ask_from(place + 1, pool, permits, pressing);
        }
    }

    /// A connection of the pool has nothing to do. It goes where another pool needs its
    /// place.
    pub(crate) fn idle(&self, pool: &Arc<Shared>) {
        if self.0.iter().any(|group| group.is_pressed_by_others(pool)) {
            pool.evict();
        }
    }

    /// Gives up every place that the pool waits for.
    pub(crate) fn leave(&self, pool: &Arc<Shared>) {
        for (place, group) in self.0.iter().enumerate() {
            let left = group.leave(pool);
            // What it waited for here it had been given by those before.
            for before in self.0.iter().take(place) {
                pass_on(before, left);
            }
        }
    }
}

/// Frees places of a group, and gives them to whoever is next.
fn pass_on(group: &PoolGroup, permits: usize) {
    if permits == 0 {
        return;
    }
    for (pool, now, pressing) in group.free(permits) {
        pool.permitted(group, now, pressing);
    }
}
