//! The bound on messages in flight.
//!
//! Nothing is counted on the way, since a count that each receive, delete, release, expiry and
//! death would have to move is a line that all participants fight for, and wrong after a death. A
//! queue with no more slots than the bound cannot exceed it and looks at nothing. In another one
//! receivers take from an allowance: when it is used up, whoever finds that counts what is in
//! flight, by the blocks' bits first, which is too much rather than too little, and only if that
//! reaches the bound by the words; the difference to the bound is the next allowance. Receivers
//! that count at the same time may hand out the allowance twice, so the bound can be exceeded by
//! what those receive until the next count.

use super::standard::Queue;
use crate::error::Error;
use crate::region::Region;
use crate::region::arena::stamp_generation;
use crate::region::policy::IN_FLIGHT_MAX;
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;
use crate::time::Clock;

impl<R: Region, C: Clock> Queue<R, C> {
    /// How many of up to `max` messages may be received; refuses if as many as there may be are in
    /// flight.
    #[inline(always)]
    pub(super) fn admit_receive(&self, store: &Store<'_>, max: usize) -> Result<usize, Error> {
        let bound = store.head().policy.get(IN_FLIGHT_MAX).max(1);
        if store.shape().slots as u64 <= bound {
            return Ok(max);
        }
        self.take_allowance(store, bound, max as u64)
    }

    #[inline(never)]
    fn take_allowance(&self, store: &Store<'_>, bound: u64, max: u64) -> Result<usize, Error> {
        let left = &store.head().counters.in_flight_left;
        if left.fetch_sub(max, Ordering::Relaxed).cast_signed() >= max.cast_signed() {
            return Ok(max as usize);
        }
        let mut in_flight = store.slots_in_use();
        if in_flight.saturating_add(max) > bound {
            let now_ms = self.now_ms(store);
            if store.is_due(now_ms) {
                let expired = self.expire(store, now_ms);
                self.notify_if(store, expired);
            }
            in_flight = store.count_in_flight();
        }
        let allowance = bound.saturating_sub(in_flight);
        left.store(allowance.saturating_sub(max), Ordering::Relaxed);
        // A bound that is damaged keeps nobody from receiving.
        match store.head().policy.is_sound(IN_FLIGHT_MAX) {
            true if allowance == 0 => Err(Error::InFlight { max: bound }),
            true => Ok(allowance.min(max) as usize),
            false => Ok(max as usize),
        }
    }
}

impl Store<'_> {
    /// Slots that are neither free nor ready: those of messages in flight, and some more.
    fn slots_in_use(&self) -> u64 {
        let blocks = self.blocks()[..extent(self)].iter().enumerate();
        let used = blocks.map(|(index, block)| {
            let stands = block.free.load(Ordering::Relaxed) | block.ready.load(Ordering::Relaxed);
            u64::from((self.shape().valid(index) & !stands).count_ones())
        });
        used.sum()
    }

    /// Messages that somebody has received and that are neither deleted nor visible again.
    fn count_in_flight(&self) -> u64 {
        let used = (extent(self) * BLOCK_SLOTS).min(self.words().len());
        let slots = self.words()[..used].iter().zip(self.notes());
        let held = slots.filter(|(word, note)| {
            let word = Word(word.load(Ordering::Relaxed));
            let sent = stamp_generation(note.stamp.load(Ordering::Relaxed));
            word.phase() == Phase::Held && word.generation() != sent
        });
        held.count() as u64
    }
}
