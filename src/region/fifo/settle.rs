//! Settling: what ends a hold of a message in a group, and what that leaves to be done.
//!
//! # Deleting
//!
//! 1. The message's word becomes a tombstone by one compare-exchange: it is deleted.
//! 2. Tombstones at the head of its group's list are taken out, in a row: each is frozen, in the
//!    order of the list, and then the group's own arrow is turned beyond all of them. Where nothing
//!    follows, the last one is closed instead, and the group is empty. It is the way of
//!    [`list`](super::list), with one change of the group's arrow for several places: what is
//!    frozen behind a frozen place stays there, as long as the group's arrow does, `[row-frozen]`.
//! 3. Who has turned the arrow frees the places of the row.
//! 4. If the group is free now, it gets a ticket.
//!
//! One who deletes several messages does 2 to 4 once for those of a group, and puts the bits of
//! their slots, and counts the tickets, at the end.
//!
//! A message that is its group's only one is taken out at once: see [`only`](super::only). If that
//! fails, 2 goes on from whatever it has come to.
//!
//! # Deaths
//!
//! After 1: whoever looks at the group next takes the tombstones out, and
//! [`mend_tickets`](Store::mend_tickets) issues the ticket. In 2 a helper takes them out one by
//! one, or in a row. After that they are tombstones in no list, which a repair frees, and puts the
//! bits.

use super::layout::{Group, Next, NextWord, UNORDERED};
use super::turn::{Spot, TURN_MAX};
use crate::error::Error;
use crate::region::arena::Hold;
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::{AtomicU64, Ordering, store_load_after_rmw};
use heapless::Vec;

/// The most places that are taken out with one change of an arrow.
const ROW_MAX: usize = 16;

/// What stands at the head of a list once tombstones are taken out.
enum Head {
    /// This message; its word.
    Message(usize, Word),
    /// Nothing.
    Empty,
    /// What has to be looked at more closely.
    Unclear,
}

/// A row of tombstones at the head of a list, all of them frozen.
enum Row {
    /// It ends before this message, which is not deleted: slot, number, word.
    Before(usize, u64, Word),
    /// Another place of the list follows: slot, number.
    Full(usize, u64),
    /// It was the whole list.
    All,
    /// The list has changed: look again.
    Changed,
    /// A message without a number, or damage.
    Unclear,
}

/// Messages that one call deletes: what it does once for all of them. To be
/// [finished](Settling::finish).
#[must_use]
pub struct Settling<'s> {
    pub(super) store: Store<'s>,
    pub(super) now_ms: u64,
    pub(super) owner: u32,
    /// The group of the messages that were deleted last; none of the queue's if there was none.
    group: usize,
    /// How many those are.
    deleted: usize,
    /// Free bits of one block.
    block: usize,
    set: u64,
    /// Tickets that are not counted.
    row: Option<u64>,
}

impl<'s> Settling<'s> {
    /// Of `owner`, at this time.
    #[inline(always)]
    pub fn new(store: Store<'s>, now_ms: u64, owner: u32) -> Self {
        Self {
            store,
            now_ms,
            owner,
            group: usize::MAX,
            deleted: 0,
            block: 0,
            set: 0,
            row: None,
        }
    }

    /// Deletes the message of `hold`, which takes `run` slots. `Ok(false)`: it is gone already.
    ///
    /// # Errors
    ///
    /// [`Error::StaleReceipt`]: it was received again. [`Error::NotInFlight`]: its time is over.
    /// [`Error::Pinned`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline(always)]
    pub fn delete(&mut self, hold: &Hold, run: usize) -> Result<bool, Error> {
        match self.delete_held(hold, run, || {}) {
            Some(()) => Ok(true),
            None => self.delete_slow(hold, run),
        }
    }

    #[cold]
    #[inline(never)]
    fn delete_slow(&mut self, hold: &Hold, run: usize) -> Result<bool, Error> {
        let (store, owner) = (self.store, self.owner);
        let index = hold.index as usize;
        loop {
            let Some(seen) = store.current(hold) else {
                store.unpin(hold, owner);
                return Ok(false);
            };
            if seen.generation() != hold.word.generation() {
                store.unpin(hold, owner);
                return Err(Error::StaleReceipt);
            }
            let over = seen.phase() != Phase::Held || hold.sent_ms() + seen.due_ms() <= self.now_ms;
            if over {
                store.unborrow(hold, owner);
                return Err(Error::NotInFlight);
            }
            let hint = store.links()[index].group.load(Ordering::Relaxed);
            let own = store.own_pin(hold);
            let reader = seen.is_borrowed() && !hold.word.is_borrowed();
            if let Some(key) = store.entomb(index, seen, run, own, reader)? {
                if let Some(group) = store.group_by(key, hint) {
                    self.leave(group);
                }
                return Ok(true);
            }
        }
    }

    /// Notes the group of a message that was deleted; that of the one before is done with, if it is
    /// another one.
    #[inline(never)]
    pub(super) fn leave(&mut self, group: usize) {
        if group != self.group {
            if self.deleted != 0 {
                self.leave_group();
            }
            self.group = group;
        }
        self.deleted += 1;
    }

    /// Steps 2 to 4 for the group of the messages that were deleted last.
    #[inline(never)]
    fn leave_group(&mut self) {
        let (group, deleted) = (self.group, core::mem::take(&mut self.deleted));
        let Some(entry) = self.store.groups().elements.get(group) else {
            return;
        };
        store_load_after_rmw();
        // ORDERING: SeqCst; [narrow-seen] read before the head.
        let wide = entry.wide.load(Ordering::SeqCst);
        let (taken, head) = self.take_out_row(entry);
        match head {
            Head::Empty => {
                if wide & 1 != 0 {
                    self.store.narrow(entry, wide);
                }
            }
            Head::Message(slot, word) if word.phase() == Phase::Held => {
                if self.store.is_held_over(slot, word, self.now_ms) {
                    self.offer(group, entry);
                }
            }
            Head::Message(_, word) if word.phase() == Phase::Ready && wide & 1 == 0 => {
                // It may have become wide since: then it is locked, and the ticket passed by.
                self.store.issue_in_row((group, entry), &mut self.row);
            }
            Head::Message(..) | Head::Unclear => self.offer(group, entry),
        }
        if taken < deleted {
            self.store.take_out_of_turn(group, self.owner);
        }
    }

    #[cold]
    #[inline(never)]
    fn offer(&mut self, group: usize, entry: &Group) {
        if self.store.is_free(group, self.now_ms, self.owner) {
            self.store.issue_in_row((group, entry), &mut self.row);
        }
    }

    /// Takes the tombstones at the head of a list out: how many it has freed, and what is there
    /// then.
    #[inline(always)]
    fn take_out_row(&mut self, entry: &Group) -> (usize, Head) {
        let mut taken = 0;
        for _ in 0..=self.store.links().len() {
            // ORDERING: SeqCst, as each look at an arrow.
            let seen = NextWord(entry.first.load(Ordering::SeqCst));
            let Next::Slot(at) = seen.next() else {
                return (taken, Head::Empty);
            };
            let mut row = Vec::new();
            let (next, head) = match self.freeze_row(entry, seen, at, &mut row) {
                Row::Before(slot, number, word) => {
                    if row.is_empty() {
                        return (taken, Head::Message(slot, word));
                    }
                    self.store.move_hint(entry, number, slot); // [hint-ahead]
                    (Next::Slot(slot), Some(Head::Message(slot, word)))
                }
                Row::Full(slot, number) => {
                    self.store.move_hint(entry, number, slot);
                    (Next::Slot(slot), None)
                }
                Row::All => (Next::End, Some(Head::Empty)),
                Row::Changed => continue,
                Row::Unclear => return (taken, Head::Unclear),
            };
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            // ORDERING: SeqCst; who wins this frees the places.
            let won = entry
                .first
                .compare_exchange(seen.0, seen.then(next).0, done, failed);
            if won.is_err() {
                continue;
            }
            taken += row.len();
            for &(slot, word) in &row {
                let slot = slot as usize;
                self.free(slot, &self.store.words()[slot], word);
            }
            if let Some(head) = head {
                return (taken, head);
            }
        }
        (taken, Head::Unclear) // a circle
    }

    /// Freezes the tombstones at the head of a list, from `at` on, to which the group's own arrow
    /// `seen` leads.
    #[inline(always)]
    fn freeze_row(
        &self,
        entry: &Group,
        seen: NextWord,
        mut at: usize,
        row: &mut Vec<(u32, Word), ROW_MAX>,
    ) -> Row {
        loop {
            let Some(Spot { word, link, .. }) = self.store.spot(at) else {
                return Row::Unclear; // damage
            };
            let next = NextWord(link.next.load(Ordering::SeqCst));
            let number = link.sequence.load(Ordering::SeqCst);
            let word = Word(word.load(Ordering::SeqCst));
            // ORDERING: SeqCst; [row-frozen] the group's arrow stands, so what is frozen before
            // this place leads to it, and these are its words.
            if entry.first.load(Ordering::SeqCst) != seen.0 {
                return Row::Changed;
            }
            if number & UNORDERED != 0 || seen.is_frozen() {
                return Row::Unclear;
            }
            if !word.is_tombstone() {
                return Row::Before(at, number, word);
            }
            if row.is_full() {
                return Row::Full(at, number);
            }
            let frozen = match next.next() {
                Next::Slot(_) if next.is_frozen() => next,
                Next::Closed => next,
                Next::Slot(_) => next.then_frozen(),
                Next::End => next.then_closed(), // all before it are tombstones
            };
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            // ORDERING: SeqCst, as each change of an arrow; [row-frozen] nothing behind it is taken
            // out by way of it, or appended, from here on.
            if frozen != next
                && link
                    .next
                    .compare_exchange(next.0, frozen.0, done, failed)
                    .is_err()
            {
                continue; // something was appended, or another one has frozen it
            }
            let _ = row.push((at as u32, word));
            match frozen.next() {
                Next::Slot(behind) => at = behind,
                _ => return Row::All,
            }
        }
    }

    /// Frees a tombstone that this call has taken out.
    #[inline(always)]
    fn free(&mut self, at: usize, word: &AtomicU64, tombstone: Word) {
        let free = Word::free(tombstone.generation() + 1);
        let plain = tombstone.pins() == 0 && tombstone.tombstone_run() == 1;
        // ORDERING: AcqRel; [slot-freed], and the other readers are done.
        let (done, failed) = (Ordering::AcqRel, Ordering::Acquire);
        let freed = plain
            && word
                .compare_exchange(tombstone.0, free.0, done, failed)
                .is_ok();
        if !freed {
            return self.free_slow(at, tombstone);
        }
        self.note_free(at);
    }

    /// Notes that a slot was freed: its bit is put later.
    #[inline(always)]
    pub(super) fn note_free(&mut self, at: usize) {
        let block = at / BLOCK_SLOTS;
        if block != self.block {
            self.put_free();
            self.block = block;
        }
        self.set |= 1 << (at % BLOCK_SLOTS);
    }

    #[cold]
    #[inline(never)]
    fn free_slow(&self, at: usize, tombstone: Word) {
        self.store.free_tombstone(at, tombstone, self.owner);
    }

    #[inline(always)]
    fn put_free(&mut self) {
        if self.set != 0 {
            self.store.put_free_bits(self.block, self.set);
            self.set = 0;
        }
    }

    /// Does what is left to be done.
    #[inline(always)]
    pub fn finish(mut self) {
        if self.deleted != 0 {
            self.leave_group();
        }
        self.put_free();
        self.store.count_row(self.row);
    }
}

impl Store<'_> {
    /// Deletes one message: see [`Settling::delete`].
    ///
    /// # Errors
    ///
    /// Those of [`Settling::delete`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn delete_in_turn(
        &self,
        hold: &Hold,
        run: usize,
        now_ms: u64,
        owner: u32,
    ) -> Result<bool, Error> {
        let mut settling = Settling::new(*self, now_ms, owner);
        let deleted = settling.delete(hold, run);
        settling.finish();
        deleted
    }

    /// The steps of one who dies when it deletes messages of one group: 0 with the tombstones in
    /// the list, 1 frozen, 2 out of it and not freed.
    #[cfg(ringmain_loom)]
    pub fn die_deleting(&self, holds: &[Hold], owner: u32, steps: usize) {
        for hold in holds {
            let entombed = self.entomb(hold.index as usize, hold.word, 1, 0, false);
            assert!(matches!(entombed, Ok(Some(_))), "nobody else is at it");
        }
        let group = self.group_at(holds[0].index as usize).expect("an entry");
        let entry = &self.groups().elements[group];
        let seen = entry.first();
        let (Next::Slot(at), true) = (seen.next(), steps > 0) else {
            return;
        };
        let settling = Settling::new(*self, 0, owner);
        let frozen = settling.freeze_row(entry, seen, at, &mut Vec::new());
        let next = match frozen {
            Row::Before(slot, number, _) => {
                self.move_hint(entry, number, slot);
                Next::Slot(slot)
            }
            Row::All => Next::End,
            _ => return,
        };
        if steps > 1 {
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            let next = seen.then(next).0;
            let _ = entry.first.compare_exchange(seen.0, next, done, failed);
        }
    }

    /// Takes tombstones out of a list that are not at its head: they are among the ten oldest, so a
    /// walk over those does it. The last place of a list stays, until another message follows or
    /// the group is empty.
    #[cold]
    #[inline(never)]
    fn take_out_of_turn(&self, group: usize, owner: u32) {
        let mut at = self.oldest(group, owner);
        for _ in 1..TURN_MAX {
            let Some(member) = at else {
                return;
            };
            at = self.next_member(group, &member, owner);
        }
    }

    /// Makes a message a tombstone, without the pins in `own`; its group's key. `None`: the word
    /// has changed, look again.
    ///
    /// # Errors
    ///
    /// [`Error::Pinned`] as in [`remove`](Store::remove).
    pub(super) fn entomb(
        &self,
        index: usize,
        seen: Word,
        run: usize,
        own: u64,
        reader: bool,
    ) -> Result<Option<[u64; 2]>, Error> {
        let link = &self.links()[index];
        let key = [0, 1].map(|half| link.key[half].load(Ordering::Relaxed));
        let Some(pins) = self.pins_left(index, seen, own, reader)? else {
            return Ok(None);
        };
        let next = Word::tombstone(seen.generation(), pins, run as u64);
        #[cfg(feature = "mapped")]
        self.mark_id(index);
        // ORDERING: SeqCst; [freed-seen]; otherwise as in `remove`.
        let word = &self.words()[index];
        let won = word.compare_exchange(seen.0, next.0, Ordering::SeqCst, Ordering::Relaxed);
        if won.is_err() {
            return Ok(None);
        }
        #[cfg(feature = "mapped")]
        self.mark(index);
        Ok(Some(key))
    }

    /// Makes the message of `hold` visible at once, at the head of its group.
    ///
    /// # Errors
    ///
    /// Those of [`release`](Store::release).
    pub fn release_in_turn(&self, hold: &Hold, now_ms: u64, owner: u32) -> Result<(), Error> {
        let link = &self.links()[hold.index as usize];
        let key = [0, 1].map(|half| link.key[half].load(Ordering::Relaxed));
        let hint = link.group.load(Ordering::Relaxed);
        self.release(hold, now_ms, owner)?;
        if let Some(group) = self.group_by(key, hint) {
            self.offer(group, now_ms, owner);
        }
        Ok(())
    }

    /// After a message was moved to another queue: what stands behind it may be received.
    pub(in crate::region) fn leave_group(&self, index: usize, owner: u32) {
        if let Some(group) = self.group_at(index) {
            self.offer(group, self.latest_ms(), owner);
            if Word(self.words()[index].load(Ordering::Relaxed)).is_tombstone() {
                self.take_out_of_turn(group, owner);
            }
        }
    }
}
