//! The side that pushes.

use super::claim::Claim;
use super::core::CONSUMER;
use super::side::Side;
use crate::ring::error::Full;
use crate::ring::slot::fill_run;
use crate::sync::Ordering;

/// The pushing end of an SPSC ring.
///
/// There is one for each ring; it may go to another thread but cannot be shared:
///
/// ```compile_fail
/// # use ringmain::ring::Spsc;
/// let mut ring = Spsc::<u8, 4>::new();
/// let (producer, _consumer) = ring.split();
/// let another = producer.clone();
/// ```
///
/// ```compile_fail
/// # use ringmain::ring::Spsc;
/// let mut ring = Spsc::<u8, 4>::new();
/// let (producer, _consumer) = ring.split();
/// std::thread::scope(|threads| {
///     threads.spawn(|| producer.is_full());
///     threads.spawn(|| producer.is_full());
/// });
/// ```
pub struct Producer<'a, T> {
    pub(super) side: Side<'a, T>,
}

// SAFETY: the handle is the only one of its side, so that its state moves with it; the values that
// go through the ring to another thread are `Send`.
unsafe impl<T: Send> Send for Producer<'_, T> {}

impl<T> Producer<'_, T> {
    /// Adds `value` at the end.
    ///
    /// # Errors
    /// [`Full`], with the value, when the consumer has left no slot free.
    ///
    /// # Progress
    /// Wait-free: no loop, no read-modify-write.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::{Full, Spsc};
    /// let mut ring = Spsc::<u32, 2>::new();
    /// let (mut producer, mut consumer) = ring.split();
    /// producer.push(1)?;
    /// producer.push(2)?;
    /// assert_eq!(producer.push(3), Err(Full(3)));
    /// assert_eq!(consumer.pop(), Some(1));
    /// # Ok::<(), Full<u32>>(())
    /// ```
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), Full<T>> {
        let at = &mut *self.side.at;
        if at.position == at.limit && !self.refresh() {
            return Err(Full(value));
        }
        // SAFETY: `position` is before `limit`: the slot is the producer's, and empty.
        unsafe { self.side.at.slot().write(value) };
        self.side.at.step();
        self.publish();
        Ok(())
    }

    /// Adds values from the front of `values` while there is room and tells how many; the consumer
    /// sees all of them at once.
    ///
    /// # Progress
    /// Wait-free: two copies and one store.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Spsc;
    /// let mut ring = Spsc::<u32, 3>::new();
    /// let (mut producer, _consumer) = ring.split();
    /// assert_eq!(producer.push_batch(&[1, 2, 3, 4]), 3);
    /// ```
    #[inline]
    pub fn push_batch(&mut self, values: &[T]) -> usize
    where
        T: Copy,
    {
        let count = self.make_room(values.len());
        let [(first, first_len), (second, second_len)] = self.side.at.runs(count);
        let source = values.as_ptr();
        // SAFETY: `count` slots from the position on are the producer's and empty (`make_room`);
        // `runs` cuts them at the end of the array; `source` has at least `count` values.
        unsafe {
            fill_run(first, source, first_len);
            if second_len != 0 {
                fill_run(second, source.add(first_len), second_len);
            }
        }
        self.side.at.skip(count);
        self.publish();
        count
    }

    /// Adds values from `values` while there is room and tells how many; the rest stays in the
    /// iterator, and the consumer sees the added ones at once.
    ///
    /// # Progress
    /// Wait-free, if the iterator is; at most a capacity of values.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Spsc;
    /// let mut ring = Spsc::<String, 2>::new();
    /// let (mut producer, _consumer) = ring.split();
    /// let mut names = ["a", "b", "c"].into_iter().map(String::from);
    /// assert_eq!(producer.push_from(&mut names), 2);
    /// assert_eq!(names.next().as_deref(), Some("c"));
    /// ```
    pub fn push_from(&mut self, values: &mut impl Iterator<Item = T>) -> usize {
        let room = self.make_room(self.capacity());
        let mut batch = Publish {
            producer: self,
            count: 0,
        };
        while batch.count < room {
            let Some(value) = values.next() else { break };
            // SAFETY: one of the `room` empty slots that are the producer's.
            unsafe { batch.producer.side.at.slot().write(value) };
            batch.producer.side.at.step();
            batch.count += 1;
        }
        batch.count
    }

    /// Takes `count` slots to be filled in place; [`Claim::commit`] shows them to the consumer, a
    /// dropped claim leaves the ring as it was.
    ///
    /// # Errors
    /// [`Full`] when fewer than `count` slots are free, always so beyond the capacity.
    ///
    /// # Progress
    /// Wait-free. An open claim holds up nobody but its own producer.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::{Full, Spsc};
    /// let mut ring = Spsc::<u32, 4>::new();
    /// let (mut producer, mut consumer) = ring.split();
    /// let mut claim = producer.claim(3)?;
    /// claim.copy_from_slice(&[7, 8]);
    /// claim.commit();
    /// assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some(7), Some(8), None));
    /// # Ok::<(), Full<()>>(())
    /// ```
    #[inline]
    pub fn claim(&mut self, count: usize) -> Result<Claim<'_, T>, Full<()>> {
        if self.make_room(count) < count {
            return Err(Full(()));
        }
        Ok(Claim::new(&mut self.side, count))
    }

    /// How many values the ring can hold.
    pub fn capacity(&self) -> usize {
        self.side.at.lap.capacity
    }

    /// How many values wait; the consumer may take some at any moment, nobody adds any meanwhile.
    pub fn len(&self) -> usize {
        self.side.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no slot is free. If not, the next push succeeds.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Whether the consumer has gone: what is pushed now is dropped with the ring.
    pub fn is_closed(&self) -> bool {
        !self.side.core().is_there(CONSUMER)
    }

    /// Makes sure that up to `count` slots are known to be free, and tells how many of them are.
    #[inline(always)]
    fn make_room(&mut self, count: usize) -> usize {
        if self.side.at.room() < count {
            self.refresh();
        }
        count.min(self.side.at.room())
    }

    /// Looks at the consumer's position; whether there is a free slot.
    #[inline(always)]
    fn refresh(&mut self) -> bool {
        // ORDERING: Acquire; [slot-emptied] the consumer's reads of the slots before `head` are
        // over. Pairs with `Consumer::publish`.
        let head = self.side.core().head.load(Ordering::Acquire);
        let at = &mut *self.side.at;
        at.limit = at.lap.a_lap_after(head);
        at.position != at.limit
    }

    /// Shows the consumer everything before the own position.
    #[inline(always)]
    fn publish(&mut self) {
        // ORDERING: Release; [slot-filled] publishes the values before `tail`. Pairs with
        // `Consumer::refresh`.
        self.side
            .core()
            .tail
            .store(self.side.at.position, Ordering::Release);
    }
}

/// Publishes what was pushed, also when the caller's iterator panics.
struct Publish<'p, 'a, T> {
    producer: &'p mut Producer<'a, T>,
    count: usize,
}

impl<T> Drop for Publish<'_, '_, T> {
    fn drop(&mut self) {
        self.producer.publish();
    }
}

impl<T> core::fmt::Debug for Producer<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Producer({} of {})", self.len(), self.capacity())
    }
}
