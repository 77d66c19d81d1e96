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
//! # Terms
//!
//! Elements may have *terms*: each use of one is another term, the element says in which it is, and
//! a word that leads to it names the term in which it was inserted. If that is over, the word leads
//! nowhere: it is the end of its chain. So an element that is the last of its chain is out of it
//! once its owner has begun its next term, and no word of the chain is changed. If others follow,
//! it is unchained, and then its next term begins: nothing that follows is cut off.
//!
//! Words are then `{ marked:1, version:13, only:1, tag:5, term:12, next:32 }`. The *tag* is that of
//! the element's hash, and *only* says that nothing followed when it was inserted: so nothing
//! follows, and most who look for another id need not look at the element, which is a miss.
//!
//! Words that lead nowhere stay until the next insertion, which drops what it finds under its
//! bucket's word. In each lap of a ring as many are inserted as there are elements, at least an
//! eighth as many as buckets; so that none comes into one bucket for the 4096 laps after which a
//! term comes again is as good as impossible. An element's own word may lead nowhere that long, if
//! its owner stands still; it leads into another chain then: a walk that goes on there finds
//! nothing, since keys are compared whole, and ends.
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
//! The next term of a last element begins, and no word of the chain says so. It begins before a
//! word of the next key is written, and a walker looks at the term after it has compared:
//! `[term-first]`. So what it compared, and the word that it read before, are of the term that led
//! it there, or it is at the end of the chain.
//!
//! A walker finds that a term is over. Either the element was the last, or it was unchained before,
//! by a change of the word that led there: the walker looks at that word after the term. The owner
//! of the element before it does the same when it asks whether that is the last, `[last-out]`: what
//! it was followed by may have been taken out of the middle.
//!
//! A walker goes on from an element whose term ends at this moment: that was the last, so what its
//! word leads to, if anything, was over before, and still is. A late unlinking by way of its word
//! changes what the owner's insertion writes anew, or fails.
//!
//! An insertion is late, and the bucket's word leads to the same element in the same term, in which
//! that was inserted once: so since then nothing but removals has come to stay behind the word, and
//! the key is absent. So the few versions count only for those who remove by an old `life`.
//!
//! The version begins anew after 2^31 changes of one word. One who is stopped between a look and
//! its change while exactly that many happen, or a multiple, and the word leads to the same element
//! again, takes the new state for the old one. That is minutes of nothing but changes of one word,
//! and then one moment of 2^31: it is accepted. With terms it is 2^13 insertions of one element,
//! each a lap of its ring: hours, and one lap of 2^13.
//!
//! # Deaths
//!
//! A remover that dies after its mark leaves the element to the next walk. One who dies in an
//! insertion has an element that is in the chain or not: [`is_chained`](Chains::is_chained) tells.
//! It tells also of an owner who dies with the next term begun, or before: a term that is over is
//! in no chain, whatever of the next key is written.
//!
//! # Edges
//!
//! `[chained]`: inserting releases, finding acquires: the key is seen whole. `[term-first]`: who
//! sees a word of an element's next key sees its next term.
//!
//! # Progress
//!
//! Lock-free. Nothing in memory is believed: an index out of range ends a chain, and so does a walk
//! that takes more steps than there are elements. A walk begins anew only if another participant
//! has changed a word, so no damage makes it endless.

use crate::sync::{AtomicU64, Ordering};

/// An element that can be in a chain.
pub trait Chained {
    /// Whether elements have terms. If not, each is to leave its chain before it is used again.
    const TERMS: bool = false;

    /// Its link in the chain: nobody but [`Chains`] changes it.
    fn chain(&self) -> &AtomicU64;

    /// The term in which it is, by an Acquire load: only the low bits count. Its owner begins the
    /// next one by a Release, before it writes the key.
    #[inline(always)]
    fn term(&self) -> u64 {
        0
    }
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
pub enum Found<'a> {
    /// This element was in the chain, with the key, at some moment of the search.
    At(usize),
    /// There was none.
    Absent(Absent<'a>),
}

/// That nothing was found, and under which word.
#[derive(Debug, Clone, Copy)]
pub struct Absent<'a> {
    /// Where the chain begins.
    start: Option<&'a AtomicU64>,
    hash: u64,
    seen: Link,
}

impl Absent<'_> {
    /// Whether nothing has come into the chain since this was found, as it was a moment ago.
    #[inline(always)]
    pub fn is_still(&self) -> bool {
        // ORDERING: Relaxed; insertion looks again.
        let seen = |start: &AtomicU64| start.load(Ordering::Relaxed) == self.seen.0;
        self.start.is_some_and(seen)
    }
}

/// `{ marked:1, version:31, next:32 }`, or with terms
/// `{ marked:1, version:13, only:1, tag:5, term:12, next:32 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link(u64);

const MARKED: u64 = 1 << 63;
const TERM_SHIFT: u32 = 32;
const TERM_MASK: u64 = (1 << (TAG_SHIFT - TERM_SHIFT)) - 1;
const TAG_SHIFT: u32 = 44;
const TAG_BITS: u32 = 5;
const TAG_MASK: u64 = ((1 << TAG_BITS) - 1) << TAG_SHIFT;
const ONLY: u64 = 1 << (TAG_SHIFT + TAG_BITS);
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
}

/// What a word's fields are for these elements.
impl<E: Chained> Chains<'_, E> {
    const VERSION_SHIFT: u32 = if E::TERMS {
        TAG_SHIFT + TAG_BITS + 1
    } else {
        TERM_SHIFT
    };
    /// All but mark and version.
    const ARROW_MASK: u64 = (1 << Self::VERSION_SHIFT) - 1;

    /// Of a hash, what an arrow has beside the bucket.
    const fn tag(hash: u64) -> u64 {
        (hash >> (64 - TAG_BITS)) << TAG_SHIFT
    }

    /// An arrow to an element with this hash.
    #[inline(always)]
    fn arrow(index: usize, element: &E, hash: u64, only: bool) -> u64 {
        let next = (index as u64).wrapping_add(1) & NEXT_MASK;
        if E::TERMS {
            let only = if only { ONLY } else { 0 };
            only | Self::tag(hash) | (element.term() & TERM_MASK) << TERM_SHIFT | next
        } else {
            next
        }
    }

    /// The next version, unmarked, with this arrow.
    const fn turned(link: Link, arrow: u64) -> Link {
        let version = (link.0 >> Self::VERSION_SHIFT) + 1;
        Link((version << Self::VERSION_SHIFT | arrow) & !MARKED)
    }

    /// The same with the arrow of `other`.
    const fn followed_as(link: Link, other: Link) -> Link {
        Self::turned(link, other.0 & Self::ARROW_MASK)
    }

    /// Whether a word names another term of this element than it is in.
    #[inline(always)]
    fn is_over(link: Link, element: &E) -> bool {
        E::TERMS && (link.0 >> TERM_SHIFT ^ element.term()) & TERM_MASK != 0
    }

    /// Whether a word leads to an element, in the term in which that is.
    #[inline(always)]
    fn leads(&self, link: Link) -> bool {
        let next = link.next().and_then(|at| self.elements.get(at));
        next.is_some_and(|element| !Self::is_over(link, element))
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
    pub fn first_or_absent(&self, hash: u64) -> Found<'a> {
        let start = self.start(hash);
        let seen = start.map_or(Link(0), Self::load);
        match seen.next() {
            Some(first) => Found::At(first),
            None => Found::Absent(Absent { start, hash, seen }),
        }
    }

    /// Which one that is; it need not be one of the elements.
    #[inline(always)]
    pub fn first_index(&self, hash: u64) -> Option<usize> {
        let start = self.buckets.get(self.bucket(hash))?;
        // ORDERING: Acquire; [chained].
        Link(start.load(Ordering::Acquire)).next()
    }

    /// What follows an element in whatever term, or it itself if nothing does: no branch tells
    /// which, since it would be guessed wrong too often.
    #[inline(always)]
    pub fn next_or<'e>(&self, element: &'e E) -> &'e E
    where
        'a: 'e,
    {
        // ORDERING: Relaxed; a hint.
        let link = element.chain().load(Ordering::Relaxed);
        let next = (link & NEXT_MASK).wrapping_sub(1) as usize;
        self.elements.get(next).unwrap_or(element)
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
    /// next key sees then that the element was removed, or its next term.
    #[inline(always)]
    pub fn find(&self, hash: u64, mut same: impl FnMut(&E) -> bool) -> Found<'a> {
        let Some(start) = self.start(hash) else {
            let (start, seen) = (None, Link(0));
            return Found::Absent(Absent { start, hash, seen });
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
                // After the key, and before the word that led here: [term-first], [last-out].
                let is_over = Self::is_over(seen, element);
                if Self::load(before) != seen {
                    continue 'anew;
                }
                if is_over {
                    break;
                }
                if link.is_marked() {
                    let next = Self::followed_as(seen, link);
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
            let (start, seen) = (Some(start), head);
            return Found::Absent(Absent { start, hash, seen });
        }
    }

    /// Under which word nothing with this hash is in a chain, if the word itself says so: there is
    /// one element at most, and that has another tag.
    #[inline(always)]
    pub fn absent(&self, hash: u64) -> Option<Absent<'a>> {
        let start = self.start(hash)?;
        let seen = Self::load(start);
        let theirs = seen.0 & (ONLY | TAG_MASK);
        let none = E::TERMS && seen.0 & ONLY != 0 && theirs != ONLY | Self::tag(hash);
        none.then_some(Absent {
            start: Some(start),
            hash,
            seen,
        })
    }

    /// Inserts an element that is the caller's and in no chain, if nothing has come into the chain
    /// since `absent` was found; whether it did. Else look again.
    pub fn insert(&self, absent: &Absent<'_>, index: usize) -> bool {
        let element = self.elements.get(index);
        element.is_some_and(|element| self.insert_element(absent, index, element))
    }

    /// The same of an element at hand, whose index this is.
    #[inline(always)]
    pub fn insert_element(&self, absent: &Absent<'_>, index: usize, element: &E) -> bool {
        let Some(start) = absent.start else {
            return false;
        };
        // What leads nowhere is dropped here, before its term can come again.
        let leads = self.leads(absent.seen);
        let behind = if leads { absent.seen } else { Link(0) };
        let link = Self::followed_as(Self::load(element.chain()), behind);
        // ORDERING: Release; a change that comes between is of an earlier use, and overwritten.
        element.chain().store(link.0, Ordering::Release);
        let only = behind.next().is_none();
        let arrow = Self::arrow(index, element, absent.hash, only);
        Self::change(start, absent.seen, Self::turned(absent.seen, arrow))
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

    /// Whether an element is the last of its chain, and nobody removes it: then its owner may begin
    /// its next term without taking it out. It may be asked before it is claimed, if the claim
    /// succeeds only in the term of this call.
    #[inline(always)]
    pub fn is_last(&self, element: &E) -> bool {
        let link = Self::load(element.chain());
        if link.0 & (MARKED | NEXT_MASK) == 0 {
            return true;
        }
        // What follows may have been taken out before its term was over, and something else follows
        // now: then the word is another one, [last-out].
        !link.is_marked() && !self.leads(link) && Self::load(element.chain()) == link
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
        is_last && is_first && Self::change(start, seen, Self::turned(seen, 0))
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
            let leads = !seen.is_marked() && self.leads(seen);
            let Some(at) = seen.next().filter(|_| leads) else {
                return false;
            };
            if at == index {
                return Self::change(before, seen, Self::turned(seen, 0));
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
#[path = "chains/tests.rs"] // so also where the source is taken into a test
mod tests;
