//! The algorithm, over borrowed blocks.

use core::mem::MaybeUninit;

use super::layout::{ALL, BLOCK_SLOTS, Block, Cursors, below};
use crate::ring::backoff::Backoff;
use crate::ring::slot::{Slot, empty_run, fill_run};
use crate::sync::{AtomicUsize, Ordering};

/// The lowest `count` bits of `bits`, or all.
#[inline(always)]
fn lowest(bits: u64, count: usize) -> u64 {
    if count == 1 {
        return bits & bits.wrapping_neg();
    }
    if count >= bits.count_ones() as usize {
        return bits;
    }
    // A run of ones from the lowest bit on is the usual case.
    let run = (bits >> bits.trailing_zeros()).trailing_ones() as usize;
    if run >= count {
        return below(count) << bits.trailing_zeros();
    }
    let mut rest = bits;
    for _ in 0..count {
        rest &= rest - 1;
    }
    bits & !rest
}

/// Slots of one block that this call has claimed.
pub(super) struct Taken<'a, T> {
    pub(super) block: &'a Block<T>,
    pub(super) bits: u64,
}

impl<T> Clone for Taken<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Taken<'_, T> {}

impl<'a, T> Taken<'a, T> {
    /// How many.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.bits.count_ones() as usize
    }

    /// The lowest one.
    #[inline(always)]
    pub(super) fn slot(self) -> &'a Slot<T> {
        let bit = self.bits.trailing_zeros() as usize;
        debug_assert!(bit < BLOCK_SLOTS);
        // SAFETY: `bits` is not empty and within `ALL` (`Raw::claim`).
        unsafe { self.block.slots.get_unchecked(bit) }
    }

    /// Each by itself.
    #[inline(always)]
    pub(super) fn each(self) -> impl Iterator<Item = Taken<'a, T>> {
        let mut rest = self.bits;
        core::iter::from_fn(move || {
            let bits = rest & rest.wrapping_neg();
            rest &= !bits;
            (bits != 0).then_some(Taken {
                block: self.block,
                bits,
            })
        })
    }

    /// The first slot, if they are all neighbours.
    #[inline(always)]
    fn as_run(self) -> Option<*const Slot<T>> {
        let run = self.bits >> self.bits.trailing_zeros();
        // The run's pointer comes from the whole array, so that it reaches all of it.
        (run & run.wrapping_add(1) == 0).then(|| {
            self.block
                .slots
                .as_ptr()
                .wrapping_add(self.bits.trailing_zeros() as usize)
        })
    }

    /// Shows filled slots to the poppers.
    #[inline(always)]
    pub(super) fn publish(self) {
        // ORDERING: Release; [bag-filled] publishes the values; the load half is not used. Pairs
        // with the pop's compare-exchange in `Raw::claim`; read-modify-writes of others in between
        // keep the edge.
        self.block
            .words
            .ready
            .fetch_or(self.bits, Ordering::Release);
    }

    /// Hands emptied slots to the pushers.
    #[inline(always)]
    pub(super) fn give_back(self) {
        // ORDERING: Release; [bag-emptied] the reads of the values are over; the load half is not
        // used. Pairs with the push's compare-exchange in `Raw::claim`.
        self.block
            .words
            .taken
            .fetch_and(!self.bits, Ordering::Release);
    }
}

/// What a claim looks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Free,
    Ready,
}

/// A borrowed bag.
pub(super) struct Raw<'a, T> {
    pub(super) cursors: &'a Cursors,
    pub(super) blocks: &'a [Block<T>],
}

impl<T> Clone for Raw<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Raw<'_, T> {}

impl<'a, T> Raw<'a, T> {
    /// Claims up to `max` slots of one block: the first at or after the cursor, else the first of
    /// a lap over the blocks that ends before the cursor.
    #[inline(always)]
    fn claim(&self, want: Want, max: usize) -> Option<Taken<'a, T>> {
        let cursor = if want == Want::Free {
            &self.cursors.push
        } else {
            &self.cursors.pop
        };
        // ORDERING: Relaxed, here and in `advance`; a hint that carries no data.
        let start = cursor.load(Ordering::Relaxed);
        let (first, bit) = (start / BLOCK_SLOTS, start % BLOCK_SLOTS);
        if let Some(bits) = self.claim_in(want, first, ALL & !below(bit), max) {
            return Some(self.advance(cursor, start, first, bits));
        }
        self.claim_in_lap(want, start, max)
    }

    /// The rest of the lap: the other blocks, then the low slots of the first. By value, so that
    /// the quick way keeps the bag in registers.
    #[cold]
    fn claim_in_lap(self, want: Want, start: usize, max: usize) -> Option<Taken<'a, T>> {
        let cursor = self.cursor(want);
        let (first, bit) = (start / BLOCK_SLOTS, start % BLOCK_SLOTS);
        let others = (first + 1..self.blocks.len()).chain(0..first);
        let lap = others
            .map(|block| (block, ALL))
            .chain([(first, below(bit))]);
        for (block, within) in lap {
            if let Some(bits) = self.claim_in(want, block, within, max) {
                return Some(self.advance(cursor, start, block, bits));
            }
        }
        None
    }

    #[inline(always)]
    fn cursor(&self, want: Want) -> &'a AtomicUsize {
        if want == Want::Free {
            &self.cursors.push
        } else {
            &self.cursors.pop
        }
    }

    /// Claims up to `max` of the slots `within` a block.
    #[inline(always)]
    fn claim_in(&self, want: Want, block: usize, within: u64, max: usize) -> Option<u64> {
        let words = &self.block(block).words;
        let word = if want == Want::Free {
            &words.taken
        } else {
            &words.ready
        };
        let mut backoff = Backoff::new();
        // ORDERING: Relaxed; a guess, which the compare-exchange checks.
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let there = within & if want == Want::Free { !seen } else { seen };
            if there == 0 {
                return None;
            }
            let bits = lowest(there, max);
            // ORDERING: Acquire; [bag-emptied] for a push, [bag-filled] for a pop: the slots are as
            // their bits say. The store half publishes nothing. Pairs with `Taken::give_back` or
            // `Taken::publish`.
            match word.compare_exchange_weak(
                seen,
                seen ^ bits,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(bits),
                Err(now) => {
                    if now != seen {
                        backoff.pause();
                    }
                    seen = now;
                }
            }
        }
    }

    /// Moves the cursor behind the claimed slots, unless somebody else has moved it.
    #[inline(always)]
    fn advance(&self, cursor: &AtomicUsize, start: usize, block: usize, bits: u64) -> Taken<'a, T> {
        let mut next = block * BLOCK_SLOTS + (64 - bits.leading_zeros() as usize);
        if next == self.blocks.len() * BLOCK_SLOTS {
            next = 0;
        }
        // ORDERING: Relaxed; as in `claim`.
        if cursor.load(Ordering::Relaxed) == start {
            cursor.store(next, Ordering::Relaxed);
        }
        Taken {
            block: self.block(block),
            bits,
        }
    }

    #[inline(always)]
    fn block(&self, index: usize) -> &'a Block<T> {
        debug_assert!(index < self.blocks.len());
        // SAFETY: cursors are stored by `advance` alone and are below the number of slots.
        unsafe { self.blocks.get_unchecked(index) }
    }

    /// Claims up to `max` free slots of one block.
    #[inline(always)]
    pub(super) fn claim_free(&self, max: usize) -> Option<Taken<'a, T>> {
        self.claim(Want::Free, max)
    }

    /// Claims up to `max` ready slots of one block.
    #[inline(always)]
    pub(super) fn claim_ready(&self, max: usize) -> Option<Taken<'a, T>> {
        self.claim(Want::Ready, max)
    }

    #[inline(always)]
    pub(super) fn push(&self, value: T) -> Result<(), T> {
        let Some(taken) = self.claim_free(1) else {
            return Err(value);
        };
        // SAFETY: claimed by this call, and free as its bit said.
        unsafe { taken.slot().write(value) };
        taken.publish();
        Ok(())
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Option<T> {
        let taken = self.claim_ready(1)?;
        // SAFETY: claimed by this call, and ready as its bit said.
        let value = unsafe { taken.slot().read() };
        taken.give_back();
        Some(value)
    }

    /// Pushes copies from the front of `values`, block by block; how many.
    #[inline(always)]
    pub(super) fn push_batch(&self, values: &[T]) -> usize
    where
        T: Copy,
    {
        let mut done = 0;
        while done < values.len() {
            let Some(taken) = self.claim_free(values.len() - done) else {
                break;
            };
            let part = &values[done..done + taken.len()];
            if let Some(run) = taken.as_run() {
                // SAFETY: claimed by this call, free, neighbours, as many as the part has.
                unsafe { fill_run(run, part.as_ptr(), part.len()) };
            } else {
                for (one, value) in taken.each().zip(part) {
                    // SAFETY: claimed by this call, and free as its bit said.
                    unsafe { one.slot().write(*value) };
                }
            }
            taken.publish();
            done += part.len();
        }
        done
    }

    /// Pops into the front of `target`, block by block; how many.
    #[inline(always)]
    pub(super) fn pop_batch(&self, target: &mut [MaybeUninit<T>]) -> usize {
        let mut done = 0;
        while done < target.len() {
            let Some(taken) = self.claim_ready(target.len() - done) else {
                break;
            };
            let part = &mut target[done..done + taken.len()];
            if let Some(run) = taken.as_run() {
                // SAFETY: claimed by this call, ready, neighbours, as many as the part has.
                unsafe { empty_run(run, part.as_mut_ptr().cast(), part.len()) };
            } else {
                for (one, place) in taken.each().zip(part.iter_mut()) {
                    // SAFETY: claimed by this call, and ready as its bit said.
                    place.write(unsafe { one.slot().read() });
                }
            }
            taken.give_back();
            done += part.len();
        }
        done
    }

    /// Pushes from `values` until it ends or the bag is full; how many.
    pub(super) fn push_from(&self, values: &mut impl ExactSizeIterator<Item = T>) -> usize {
        let mut done = 0;
        while values.len() != 0 {
            let Some(taken) = self.claim_free(values.len()) else {
                break;
            };
            let mut run = Filling { taken, filled: 0 };
            for one in taken.each() {
                let Some(value) = values.next() else {
                    return done;
                };
                // SAFETY: claimed by this call, and free as its bit said.
                unsafe { one.slot().write(value) };
                run.filled |= one.bits;
                done += 1;
            }
        }
        done
    }

    /// How many ready values a look at each block counts.
    pub(super) fn ready(&self) -> usize {
        // ORDERING: Relaxed; a count, by which no slot is touched.
        let ones = |block: &Block<T>| block.words.ready.load(Ordering::Relaxed).count_ones();
        self.blocks.iter().map(|block| ones(block) as usize).sum()
    }

    /// Whether a look at each block found no free slot.
    pub(super) fn none_free(&self) -> bool {
        // ORDERING: Relaxed; as in `ready`.
        self.blocks
            .iter()
            .all(|block| block.words.taken.load(Ordering::Relaxed) == ALL)
    }

    /// Drops what is left.
    ///
    /// # Safety
    /// The bag is the caller's alone and is not used again.
    pub(super) unsafe fn drop_rest(&self) {
        if core::mem::needs_drop::<T>() {
            while let Some(value) = self.pop() {
                drop(value);
            }
        }
    }
}

/// Publishes what was filled and gives the rest back, also when the caller's iterator panics.
struct Filling<'a, T> {
    taken: Taken<'a, T>,
    filled: u64,
}

impl<T> Drop for Filling<'_, T> {
    fn drop(&mut self) {
        let block = self.taken.block;
        if self.filled != 0 {
            Taken {
                block,
                bits: self.filled,
            }
            .publish();
        }
        let rest = self.taken.bits & !self.filled;
        if rest != 0 {
            Taken { block, bits: rest }.give_back();
        }
    }
}
