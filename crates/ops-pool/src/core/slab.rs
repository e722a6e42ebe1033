//! Entries with stable keys, and lists that are linked through them.
//!
//! A list costs no allocation of its own: the links are part of the entry. That makes
//! taking an entry out of the middle of a queue O(1), which is what a canceled waiter
//! needs. An entry is in at most one list; its owner knows in which.

const NIL: u32 = u32::MAX;

/// The name of an entry. A key of an entry that was removed finds nothing, also after
/// its place has been given to another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The entry's place, for tables that run in parallel to the slab.
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    previous: u32,
    next: u32,
    value: Option<T>,
}

/// Entries with stable keys.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop()
            && let Some(entry) = self.entries.get_mut(index as usize)
        {
            entry.value = Some(value);
            return Key {
                index,
                generation: entry.generation,
            };
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(NIL);
        assert!(index != NIL, "a slab holds less than 2^32 entries");
        self.entries.push(Entry {
            generation: 0,
            previous: NIL,
            next: NIL,
            value: Some(value),
        });
        Key {
            index,
            generation: 0,
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.entry(key)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index())?;
        if entry.generation == key.generation {
            entry.value.as_mut()
        } else {
            None
        }
    }

    /// Removes an entry. It must be in no list.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index())?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// All entries, in no useful order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0u32..).zip(&self.entries).filter_map(|(index, entry)| {
            Some((
                Key {
                    index,
                    generation: entry.generation,
                },
                entry.value.as_ref()?,
            ))
        })
    }

    fn entry(&self, key: Key) -> Option<&Entry<T>> {
        self.entries
            .get(key.index())
            .filter(|entry| entry.generation == key.generation)
    }

    fn key_at(&self, index: u32) -> Option<Key> {
        let entry = self.entries.get(index as usize)?;
        Some(Key {
            index,
            generation: entry.generation,
        })
    }

    fn set_previous(&mut self, index: u32, previous: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.previous = previous;
        }
    }

    fn set_next(&mut self, index: u32, next: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.next = next;
        }
    }
}

/// A doubly linked list through the entries of one slab.
#[derive(Debug)]
pub(crate) struct List {
    front: u32,
    back: u32,
    len: usize,
}

impl List {
    pub(crate) fn new() -> Self {
        Self {
            front: NIL,
            back: NIL,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn front<T>(&self, slab: &Slab<T>) -> Option<Key> {
        slab.key_at(self.front)
    }

    pub(crate) fn back<T>(&self, slab: &Slab<T>) -> Option<Key> {
        slab.key_at(self.back)
    }

    pub(crate) fn push_front<T>(&mut self, slab: &mut Slab<T>, key: Key) {
        slab.set_previous(key.index, NIL);
        slab.set_next(key.index, self.front);
        if self.front == NIL {
            self.back = key.index;
        } else {
            slab.set_previous(self.front, key.index);
        }
        self.front = key.index;
        self.len += 1;
    }

    pub(crate) fn push_back<T>(&mut self, slab: &mut Slab<T>, key: Key) {
        slab.set_previous(key.index, self.back);
        slab.set_next(key.index, NIL);
        if self.back == NIL {
            self.front = key.index;
        } else {
            slab.set_next(self.back, key.index);
        }
        self.back = key.index;
        self.len += 1;
    }

    /// Puts an entry in front of another, which must be in this list; None is the end.
    pub(crate) fn insert_before<T>(&mut self, slab: &mut Slab<T>, key: Key, at: Option<Key>) {
        let Some(at) = at else {
            return self.push_back(slab, key);
        };
        let previous = slab.entry(at).map_or(NIL, |entry| entry.previous);
        if previous == NIL {
            return self.push_front(slab, key);
        }
        slab.set_previous(key.index, previous);
        slab.set_next(key.index, at.index);
        slab.set_next(previous, key.index);
        slab.set_previous(at.index, key.index);
        self.len += 1;
    }

    pub(crate) fn pop_front<T>(&mut self, slab: &mut Slab<T>) -> Option<Key> {
        let entry = slab.entries.get(self.front as usize)?;
        let (key, next) = (
            Key {
                index: self.front,
                generation: entry.generation,
            },
            entry.next,
        );
        if next == NIL {
            self.back = NIL;
        } else {
            slab.set_previous(next, NIL);
        }
        self.front = next;
        self.len -= 1;
        Some(key)
    }

    /// Takes out an entry, which must be in this list.
    pub(crate) fn unlink<T>(&mut self, slab: &mut Slab<T>, key: Key) {
        let Some((previous, next)) = slab.entry(key).map(|entry| (entry.previous, entry.next))
        else {
            return;
        };
        if previous == NIL {
            self.front = next;
        } else {
            slab.set_next(previous, next);
        }
        if next == NIL {
            self.back = previous;
        } else {
            slab.set_previous(next, previous);
        }
        self.len -= 1;
    }

    /// The entries from front to back.
    pub(crate) fn iter<'a, T>(&self, slab: &'a Slab<T>) -> impl Iterator<Item = (Key, &'a T)> {
        let mut at = self.front;
        std::iter::from_fn(move || {
            let key = slab.key_at(at)?;
            let entry = slab.entry(key)?;
            at = entry.next;
            Some((key, entry.value.as_ref()?))
        })
    }
}
