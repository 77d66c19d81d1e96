//! How often each slot has been sent into and received from: counters that cost no
//! read-modify-write and no line of their own.
//!
//! A sender that publishes owns the slot's word, so it may count with a plain store. Receives are
//! not counted when they happen: they stand in the word's generation, which grows by one with each
//! send, each receive and each time the slot is freed. The next sender into the slot, and whoever
//! looks, takes the difference to the generation of the last send.
//!
//! A message that was moved here has its origin where its slot's tally was
//! ([`moving`](super::moving)); the tally has gone to the queue's counters, and one send counts.
//!
//! A claim that is given up leaves the generation as it was. A participant that dies in a claim
//! cannot be told from one that dies in a delete: its slot may count one receive too many. Nothing
//! but figures depends on it.

use super::arena::stamp_generation;
use super::layout::Note;
use super::store::Store;
use super::word::{GENERATIONS, Phase, Word};
use crate::sync::{AtomicU64, Ordering};

const SENT_MASK: u64 = (1 << 32) - 1;
/// From here on a count moves to the queue's counters.
const FULL: u64 = 1 << 31;
/// Not counts, but the origin of a message that was moved here.
const ORIGIN: u64 = 1 << 63;
const ORIGIN_SLOT_BITS: u32 = 30;

/// Where a message came from: `{ 1, nonce:33, slot:30 }`.
pub const fn origin(nonce: u64, slot: usize) -> u64 {
    let slot = slot as u64 & ((1 << ORIGIN_SLOT_BITS) - 1);
    ORIGIN | (nonce << ORIGIN_SLOT_BITS) | slot
}

/// The slot that an origin names, if it is one of the queue with this nonce.
pub const fn origin_slot(word: u64, nonce: u64) -> Option<usize> {
    let slot = (word & ((1 << ORIGIN_SLOT_BITS) - 1)) as usize;
    if word == origin(nonce, slot) {
        Some(slot)
    } else {
        None
    }
}

/// Messages sent into a slot, and received from it before the one that is there.
#[inline(always)]
const fn counts(tally: u64) -> (u64, u64) {
    if tally & ORIGIN != 0 {
        (1, 0)
    } else {
        (tally & SENT_MASK, tally >> 32)
    }
}

/// Receives of the last message of a slot, by the word's generation `frees` frees after it.
#[inline(always)]
const fn receives(generation: u64, stamp: u64, frees: u64) -> u64 {
    if stamp == 0 {
        return 0; // there was none
    }
    let sent = stamp_generation(stamp);
    let now = generation.wrapping_sub(sent).wrapping_sub(frees) & (GENERATIONS - 1);
    // While a message is being freed the difference is less by one, and while one is being sent, or
    // after its sender has died or has taken it back, less by two: no great number.
    if now >= GENERATIONS - 2 { 0 } else { now }
}

impl Store<'_> {
    /// Counts a send into a slot that the caller has claimed, and the receives of the message that
    /// was in it before. Call it before the stamp changes.
    #[inline(always)]
    pub(super) fn count_send(&self, note: &Note, generation: u64) {
        let received = receives(generation, note.stamp.load(Ordering::Relaxed), 1);
        let tally = note.tally.load(Ordering::Relaxed);
        let next = tally.wrapping_add(received << 32).wrapping_add(1);
        if (next | next << 32) >> 63 == 0 {
            note.tally.store(next, Ordering::Relaxed);
        } else {
            self.move_on_tally(note, generation, 1);
        }
    }

    /// Takes back what [`count_send`](Self::count_send) has counted as a send: the caller gives its
    /// claim up, and the slot's generation with it.
    pub(super) fn uncount_send(&self, note: &Note) {
        let tally = note.tally.load(Ordering::Relaxed);
        if tally & SENT_MASK != 0 {
            note.tally.store(tally - 1, Ordering::Relaxed);
        } else {
            // All of them have moved to the queue's counters.
            self.head().counters.sent.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Moves the tally of a slot that the caller has claimed to the queue's counters, and puts an
    /// origin in its place.
    pub(super) fn put_origin(&self, note: &Note, generation: u64, origin: u64) {
        let received_last = receives(generation, note.stamp.load(Ordering::Relaxed), 1);
        let (sent, received) = counts(note.tally.load(Ordering::Relaxed));
        let counters = &self.head().counters;
        counters.sent.fetch_add(sent, Ordering::Relaxed);
        counters
            .received
            .fetch_add(received + received_last, Ordering::Relaxed);
        note.tally.store(origin, Ordering::Relaxed);
    }

    /// Counts the receives of the message that was in a slot which the caller has claimed, and no
    /// send: the claim is given up, and the slot's generation with it (`region::names`).
    #[cfg(all(feature = "mapped", not(ringmain_loom)))]
    pub(super) fn count_spoiled(&self, note: &Note, generation: u64) {
        let received = receives(generation, note.stamp.load(Ordering::Relaxed), 1);
        let tally = note.tally.load(Ordering::Relaxed);
        let next = tally.wrapping_add(received << 32);
        if (next | next << 32) >> 63 == 0 {
            note.tally.store(next, Ordering::Relaxed);
        } else {
            self.move_on_tally(note, generation, 0);
        }
    }

    /// Counts as many sends, and what was received since the last one, of a tally that is full or
    /// an origin.
    #[cold]
    #[inline(never)]
    fn move_on_tally(&self, note: &Note, generation: u64, sends: u64) {
        let (sent, received) = counts(note.tally.load(Ordering::Relaxed));
        let last = receives(generation, note.stamp.load(Ordering::Relaxed), 1);
        let (mut sent, mut received) = (sent + sends, received + last);
        let move_on = |part: &mut u64, counter: &AtomicU64| {
            if *part >= FULL {
                *part -= FULL;
                counter.fetch_add(FULL, Ordering::Relaxed);
            }
        };
        move_on(&mut sent, &self.head().counters.sent);
        move_on(&mut received, &self.head().counters.received);
        note.tally.store(received << 32 | sent, Ordering::Relaxed);
    }

    /// Messages ever sent into and received from a slot whose word is `word`.
    pub fn tally(&self, index: usize, word: Word) -> (u64, u64) {
        let note = &self.notes()[index];
        let tally = note.tally.load(Ordering::Relaxed);
        let stamp = note.stamp.load(Ordering::Relaxed);
        let frees = match word.phase() {
            Phase::Ready | Phase::Held => 0,
            Phase::Claimed if word.is_retired() || word.is_tombstone() || word.is_departed() => 0,
            Phase::Free | Phase::Claimed => 1,
        };
        let now = receives(word.generation(), stamp, frees);
        let (sent, received) = counts(tally);
        (sent, received + now)
    }
}

#[cfg(all(test, not(ringmain_loom)))]
mod tests {
    use super::super::arena::stamp;
    use super::*;

    #[test]
    fn an_origin_is_no_count() {
        let word = origin(0x1234_5678_9abc_def1, 77);
        assert_eq!(origin_slot(word, 0x1234_5678_9abc_def1), Some(77));
        assert_eq!(origin_slot(word, 0x1234_5678_9abc_def2), None);
        assert_eq!(origin_slot(5 << 32 | 9, 0), None, "counts");
        assert_eq!((counts(word), counts(5 << 32 | 9)), ((1, 0), (9, 5)));
    }

    #[test]
    fn receives_are_a_difference() {
        assert_eq!(receives(7, 0, 1), 0, "never used");
        assert_eq!(
            receives(9, stamp(123, 5), 1),
            3,
            "received three times and freed"
        );
        assert_eq!(receives(8, stamp(123, 5), 0), 3);
        let last = stamp(123, GENERATIONS - 1);
        assert_eq!(receives(1, last, 1), 1, "generations begin anew");
        assert_eq!(receives(4, stamp(123, 5), 1), 0, "taken back");
        assert_eq!(receives(5, stamp(123, 5), 1), 0, "its sender has died");
    }
}
