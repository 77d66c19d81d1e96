//! Sends into groups: exactly once for each deduplication id.
//!
//! # Protocol
//!
//! A sender has claimed a run and written all of it: bytes, head, stamp, link, and in that a number
//! that it has reserved. The message is *coming*. Then
//!
//! 1. it *remembers* its id, in an entry that names slot and stamp: of all who send this id at
//!    once, one is there first;
//! 2. it *links* the message at the end of its group's list, if its number is greater than that of
//!    the last place, and else takes a later number before (`own`);
//! 3. its id is *accepted*: the entry has the number;
//! 4. it *seals* the message: from Claimed to Ready, or to a hold by nobody if it is delayed. That
//!    is the send;
//! 5. it settles the entry (`ids`), and issues a ticket if the list was empty.
//!
//! Whoever meets a linked message in its list that is not sealed *completes* it: steps 3 and 4, by
//! compare-exchanges. So nobody waits for a sender that stands still, and the order of the list is
//! the order of the sends. A message behind which others stand is met before those are received.
//!
//! A second sender of the id that finds the entry coming helps: see [`help`](super::help).
//!
//! # Deaths
//!
//! Before step 2 the claim is a dead one's, and repair frees it, unless a second sender is faster
//! and helps: both want to change the same word. If repair was faster, the entry names a message
//! that was never sent, and the next sender of the id *voids* it. After step 2 repair finds it in
//! its list, and completes it; a helped one it helps with. One that was sealed in no order repair
//! puts in order (see [`mend_sends`](Store::mend_sends)).
//!
//! No message leaves its list, and so its slot, before it is sealed and numbered, and none is so
//! before its id is accepted, `[accepted-first]`. So an entry that is not accepted and whose
//! message is not there is that of a message that was never sent.
//!
//! # Purges
//!
//! A message may be sealed when a purge that has forgotten its number has passed its slot. So
//! nobody receives a message whose number is forgotten: the receiver drops it (`purge`).

use super::cursor::Cursor;
use super::ids::{First, IdKey, Mine, Named, Remember};
use super::layout::{Link, MOVED, UNORDERED};
use super::list::Order;
use super::own::Own;
use crate::region::arena::{Claimed, stamp, stamp_generation};
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::region::word::{GENERATIONS, Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::{AtomicU64, Ordering};
use core::ops::Range;

/// A message that was claimed and filled, before it is sent.
#[derive(Debug)]
pub struct Ordered<'k> {
    /// `{ checksum:32, has_attributes:1, len:31 }`
    pub size: u64,
    /// `{ count:32, len:32 }` of the attributes, or 0.
    pub attributes: u64,
    /// The send time, ms.
    pub sent_ms: u64,
    /// For how long nobody may receive it, ms.
    pub delay_ms: u64,
    /// The key of its group.
    pub group: [u64; 2],
    /// Its deduplication id.
    pub id: &'k IdKey,
    /// When the id's window ends, ms.
    pub until_ms: u64,
}

/// What came of finishing a send.
pub(super) enum Finished {
    /// The message has this sequence number.
    InOrder(u64),
    /// It was never sent; or it is gone, and its id's window is over.
    Unknown,
    /// It is sealed, and there is no place for it.
    NoPlace,
}

/// What came of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is in its group: stamp and sequence number; that is 0 if this sender was so late that its
    /// message, which another one has put in order for it, is gone and its id's window over.
    New(u64, u64),
    /// Another one had the id before.
    Duplicate(First),
    /// No more ids can be remembered.
    IdsFull,
    /// There is no entry for its group, or for that of a message with the same id that another one
    /// has not finished: nothing was sent.
    GroupsFull,
    /// It is sealed, and there is no place for it in its group, since its memory is damaged: its
    /// stamp. Repair tries again.
    Unfinished(u64),
}

/// The entry of a message's id; none of the table if it has none.
fn entry_of(link: &Link) -> u32 {
    (link.id.load(Ordering::Acquire) as u32).wrapping_sub(1)
}

/// The word of a message that was sealed.
pub(super) const fn sealed(generation: u64, delay_ms: u64) -> Word {
    match delay_ms {
        0 => Word::ready(generation, 0),
        _ => Word::held(0, generation, 0, false, delay_ms),
    }
}

impl Store<'_> {
    /// Sends what the caller has claimed and filled; or gives the claim back.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn send_in_order(&self, claimed: Claimed, message: &Ordered<'_>, owner: u32) -> Sent {
        let mut own = Own::new(self, owner, message.sent_ms, 1);
        let known = self.look_up(message.group, message.id);
        let stamp = stamp(message.sent_ms, claimed.next_generation());
        let sent = match self.send_known(claimed, message, &known, None, &mut own) {
            Some(sequence) => Sent::New(stamp, sequence),
            None => own.instead(),
        };
        own.finish(self);
        sent
    }

    /// Step 1 where the id is not a new one: finishes what another sender of it has begun, until it
    /// is remembered, and then gives its entry; or takes the claim back.
    #[cold]
    #[inline(never)]
    pub(super) fn remember_late<'c>(
        &self,
        mut remembered: Remember<'c>,
        (index, run, stamp): (usize, usize, u64),
        id: &IdKey,
        window: (u64, u64),
        cursor: &mut Cursor<'c>,
    ) -> Result<Mine<'c>, Sent> {
        let (owner, named) = (cursor.owner, Named::new(index as u32, stamp));
        let sent = loop {
            match remembered {
                Remember::New(mine) => return Ok(mine),
                Remember::Duplicate(first) => {
                    #[cfg(feature = "mapped")]
                    self.mark_first(&first);
                    break Sent::Duplicate(first);
                }
                Remember::Full => break Sent::IdsFull,
                Remember::Pending { entry, slot, stamp } => {
                    let sequence = match self.finish_send(entry, slot, stamp, owner) {
                        Finished::InOrder(sequence) => Some(sequence),
                        Finished::Unknown => self.ids_table().void(entry, (slot, stamp), id),
                        Finished::NoPlace => break Sent::GroupsFull,
                    };
                    // What a purge has forgotten meanwhile does not come: the id is a new one.
                    if let Some(sequence) = sequence.filter(|it| self.is_to_be_had(*it)) {
                        break Sent::Duplicate(First {
                            slot,
                            stamp,
                            sequence,
                        });
                    }
                }
            }
            remembered = cursor.remember(id, &named, window, None);
        };
        self.take_back(index, run);
        Err(sent)
    }

    /// The steps of a sender that dies after some of them: 0 with its id remembered, 1 linked into
    /// a group that had no message, 2 accepted, 3 sealed; or, of one that stands still after the
    /// first, those of a helper, `owner` as well, that dies: 4 helped, 5 to be put in order, 6
    /// sealed in no order.
    #[cfg(ringmain_loom)]
    pub fn die_sending(&self, claimed: Claimed, message: &Ordered<'_>, owner: u32, steps: usize) {
        let index = claimed.index as usize;
        let generation = claimed.next_generation() & (GENERATIONS - 1);
        let group = self.group_of(message.group, owner).expect("an entry");
        let number = self.fifo_head().sequence.fetch_add(1, Ordering::AcqRel) + 1;
        let link = &self.links()[index];
        Self::prepare_link(link, number, message.group);
        let (size, attributes) = (message.size, message.attributes);
        let (_, stamp) = self.write_head(claimed, size, attributes, message.sent_ms);
        let window = (message.sent_ms, message.until_ms);
        let named = Named::new(index as u32, stamp);
        let mut cursor = self.ids_table().cursor(owner);
        let remembered = cursor.remember(message.id, &named, window, None);
        let Remember::New(mine) = remembered else {
            panic!("{remembered:?}, and nobody else is at it");
        };
        let word = &self.words()[index];
        if steps >= 4 {
            let seen = Word(word.load(Ordering::SeqCst));
            word.store(seen.helped_by(owner).0, Ordering::SeqCst);
            if steps > 4 {
                let unordered = UNORDERED | generation;
                link.sequence.store(unordered, Ordering::SeqCst);
            }
            if steps > 5 {
                self.seal_ordered(index, stamp, message.delay_ms);
            }
            return;
        }
        let first = &self.groups().elements[group].first;
        if steps > 0 {
            let seen = super::layout::NextWord(first.load(Ordering::SeqCst));
            first.store(
                seen.then(super::layout::Next::Slot(index)).0,
                Ordering::SeqCst,
            );
        }
        if steps > 1 {
            mine.accept(number);
        }
        if steps > 2 {
            self.seal_ordered(index, stamp, message.delay_ms);
        }
    }

    /// Gives a claim back whose head was written: as if its message had been sent and deleted, but
    /// not counted. Its stamp is not that of the slot's next message.
    pub(super) fn take_back(&self, index: usize, run: usize) {
        self.uncount_send(&self.notes()[index]);
        self.free_spoiled(index, run);
        self.put_free(index, run);
    }

    /// Step 4, by anybody, of a message that is accepted, or in no order.
    pub(super) fn seal_ordered(&self, index: usize, stamp: u64, delay_ms: u64) {
        let sealed = sealed(stamp_generation(stamp), delay_ms);
        while let Some(seen) = self.unsealed(index, stamp) {
            if self.seal_seen((index, &self.words()[index]), seen, sealed) {
                return;
            }
        }
    }

    /// Step 4 from a word that was seen; whether this call has done it.
    #[inline(always)]
    pub(super) fn seal_seen(
        &self,
        (index, word): (usize, &AtomicU64),
        seen: Word,
        sealed: Word,
    ) -> bool {
        // ORDERING: SeqCst: [slot-filled], [due-closing].
        let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
        let won = word.compare_exchange(seen.0, sealed.0, done, failed);
        #[cfg(feature = "mapped")]
        if won.is_ok() {
            self.mark(index);
        }
        #[cfg(not(feature = "mapped"))]
        let _ = index;
        won.is_ok()
    }

    /// Steps 2 to 4 for the message of an entry that was found.
    fn finish_send(&self, entry: u32, slot: u32, stamp: u64, owner: u32) -> Finished {
        let index = slot as usize;
        if index >= self.words().len() {
            return Finished::Unknown; // damage
        }
        if !self.help(index, stamp, owner) {
            return Finished::NoPlace;
        }
        let unordered = UNORDERED | stamp_generation(stamp);
        self.finish_sealed(entry, (index, stamp, unordered), None, owner)
    }

    /// What a second sender of its id does for the message in a slot; whether it is in order.
    #[cfg(ringmain_loom)]
    pub fn help_sender(&self, index: usize, owner: u32) -> bool {
        let stamp = self.notes()[index].stamp.load(Ordering::SeqCst);
        let entry = entry_of(&self.links()[index]);
        let finished = self.finish_send(entry, index as u32, stamp, owner);
        matches!(finished, Finished::InOrder(_))
    }

    /// Step 2 and the rest for a message that was sealed.
    pub(super) fn finish_sealed(
        &self,
        entry: u32,
        (index, stamp, unordered): (usize, u64, u64),
        group: Option<usize>,
        owner: u32,
    ) -> Finished {
        // Gone since: then it was accepted before.
        let gone = || match self.ids_table().accepted(entry, index as u32, stamp) {
            Some(sequence) => Finished::InOrder(sequence),
            None => Finished::Unknown,
        };
        let is_there = || {
            let word = Word(self.words()[index].load(Ordering::Acquire));
            let there = matches!(word.phase(), Phase::Ready | Phase::Held) || word.is_tombstone();
            let same = self.notes()[index].stamp.load(Ordering::Relaxed) == stamp;
            (there && same).then_some(word)
        };
        let Some(word) = is_there() else {
            return gone();
        };
        #[cfg(feature = "mapped")]
        self.mark_ordered(index);
        let order = self.put_in_order(index, unordered, group, owner);
        let (sequence, was_empty) = match order {
            // Else the number may be that of a later message in the slot.
            Order::Placed(..) if is_there().is_none() => return gone(),
            Order::Placed(sequence, was_empty) => (sequence, was_empty),
            Order::Gone => return gone(),
            Order::NoPlace => return Finished::NoPlace,
        };
        if was_empty && let Some(group) = self.group_at(index) {
            match word.phase() {
                Phase::Ready => self.issue(group), // it is the only one, or was
                _ => self.offer(group, self.latest_ms(), owner),
            }
        }
        Finished::InOrder(sequence)
    }

    /// Prepares what was moved here from another queue, before it is sealed (`region::moving`).
    pub fn prepare_moved(&self, claimed: &Claimed, group: [u64; 2]) {
        let generation = claimed.next_generation() & (GENERATIONS - 1);
        let unordered = UNORDERED | MOVED | generation;
        Self::prepare_link(&self.links()[claimed.index as usize], unordered, group);
    }

    /// Puts what has landed in a slot in order. Call it before the message leaves the other queue,
    /// whoever let it land: so its group keeps its order.
    pub fn order_landed(&self, index: usize, owner: u32) {
        if index < self.words().len() {
            self.mend_send(index, owner);
        }
    }

    /// Puts in order what was sealed and is not, whoever was at it; and frees tombstones that are
    /// in no list. Whoever does not go on with these has died, or stands still, and does no harm
    /// when it goes on.
    pub fn mend_sends(&self, slots: Range<usize>, owner: u32) {
        let used = (extent(self) * BLOCK_SLOTS).min(self.words().len());
        for index in slots.start..slots.end.min(used) {
            self.mend_send(index, owner);
        }
    }

    fn mend_send(&self, index: usize, owner: u32) {
        let word = Word(self.words()[index].load(Ordering::Acquire));
        let stamp = self.notes()[index].stamp.load(Ordering::Relaxed);
        let link = &self.links()[index];
        let sequence = link.sequence.load(Ordering::Acquire);
        let unordered = sequence & UNORDERED != 0;
        let same = self.words()[index].load(Ordering::Acquire) == word.0;
        match word.phase() {
            Phase::Ready | Phase::Held if unordered && same => {
                let named = (index, stamp, sequence);
                self.finish_sealed(entry_of(link), named, None, owner);
            }
            Phase::Claimed if word.is_tombstone() && same => {
                self.mend_tombstone(index, (word, stamp), sequence, owner);
            }
            _ => {}
        }
    }

    fn mend_tombstone(&self, index: usize, (word, stamp): (Word, u64), sequence: u64, owner: u32) {
        let link = &self.links()[index];
        let key = [0, 1].map(|half| link.key[half].load(Ordering::Relaxed));
        if sequence & UNORDERED != 0 {
            // Dropped before it was in order: it gets there, and is taken out again.
            let named = (index, stamp, sequence);
            self.finish_sealed(entry_of(link), named, None, owner);
        } else if let Some(group) = self.find_group(key) {
            self.oldest(group, owner); // takes out what is at its head
        }
        // [freed-by-namer] else its deleter frees it, or gives its name up.
        let nameless = !word.names_deleter();
        if nameless && sequence & UNORDERED == 0 && !self.is_in_list(index, key, sequence) {
            self.free_tombstone(index, word, owner);
        }
    }
}
