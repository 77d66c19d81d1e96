//! Groups: found by their key, made when they get their first message, and given up for others when
//! they have none.
//!
//! # States of an entry
//!
//! ```text
//!            claim               chain, then settle
//!   Free ------------> Claimed --------------------> Live
//!                       |  ^                           |
//!          give up      |  |          evict            |
//!   Free <--------------+  +---------------------------+
//! ```
//!
//! - *Claimed* names its owner, who puts the entry into a chain, or takes it out. It may be in a
//!   chain already, and then senders use it.
//! - *Live*: it is in a chain. It stays there without messages, so that a group that comes and goes
//!   costs nothing, until another group needs the entry: then it is *evicted*.
//!
//! An entry is a group as long as its list (`first`) is not *closed*. Evicting closes the list by
//! one compare-exchange that only succeeds on an empty one, so it and a send of the group's next
//! message exclude each other, `[closed-empty]`. Who finds a closed entry by its key takes it out
//! of its chain and looks again: nobody waits for the evictor.
//!
//! A list is opened only when its entry is in a chain: until then it is *coming*. So an open list
//! is one that finders reach, and who comes by a stale name of an entry cannot append to one that
//! is being made for another key, or for the same key a second time, `[opened-last]`. Opening is
//! one compare-exchange by whoever has found the entry in its chain after it had seen it coming.
//!
//! There are more entries than slots by an eighth. A group with messages has a slot, so at least a
//! ninth of the entries are to be had, and the hand that goes round meets one after nine on
//! average.
//!
//! # Deaths
//!
//! A Claimed entry of a dead owner is, by the proof of its death, nobody's: if its list is closed
//! it is taken out of its chain and freed; if not, it is Live when it is in a chain, and Free when
//! it is not. A list that is coming in a chain is opened by who finds it. See
//! [`mend_groups`](Store::mend_groups).

use super::layout::{Group, Next, NextWord};
use crate::region::store::Store;
use crate::ring::chains::Found;
use crate::sync::Ordering;

const PHASE_SHIFT: u32 = 62;
const OWNER_SHIFT: u32 = 32;
const VERSION_MASK: u64 = (1 << 32) - 1;

/// What an entry is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Free,
    Claimed,
    Live,
}

/// `{ phase:2, 0:20, owner:10, version:32 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(u64);

impl State {
    const fn phase(self) -> Phase {
        match self.0 >> PHASE_SHIFT {
            0 => Phase::Free,
            1 => Phase::Claimed,
            _ => Phase::Live,
        }
    }

    const fn owner(self) -> u32 {
        ((self.0 >> OWNER_SHIFT) & 1023) as u32
    }

    const fn then(self, phase: Phase, owner: u32) -> Self {
        let phase = match phase {
            Phase::Free => 0,
            Phase::Claimed => 1,
            Phase::Live => 2,
        };
        let version = self.0.wrapping_add(1) & VERSION_MASK;
        Self(phase << PHASE_SHIFT | ((owner & 1023) as u64) << OWNER_SHIFT | version)
    }
}

impl Group {
    fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    /// Changes the state if it is still `seen`; whether it did.
    fn change(&self, seen: State, phase: Phase, owner: u32) -> bool {
        // ORDERING: AcqRel; a claim acquires what the owner before it did to the entry.
        let (next, done) = (seen.then(phase, owner), Ordering::AcqRel);
        self.state
            .compare_exchange(seen.0, next.0, done, Ordering::Relaxed)
            .is_ok()
    }

    /// Whether the entry has this key.
    pub(super) fn is(&self, key: [u64; 2]) -> bool {
        // ORDERING: Acquire; who looks at something else afterwards sees it no older than the key.
        self.key[0].load(Ordering::Acquire) == key[0]
            && self.key[1].load(Ordering::Acquire) == key[1]
    }

    fn keys(&self) -> [u64; 2] {
        [0, 1].map(|half| self.key[half].load(Ordering::Acquire))
    }

    pub(super) fn first(&self) -> NextWord {
        // ORDERING: SeqCst; [turn-seen], and acquires what the first message's sender wrote.
        NextWord(self.first.load(Ordering::SeqCst))
    }

    fn is_closed(&self) -> bool {
        self.first().next() == Next::Closed && !self.first().is_frozen()
    }
}

impl Store<'_> {
    /// The entry of the group with this key, if it has one.
    pub fn find_group(&self, key: [u64; 2]) -> Option<usize> {
        match self.groups().find(key[0], |group| group.is(key)) {
            Found::At(index) => Some(index),
            Found::Absent(_) => None,
        }
    }

    /// The entry of the group of a message that is, or was, linked.
    pub(super) fn group_at(&self, slot: usize) -> Option<usize> {
        let link = self.links().get(slot)?;
        let key = [0, 1].map(|half| link.key[half].load(Ordering::Relaxed));
        self.group_by(key, link.group.load(Ordering::Relaxed))
    }

    /// [`find_group`](Self::find_group) with a hint: the entry, and one more, in which one of its
    /// messages was linked. A group has one entry that is not closed.
    pub(super) fn group_by(&self, key: [u64; 2], hint: u64) -> Option<usize> {
        let index = (hint as usize).wrapping_sub(1);
        if let Some(group) = self.groups().elements.get(index)
            && group.is(key)
            && group.first().next() != Next::Closed
            && group.is(key)
        {
            return Some(index);
        }
        self.find_group(key)
    }

    /// The entry of the group with this key; makes it if there is none. `None`: there is no entry
    /// to be had, which is so only while others who have no message stand still with theirs.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn group_of(&self, key: [u64; 2], owner: u32) -> Option<usize> {
        let groups = self.groups();
        let mut made = None;
        loop {
            let absent = match groups.find(key[0], |group| group.is(key)) {
                Found::At(index) => {
                    if !self.open(index, key) {
                        self.unchain_closed(index, key);
                        continue;
                    }
                    if let Some(made) = made {
                        self.give_up_entry(made);
                    }
                    return Some(index);
                }
                Found::Absent(absent) => absent,
            };
            let index = match made {
                Some(index) => index,
                None => self.claim_entry(owner)?,
            };
            made = Some(index);
            let group = &groups.elements[index];
            // ORDERING: Release; who sees a word of this key sees that the entry was removed.
            group.key[0].store(key[0], Ordering::Release);
            group.key[1].store(key[1], Ordering::Release);
            let coming = group.first().then(Next::Closed).then_frozen();
            // ORDERING: Release; [opened-last] who sees this word, or the open one after it, sees
            // the key.
            group.first.store(coming.0, Ordering::Release);
            if groups.insert(&absent, index) {
                self.open(index, key);
                // Ours, so this cannot fail; one that dies before it leaves it to repair.
                group.change(group.state(), Phase::Live, 0);
                return Some(index);
            }
        }
    }

    /// Opens the list of an entry that was found in its chain by this key, if it is still coming.
    /// `false`: it is closed, or another key's by now.
    fn open(&self, index: usize, key: [u64; 2]) -> bool {
        let group = &self.groups().elements[index];
        let seen = group.first();
        if seen.next() != Next::Closed {
            return true;
        }
        let coming = seen.is_frozen() && self.find_group(key) == Some(index);
        // ORDERING: SeqCst, as each change of this word; [opened-last] by whoever found it in its
        // chain after it had seen the word.
        let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        let open = seen.anew().0;
        coming
            && match group.first.compare_exchange(seen.0, open, done, failed) {
                Ok(_) => true,
                Err(now) => NextWord(now).next() != Next::Closed,
            }
    }

    /// Takes an entry with this key out of its chain, if it is still there and closed.
    fn unchain_closed(&self, index: usize, key: [u64; 2]) {
        let groups = self.groups();
        let life = groups.life(index);
        let group = &groups.elements[index];
        if group.is(key) && group.is_closed() {
            groups.remove(key[0], index, life);
        }
    }

    /// An entry in no chain, whose list nobody may append to.
    fn claim_entry(&self, owner: u32) -> Option<usize> {
        let entries = self.groups().elements;
        for _ in 0..2 * entries.len() {
            let turn = self
                .fifo_head()
                .groups_cursor
                .fetch_add(1, Ordering::Relaxed);
            let index = (turn % entries.len() as u64) as usize;
            let group = &entries[index];
            let seen = group.state();
            let won = match seen.phase() {
                Phase::Claimed => false,
                Phase::Free => group.change(seen, Phase::Claimed, owner),
                Phase::Live => {
                    let empty = group.first().next() == Next::End;
                    empty && group.change(seen, Phase::Claimed, owner) && self.evict(index)
                }
            };
            if won {
                return Some(index);
            }
        }
        None
    }

    /// Empties an entry that the caller has just claimed. `false`: it has messages, and is Live.
    fn evict(&self, index: usize) -> bool {
        let group = &self.groups().elements[index];
        let seen = group.first();
        let closed = seen.then(Next::Closed).0;
        // ORDERING: SeqCst; [closed-empty].
        let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
        let empty = seen.next() == Next::End
            && group
                .first
                .compare_exchange(seen.0, closed, done, failed)
                .is_ok();
        if !empty {
            group.change(group.state(), Phase::Live, 0);
            return false;
        }
        self.unchain(index);
        true
    }

    /// Takes an entry whose list is closed out of its chain, whoever else does so too.
    fn unchain(&self, index: usize) {
        let groups = self.groups();
        let key = groups.elements[index].keys();
        groups.unchain(key[0], index);
    }

    /// Gives back an entry that its owner has put into no chain.
    fn give_up_entry(&self, index: usize) {
        let group = &self.groups().elements[index];
        group.change(group.state(), Phase::Free, 0);
    }

    /// Ends what dead owners have left of entries. The caller has proof that they are dead.
    pub fn mend_groups(&self, dead: &dyn Fn(u32) -> bool) {
        let groups = self.groups();
        for (index, group) in groups.elements.iter().enumerate() {
            let seen = group.state();
            if seen.phase() != Phase::Claimed || !dead(seen.owner()) {
                continue;
            }
            if group.is_closed() {
                self.unchain(index);
                group.change(seen, Phase::Free, 0);
            } else if groups.is_chained(group.keys()[0], index) {
                self.open(index, group.keys());
                group.change(seen, Phase::Live, 0);
            } else {
                group.change(seen, Phase::Free, 0);
            }
        }
    }
}
