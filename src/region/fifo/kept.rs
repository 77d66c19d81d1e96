//! What a journal is told of a FIFO queue beside its messages: their order, and ids.
//!
//! # Messages
//!
//! The record of a message has its number and its group's key. One that has no number yet is not
//! told: the commit that finds it says that its slot has no message, and marks the slot again. So
//! what is put back is in order, and has been sent.
//!
//! With the message its id is told, as long as that counts: so both are in the journal or neither
//! is, `[id-with-message]`, and a sender that repeats what was lost is not told that it is a
//! duplicate.
//!
//! # Ids
//!
//! An id counts on when its message has gone. So before a message goes its id is *marked*: as a
//! slot is (`region::marks`), with two bits, *dirty* and *unsynced*, of a word for 64 ids. A commit
//! looks at marked ids after slots. It tells an id by itself only if its message has gone; while
//! that is there, the mark stays, since the message's record has the id, and the next commit looks
//! again. The mark is set before the word changes, so a death between the two leaves a mark too
//! many, and a commit that sees that a message has gone sees the mark, `[id-marked]`.
//!
//! The sweep of the journal visits blocks of 64 ids as it does those of slots. So an id is written
//! anew in each round by itself, also while its message is there; unless that is marked: then the
//! commit that takes the mark has both. A message is marked before its entry is settled, and, in
//! the way of all, before it is in order, `[marked-in-order]`: so one that is accepted and not
//! marked is in the journal, or its entry is coming. Then the sweep marks it, and leaves the id to
//! its message. Otherwise an id by itself says nothing that the message does not. Who sends a
//! duplicate of one whose entry is coming marks it as well, before it commits; and repair marks the
//! messages of a dead sender's entries before it settles those.
//!
//! # Recovery
//!
//! Of the records of an entry, by itself or with a message, the newest counts: if the window is
//! over by the latest time in the journal, or a purge has forgotten it, the entry is free. Entries
//! are where they were, so the ring of them is in its old order. Messages are linked in the order
//! of their numbers, whatever slots they are in. The numbers that come later begin 2^32 above the
//! greatest that is known: nobody is given one that was given to a message that is lost.

use super::ids::{First, IdKey, State, VOIDED};
use super::layout::{ID_WORDS, Next, Remembered, UNORDERED};
use super::list::{hint, link_at};
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::ring::chains::Found;
use crate::sync::{AtomicU64, Ordering, store_load_after_rmw};
use std::vec::Vec;

/// Ids that share their marks.
pub const MARKED: usize = 64;
/// So far above the greatest number that is known the next ones begin.
const LEAP: u64 = 1 << 32;
/// The greatest number that is believed.
const NUMBER_MAX: u64 = 1 << 61;

/// An id as a journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptId {
    /// Its entry.
    pub entry: u32,
    /// The slot of its first message.
    pub slot: u32,
    /// The stamp of that.
    pub stamp: u64,
    /// The number of that.
    pub number: u64,
    /// When the window ends, ms.
    pub until_ms: u64,
    /// Its key.
    pub key: IdKey,
}

/// The place of a message in order, as a journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptOrder {
    /// Its number.
    pub number: u64,
    /// The key of its group.
    pub group: [u64; 2],
    /// Its id, if that counts.
    pub id: Option<KeptId>,
}

impl KeptOrder {
    /// Whether it can be one of a message.
    pub const fn is_sound(&self) -> bool {
        self.number != 0 && self.number < NUMBER_MAX
    }
}

/// A message that was put back, and is to be linked.
#[derive(Debug, Clone, Copy)]
pub struct Unlinked {
    /// Its slot.
    pub slot: usize,
    /// Its place.
    pub order: KeptOrder,
}

/// What a FIFO queue's journal says of it once.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeptHead {
    /// The latest number that was given out.
    pub sequence: u64,
    /// Ids of messages up to this number are forgotten.
    pub forgotten: u64,
}

impl Store<'_> {
    /// Marks the id of the message in a slot, which is about to go.
    #[inline(always)]
    pub(in crate::region) fn mark_id(&self, slot: usize) {
        if !self.id_marks().is_empty() {
            self.mark_id_dirty(slot);
        }
    }

    #[inline(never)]
    fn mark_id_dirty(&self, slot: usize) {
        let Some(link) = self.links().get(slot) else {
            return;
        };
        let entry = (link.id.load(Ordering::Acquire) as usize).wrapping_sub(1);
        if let Some(marks) = self.id_marks().get(entry / MARKED) {
            // ORDERING: SeqCst; [id-marked] before the word is changed.
            marks
                .dirty
                .fetch_or(1 << (entry % MARKED), Ordering::SeqCst);
        }
    }

    /// Takes the marks of 64 ids: they are unsynced from here on. The caller is the committer, here
    /// and below.
    pub fn take_id_marks(&self, block: usize) -> u64 {
        let Some(marks) = self.id_marks().get(block) else {
            return 0;
        };
        // ORDERING: Acquire; [id-marked] read after the words of slots that were seen to be gone.
        let ids = marks.dirty.load(Ordering::Acquire);
        if ids != 0 {
            marks.unsynced.fetch_or(ids, Ordering::AcqRel);
            marks.dirty.fetch_and(!ids, Ordering::AcqRel);
            store_load_after_rmw();
        }
        ids
    }

    /// Marks ids again that were taken and not told.
    pub fn put_id_marks(&self, block: usize, ids: u64) {
        if ids != 0
            && let Some(marks) = self.id_marks().get(block)
        {
            marks.dirty.fetch_or(ids, Ordering::AcqRel);
            marks.unsynced.fetch_and(!ids, Ordering::AcqRel);
        }
    }

    /// Ends the unsynced state of ids whose record is on the disk.
    pub fn settle_id_marks(&self, block: usize, ids: u64) {
        if let Some(marks) = self.id_marks().get(block) {
            marks.unsynced.fetch_and(!ids, Ordering::AcqRel);
        }
    }

    /// Makes dirty again what a committer left that died or could not write.
    pub fn restore_id_marks(&self) {
        for (block, marks) in self.id_marks().iter().enumerate() {
            self.put_id_marks(block, marks.unsynced.load(Ordering::Acquire));
        }
    }

    /// The id of an entry, if it is accepted and counts.
    pub fn kept_id(&self, index: usize) -> Option<KeptId> {
        let ids = self.ids_table();
        let entry = ids.entries.elements.get(index)?;
        loop {
            let seen = entry.state();
            let id = self.kept_as(index, entry, seen);
            // ORDERING: Acquire; all of it is of this state, which has a version.
            if entry.state() == seen {
                return id;
            }
        }
    }

    fn kept_as(&self, index: usize, entry: &Remembered, seen: State) -> Option<KeptId> {
        let ids = self.ids_table();
        let read = |word: &AtomicU64| word.load(Ordering::Acquire);
        let mut key = IdKey {
            words: [0; ID_WORDS],
            hash: read(&entry.hash),
        };
        key.words[0] = read(&entry.key[0]);
        let used = key.used();
        for (word, kept) in key.words.iter_mut().zip(&entry.key).take(used).skip(1) {
            *word = read(kept);
        }
        let id = KeptId {
            entry: index as u32,
            slot: seen.slot(),
            stamp: read(&entry.stamp),
            number: read(&entry.sequence),
            until_ms: read(&entry.until_ms),
            key,
        };
        let first = First {
            slot: id.slot,
            stamp: id.stamp,
            sequence: id.number,
        };
        let counts = seen.names_message()
            && ids.is_sent(&first, seen)
            && !ids.is_over(entry, self.latest_ms());
        counts.then_some(id)
    }

    /// Whether an entry has an id whose message may yet be sent.
    pub fn is_coming_id(&self, index: usize) -> bool {
        let entry = self.ids().elements.get(index);
        entry.is_some_and(|entry| {
            let seen = entry.state();
            let number = entry.sequence.load(Ordering::Acquire);
            let unordered = number & UNORDERED != 0 && number != VOIDED;
            seen.is_coming() || seen.names_message() && unordered
        })
    }

    /// Whether the message of an id is there, so that its record has the id.
    pub fn has_message(&self, id: &KeptId) -> bool {
        let Some(spot) = self.spot(id.slot as usize) else {
            return false;
        };
        // ORDERING: SeqCst; [id-marked] read after the mark was taken.
        let word = Word(spot.word.load(Ordering::SeqCst));
        let there = matches!(word.phase(), Phase::Ready | Phase::Held) || word.is_departed();
        // A stamp that is another message's was written when this one had gone.
        there && spot.note.stamp.load(Ordering::Acquire) == id.stamp
    }

    /// Whether the message of an id is there, and is to be told yet: then the id is told with it.
    /// One whose sender may not have come to mark it is marked.
    pub fn is_told_with_message(&self, id: &KeptId) -> bool {
        let entry = self.ids().elements.get(id.entry as usize);
        // Before the mark is looked at: an entry is settled after its message is marked.
        let coming = entry.is_some_and(|entry| entry.state().is_coming());
        let slot = id.slot as usize;
        let has = self.has_message(id);
        if has && coming && !self.is_marked(slot) {
            self.mark(slot);
        }
        has && (coming || self.is_marked(slot))
    }

    /// Marks the first message of a duplicate, if its sender may not have come to mark it: the
    /// commit that the duplicate's sender waits for is to have it.
    pub fn mark_first(&self, first: &First) {
        let slot = first.slot as usize;
        let Some(link) = self.links().get(slot) else {
            return;
        };
        let entry = (link.id.load(Ordering::Acquire) as usize).wrapping_sub(1);
        let entry = self.ids().elements.get(entry);
        if entry.is_some_and(|entry| entry.state().is_coming()) {
            self.mark_ordered(slot);
        }
    }

    /// Marks the messages of dead senders' entries, before these are settled: they may be sealed
    /// and not marked.
    pub(super) fn mark_theirs(&self, dead: &dyn Fn(u32) -> bool) {
        if self.id_marks().is_empty() {
            return;
        }
        for entry in self.ids().elements {
            let seen = entry.state();
            if seen.is_coming() && dead(seen.owner()) && (seen.slot() as usize) < self.words().len()
            {
                self.mark(seen.slot() as usize);
            }
        }
    }

    /// Marks a message that is about to be put in order by another one than its sender, who may
    /// stand still before its own mark.
    pub(super) fn mark_ordered(&self, slot: usize) {
        if !self.id_marks().is_empty() {
            self.mark(slot);
        }
    }

    /// The place of the message in a slot that the committer keeps from senders. `None`: it has no
    /// number; then the slot is marked again, for the next commit.
    pub fn kept_order(&self, slot: usize, stamp: u64) -> Option<KeptOrder> {
        let link = self.links().get(slot)?;
        let number = link.number();
        if number & UNORDERED != 0 {
            self.mark(slot);
            return None;
        }
        let entry = (link.id.load(Ordering::Acquire) as usize).wrapping_sub(1);
        let theirs = |id: &KeptId| (id.slot as usize, id.stamp, id.number) == (slot, stamp, number);
        Some(KeptOrder {
            number,
            group: [0, 1].map(|half| link.key[half].load(Ordering::Acquire)),
            id: self.kept_id(entry).filter(theirs),
        })
    }

    /// What a frame says once.
    pub fn kept_head(&self) -> KeptHead {
        let head = self.fifo_head();
        KeptHead {
            // ORDERING: Acquire; not less than the number of any message that was looked at.
            sequence: head.sequence.load(Ordering::Acquire),
            forgotten: head.forgotten.load(Ordering::Acquire),
        }
    }

    /// Puts back what the journal has told: messages whose slots are filled, and ids, each entry at
    /// most once. Nobody else uses the region.
    pub fn restore_groups(
        &self,
        mut messages: Vec<Unlinked>,
        ids: &[KeptId],
        head: KeptHead,
        time_ms: u64,
    ) {
        messages.sort_unstable_by_key(|message| message.order.number);
        let latest = messages.last().map_or(0, |message| message.order.number);
        let latest = latest.max(head.sequence).min(NUMBER_MAX);
        let fifo = self.fifo_head();
        fifo.sequence.store(latest + LEAP, Ordering::Relaxed);
        fifo.forgotten.store(head.forgotten, Ordering::Relaxed);
        for message in &messages {
            self.relink(message);
        }
        for id in ids {
            let counts = id.until_ms > time_ms && id.number > head.forgotten;
            if counts && id.number < NUMBER_MAX {
                self.restore_id(id);
            }
        }
        self.restore_cursor();
    }

    /// Links a message behind those of its group that were put back before it.
    fn relink(&self, message: &Unlinked) {
        let KeptOrder { number, group, .. } = message.order;
        let (slot, links) = (message.slot, self.links());
        let (Some(link), Some(index)) = (links.get(slot), self.group_of(group, 0)) else {
            return; // there are more entries than slots
        };
        Self::prepare_link(link, number, group);
        let entry = &self.groups().elements[index];
        let first = entry.first();
        let last = entry.last.load(Ordering::Relaxed) as u32 as usize;
        let (place, seen) = match (first.next(), links.get(last)) {
            (Next::Slot(_), Some(last)) => (&last.next, last.next()),
            _ => (&entry.first, first),
        };
        link_at(place, seen, link, slot, index);
        entry.last.store(hint(number, slot), Ordering::Relaxed);
        let word = Word(self.words()[slot].load(Ordering::Relaxed));
        if first.next() == Next::End && word.phase() == Phase::Ready {
            self.issue(index);
        }
    }

    fn restore_id(&self, id: &KeptId) {
        let ids = self.ids_table();
        let Found::Absent(absent) = ids.find(&id.key) else {
            return; // no two count at once
        };
        ids.restore(id);
        if let Some(spot) = self.spot(id.slot as usize)
            && spot.note.stamp.load(Ordering::Relaxed) == id.stamp
            && spot.link.sequence.load(Ordering::Relaxed) == id.number
        {
            spot.link
                .id
                .store(u64::from(id.entry) + 1, Ordering::Relaxed);
        }
        ids.entries.insert(&absent, id.entry as usize);
    }

    /// Puts the cursor behind the newest id: at the first entry from there on that is free, or at
    /// the oldest if none is.
    fn restore_cursor(&self) {
        let entries = self.ids().elements;
        let number = |index: &usize| {
            let state = entries[*index].state();
            let number = entries[*index].sequence.load(Ordering::Relaxed);
            if state.names_message() { number } else { 0 }
        };
        let newest = (0..entries.len()).max_by_key(number).unwrap_or(0);
        let behind = (newest..entries.len()).chain(0..newest);
        let free = behind.clone().find(|index| number(index) == 0);
        let oldest = || behind.min_by_key(number).unwrap_or(0);
        let index = free.unwrap_or_else(oldest);
        self.fifo_head()
            .ids_cursor
            .store(index as u64, Ordering::Relaxed);
    }
}
