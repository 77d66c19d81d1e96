//! Slots filled in place before the consumer sees them.

use core::ptr;

use super::side::{At, Side};
use crate::ring::error::Full;
use crate::ring::slot::fill_run;
use crate::sync::{AtomicUsize, Ordering};

/// Slots that the producer fills in order and then shows at once.
///
/// Dropping it drops what was filled and shows nothing; leaking it leaks those values and shows
/// nothing. A claim that is committed half full shows what was filled.
#[must_use = "a claim that is not committed shows nothing to the consumer"]
pub struct Claim<'c, T> {
    at: &'c mut At<T>,
    tail: &'c AtomicUsize,
    len: usize,
    filled: usize,
}

// SAFETY: it stands for the producer, which is `Send`.
unsafe impl<T: Send> Send for Claim<'_, T> {}

impl<'c, T> Claim<'c, T> {
    /// `len` slots from the position on; they are empty and within the limit.
    #[inline(always)]
    pub(super) fn new(side: &'c mut Side<'_, T>, len: usize) -> Self {
        let (at, core) = side.parts();
        Self {
            at,
            tail: &core.tail,
            len,
            filled: 0,
        }
    }

    /// How many slots were claimed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no slot was claimed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many of them are filled.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Fills the next slot.
    ///
    /// # Errors
    /// [`Full`], with the value, when all claimed slots are filled.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), Full<T>> {
        if self.filled == self.len {
            return Err(Full(value));
        }
        // SAFETY: claimed and not filled yet.
        unsafe { self.at.slot_after(self.filled).write(value) };
        self.filled += 1;
        Ok(())
    }

    /// Fills the next slots from the front of `values`, as many as there are, and tells how many.
    #[inline]
    pub fn copy_from_slice(&mut self, values: &[T]) -> usize
    where
        T: Copy,
    {
        let count = values.len().min(self.len - self.filled);
        let first = count.min(self.run_after(self.filled));
        // SAFETY: `count` slots after the filled ones are claimed and empty; the first run ends at
        // the end of the array, the second, if any, begins at its start.
        unsafe {
            fill_run(self.at.slot_after(self.filled), values.as_ptr(), first);
            if first < count {
                let rest = values.as_ptr().add(first);
                fill_run(self.at.slots.as_ptr(), rest, count - first);
            }
        }
        self.filled += count;
        count
    }

    /// What was filled, to be changed in place; two slices, since a ring has an end.
    #[cfg(not(ringmain_loom))]
    pub fn as_mut_slices(&mut self) -> (&mut [T], &mut [T]) {
        let [(first, first_len), (second, second_len)] = self.at.runs(self.filled);
        // SAFETY: both runs are filled, apart from each other, and the claim's alone.
        unsafe {
            (
                core::slice::from_raw_parts_mut(first.cast::<T>().cast_mut(), first_len),
                core::slice::from_raw_parts_mut(second.cast::<T>().cast_mut(), second_len),
            )
        }
    }

    /// The slots that are not filled yet, to be written in place; two slices, since a ring has an
    /// end. Follow it with [`assume_filled`](Self::assume_filled).
    #[cfg(not(ringmain_loom))]
    pub fn spare_slices(
        &mut self,
    ) -> (
        &mut [core::mem::MaybeUninit<T>],
        &mut [core::mem::MaybeUninit<T>],
    ) {
        let spare = self.len - self.filled;
        let first_len = spare.min(self.run_after(self.filled));
        let first: *const _ = self.at.slot_after(self.filled);
        let second = self.at.slots.as_ptr();
        // SAFETY: claimed slots after the filled ones, cut at the end of the array; nobody else
        // touches them, and `MaybeUninit` asks for no value.
        unsafe {
            (
                core::slice::from_raw_parts_mut(first.cast_mut().cast(), first_len),
                core::slice::from_raw_parts_mut(second.cast(), spare - first_len),
            )
        }
    }

    /// Counts `count` more slots as filled.
    ///
    /// # Safety
    /// The first `count` of the [`spare_slices`](Self::spare_slices) have been written.
    ///
    /// # Panics
    /// When there are not as many.
    pub unsafe fn assume_filled(&mut self, count: usize) {
        assert!(
            count <= self.len - self.filled,
            "{count} slots filled, beyond the claim"
        );
        self.filled += count;
    }

    /// Shows the filled slots to the consumer, all at once, and tells how many.
    ///
    /// # Progress
    /// Wait-free: one store.
    #[inline]
    pub fn commit(mut self) -> usize {
        let count = core::mem::take(&mut self.filled);
        self.at.skip(count);
        // ORDERING: Release; [slot-filled] publishes the values. Pairs with `Consumer::refresh`.
        self.tail.store(self.at.position, Ordering::Release);
        count
    }

    /// How many slots there are from `offset` after the position to the end of the array.
    #[inline(always)]
    fn run_after(&self, offset: usize) -> usize {
        let index = self.at.index() + offset;
        let capacity = self.at.lap.capacity;
        if index < capacity {
            capacity - index
        } else {
            2 * capacity - index
        }
    }
}

impl<T> Drop for Claim<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if core::mem::needs_drop::<T>() {
            for offset in 0..core::mem::take(&mut self.filled) {
                // SAFETY: filled by this claim and shown to nobody; counted as empty from here on.
                unsafe { ptr::drop_in_place(self.at.slot_after(offset).as_ptr()) };
            }
        }
    }
}
