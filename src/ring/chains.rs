//! Chains: elements found by a hash, in lists of which each bucket word begins one.
//!
//! Michael's list-based sets (2002), with versions in the words instead of reclamation: elements
//! lie in an array, and one that is removed may be used again at once.
//!
//! # Words
//!
//! A bucket's word and each element's chain word are `{ marked:1, version:31, next:32 }`; `next` is
//! an index and one more, 0 is the end. Every change but a mark makes the word's version grow, so
//! one who comes late with an old state fails.
//!
//! - *insert* writes the element's own word and then makes the bucket's word lead to it, by one
//!   compare-exchange on the word under which [`find`](Chains::find) has found nothing. Elements
//!   come in at the head alone, so if that word is still the same, nothing has come in since: of
//!   two who insert one key, one has to look again, `[absent-still]`.
//! - *remove* marks the element's own word: of those who do so one wins. Then the word before it is
//!   turned to what follows: by a walk over the chain, which does it for whatever is marked.
//! - *unchain* is remove by an element's only owner. If the element is the last of its chain, and
//!   the oldest one mostly is, the word before it is turned to the end, and nothing is marked.
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
//! An element is unlinked unmarked, as the last. A mark keeps others from unlinking what follows by
//! way of a word that is out of the chain; nothing follows, and nothing will: what comes in does so
//! at the head, `[last-out]`. So an unmarked word that leads to an element is in its chain, and one
//! that leads nowhere need not be. A walker that compares the element's next key sees that the word
//! before it has changed. One who marks the element late, by an old `life`, takes nothing out: the
//! owner's insertion writes the word anew.
//!
//! A key is compared while its element is reused. The element's word has another version then, and
//! what was compared counts only if the word is the same before and after.
//!
//! The version begins anew after 2^31 changes of one word. One who is stopped between a look and
//! its change while exactly that many happen, or a multiple, and the word leads to the same element
//! again, takes the new state for the old one. That is minutes of nothing but changes of one word,
//! and then one moment of 2^31: it is accepted.
//!
//! # Deaths
//!
//! A remover that dies after its mark leaves the element to the next walk. One who dies in an
//! insertion has an element that is in the chain or not: [`is_chained`](Chains::is_chained) tells.
//!
//! # Edges
//!
//! `[chained]`: inserting releases, finding acquires: the key is seen whole.
//!
//! # Progress
//!
//! Lock-free. Nothing in memory is believed: an index out of range ends a chain, and so does a walk
//! that takes more steps than there are elements. A walk begins anew only if another participant
//! has changed a word, so no damage makes it endless.

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
/// How far the owner of an element looks for it as the last of its chain.
const LAST_STEPS: usize = 4;

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

impl<'a, E: Chained> Chains<'a, E> {
    /// The word at which the chain of this hash begins.
    #[inline(always)]
    pub fn start(&self, hash: u64) -> Option<&'a AtomicU64> {
        self.buckets.get(self.bucket(hash))
    }

    /// The first element of that chain, whatever its key; it need not be one of the elements. Or
    /// that there is none.
    #[inline(always)]
    pub fn first_or_absent(&self, hash: u64) -> Found {
        let bucket = self.bucket(hash);
        let start = self.buckets.get(bucket);
        let seen = start.map_or(Link(0), Self::load);
        match seen.next() {
            Some(first) => Found::At(first),
            None => Found::Absent(Absent { bucket, seen }),
        }
    }

    /// Which one that is; it need not be one of the elements.
    #[inline(always)]
    pub fn first_index(&self, hash: u64) -> Option<usize> {
        let start = self.buckets.get(self.bucket(hash))?;
        // ORDERING: Acquire; [chained].
        Link(start.load(Ordering::Acquire)).next()
    }

    fn bucket(&self, hash: u64) -> usize {
        hash as usize & self.buckets.len().wrapping_sub(1)
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
    ///
    /// `same` reads the key by Acquire, and owners write keys by Release: who sees a word of the
    /// next key sees then that the element was removed.
    #[inline(always)]
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

    /// Whether nothing has come into the chain since `absent` was found, as it was a moment ago.
    #[inline(always)]
    pub fn is_still(&self, absent: &Absent) -> bool {
        let start = self.buckets.get(absent.bucket);
        // ORDERING: Relaxed; insertion looks again.
        start.is_some_and(|start| start.load(Ordering::Relaxed) == absent.seen.0)
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
    /// before you look whether the element is one to be removed. It is another one after each
    /// insertion, and also when what follows the element is unlinked.
    pub fn life(&self, index: usize) -> u64 {
        let marked = Link(MARKED);
        let element = self.elements.get(index);
        element.map_or(marked, |it| Self::load(it.chain())).0
    }

    /// Removes an element whose state is still `life`. `true`: this call did, and the element is in
    /// no chain: it is the caller's. `false`: its state is another one, or somebody else removes
    /// it; if the element is still one to be removed, take its `life` anew.
    ///
    /// An element that was never in a chain, or whose insertion has failed, is unmarked too:
    /// whether it is in one the caller has to see between `life` and this.
    pub fn remove(&self, hash: u64, index: usize, life: u64) -> bool {
        let (Some(element), seen) = (self.elements.get(index), Link(life)) else {
            return false;
        };
        if seen.is_marked() || !Self::change(element.chain(), seen, Link(life | MARKED)) {
            return false;
        }
        self.walk(hash); // unlinks it
        true
    }

    /// Unlinks what is marked in a chain.
    #[inline(never)]
    fn walk(&self, hash: u64) {
        self.find(hash, |_| false);
    }

    /// Takes an element out of its chain that nobody else may use again meanwhile, whoever else
    /// removes it at the same time.
    #[inline(always)]
    pub fn unchain(&self, hash: u64, index: usize) {
        if !self.unlink_only(hash, index) {
            self.unchain_far(hash, index);
        }
    }

    #[inline(never)]
    fn unchain_far(&self, hash: u64, index: usize) {
        if self.unlink_last(hash, index) {
            return;
        }
        // What follows it may change meanwhile; and another one may have marked it and not have
        // come to unlink it: `is_chained` does.
        while !self.remove(hash, index, self.life(index)) && self.is_chained(hash, index) {}
    }

    /// Unlinks an element of the caller's that is alone in its chain, without marking it. Whether
    /// it did.
    #[inline(always)]
    fn unlink_only(&self, hash: u64, index: usize) -> bool {
        let (Some(start), Some(element)) = (self.start(hash), self.elements.get(index)) else {
            return false;
        };
        let link = Self::load(element.chain());
        let seen = Self::load(start);
        let is_last = link.0 & (MARKED | NEXT_MASK) == 0;
        let is_first = seen.0 & (MARKED | NEXT_MASK) == (index as u64).wrapping_add(1);
        is_last && is_first && Self::change(start, seen, seen.with(0))
    }

    /// The same of one that is the last of its chain; it does not look far.
    fn unlink_last(&self, hash: u64, index: usize) -> bool {
        let (Some(start), Some(element)) = (self.start(hash), self.elements.get(index)) else {
            return false;
        };
        let link = Self::load(element.chain());
        if link.is_marked() || link.next().is_some() {
            return false;
        }
        let mut before = start;
        let mut seen = Self::load(before);
        for _ in 0..LAST_STEPS {
            let Some(at) = seen.next().filter(|_| !seen.is_marked()) else {
                return false;
            };
            if at == index {
                return Self::change(before, seen, seen.with(0));
            }
            let Some(next) = self.elements.get(at) else {
                return false;
            };
            let link = Self::load(next.chain());
            if Self::load(before) != seen {
                return false;
            }
            (before, seen) = (next.chain(), link);
        }
        false
    }

    /// Whether an element is in the chain of this hash and nobody removes it. After `false` it is
    /// in that chain no more: one that was marked is unlinked on the way.
    pub fn is_chained(&self, hash: u64, index: usize) -> bool {
        let Some(wanted) = self.elements.get(index) else {
            return false;
        };
        let found = self.find(hash, |element| core::ptr::eq(element, wanted));
        matches!(found, Found::At(_))
    }
}

#[cfg(all(test, not(ringmain_loom)))]
mod tests {
    use super::*;

    const ELEMENTS: usize = 3;

    impl Chained for AtomicU64 {
        fn chain(&self) -> &AtomicU64 {
            self
        }
    }

    /// One bucket, and elements that are nothing but their links.
    struct Table {
        bucket: [AtomicU64; 1],
        links: [AtomicU64; ELEMENTS],
    }

    impl Table {
        fn new(bucket: u64, links: [u64; ELEMENTS]) -> Self {
            Self {
                bucket: [AtomicU64::new(bucket)],
                links: links.map(AtomicU64::new),
            }
        }

        fn chains(&self) -> Chains<'_, AtomicU64> {
            Chains {
                buckets: &self.bucket,
                elements: &self.links,
            }
        }
    }

    #[test]
    fn versions_begin_anew() {
        let last = VERSION_MASK << VERSION_SHIFT;
        let table = Table::new(last, [last; ELEMENTS]);
        let chains = table.chains();
        let Found::Absent(absent) = chains.find(0, |_| true) else {
            panic!("in an empty chain");
        };
        assert!(chains.insert(&absent, 0));
        let life = chains.life(0);
        assert_eq!(life, 0);
        assert!(!chains.insert(&absent, 1), "of an old state");
        assert!(!chains.remove(0, 0, last), "of an old life");
        assert!(chains.remove(0, 0, life));
        assert!(!chains.is_chained(0, 0));
    }

    /// Each word of a chain may be anything: every call comes back.
    #[test]
    fn no_damage_holds_a_walk_up() {
        let ends = [0, 1, 2, 3, ELEMENTS as u64 + 1, NEXT_MASK];
        let words = || ends.into_iter().flat_map(|next| [next, MARKED | next]);
        for bucket in words() {
            for links in words().flat_map(|a| words().map(move |b| [a, b, 0])) {
                for index in [0, 1, 2, ELEMENTS, usize::MAX] {
                    let table = || Table::new(bucket, links);
                    table().chains().is_chained(0, index);
                    table().chains().unchain(0, index);
                    let (table, other) = (table(), table());
                    let chains = table.chains();
                    chains.remove(0, index, chains.life(index));
                    let chains = other.chains();
                    if let Found::Absent(absent) = chains.find(0, |_| false) {
                        chains.insert(&absent, index);
                    }
                    chains.is_chained(0, 2);
                }
            }
        }
    }
}
