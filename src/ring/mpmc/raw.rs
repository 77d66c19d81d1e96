//! The algorithm, over borrowed words and slots.

use core::mem::MaybeUninit;

use super::layout::{Cell, FILLED, HOLE, Lap, Tickets};
use crate::ring::backoff::Backoff;
use crate::ring::slot::Slot;
use crate::sync::{AtomicUsize, Ordering};

/// Consecutive cells of one lap.
struct Part<'a, T> {
    lap: usize,
    cells: &'a [Cell<T>],
}

impl<T> Part<'_, T> {
    /// How many of the cells, from the first on, have the stamp of the lap with `mark`.
    #[inline(always)]
    fn count(&self, mark: usize) -> usize {
        let stamp = self.lap | mark;
        // ORDERING: Acquire; [cell-filled] or [cell-emptied]: the slot is as its stamp says. Pairs
        // with `Part::stamp` and `Raw::stamp`.
        let other = |cell: &Cell<T>| cell.stamp.load(Ordering::Acquire) != stamp;
        self.cells
            .iter()
            .position(other)
            .unwrap_or(self.cells.len())
    }

    /// Stamps the cells, the last first: who waits for the first finds all of them.
    #[inline(always)]
    fn stamp(&self, stamp: usize) {
        for cell in self.cells.iter().rev() {
            // ORDERING: Release; as in `Raw::stamp`.
            cell.stamp.store(stamp, Ordering::Release);
        }
    }
}

/// A borrowed ring; made anew for each call, so that a constant capacity stays one.
pub(super) struct Raw<'a, T> {
    pub(super) tickets: &'a Tickets,
    pub(super) cells: &'a [Cell<T>],
    pub(super) lap: Lap,
}

impl<T> Clone for Raw<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Raw<'_, T> {}

impl<'a, T> Raw<'a, T> {
    #[inline(always)]
    fn cell(&self, position: usize) -> &'a Cell<T> {
        debug_assert!(self.lap.index(position) < self.cells.len());
        // SAFETY: the index of a position is below the capacity (`Lap::next`), the number of cells.
        unsafe { self.cells.get_unchecked(self.lap.index(position)) }
    }

    /// The cells of `count` positions from `position` on: up to the end of the array, and from its
    /// start. `count` is at most the capacity.
    #[inline(always)]
    fn parts(&self, position: usize, count: usize) -> [Part<'a, T>; 2] {
        let (lap, index) = (self.lap.lap(position), self.lap.index(position));
        let first = count.min(self.lap.capacity - index);
        // SAFETY: the index of a position is below the capacity; `first` and the rest end there.
        unsafe {
            [
                Part {
                    lap,
                    cells: self.cells.get_unchecked(index..index + first),
                },
                Part {
                    lap: lap.wrapping_add(self.lap.length),
                    cells: self.cells.get_unchecked(..count - first),
                },
            ]
        }
    }

    /// Claims the slot at `ticket`, if its stamp has `mark`: its position.
    #[inline(always)]
    fn claim_one(&self, ticket: &AtomicUsize, mark: usize) -> Option<usize> {
        // ORDERING: Relaxed; a guess, which the stamp and the compare-exchange check.
        let position = ticket.load(Ordering::Relaxed);
        // ORDERING: Acquire; as in `Part::count`.
        let stamp = self.cell(position).stamp.load(Ordering::Acquire);
        if stamp == self.lap.lap(position) | mark {
            let next = self.lap.next(position);
            // ORDERING: Relaxed; as in `exchange`.
            let moved =
                ticket.compare_exchange(position, next, Ordering::Relaxed, Ordering::Relaxed);
            if moved.is_ok() {
                return Some(position);
            }
        }
        self.claim_one_of_many(ticket, mark)
    }

    /// The same when the first look did not do: others are at it, or nothing is there. By value, as
    /// `look_again` is, so that the quick way keeps the ring in registers.
    #[cold]
    #[inline(never)]
    fn claim_one_of_many(self, ticket: &AtomicUsize, mark: usize) -> Option<usize> {
        self.claim_run(ticket, 1, mark)
            .map(|(position, _)| position)
    }

    /// Claims from one to `max` slots at `ticket` whose stamps have `mark`: position and count.
    #[inline(always)]
    fn claim_run(&self, ticket: &AtomicUsize, max: usize, mark: usize) -> Option<(usize, usize)> {
        if max == 0 {
            return None;
        }
        let max = max.min(self.lap.capacity);
        let mut backoff = Backoff::new();
        // ORDERING: Relaxed; a guess, which the stamps and the compare-exchange check.
        let mut position = ticket.load(Ordering::Relaxed);
        loop {
            let [first, second] = self.parts(position, max);
            let mut count = first.count(mark);
            if count == 0 {
                position = self.look_again(ticket, position, mark)?;
                continue;
            }
            let mut next = position + count;
            if count == first.cells.len() && self.lap.index(position) + count == self.lap.capacity {
                let more = second.count(mark);
                count += more;
                next = second.lap.wrapping_add(more);
            }
            match self.exchange(ticket, position, next, &mut backoff) {
                Ok(()) => return Some((position, count)),
                Err(seen) => position = seen,
            }
        }
    }

    /// Moves `ticket` from `position` to `next`, or pauses and tells where it is.
    #[inline(always)]
    fn exchange(
        &self,
        ticket: &AtomicUsize,
        position: usize,
        next: usize,
        backoff: &mut Backoff,
    ) -> Result<(), usize> {
        // ORDERING: Relaxed; the ticket carries no data. Success says that nobody had claimed a
        // slot from `position` on, so that the stamps seen before, which only a claimant changes,
        // still hold; what they publish came with them.
        match ticket.compare_exchange_weak(position, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(seen) => {
                if seen != position {
                    backoff.pause();
                }
                Err(seen)
            }
        }
    }

    /// The slot at `position` was not as wanted: where to look now, or `None` if it is still in use
    /// a lap before. Steps over a hole.
    #[cold]
    fn look_again(self, ticket: &AtomicUsize, position: usize, mark: usize) -> Option<usize> {
        let wanted = self.lap.lap(position) | mark;
        // ORDERING: Acquire; as in `Part::count`; and what the claimant that changed it had seen of
        // the ticket is seen below.
        let stamp = self.cell(position).stamp.load(Ordering::Acquire);
        if stamp == wanted {
            return Some(position);
        }
        if mark == FILLED && stamp == wanted | HOLE {
            // ORDERING: Relaxed; as in `exchange`.
            let next = self.lap.next(position);
            match ticket.compare_exchange(position, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    self.give_back(position);
                    return Some(next);
                }
                Err(seen) => return Some(seen),
            }
        }
        // ORDERING: Relaxed; a guess, as in `claim_one`.
        let ahead = stamp.wrapping_sub(wanted) as isize > 0;
        ahead.then(|| ticket.load(Ordering::Relaxed))
    }

    /// Claims the slot at the tail, if it is free.
    #[inline(always)]
    pub(super) fn claim_free(&self) -> Option<usize> {
        self.claim_one(&self.tickets.tail, 0)
    }

    #[inline(always)]
    fn stamp(&self, position: usize, stamp: usize) {
        // ORDERING: Release; [cell-filled] publishes the value, or [cell-emptied] says that its
        // read is over. Pairs with the acquire loads of the stamp in the claims.
        self.cell(position).stamp.store(stamp, Ordering::Release);
    }

    /// Says that the claimed slot at `position` has been filled.
    #[inline(always)]
    pub(super) fn publish(&self, position: usize) {
        self.stamp(position, self.lap.lap(position) | FILLED);
    }

    /// Gives the claimed slot at `position` up: readers step over it.
    #[cold]
    pub(super) fn publish_hole(&self, position: usize) {
        self.stamp(position, self.lap.lap(position) | FILLED | HOLE);
    }

    /// Hands the claimed and emptied slot at `position` to the next lap's push.
    #[inline(always)]
    fn give_back(&self, position: usize) {
        self.stamp(
            position,
            self.lap.lap(position).wrapping_add(self.lap.length),
        );
    }

    #[inline(always)]
    pub(super) fn push(&self, value: T) -> Result<(), T> {
        let Some(position) = self.claim_free() else {
            return Err(value);
        };
        // SAFETY: claimed by this call, and empty as its stamp said.
        unsafe { self.slot(position).write(value) };
        self.publish(position);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn pop(&self) -> Option<T> {
        let position = self.claim_one(&self.tickets.head, FILLED)?;
        // SAFETY: claimed by this call, and filled as its stamp said.
        let value = unsafe { self.slot(position).read() };
        self.give_back(position);
        Some(value)
    }

    /// Pushes copies from the front of `values`; how many.
    #[inline(always)]
    pub(super) fn push_batch(&self, values: &[T]) -> usize
    where
        T: Copy,
    {
        let claimed = self.claim_run(&self.tickets.tail, values.len(), 0);
        let Some((position, count)) = claimed else {
            return 0;
        };
        let [first, second] = self.parts(position, count);
        let (begin, end) = values[..count].split_at(first.cells.len());
        for (part, values) in [(&first, begin), (&second, end)] {
            for (cell, value) in part.cells.iter().zip(values) {
                // SAFETY: claimed by this call, and empty as its stamp said.
                unsafe { cell.slot.write(*value) };
            }
        }
        second.stamp(second.lap | FILLED);
        first.stamp(first.lap | FILLED);
        count
    }

    /// Pops into the front of `target`; how many.
    #[inline(always)]
    pub(super) fn pop_batch(&self, target: &mut [MaybeUninit<T>]) -> usize {
        let claimed = self.claim_run(&self.tickets.head, target.len(), FILLED);
        let Some((position, count)) = claimed else {
            return 0;
        };
        let [first, second] = self.parts(position, count);
        let (begin, end) = target[..count].split_at_mut(first.cells.len());
        for (part, places) in [(&first, begin), (&second, end)] {
            for (cell, place) in part.cells.iter().zip(places) {
                // SAFETY: claimed by this call, filled as its stamp said, and read once.
                place.write(unsafe { cell.slot.read() });
            }
        }
        second.stamp(second.lap.wrapping_add(self.lap.length));
        first.stamp(second.lap);
        count
    }

    /// Pushes from `values` until it ends or the ring is full; how many.
    pub(super) fn push_from(&self, values: &mut impl ExactSizeIterator<Item = T>) -> usize {
        let claimed = self.claim_run(&self.tickets.tail, values.len(), 0);
        let Some((position, count)) = claimed else {
            return 0;
        };
        let mut run = Run {
            raw: self,
            at: position,
            left: count,
        };
        while run.left != 0 {
            let Some(value) = values.next() else { break };
            // SAFETY: claimed by this call, and empty as its stamp said.
            unsafe { self.slot(run.at).write(value) };
            self.publish(run.at);
            run.step();
        }
        count - run.left
    }

    /// Where the value of the claimed slot at `position` lies.
    #[inline(always)]
    pub(super) fn slot(&self, position: usize) -> &'a Slot<T> {
        &self.cell(position).slot
    }

    /// How many positions lie between the tickets: values, holes and claims.
    pub(super) fn len(&self) -> usize {
        loop {
            // ORDERING: Acquire; keeps the three loads in order, so that an unchanged tail says
            // that head and tail stood so at one moment. By the count no slot is touched.
            let tail = self.tickets.tail.load(Ordering::Acquire);
            let head = self.tickets.head.load(Ordering::Acquire);
            // ORDERING: Relaxed; ordered after the others by their acquire.
            if self.tickets.tail.load(Ordering::Relaxed) == tail {
                return self.lap.distance(head, tail);
            }
        }
    }

    /// Drops what is left.
    ///
    /// # Safety
    /// The ring is the caller's alone and is not used again.
    pub(super) unsafe fn drop_rest(&self) {
        if !core::mem::needs_drop::<T>() {
            return;
        }
        // ORDERING: Relaxed, here and below; the ring is the caller's alone.
        let tail = self.tickets.tail.load(Ordering::Relaxed);
        let mut head = self.tickets.head.load(Ordering::Relaxed);
        while head != tail {
            let cell = self.cell(head);
            if cell.stamp.load(Ordering::Relaxed) == self.lap.lap(head) | FILLED {
                // SAFETY: filled in this lap and never claimed by a pop, since `head` is not past
                // it; dropped once. A slot whose claim was leaked is not marked as filled.
                drop(unsafe { cell.slot.read() });
            }
            head = self.lap.next(head);
        }
    }
}

/// The unfilled rest of a run; when the caller's iterator ends early or panics it becomes holes.
struct Run<'r, 'a, T> {
    raw: &'r Raw<'a, T>,
    at: usize,
    left: usize,
}

impl<T> Run<'_, '_, T> {
    fn step(&mut self) {
        self.at = self.raw.lap.next(self.at);
        self.left -= 1;
    }
}

impl<T> Drop for Run<'_, '_, T> {
    fn drop(&mut self) {
        while self.left != 0 {
            self.raw.publish_hole(self.at);
            self.step();
        }
    }
}
