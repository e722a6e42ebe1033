//! A limit on the connections of several pools together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::core::Ledger;
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
    state: Mutex<State>,
    /// How many places are waited for by pools in which callers wait.
    pressing: AtomicUsize,
}

#[derive(Debug)]
struct State {
    ledger: Ledger<Member>,
    members: Vec<Member>,
}

/// A pool of the group. Its tasks and sessions keep it, not the group.
#[derive(Clone, Debug)]
struct Member(Weak<Shared>);

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Member {
    fn of(pool: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(pool))
    }
}

impl PoolGroup {
    /// A group whose pools have at most so many connections together. Zero is without
    /// limit, as in PgBouncer.
    #[must_use]
    pub fn new(max_connections: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(State {
                    ledger: Ledger::new(match max_connections {
                        0 => usize::MAX,
                        limit => limit,
                    }),
                    members: Vec::new(),
                }),
                pressing: AtomicUsize::new(0),
            }),
        }
    }

    /// How many connections the pools have, those that are being opened among them.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.lock().ledger.in_use()
    }

    /// The limit; None is none.
    #[must_use]
    pub fn max_connections(&self) -> Option<usize> {
        let limit = self.lock().ledger.limit();
        (limit < usize::MAX).then_some(limit)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.inner.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn join(&self, pool: &Arc<Shared>) {
        let mut state = self.lock();
        state.members.retain(|member| member.0.strong_count() > 0);
        state.members.push(Member::of(pool));
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    /// Does something with the places.
    fn with<T>(&self, f: impl FnOnce(&mut Ledger<Member>) -> T) -> T {
        let mut state = self.lock();
        let outcome = f(&mut state.ledger);
        let pressing = state.ledger.pressing();
        self.inner.pressing.store(pressing, Ordering::Relaxed);
        outcome
    }

    /// Frees places, and gives them to whoever is next.
    fn pass_on(&self, permits: usize) {
        let mut free = permits;
        while free > 0 {
            let served = self.with(|ledger| ledger.free(free));
            free = 0;
            for served in served {
                match served.pool.0.upgrade() {
                    Some(pool) => pool.permitted(self, served.permits, served.pressing),
                    None => free += served.permits,
                }
            }
        }
    }

    /// Whether callers of another pool wait for a place.
    fn is_pressed_by_others(&self, pool: &Arc<Shared>) -> bool {
        self.inner.pressing.load(Ordering::Relaxed) > 0
            && self.lock().ledger.is_pressed_by_others(&Member::of(pool))
    }

    /// Closes what has been idle for longest in any other pool of the group. False where
    /// nothing is idle.
    fn evict(&self, except: &Arc<Shared>) -> bool {
        let members: Vec<_> = {
            let state = self.lock();
            let members = state.members.iter();
            members.filter_map(|member| member.0.upgrade()).collect()
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
            for _ in 0..group.with(|ledger| ledger.press(&Member::of(pool))) {
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
            let pool = Member::of(pool);
            granted = group.with(|ledger| ledger.take(pool, granted, pressing));
        }
        if granted > 0 {
            pool.granted(granted);
        }
    }

    /// Gives places back, in every group.
    pub(crate) fn give_back(&self, permits: usize) {
        for group in &self.0 {
            group.pass_on(permits);
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
            let left = group.with(|ledger| ledger.leave(&Member::of(pool)));
            // What it waited for here it had been given by those before.
            for before in self.0.iter().take(place) {
                before.pass_on(left);
            }
        }
    }
}
