//! Chains: elements found by a hash, in lists of which each bucket word begins one.
//!
//! Michael's list-based sets (2002), with versions in the words instead of reclamation: elements
//! lie in an array, and one that is removed may be used again at once.
//!
//! # Words
//!
//! A bucket's word and each element's chain word are `{ marked:1, version:31, next:32 }`; `next` is
//! an index and one more, 0 is the end. Every change makes the word's version grow, so no two
//! states of a word look alike, and one who comes late with an old one fails.
//!
//! - *insert* writes the element's own word and then makes the bucket's word lead to it, by one
//!   compare-exchange on the word under which [`find`](Chains::find) has found nothing. Elements
//!   come in at the head alone, so if that word is still the same, nothing has come in since: of
//!   two who insert one key, one has to look again, `[absent-still]`.
//! - *remove* marks the element's own word: of those who do so one wins. Then the word before it is
//!   turned to what follows: by a walk over the chain, which does it for whatever is marked.
//!
//! # Races
//!
//! A walker stands at an element that is removed and used again. Before it goes on it looks whether
//! the word that led it there is unchanged; that was unmarked, so it lay in the chain, and so did
//! what it leads to. Else the walk begins anew.
//!
//! A walker unlinks a marked element while what lies before it is removed: that word is marked
//! then, and the compare-exchange fails. What follows it comes and goes: a marked word never
//! changes.
//!
//! A key is compared while its element is reused. The element's word has another version then, and
//! what was compared counts only if the word is the same before and after.
//!
//! # Deaths
//!
//! A remover that dies after its mark leaves the element to the next walk. One who dies in an
//! insertion has an element that is in the chain or not, [`is_chained`](Chains::is_chained).
//!
//! # Edges
//!
//! `[chained]`: inserting releases, finding acquires: the key is seen whole.
//!
//! # Progress
//!
//! Lock-free. Nothing in memory is believed: an index out of range ends a chain, and so does a walk
//! that takes more steps than there are elements.

use crate::sync::{AtomicU64, Ordering};

/// An element that can be in a chain.
pub trait Chained {
    /// Its link in the chain: nobody but [`Chains`] changes it.
    fn chain(&self) -> &AtomicU64;
}

/// Chains over borrowed buckets and elements.
#[derive(Debug)]
pub struct Chains<'a, E> {
    /// One word a bucket; a power of two of them.
    pub buckets: &'a [AtomicU64],
    /// The elements; an index names one.
    pub elements: &'a [E],
}

impl<E> Clone for Chains<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Chains<'_, E> {}

/// What a search has come to.
#[derive(Debug, Clone, Copy)]
pub enum Found {
    /// This element was in the chain, with the key, at some moment of the search.
    At(usize),
    /// There was none.
    Absent(Absent),
}

/// That nothing was found, and under which word.
#[derive(Debug, Clone, Copy)]
pub struct Absent {
    bucket: usize,
    seen: Link,
}

/// `{ marked:1, version:31, next:32 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link(u64);

const MARKED: u64 = 1 << 63;
const VERSION_SHIFT: u32 = 32;
const VERSION_MASK: u64 = (1 << 31) - 1;
const NEXT_MASK: u64 = (1 << 32) - 1;

impl Link {
    const fn is_marked(self) -> bool {
        self.0 & MARKED != 0
    }

    /// The element that follows.
    const fn next(self) -> Option<usize> {
        match self.0 & NEXT_MASK {
            0 => None,
            next => Some(next as usize - 1),
        }
    }

    /// The next version, unmarked, with the follower of `other`.
    const fn followed_as(self, other: Self) -> Self {
        self.with(other.0 & NEXT_MASK)
    }

    /// The next version, unmarked, followed by this element.
    const fn followed_by(self, index: usize) -> Self {
        self.with((index as u64 + 1) & NEXT_MASK)
    }

    const fn with(self, next: u64) -> Self {
        let version = ((self.0 >> VERSION_SHIFT) + 1) & VERSION_MASK;
        Self(version << VERSION_SHIFT | next)
    }
}

impl<E: Chained> Chains<'_, E> {
    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    fn load(word: &AtomicU64) -> Link {
        // ORDERING: SeqCst: acquires [chained].
        Link(word.load(Ordering::SeqCst))
    }

    fn change(word: &AtomicU64, seen: Link, next: Link) -> bool {
        // ORDERING: SeqCst: releases [chained].
        let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
        word.compare_exchange(seen.0, next.0, done, failed).is_ok()
    }

    /// Finds the element for which `same` says that it has the key with this hash. Unlinks what is
    /// marked on the way.
    pub fn find(&self, hash: u64, mut same: impl FnMut(&E) -> bool) -> Found {
        let bucket = self.bucket(hash);
        let Some(start) = self.buckets.get(bucket) else {
            let seen = Link(0);
            return Found::Absent(Absent { bucket, seen });
        };
        'anew: loop {
            let mut before = start;
            let mut seen = Self::load(before);
            let mut head = seen;
            let mut first = true;
            for _ in 0..=self.elements.len() {
                let Some(at) = seen.next().filter(|at| *at < self.elements.len()) else {
                    break;
                };
                let element = &self.elements[at];
                let link = Self::load(element.chain());
                let is_it = !link.is_marked() && same(element);
                if Self::load(before) != seen {
                    continue 'anew;
                }
                if link.is_marked() {
                    let next = seen.followed_as(link);
                    if !Self::change(before, seen, next) {
                        continue 'anew;
                    }
                    seen = next;
                    if first {
                        head = next;
                    }
                    continue;
                }
                if Self::load(element.chain()) != link {
                    continue 'anew;
                }
                if is_it {
                    return Found::At(at);
                }
                (before, seen, first) = (element.chain(), link, false);
            }
            return Found::Absent(Absent { bucket, seen: head });
        }
    }

    /// Inserts an element that is the caller's and in no chain, if nothing has come into the chain
    /// since `absent` was found; whether it did. Else look again.
    pub fn insert(&self, absent: &Absent, index: usize) -> bool {
        let (Some(start), Some(element)) =
            (self.buckets.get(absent.bucket), self.elements.get(index))
        else {
            return false;
        };
        let link = Self::load(element.chain()).followed_as(absent.seen);
        // ORDERING: Release: nobody else changes it, since it is marked or was never in a chain.
        element.chain().store(link.0, Ordering::Release);
        Self::change(start, absent.seen, absent.seen.followed_by(index))
    }

    /// A name of an element's present state in its chain, for [`remove`](Self::remove): take it
    /// before you look whether the element is one to be removed.
    pub fn life(&self, index: usize) -> u64 {
        Self::load(self.elements[index].chain()).0
    }

    /// Removes an element whose state is still `life`. `true`: this call did, and the element is in
    /// no chain: it is the caller's. `false`: its state is another one, or somebody else removes
    /// it.
    pub fn remove(&self, hash: u64, index: usize, life: u64) -> bool {
        let (word, seen) = (self.elements[index].chain(), Link(life));
        if seen.is_marked() || !Self::change(word, seen, Link(life | MARKED)) {
            return false;
        }
        self.find(hash, |_| false); // unlinks it
        true
    }

    /// Takes an element out of its chain that nobody else may use again meanwhile, whoever else
    /// removes it at the same time.
    pub fn unchain(&self, hash: u64, index: usize) {
        // What follows it may change meanwhile; and another one may have marked it and not have
        // come to unlink it: a walk does.
        while !self.remove(hash, index, self.life(index)) {
            if !self.is_chained(hash, index) {
                return;
            }
            self.find(hash, |_| false);
        }
    }

    /// Whether an element is in the chain of this hash, marked or not.
    pub fn is_chained(&self, hash: u64, index: usize) -> bool {
        let Some(start) = self.buckets.get(self.bucket(hash)) else {
            return false;
        };
        'anew: loop {
            let mut before = start;
            let mut seen = Self::load(before);
            for _ in 0..=self.elements.len() {
                let Some(at) = seen.next().filter(|at| *at < self.elements.len()) else {
                    return false;
                };
                let link = Self::load(self.elements[at].chain());
                if Self::load(before) != seen {
                    continue 'anew;
                }
                if at == index {
                    return true;
                }
                if link.is_marked() {
                    self.find(hash, |_| false); // a walk cannot go on from there
                    continue 'anew;
                }
                (before, seen) = (self.elements[at].chain(), link);
            }
            return false;
        }
    }
}
