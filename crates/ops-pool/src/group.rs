//! A limit on the connections of several pools together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, Weak};

use crate::core::Ledger;
use crate::shared::Shared;
use crate::sync::{Mutex, MutexGuard};

/// Limits how many connections several pools have together: PgBouncer's
/// `max_db_connections` for the pools of one database, `max_user_connections` for those
/// of one user. A pool may be in several groups.
///
/// A pool in which callers wait takes the place of the connection that has been idle for
/// longest in another pool of the group. Where no place is free, pools get one in the order
/// in which they asked, those in which callers wait first.
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
    /// How many pools in which callers wait want a place.
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

    /// Changes who wants places.
    fn line(&self, change: impl FnOnce(&mut Ledger<Member>)) {
        let mut state = self.lock();
        change(&mut state.ledger);
        let pressing = state.ledger.pressing().count();
        self.inner.pressing.store(pressing, Ordering::Relaxed);
    }

    /// Gives free places to those who want some, in their order. One that waits for
    /// another group, too, keeps nobody up.
    fn pass_on(&self) {
        let mut skip = 0;
        loop {
            let (member, free) = {
                let state = self.lock();
                (state.ledger.candidate(skip), state.ledger.free())
            };
            let Some(member) = member.filter(|_| free > 0) else {
                return;
            };
            match member.0.upgrade() {
                Some(pool) if pool.groups().serve(&pool) => {}
                Some(_) => skip += 1,
                None => self.line(|ledger| ledger.delist(&member)),
            }
        }
    }

    /// Whether callers of another pool wait for a place.
    fn is_pressed_by_others(&self, pool: &Arc<Shared>) -> bool {
        if self.inner.pressing.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let pressing: Vec<Member> = {
            let state = self.lock();
            if state.ledger.free() > 0 {
                return false;
            }
            state.ledger.pressing().cloned().collect()
        };
        let pressing = pressing.iter().filter_map(|member| member.0.upgrade());
        let mut others = pressing.filter(|other| !Arc::ptr_eq(other, pool));
        others.any(|other| other.presses())
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

    /// Asks for as many places as the pool wants.
    pub(crate) fn request(&self, pool: &Arc<Shared>) {
        self.note(pool);
        for group in &self.0 {
            group.pass_on();
        }
        if !pool.presses() {
            return;
        }
        for group in &self.0 {
            // Each eviction frees a place, which goes to whoever is next.
            for _ in 0..pool.requested() {
                let full = group.lock().ledger.free() == 0;
                if !full || !group.evict(pool) {
                    break;
                }
            }
        }
    }

    /// Notes what the pool wants by now.
    fn note(&self, pool: &Arc<Shared>) {
        let member = Member::of(pool);
        for group in &self.0 {
            // Asked under the group's lock, so that whoever asks last also notes it last: a
            // pool whose callers wait must not look content for a moment, in which another
            // pool would keep what has become idle there.
            group.line(|ledger| match pool.requested() {
                0 => ledger.delist(&member),
                _ => ledger.enlist(&member, pool.presses()),
            });
        }
    }

    /// Gives the pool what it wants, as far as every group has it. Whether it got
    /// anything, or wants nothing.
    fn serve(&self, pool: &Arc<Shared>) -> bool {
        let wanted = pool.requested();
        let granted = self.take(wanted);
        if granted > 0 {
            pool.granted(granted);
        }
        if pool.requested() == 0 {
            self.note(pool);
        }
        granted > 0 || wanted == 0
    }

    /// Takes the same number of places in every group, or as many as there are.
    fn take(&self, wanted: usize) -> usize {
        // The order of the groups is the same for every pool.
        let mut groups: Vec<_> = self.0.iter().map(PoolGroup::lock).collect();
        let free = groups.iter().map(|group| group.ledger.free()).min();
        let granted = wanted.min(free.unwrap_or(0));
        for group in &mut groups {
            group.ledger.take(granted);
        }
        granted
    }

    /// Gives places back, in every group.
    pub(crate) fn give_back(&self, places: usize) {
        for group in &self.0 {
            group.lock().ledger.give_back(places);
        }
        for group in &self.0 {
            group.pass_on();
        }
    }

    /// A connection of the pool has nothing to do. It goes where another pool needs its
    /// place.
    pub(crate) fn idle(&self, pool: &Arc<Shared>) {
        if self.0.iter().any(|group| group.is_pressed_by_others(pool)) {
            pool.evict();
        }
    }

    /// The pool wants nothing anymore.
    pub(crate) fn leave(&self, pool: &Arc<Shared>) {
        self.note(pool);
    }
}
