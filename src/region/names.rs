//! Messages that are known by name outside of the region before they are sent: a large message's
//! body lies in a file that is called after slot and stamp.
//!
//! # Protocol
//!
//! A sender claims the slots first and settles the send time at that moment, so the message's
//! stamp is known: `{ claim's generation + 1, sent_ms }`. Then it makes what bears the name, and
//! then it publishes with that same send time. The name *lives* while the slot's word is
//!
//! - Claimed, by an owner who lives, with the generation before the name's: the sender writes;
//! - Ready, Held or departed, with the name's stamp in its note: the message is there, or it goes
//!   to another queue at this moment.
//!
//! Else the name is dead, and stays so: it is given to no second message. Generations only grow,
//! and a claim that is given up takes its generation with it ([`spoil`](Store::spoil)); the plain
//! [`abort`](Store::abort) leaves the generation, and the next claim of the slot in the same
//! millisecond would have the same name. A sender's death takes the generation with it, too
//! (`region::repair`).
//!
//! # Who looks
//!
//! A collector C first lists what bears names, and then looks at the word of each. Let sender S
//! make name N.
//!
//! - C has found N in the list, so S had won the word before C looked at it. C sees Claimed with
//!   the generation before N's, or what came after it. If the message is there, C sees Ready or
//!   Held, and reads N's stamp: the note was written before the word was published, and no later
//!   claim can have changed it unless the message is gone.
//! - C sees Claimed, and S publishes: C leaves N alone.
//! - C reads Ready or Held, the message is deleted and the slot sent into, and then C reads the
//!   note: another stamp, so N is dead, which it is.
//! - S has died: C tends first, so the claim is taken back and the word is Free, or somebody
//!   else's with a later generation. If S dies after that, N lives until the next time.
//! - The word first and the list afterwards would be wrong: S may claim and make N in between. The
//!   twin in `engine::large::collect` does that, and loses a body.

use super::arena::{Claimed, stamp, stamp_generation};
use super::store::Store;
use super::word::{GENERATIONS, Phase, Word};
use crate::sync::Ordering;

impl Claimed {
    /// The stamp that the message will have if it is published with this send time.
    pub const fn stamp(&self, sent_ms: u64) -> u64 {
        stamp(sent_ms, self.next_generation())
    }
}

impl Store<'_> {
    /// Whether the message of this name is in its slot, or is being written there.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn lives(&self, index: usize, name: u64) -> bool {
        let (Some(word), Some(note)) = (self.words().get(index), self.notes().get(index)) else {
            return false;
        };
        // ORDERING: Acquire; [slot-filled] the note is not older than the word.
        let seen = Word(word.load(Ordering::Acquire));
        match seen.phase() {
            Phase::Free => false,
            Phase::Ready | Phase::Held => note.stamp.load(Ordering::Relaxed) == name,
            Phase::Claimed if seen.is_departed() => note.stamp.load(Ordering::Relaxed) == name,
            Phase::Claimed => {
                let next = (seen.generation() + 1) & (GENERATIONS - 1);
                !seen.is_interior() && !seen.is_retired() && next == stamp_generation(name)
            }
        }
    }

    /// Gives a claimed run back unused, so that the name it had is never given again: as if its
    /// message had been sent and deleted, but not counted.
    pub fn spoil(&self, claimed: Claimed, sent_ms: u64) {
        if claimed.run == 0 {
            return;
        }
        let (index, run) = (claimed.index as usize, claimed.run as usize);
        let note = &self.notes()[index];
        let generation = Word(self.words()[index].load(Ordering::Relaxed)).generation();
        self.count_spoiled(note, generation);
        // Relaxed: the word, which is this caller's until it is freed, comes after it.
        note.stamp.store(claimed.stamp(sent_ms), Ordering::Relaxed);
        self.free_spoiled(index, run);
        self.put_free(index, run);
    }
}
