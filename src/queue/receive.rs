//! Receiving: borrow in place, or copy out.

use super::batch::Batch;
use super::options::visibility_ms;
use super::receipt::Receipt;
use super::received::{Copied, Received};
use super::standard::Queue;
use super::sweep::{BATCH_MAX, Receive};
use crate::error::Error;
use crate::region::Region;
use crate::region::arena::Hold;
use crate::region::policy::{RECEIVES_MAX, RETENTION_MS, VISIBILITY_MS};
use crate::region::store::Store;
use crate::sync::Ordering;
use crate::time::Clock;
use core::time::Duration;

impl<R: Region, C: Clock> Queue<R, C> {
    /// Receives one message, if one is visible now. It stays invisible to others for the queue's
    /// visibility timeout.
    ///
    /// # Errors
    ///
    /// [`Error::InFlight`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free. No allocation; no system call, but that in shared memory it asks once in 8 ms
    /// who has died.
    #[inline]
    pub fn receive(&self) -> Result<Option<Received<'_, R, C>>, Error> {
        self.check()?;
        let store = self.store();
        self.admit_receive(&store, 1)?;
        let how = self.how(&store, 1, None);
        if let Some(hold) = store.receive_next(&how)
            && let Some(received) = self.admit_hold(&store, hold, &how)
        {
            self.tend_sometimes(&store, how.now_ms);
            #[cfg(feature = "std")]
            received.count_latency(&store);
            return Ok(Some(received));
        }
        let mut one = None;
        self.receive_each(&store, &how, |received| one = Some(received));
        #[cfg(feature = "std")]
        if let Some(received) = &one {
            received.count_latency(&store);
        }
        Ok(one)
    }

    /// Receives up to `max` (1 to 10) messages that are visible now; maybe none. One
    /// compare-exchange takes all that lie in one block of 64 slots.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::InFlight`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// As [`receive`](Queue::receive).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Heap, Queue, QueueOptions};
    /// # let queue = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// queue.send_batch(&["a", "b", "c"])?;
    /// let batch = queue.receive_batch(10)?;
    /// assert_eq!(batch.len(), 3);
    /// for outcome in batch.delete() {
    ///     outcome?;
    /// }
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    #[inline]
    pub fn receive_batch(&self, max: usize) -> Result<Batch<'_, R, C>, Error> {
        self.receive_some(max, None)
    }

    /// [`receive_batch`](Queue::receive_batch) with a visibility timeout of its own, 0 s to 12 h.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::BatchSize`], [`Error::Forked`].
    pub fn receive_batch_for(
        &self,
        max: usize,
        visibility: Duration,
    ) -> Result<Batch<'_, R, C>, Error> {
        let ms = visibility_ms(visibility)?;
        let batch = self.receive_some(max, Some(ms))?;
        let store = self.store();
        if ms < store.head().policy.get(VISIBILITY_MS) && !batch.is_empty() {
            self.notify(&store, 1); // who sleeps knows of no due time as near as this
        }
        Ok(batch)
    }

    /// Receives one message into `buffer` and reads nothing in place: the slot can be reused as
    /// soon as the message is deleted, whatever becomes of the copy.
    ///
    /// # Errors
    ///
    /// [`Error::BufferTooSmall`]: the message is visible again, with this receive counted.
    /// [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// As [`receive`](Queue::receive).
    pub fn receive_into(&self, buffer: &mut [u8]) -> Result<Option<Copied>, Error> {
        let received = match self.place.is_fifo() {
            true => self.receive_some(1, None)?.pop(),
            false => self.receive()?,
        };
        let Some(received) = received else {
            return Ok(None);
        };
        let (len, body) = (received.body().len(), received.body());
        match buffer.get_mut(..len) {
            Some(buffer) => buffer.copy_from_slice(body),
            None => {
                let error = Error::BufferTooSmall {
                    needed: len,
                    len: buffer.len(),
                };
                return match received.release() {
                    // Late, so visible by its time, or somebody else's already.
                    Ok(()) | Err(Error::NotInFlight | Error::StaleReceipt) => Err(error),
                    Err(other) => Err(other),
                };
            }
        }
        Ok(Some(Copied {
            len,
            receipt: received.receipt(),
            receive_count: received.receive_count(),
        }))
    }

    /// [`receive`](Queue::receive) by who moves messages: counts no latency, since nobody gets it.
    #[cold]
    pub(crate) fn receive_to_move(&self) -> Result<Option<Received<'_, R, C>>, Error> {
        self.check()?;
        let store = self.store();
        self.admit_receive(&store, 1)?;
        let how = self.how(&store, 1, None);
        let mut one = None;
        self.receive_each(&store, &how, |received| one = Some(received));
        Ok(one)
    }

    #[inline(always)]
    pub(super) fn receive_some(
        &self,
        max: usize,
        visibility_ms: Option<u64>,
    ) -> Result<Batch<'_, R, C>, Error> {
        #[cfg(feature = "fifo")]
        if self.place.is_fifo() {
            return self.receive_groups(max, visibility_ms);
        }
        if max == 0 || max > BATCH_MAX {
            return Err(Error::BatchSize { len: max });
        }
        self.check()?;
        let store = self.store();
        let mut batch = Batch::new(self);
        let max = self.admit_receive(&store, max)?;
        let how = self.how(&store, max, visibility_ms);
        self.receive_each(&store, &how, |received| batch.push(received));
        #[cfg(feature = "std")]
        batch.count_latency(&store, how.now_ms);
        Ok(batch)
    }

    /// How this participant receives now.
    #[inline(always)]
    pub(super) fn how(&self, store: &Store<'_>, max: usize, visibility_ms: Option<u64>) -> Receive {
        let own_ms = self.own_ms();
        let now_ms = self.later_ms(store, own_ms);
        let policy = &store.head().policy;
        let visibility_ms = visibility_ms.unwrap_or_else(|| policy.get(VISIBILITY_MS));
        // By the own clock: a latest time that damage has set far ahead drops no message.
        let oldest_ms = own_ms.saturating_sub(policy.get(RETENTION_MS));
        let due_at_ms = now_ms.saturating_add(visibility_ms);
        // None is as many as there can be.
        let receives_max = policy.get(RECEIVES_MAX).wrapping_sub(1);
        Receive {
            receives_max,
            max,
            owner: self.region.owner(),
            borrowed: true,
            now_ms,
            due_at_ms,
            oldest_ms,
        }
    }

    #[inline(always)]
    pub(super) fn receive_each<'q>(
        &'q self,
        store: &Store<'q>,
        how: &Receive,
        mut found: impl FnMut(Received<'q, R, C>),
    ) {
        let mut none = true;
        let each = |hold| match self.admit_hold(store, hold, how) {
            Some(received) => {
                found(received);
                none = false;
                true
            }
            None => false,
        };
        #[cfg(feature = "fifo")]
        let expired = match self.place.is_fifo() {
            true => self.receive_in_turn(store, how, each),
            false => store.receive(how, each),
        };
        #[cfg(not(feature = "fifo"))]
        let expired = store.receive(how, each);
        self.end_receive(store, how, expired, none);
    }

    /// What a receive does last: `expired` messages became visible by it, and it has found `none`
    /// to give out.
    #[inline(always)]
    pub(super) fn end_receive(&self, store: &Store<'_>, how: &Receive, expired: u32, none: bool) {
        self.notify_if(store, expired);
        if none {
            let counters = &store.head().counters;
            counters.empty_receives.fetch_add(1, Ordering::Relaxed);
        }
        self.tend_sometimes(store, how.now_ms);
    }

    /// A hold as a message to hand out, unless its bytes are damaged or it is too old.
    #[inline(always)]
    pub(super) fn admit_hold(
        &self,
        store: &Store<'_>,
        hold: Hold,
        how: &Receive,
    ) -> Option<Received<'_, R, C>> {
        // A retention that is damaged drops nothing.
        let fresh = hold.sent_ms() >= how.oldest_ms || !store.head().policy.is_sound(RETENTION_MS);
        match store.inspect(&hold, self.place.checksum) {
            Some(stored)
                if fresh
                    && how.receives_max != u64::MAX
                    && u64::from(hold.receive_count()).wrapping_sub(1) > how.receives_max =>
            {
                self.bury(store, &{ hold }, &stored, how); // a copy: the hold stays in registers
                None
            }
            Some(stored) if fresh => {
                store.note_first(&hold, how.now_ms);
                Some(Received {
                    queue: self,
                    hold,
                    received_ms: how.now_ms,
                    stored,
                })
            }
            sound => {
                self.set_aside(store, &{ hold }, sound.is_none());
                None
            }
        }
    }

    /// Drops a message whose bytes are damaged, or that is older than the retention.
    #[cold]
    fn set_aside(&self, store: &Store<'_>, hold: &Hold, damaged: bool) {
        let counters = &store.head().counters;
        let counter = if damaged {
            &counters.damaged
        } else {
            &counters.expired
        };
        counter.fetch_add(1, Ordering::Relaxed);
        counters.received.fetch_sub(1, Ordering::Relaxed); // nobody gets it, so it is not received
        let (index, owner) = (hold.index as usize, self.region.owner());
        let run = store.measured_run(index);
        #[cfg(feature = "fifo")]
        if self.place.is_fifo() {
            // At a time at which no hold is over: this call's own is not, whatever its timeout.
            let _ = store.delete_in_turn(hold, run, 0, owner);
            return;
        }
        // It is held by this call and not read in place by anybody else, so this takes it out, or
        // finds that its time was over at once and others have gone on with it.
        if let Ok(Some(freed)) = store.delete(hold, run, owner) {
            store.put_free(index, freed);
        }
    }

    /// Messages sent before this are too old, by the own clock, ms.
    pub(super) fn oldest_ms(&self, store: &Store<'_>) -> u64 {
        let retention_ms = store.head().policy.get(RETENTION_MS);
        self.own_ms().saturating_sub(retention_ms)
    }

    pub(super) fn receipt_of(&self, hold: &Hold, received_ms: u64) -> Receipt {
        Receipt::new(self.name(&self.store()), hold, received_ms)
    }
}
