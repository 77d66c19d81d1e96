//! Deduplication ids: those of the last minutes, each once.
//!
//! # States of an entry
//!
//! ```text
//!            claim              write, insert             its message is sealed
//!   Free ------------> Claimed ---------------> coming ---------------------------> Settled
//!    ^                  |  ^                       |  its owner is dead               |  |
//!    |     give up      |  |                       +----------------------------------+  |
//!    +------------------+  +------------- reuse: its window is over ---------------------+
//!    +------------- void, or removed since its window is over, or forgotten -------------+
//! ```
//!
//! - *Claimed* names its owner, who writes the entry. With the claim its next *term* begins, and by
//!   that it is out of its chain; unless others follow it there: then its owner takes it out first.
//! - *coming* is Claimed and names the slot of the message as well: its owner inserts it into the
//!   chain, and sends. Nobody uses it again, however late that owner is, so what the owner has to
//!   say of it it says by stores, `[coming-own]`; repair settles it if the owner is dead.
//! - *Settled*: whoever sent its message does not come back to it.
//!
//! Beside that, an entry is *accepted* once its sequence word has the message's number, which it
//! keeps when the message is gone long since. Its owner stores it, and whoever completes the
//! message for the owner puts the same number there by a compare-exchange (see
//! [`send`](super::send)); a message that is numbered later than that is accepted before it shows
//! its number. Either comes before the message can be received, `[accepted-first]`: so none leaves
//! its list whose id is not accepted. While an entry is coming, and its message not sealed, it is
//! not *sent*: who finds it so helps.
//!
//! Which entry is used next: see [`cursor`](super::cursor).
//!
//! An id is itself in the entry if it is short enough, else its 256-bit digest: two ids are never
//! taken for one. A key that is compared while its entry is written anew does not count, since the
//! entry is in another term by then, `[term-first]` (`ring::chains`).
//!
//! Who sends an id finds it in its chain, or inserts it, under one word: of two who do so at once
//! one inserts, and the other finds it, `[absent-still]`.
//!
//! # Late ones
//!
//! Others than the owner put the number in by one compare-exchange from a word that is made of slot
//! and stamp. So one who comes late changes nothing of an entry that is another message's by then.
//!
//! # Deaths
//!
//! Claimed by a dead owner: [`repair`](Ids::repair) frees it, or settles it if it was coming and is
//! in its chain. One who has found it there may be faster, void it, and use it again at once, since
//! the cursor need not be behind it: so repair takes it out in the life that it had before its
//! state was looked at, and in no later one. A sender that finds one coming helps with its message
//! after it has found it in the chain a second time, since it saw that state: so it was inserted in
//! this life, `[chained-own]`. Accepted by nobody, of a message that is not there, and so was never
//! sent (its sender is dead, and repair has freed the claim): the next sender of the id voids it
//! (see [`send`](super::send)). Voiding takes the place of the number, so it and an acceptance
//! exclude each other, `[voided-once]`: what the voider has seen of the message may be old, the
//! word that it exchanges is not. Out of its chain and not Free: an entry is used again when its
//! window is over.

use super::cursor::Cursor;
pub(super) use super::entry::{NO_SLOT, Phase, State, VOIDED};
#[cfg(feature = "mapped")]
use super::kept::KeptId;
use super::key::name_of;
pub use super::key::{IdKey, Named};
use super::layout::{FifoHead, Link, Remembered, UNORDERED};
use crate::region::arena::stamp_generation;
use crate::region::store::Store;
use crate::region::word::Word;
use crate::ring::chains::{Absent, Chains, Found};
use crate::sync::{AtomicU64, Ordering};

/// The first message that was sent with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// Its slot.
    pub slot: u32,
    /// Its stamp.
    pub stamp: u64,
    /// Its sequence number.
    pub sequence: u64,
}

/// What came of remembering an id.
#[derive(Debug, Clone, Copy)]
pub enum Remember<'a> {
    /// It is new: this entry names the caller's message.
    New(Mine<'a>),
    /// It was accepted before.
    Duplicate(First),
    /// Another one is about to send it.
    Pending {
        /// The entry.
        entry: u32,
        /// Slot of its message.
        slot: u32,
        /// Stamp of its message.
        stamp: u64,
    },
    /// Nothing can be remembered before the oldest window is over.
    Full,
}

/// The table, as references.
#[derive(Debug, Clone, Copy)]
pub struct Ids<'a> {
    /// Entries, and where to find them.
    pub entries: Chains<'a, Remembered>,
    /// Cursor, and what is forgotten.
    pub head: &'a FifoHead,
    /// Links of the slots.
    pub links: &'a [Link],
    /// Words of the slots.
    pub words: &'a [AtomicU64],
}

impl Remembered {
    pub(super) fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    pub(super) fn change(&self, seen: State, next: State) -> bool {
        // ORDERING: AcqRel; [chained-own] a claim acquires what the owner before it did to the
        // entry, and whoever sees Pending sees it written; [term-first].
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.state
            .compare_exchange(seen.0, next.0, done, failed)
            .is_ok()
    }

    #[inline(always)]
    fn is(&self, key: &IdKey) -> bool {
        // ORDERING: Acquire, so that the state read next is no older.
        self.hash.load(Ordering::Acquire) == key.hash && self.has_words(key)
    }

    /// Writes the words of a key that count.
    #[inline(always)]
    fn write_words(&self, key: &IdKey) {
        let (used, [first, second, ..]) = (key.used(), &key.words);
        self.key[0].store(*first, Ordering::Release);
        self.key[1].store(*second, Ordering::Release); // one that does not count is zero
        if used > 2 {
            self.write_further(key, used);
        }
    }

    #[inline(never)]
    fn write_further(&self, key: &IdKey, used: usize) {
        let words = self.key.iter().zip(&key.words).take(used).skip(2);
        words.for_each(|(word, key)| word.store(*key, Ordering::Release));
    }

    #[inline(never)]
    fn has_words(&self, key: &IdKey) -> bool {
        let mut words = self.key.iter().zip(&key.words).take(key.used());
        // ORDERING: Acquire, as above.
        words.all(|(word, key)| word.load(Ordering::Acquire) == *key)
    }
}

/// An entry that the caller has claimed.
#[derive(Debug, Clone, Copy)]
pub struct Mine<'a> {
    /// Which one it is.
    pub index: u32,
    pub(super) entry: &'a Remembered,
    /// As the caller has left it.
    pub(super) state: State,
}

impl Mine<'_> {
    /// Accepts its message, while it is coming: nobody else uses it again before it is settled.
    /// Others who accept it do so as the same number.
    #[inline(always)]
    pub(super) fn accept(&self, number: u64) {
        // ORDERING: Release; [accepted-first] before the message is sealed.
        self.entry.sequence.store(number, Ordering::Release);
    }

    /// Says of it, while it is coming, that its message is sealed, and that the caller does not
    /// come back to either.
    #[inline(always)]
    pub fn settle(self) {
        let settled = self.state.then(Phase::Settled, 0, self.state.slot());
        // ORDERING: Release; who uses it again does so after all that the caller did to it.
        self.entry.state.store(settled.0, Ordering::Release);
    }

    /// Frees it, if it is in no chain.
    fn free(self) {
        let seen = self.entry.state();
        self.entry.change(seen, seen.then(Phase::Free, 0, 0));
    }
}

impl<'a> Ids<'a> {
    /// Whether an entry's id counts no longer. True of one that is being written anew, perhaps: who
    /// acts on it does so by its state.
    pub(super) fn is_over(&self, entry: &Remembered, now_ms: u64) -> bool {
        if entry.until_ms.load(Ordering::Acquire) <= now_ms {
            return true;
        }
        let forgotten = self.head.forgotten.load(Ordering::Acquire);
        let sequence = entry.sequence.load(Ordering::Acquire);
        sequence & UNORDERED == 0 && sequence <= forgotten
    }

    /// The first message with this id, if one was accepted and its window is not over. Changes
    /// nothing.
    pub fn look_up(&self, key: &IdKey, now_ms: u64) -> Option<First> {
        let Found::At(index) = self.entries.find(key.hash, |entry| entry.is(key)) else {
            return None;
        };
        let entry = &self.entries.elements[index];
        loop {
            let seen = entry.state();
            let first = self.first_of(entry, seen);
            let counts = self.is_sent(&first, seen) && !self.is_over(entry, now_ms);
            let is_its = entry.is(key);
            if entry.state() == seen {
                return (counts && is_its).then_some(first);
            }
        }
    }

    fn first_of(&self, entry: &Remembered, seen: State) -> First {
        First {
            slot: seen.slot(),
            stamp: entry.stamp.load(Ordering::Acquire),
            sequence: entry.sequence.load(Ordering::Acquire),
        }
    }

    /// Whether the message of an entry was sent: accepted, and sealed. Of one that is not coming,
    /// accepted is enough.
    pub(super) fn is_sent(&self, first: &First, seen: State) -> bool {
        let unsealed = || {
            let word = self.words.get(first.slot as usize);
            // ORDERING: SeqCst; [accepted-first] one that is accepted, and not so, is sealed.
            let seen = word.map(|word| Word(word.load(Ordering::SeqCst)));
            seen.is_some_and(|seen| seen.is_coming_as(stamp_generation(first.stamp)))
        };
        first.sequence & UNORDERED == 0 && !(seen.is_coming() && unsealed())
    }

    /// How many ids are remembered: a scan of all entries.
    pub fn remembered(&self, now_ms: u64) -> u64 {
        let counts = |entry: &&Remembered| {
            let seen = entry.state();
            let named = seen.is_coming() || seen.phase() == Phase::Settled;
            named && !self.is_over(entry, now_ms)
        };
        self.entries.elements.iter().filter(counts).count() as u64
    }

    /// Under which word of its chain an id is not found; `None` if it is.
    #[inline(always)]
    pub fn absent(&self, key: &IdKey) -> Option<Absent<'a>> {
        self.entries
            .absent(key.hash)
            .or_else(|| self.absent_behind(key))
    }

    #[inline(never)]
    fn absent_behind(&self, key: &IdKey) -> Option<Absent<'a>> {
        match self.entries.find(key.hash, |entry| entry.is(key)) {
            Found::At(_) => None,
            Found::Absent(absent) => Some(absent),
        }
    }

    /// Finds an id.
    #[cfg(feature = "mapped")]
    pub(super) fn find(&self, key: &IdKey) -> Found<'a> {
        self.entries.find(key.hash, |entry| entry.is(key))
    }

    /// Fills an entry that is free with what a journal has of it. Nobody else uses the region.
    #[cfg(feature = "mapped")]
    pub(super) fn restore(&self, id: &KeptId) {
        let Some(entry) = self.entries.elements.get(id.entry as usize) else {
            return;
        };
        entry.hash.store(id.key.hash, Ordering::Relaxed);
        entry.write_words(&id.key);
        entry.stamp.store(id.stamp, Ordering::Relaxed);
        entry.sequence.store(id.number, Ordering::Relaxed);
        entry.until_ms.store(id.until_ms, Ordering::Relaxed);
        let pending = entry.state().then(Phase::Settled, 0, id.slot);
        entry.state.store(pending.0, Ordering::Release);
    }

    /// What an entry that was found says of an id. `None`: it counts no longer, and is out of the
    /// chain, or changes: look again.
    fn known(&self, index: usize, key: &IdKey, hash: u64, now_ms: u64) -> Option<Remember<'a>> {
        let entry = &self.entries.elements[index];
        let life = self.entries.life(index);
        let seen = entry.state();
        let over = self.is_over(entry, now_ms);
        let first = self.first_of(entry, seen);
        if !entry.is(key) || entry.state() != seen {
            return None;
        }
        let names = seen.is_coming() || seen.phase() == Phase::Settled;
        if over || !names {
            // Of a claimed one somebody takes care, or repair does.
            let claimed = seen.phase() == Phase::Claimed;
            if self.entries.remove(hash, index, life) && !claimed {
                // Unless somebody claims it at this moment, who finds that it is in no chain.
                entry.change(seen, seen.then(Phase::Free, 0, 0));
            }
            return None;
        }
        if self.is_sent(&first, seen) {
            return Some(Remember::Duplicate(first));
        }
        // It may be the same id once more, and not be inserted yet: [chained-own].
        let again = self.entries.find(hash, |entry| entry.is(key));
        let stands = matches!(again, Found::At(at) if at == index) && entry.state() == seen;
        stands.then_some(Remember::Pending {
            entry: index as u32,
            slot: first.slot,
            stamp: first.stamp,
        })
    }

    fn hash_of(&self, index: usize) -> u64 {
        self.entries.elements[index].hash.load(Ordering::Acquire)
    }

    /// Writes an entry that the caller has claimed; then it is coming.
    #[inline(always)]
    fn write(&self, mine: &mut Mine<'_>, key: &IdKey, named: &Named, until_ms: u64, claimed: u64) {
        let entry = mine.entry;
        entry.hash.store(key.hash, Ordering::Release);
        entry.write_words(key);
        entry.stamp.store(named.stamp, Ordering::Release);
        entry.sequence.store(named.name, Ordering::Release);
        entry.until_ms.store(until_ms, Ordering::Release);
        if let Some(link) = self.links.get(named.slot as usize) {
            // ORDERING: Release; who comes to the entry by this link sees what was written.
            link.id.store(u64::from(mine.index) + 1, Ordering::Release);
        }
        mine.state = mine.state.then_as(claimed, named.slot);
        // ORDERING: Release; who sees it sees what was written.
        entry.state.store(mine.state.0, Ordering::Release);
    }

    /// Accepts the message with this slot and stamp as number `mine`, unless it has been: the
    /// number that it has. By anybody, also late: of an entry that is another message's by now
    /// nothing changes, and the number is `mine`.
    pub fn accept(&self, entry: u64, slot: u32, stamp: u64, mine: u64) -> u64 {
        self.accept_named(entry, &Named::new(slot, stamp), mine)
    }

    /// The same.
    #[inline(always)]
    pub(super) fn accept_named(&self, entry: u64, named: &Named, mine: u64) -> u64 {
        let index = (entry as usize).wrapping_sub(1); // without an entry there is none
        let Some(remembered) = self.entries.elements.get(index) else {
            return mine;
        };
        // ORDERING: AcqRel; [accepted-first]. A failure acquires: the stamp is no older.
        let (done, failed) = (Ordering::AcqRel, Ordering::Acquire);
        let word = &remembered.sequence;
        match word.compare_exchange(named.name, mine, done, failed) {
            Err(theirs) if theirs & UNORDERED == 0 => {
                let same = remembered.stamp.load(Ordering::Acquire) == named.stamp;
                if same && remembered.state().slot() == named.slot {
                    theirs
                } else {
                    mine
                }
            }
            _ => mine,
        }
    }

    /// The sequence number that an entry has for this message.
    pub fn accepted(&self, entry: u32, slot: u32, stamp: u64) -> Option<u64> {
        let remembered = self.entries.elements.get(entry as usize)?;
        // ORDERING: AcqRel; [accepted-first] a read-modify-write sees the latest number, whatever
        // else the caller has seen.
        let sequence = remembered.sequence.fetch_or(0, Ordering::AcqRel);
        let theirs = remembered.state().slot() == slot
            && remembered.stamp.load(Ordering::Acquire) == stamp
            && remembered.sequence.load(Ordering::Acquire) == sequence;
        (theirs && sequence & UNORDERED == 0).then_some(sequence)
    }

    /// Forgets an id whose message, as the caller has seen, is not there and was never sent. It was
    /// if its number says so, which is the latest word: then that is returned.
    pub fn void(&self, entry: u32, (slot, stamp): (u32, u64), key: &IdKey) -> Option<u64> {
        let remembered = self.entries.elements.get(entry as usize)?;
        let life = self.entries.life(entry as usize);
        let mut seen = remembered.state();
        let theirs = remembered.stamp.load(Ordering::Acquire) == stamp && seen.slot() == slot;
        if !theirs || !remembered.is(key) {
            return None; // another one has done it
        }
        if seen.is_coming() {
            // Its owner is dead, and its claim was freed.
            let pending = seen.then(Phase::Settled, 0, slot);
            if !remembered.change(seen, pending) {
                return None;
            }
            seen = pending;
        }
        if seen.phase() != Phase::Settled {
            return None;
        }
        let unordered = name_of(slot, stamp);
        // ORDERING: AcqRel; [voided-once] of this and an acceptance one fails.
        let (done, failed) = (Ordering::AcqRel, Ordering::Acquire);
        let word = &remembered.sequence;
        match word.compare_exchange(unordered, VOIDED, done, failed) {
            Ok(_) | Err(VOIDED) => {}
            Err(_) => return self.accepted(entry, slot, stamp),
        }
        if self.entries.remove(key.hash, entry as usize, life) {
            remembered.change(seen, seen.then(Phase::Free, 0, 0));
        }
        None
    }

    /// Frees entries that dead owners were at. The caller has proof that they are dead.
    pub fn repair(&self, dead: &dyn Fn(u32) -> bool) {
        for (index, entry) in self.entries.elements.iter().enumerate() {
            while !self.repair_entry(index, entry, dead) {}
        }
    }

    /// The same for one entry. `false`: its chain has changed meanwhile, look again.
    fn repair_entry(&self, index: usize, entry: &Remembered, dead: &dyn Fn(u32) -> bool) -> bool {
        // Before the state: so nothing is taken out that was inserted later.
        let life = self.entries.life(index);
        let seen = entry.state();
        if seen.phase() != Phase::Claimed || !dead(seen.owner()) {
            return true;
        }
        let hash = self.hash_of(index);
        let is_chained = || self.entries.is_chained(hash, index);
        let next = if seen.slot() != NO_SLOT && is_chained() {
            seen.then(Phase::Settled, 0, seen.slot())
        } else if self.entries.remove(hash, index, life) || !is_chained() {
            seen.then(Phase::Free, 0, 0)
        } else {
            return false;
        };
        entry.change(seen, next);
        true
    }
}

impl<'a> Cursor<'a> {
    /// Remembers an id for the message that lies, claimed and complete, in `slot`, until
    /// `until_ms`; or tells who has it. `absent`: under which word it was not found a moment ago.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline(always)]
    pub fn remember(
        &mut self,
        key: &IdKey,
        named: &Named,
        times: (u64, u64),
        absent: Option<Absent<'_>>,
    ) -> Remember<'a> {
        let mut mine = None;
        // Else it was a vain claim, and the entry would be passed by for a lap.
        if let Some(absent) = absent
            && absent.is_still()
            && let Some(mut claimed) = self.claim(times.0)
        {
            self.ids
                .write(&mut claimed, key, named, times.1, self.claimed);
            if self.insert(&absent, &claimed) {
                return Remember::New(claimed);
            }
            mine = Some(claimed);
        }
        self.remember_anew(key, (named.slot, named.stamp), times, mine)
    }

    #[inline(always)]
    fn insert(&self, absent: &Absent<'_>, mine: &Mine<'_>) -> bool {
        let chains = &self.ids.entries;
        chains.insert_element(absent, mine.index as usize, mine.entry)
    }

    /// The same from the start; `mine`: an entry that the caller has claimed.
    #[inline(never)]
    fn remember_anew(
        &mut self,
        key: &IdKey,
        (slot, stamp): (u32, u64),
        (now_ms, until_ms): (u64, u64),
        mut mine: Option<Mine<'a>>,
    ) -> Remember<'a> {
        let (hash, named) = (key.hash, Named::new(slot, stamp));
        let outcome = loop {
            let absent = match self.ids.entries.find(hash, |entry| entry.is(key)) {
                Found::At(index) => match self.ids.known(index, key, hash, now_ms) {
                    Some(known) => break known,
                    None => continue,
                },
                Found::Absent(absent) => absent,
            };
            let Some(mut claimed) = mine.or_else(|| self.claim(now_ms)) else {
                break Remember::Full;
            };
            self.ids
                .write(&mut claimed, key, &named, until_ms, self.claimed);
            if self.insert(&absent, &claimed) {
                return Remember::New(claimed);
            }
            mine = Some(claimed);
        };
        if let Some(claimed) = mine {
            claimed.free();
        }
        outcome
    }
}

impl<'a> Store<'a> {
    /// The table of deduplication ids.
    pub fn ids_table(&self) -> Ids<'a> {
        Ids {
            entries: self.ids(),
            head: self.fifo_head(),
            links: self.links(),
            words: self.words(),
        }
    }
}
