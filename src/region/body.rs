//! Bodies: the bytes of claimed and of held runs.

use super::arena::{Claimed, Hold, stamp};
use super::store::Store;
#[cfg(feature = "mapped")]
use super::word::Word;
use crate::hash::checksum;
use crate::sync::Ordering;

impl Claimed {
    /// The bytes of this run, which `store` claimed.
    pub fn bytes<'s>(&'s self, store: Store<'s>, len: usize) -> &'s [u8] {
        debug_assert!(store.shape.run(len) <= self.run as usize);
        // SAFETY: this value exists only between a won claim and its publication or abort, which
        // consume it, so nobody else writes these bytes while it is borrowed.
        unsafe { store.body(self.index as usize, len) }
    }

    /// The bytes of this run, which `store` claimed, for writing.
    pub fn bytes_mut<'s>(&'s mut self, store: Store<'s>, len: usize) -> &'s mut [u8] {
        debug_assert!(store.shape.run(len) <= self.run as usize);
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
        self.publish(claimed, body.len() as u32, sum, sent_ms)
    }

    /// Publishes a claimed run that was filled in place.
    pub fn publish_claimed(&self, claimed: Claimed, len: usize, sent_ms: u64, check: bool) -> u64 {
        let stamp = stamp(sent_ms, claimed.next_generation());
        let sum = if check {
            checksum(claimed.bytes(*self, len), stamp)
        } else {
            0
        };
        self.publish(claimed, len as u32, sum, sent_ms)
    }

    /// The length of a held message, after checking it and, if `check`, its bytes; `None` if they
    /// are damaged.
    #[inline(always)]
    pub fn inspect(&self, hold: &Hold, check: bool) -> Option<u32> {
        let index = hold.index as usize;
        let size = self.slot(index).size.load(Ordering::Relaxed);
        let len = size as u32 as usize;
        if len == 0 || len > self.shape.body_bytes_max {
            return None;
        }
        if len > self.shape.single_bytes() && !self.is_whole(index, self.shape.run(len)) {
            return None;
        }
        if check && checksum(self.held_body(hold, len), hold.stamp) != (size >> 32) as u32 {
            return None;
        }
        Some(len as u32)
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
    pub(super) fn restore(&self, index: usize, word: Word, stamp: u64, size: u64, body: &[u8]) {
        let run = self.shape.run(body.len());
        for back in 1..run {
            let interior = Word::interior(0, back as u64);
            self.words[index + back].store(interior.0, Ordering::Relaxed);
        }
        // SAFETY: nobody else uses the region, and this reference ends here.
        unsafe { self.body_mut(index, body.len()) }.copy_from_slice(body);
        let head = self.slot(index);
        head.stamp.store(stamp, Ordering::Relaxed);
        head.size.store(size, Ordering::Relaxed);
        self.words[index].store(word.0, Ordering::Release);
    }

    #[inline(always)]
    fn held_body(&self, hold: &Hold, len: usize) -> &[u8] {
        // SAFETY: held and borrowed, so the run is not freed before the hold is settled or its pin
        // is taken away, and nobody writes a held run.
        unsafe { self.body(hold.index as usize, len) }
    }
}

impl<'a> Store<'a> {
    /// The bytes of a held message.
    ///
    /// `hold` is one that was made borrowed and has not been settled: `Received`, the only caller,
    /// settles it by value and hands the bytes out by its own lifetime.
    #[inline(always)]
    pub fn held_bytes(self, hold: &Hold, len: usize) -> &'a [u8] {
        // SAFETY: held and borrowed, so the run is not freed before the hold is settled or its pin
        // is taken away, and nobody writes a held run.
        unsafe { self.body(hold.index as usize, len) }
    }
}
