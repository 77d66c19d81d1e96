//! Bodies: the bytes of claimed and of held runs.

use super::arena::{Claimed, Hold, stamp, stamp_generation, stamp_sent_ms};
use super::layout::{HAS_ATTRIBUTES, HAS_ORIGIN, LEN_MASK};
#[cfg(feature = "mapped")]
use super::marks::Look;
use super::store::Store;
use super::word::GENERATIONS;
#[cfg(feature = "mapped")]
use super::word::Word;
use crate::hash::checksum;
use crate::sync::Ordering;

/// What a message stores: a body, and the attributes after it.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    /// Bytes of both.
    pub len: u32,
    /// `{ has_origin:1, len:31 }` of the attributes; less than the bytes of both.
    attributes: u32,
}

/// In [`Stored::attributes`].
const STORED_ORIGIN: u32 = 1 << 31;

impl Stored {
    /// Bytes of the body.
    #[inline(always)]
    pub const fn body_len(&self) -> usize {
        (self.len - (self.attributes & !STORED_ORIGIN)) as usize
    }

    /// Whether an origin stands behind the attributes.
    #[inline(always)]
    pub const fn has_origin(&self) -> bool {
        self.attributes & STORED_ORIGIN != 0
    }
}

/// `{ checksum:32, has_attributes:1, len:31 }`
#[inline(always)]
pub const fn size_of_stored(checksum: u32, len: usize, attributes: u64) -> u64 {
    let flag = if attributes != 0 { HAS_ATTRIBUTES } else { 0 };
    (checksum as u64) << 32 | flag | len as u64
}

/// What seeds the checksum of a message's bytes: its stamp, and where its attributes begin.
#[inline(always)]
pub const fn seed(stamp: u64, attributes: u64) -> u64 {
    stamp ^ attributes.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Claimed {
    /// The bytes of this run, which `store` claimed.
    pub fn bytes<'s>(&'s self, store: Store<'s>, len: usize) -> &'s [u8] {
        debug_assert!(store.shape().run(len) <= self.run as usize);
        // SAFETY: this value exists only between a won claim and its publication or abort, which
        // consume it, so nobody else writes these bytes while it is borrowed.
        unsafe { store.body(self.index as usize, len) }
    }

    /// The bytes of this run, which `store` claimed, for writing.
    pub fn bytes_mut<'s>(&'s mut self, store: Store<'s>, len: usize) -> &'s mut [u8] {
        debug_assert!(store.shape().run(len) <= self.run as usize);
        // SAFETY: as in `bytes`; exclusive through `&mut self`.
        unsafe { store.body_mut(self.index as usize, len) }
    }
}

impl Store<'_> {
    /// Copies a body into a claimed run.
    #[inline(always)]
    pub fn fill(&self, claimed: &mut Claimed, body: &[u8]) {
        claimed.bytes_mut(*self, body.len()).copy_from_slice(body);
    }

    /// Publishes a claimed run whose bytes are `body`; returns the stamp.
    #[inline(always)]
    pub fn publish_body(&self, claimed: Claimed, body: &[u8], sent_ms: u64, check: bool) -> u64 {
        let stamp = stamp(sent_ms, claimed.next_generation());
        let sum = if check { checksum(body, stamp) } else { 0 };
        self.publish(claimed, size_of_stored(sum, body.len(), 0), 0, sent_ms)
    }

    /// Publishes a claimed run that was filled in place with `len` bytes, the attributes' included;
    /// nobody may receive it for `delay_ms`.
    pub fn publish_claimed(
        &self,
        claimed: Claimed,
        len: usize,
        attributes: u64,
        sent_ms: u64,
        delay_ms: u64,
        check: bool,
    ) -> u64 {
        let size = self.size_of_filled(&claimed, len, attributes, sent_ms, check);
        if delay_ms == 0 {
            self.publish(claimed, size, attributes, sent_ms)
        } else {
            self.publish_delayed(claimed, size, attributes, sent_ms, delay_ms)
        }
    }

    /// `{ checksum:32, has_attributes:1, len:31 }` of a claimed run that was filled with `len`
    /// bytes and is sent at `sent_ms`.
    #[inline(always)]
    pub fn size_of_filled(
        &self,
        claimed: &Claimed,
        len: usize,
        attributes: u64,
        sent_ms: u64,
        check: bool,
    ) -> u64 {
        let stamp = stamp(sent_ms, claimed.next_generation());
        let sum = if check {
            checksum(claimed.bytes(*self, len), seed(stamp, attributes))
        } else {
            0
        };
        size_of_stored(sum, len, attributes)
    }

    /// What is stored of a held or pinned message, after checking it and, if `check`, its bytes;
    /// `None` if they are damaged.
    #[inline(always)]
    pub fn inspect(&self, hold: &Hold, check: bool) -> Option<Stored> {
        let index = hold.index as usize;
        let size = self.slot(index).size.load(Ordering::Relaxed);
        let len = (size & LEN_MASK) as usize;
        // Of what takes one slot, the body and the attributes are bounded below.
        if len == 0 || len > self.shape().single_bytes() && !self.is_long(index, len) {
            return None;
        }
        let attributes = self.attributes_of(index, size);
        let seed = seed(hold.stamp, attributes);
        if check && checksum(self.held_body(hold, len), seed) != (size >> 32) as u32 {
            return None;
        }
        let attributes_len = attributes as u32;
        let sound = attributes_len < len as u32
            && len - attributes_len as usize <= self.shape().body_bytes_max;
        let origin = (attributes >> 63 << 31) as u32;
        sound.then_some(Stored {
            len: len as u32,
            attributes: attributes_len | origin,
        })
    }

    /// Whether so many bytes, more than one slot takes, may be stored, and have a run of their own.
    #[cold]
    fn is_long(&self, index: usize, len: usize) -> bool {
        len <= self.shape().stored_bytes_max() && self.is_whole(index, self.shape().run(len))
    }

    /// `{ has_origin:1, count:31, len:32 }` of the attributes of a message whose size was read.
    #[inline(always)]
    pub fn attributes_of(&self, index: usize, size: u64) -> u64 {
        if size & HAS_ATTRIBUTES == 0 {
            return 0;
        }
        self.slot(index).attributes.load(Ordering::Relaxed)
    }

    /// How many attributes a held message has, as its sender has said.
    pub fn attributes_count(&self, hold: &Hold) -> u64 {
        let index = hold.index as usize;
        let size = self.slot(index).size.load(Ordering::Relaxed);
        (self.attributes_of(index, size) & !HAS_ORIGIN) >> 32
    }

    /// Notes when a held message was received first, if this is the first time.
    #[inline(always)]
    pub fn note_first(&self, hold: &Hold, now_ms: u64) {
        let generation = stamp_generation(hold.stamp);
        if hold.word.generation() == (generation + 1) & (GENERATIONS - 1) {
            // One who stopped just before may write an older message's time over this one's later.
            // The generation tells; then the time of this message is not known any more.
            let first = stamp(now_ms, generation);
            let note = &self.notes()[hold.index as usize];
            note.first.store(first, Ordering::Relaxed);
        }
    }

    /// When a held message was received first, if that is known, ms.
    pub fn first_received_ms(&self, hold: &Hold) -> Option<u64> {
        let noted = self.notes()[hold.index as usize]
            .first
            .load(Ordering::Relaxed);
        let same = stamp_generation(noted) == stamp_generation(hold.stamp);
        (same && stamp_sent_ms(noted) >= hold.sent_ms()).then_some(stamp_sent_ms(noted))
    }

    /// The bytes of a message that the committer of the journal looks at (`region::marks`).
    ///
    /// The caller is inside `copy_slots`, which has found a message of this length there.
    #[cfg(feature = "mapped")]
    pub(super) fn copied_body(&self, index: usize, len: usize) -> &[u8] {
        // SAFETY: the copying bits of the run are set and its message was there after that, so a
        // claimant gives way before it writes.
        unsafe { self.body(index, len) }
    }

    /// Puts a message back where it was before a power loss.
    ///
    /// The caller has the region for itself and has checked that the run lies inside it.
    #[cfg(feature = "mapped")]
    pub(super) fn restore(&self, index: usize, look: &Look, body: &[u8]) {
        let run = self.shape().run(body.len());
        for back in 1..run {
            let interior = Word::interior(0, back as u64);
            self.words()[index + back].store(interior.0, Ordering::Relaxed);
        }
        // SAFETY: nobody else uses the region, and this reference ends here.
        unsafe { self.body_mut(index, body.len()) }.copy_from_slice(body);
        let head = self.slot(index);
        let note = &self.notes()[index];
        note.stamp.store(look.stamp, Ordering::Relaxed);
        note.tally.store(1, Ordering::Relaxed); // sent once, as far as is known
        head.size.store(look.size, Ordering::Relaxed);
        head.attributes.store(look.attributes, Ordering::Relaxed);
        self.words()[index].store(look.word.0, Ordering::Release);
    }

    #[inline(always)]
    fn held_body(&self, hold: &Hold, len: usize) -> &[u8] {
        // SAFETY: held and borrowed, or pinned, so the run is not freed before the hold is settled
        // or its pin is taken away, and nobody writes such a run.
        unsafe { self.body(hold.index as usize, len) }
    }
}

impl<'a> Store<'a> {
    /// The bytes of a held message.
    ///
    /// `hold` is one that was made borrowed and has not been settled, or a peek's that has not been
    /// ended: `Received` settles it by value, `Peeked` ends it in its drop, and both hand the bytes
    /// out by their own lifetime.
    #[inline(always)]
    pub fn held_bytes(self, hold: &Hold, len: usize) -> &'a [u8] {
        // SAFETY: held and borrowed, or pinned, so the run is not freed before the hold is settled
        // or its pin is taken away, and nobody writes such a run.
        unsafe { self.body(hold.index as usize, len) }
    }
}
