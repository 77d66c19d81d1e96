//! The side that pops.

use super::core::PRODUCER;
use super::read::Read;
use super::side::Side;
use crate::ring::slot::empty_run;
use crate::sync::Ordering;

/// The popping end of an SPSC ring.
///
/// There is one for each ring; it may go to another thread but cannot be shared:
///
/// ```compile_fail
/// # use ringmain::ring::Spsc;
/// let mut ring = Spsc::<u8, 4>::new();
/// let (_producer, consumer) = ring.split();
/// let another = consumer.clone();
/// ```
///
/// ```compile_fail
/// # use ringmain::ring::Spsc;
/// let mut ring = Spsc::<u8, 4>::new();
/// let (_producer, consumer) = ring.split();
/// std::thread::scope(|threads| {
///     threads.spawn(|| consumer.is_empty());
///     threads.spawn(|| consumer.is_empty());
/// });
/// ```
pub struct Consumer<'a, T> {
    pub(super) side: Side<'a, T>,
}

// SAFETY: the handle is the only one of its side, so that its state moves with it; the values that
// come through the ring from another thread are `Send`.
unsafe impl<T: Send> Send for Consumer<'_, T> {}

impl<T> Consumer<'_, T> {
    /// Takes the oldest value, or `None` when nothing waits.
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
    /// assert_eq!(consumer.pop(), Some(1));
    /// assert_eq!(consumer.pop(), None);
    /// # Ok::<(), Full<u32>>(())
    /// ```
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let at = &mut *self.side.at;
        if at.position == at.limit && !self.refresh() {
            return None;
        }
        // SAFETY: `position` is before `limit`: the slot is the consumer's, and filled.
        let value = unsafe { self.side.at.slot().read() };
        self.side.at.step();
        self.publish();
        Some(value)
    }

    /// Takes the oldest values into the front of `target`, as many as there are and fit, and tells
    /// how many; the producer gets the slots back at once.
    ///
    /// # Progress
    /// Wait-free: two copies and one store.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Spsc;
    /// let mut ring = Spsc::<u32, 3>::new();
    /// let (mut producer, mut consumer) = ring.split();
    /// producer.push_batch(&[1, 2, 3]);
    /// let mut two = [0; 2];
    /// assert_eq!(consumer.pop_batch(&mut two), 2);
    /// assert_eq!(two, [1, 2]);
    /// ```
    #[inline]
    pub fn pop_batch(&mut self, target: &mut [T]) -> usize
    where
        T: Copy,
    {
        let count = self.look_for(target.len());
        let [(first, first_len), (second, second_len)] = self.side.at.runs(count);
        let target = target.as_mut_ptr();
        // SAFETY: `count` slots from the position on are the consumer's and filled (`look_for`);
        // `runs` cuts them at the end of the array; `target` has room for at least `count`.
        unsafe {
            empty_run(first, target, first_len);
            if second_len != 0 {
                empty_run(second, target.add(first_len), second_len);
            }
        }
        self.side.at.skip(count);
        self.publish();
        count
    }

    /// Takes up to `max` of the oldest values one by one; the producer gets the slots back when the
    /// iterator is dropped. What was not iterated stays in the ring.
    ///
    /// # Progress
    /// Wait-free.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Spsc;
    /// let mut ring = Spsc::<String, 4>::new();
    /// let (mut producer, mut consumer) = ring.split();
    /// producer.push_from(&mut ["a", "b", "c"].into_iter().map(String::from));
    /// let two: Vec<String> = consumer.drain(2).collect();
    /// assert_eq!(two, ["a", "b"]);
    /// assert_eq!(consumer.len(), 1);
    /// ```
    pub fn drain(&mut self, max: usize) -> Drain<'_, T> {
        let left = self.look_for(max);
        let (at, core) = self.side.parts();
        Drain {
            at,
            head: &core.head,
            left,
        }
    }

    /// The oldest value, left where it is.
    ///
    /// # Progress
    /// Wait-free.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::{Full, Spsc};
    /// let mut ring = Spsc::<u32, 2>::new();
    /// let (mut producer, mut consumer) = ring.split();
    /// producer.push(1)?;
    /// assert_eq!(consumer.peek(), Some(&1));
    /// assert_eq!(consumer.pop(), Some(1));
    /// # Ok::<(), Full<u32>>(())
    /// ```
    #[inline]
    pub fn peek(&mut self) -> Option<&T> {
        if self.look_for(1) == 0 {
            return None;
        }
        // SAFETY: filled, and the producer keeps off it until `head` passes it, which takes this
        // handle mutably.
        Some(unsafe { &*self.side.at.slot().as_ptr() })
    }

    /// Up to `max` of the oldest values, left where they are; [`Read::commit`] takes some of them
    /// out, a dropped read none.
    ///
    /// # Progress
    /// Wait-free. An open read holds up the producer only when the ring is full.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Spsc;
    /// let mut ring = Spsc::<u32, 4>::new();
    /// let (mut producer, mut consumer) = ring.split();
    /// producer.push_batch(&[1, 2, 3]);
    /// let read = consumer.read(10);
    /// assert_eq!(read.iter().sum::<u32>(), 6);
    /// read.commit(2);
    /// assert_eq!(consumer.pop(), Some(3));
    /// ```
    #[inline]
    pub fn read(&mut self, max: usize) -> Read<'_, T> {
        let len = self.look_for(max);
        Read::new(&mut self.side, len)
    }

    /// How many values the ring can hold.
    pub fn capacity(&self) -> usize {
        self.side.at.lap.capacity
    }

    /// How many values wait; the producer may add some at any moment, nobody takes any meanwhile.
    pub fn len(&self) -> usize {
        self.side.len()
    }

    /// Whether nothing waits. If not, the next pop gets a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no slot is free.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Whether the producer has gone: once this was true, `None` from `pop` means the end.
    pub fn is_closed(&self) -> bool {
        !self.side.core().is_there(PRODUCER)
    }

    /// Makes sure that up to `count` values are known to be there, and tells how many of them are.
    #[inline(always)]
    fn look_for(&mut self, count: usize) -> usize {
        if self.side.at.room() < count {
            self.refresh();
        }
        count.min(self.side.at.room())
    }

    /// Looks at the producer's position; whether there is a value.
    #[inline(always)]
    fn refresh(&mut self) -> bool {
        // ORDERING: Acquire; [slot-filled] the values before `tail` are there. Pairs with
        // `Producer::publish` and `Claim::commit`.
        let tail = self.side.core().tail.load(Ordering::Acquire);
        let at = &mut *self.side.at;
        at.limit = tail;
        at.position != tail
    }

    /// Gives the producer everything before the own position.
    #[inline(always)]
    fn publish(&mut self) {
        // ORDERING: Release; [slot-emptied] the reads of the slots before `head` are over. Pairs
        // with `Producer::refresh`.
        self.side
            .core()
            .head
            .store(self.side.at.position, Ordering::Release);
    }
}

/// Values on their way out; see [`Consumer::drain`].
pub struct Drain<'d, T> {
    at: &'d mut super::side::At<T>,
    head: &'d crate::sync::AtomicUsize,
    left: usize,
}

// SAFETY: it stands for the consumer, which is `Send`.
unsafe impl<T: Send> Send for Drain<'_, T> {}

impl<T> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: one of the values that `look_for` found, not taken yet.
        let value = unsafe { self.at.slot().read() };
        self.at.step();
        Some(value)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Drain<'_, T> {}

impl<T> Drop for Drain<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Release; [slot-emptied] as in `Consumer::publish`.
        self.head.store(self.at.position, Ordering::Release);
    }
}

impl<T> core::fmt::Debug for Consumer<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Consumer({} of {})", self.len(), self.capacity())
    }
}
