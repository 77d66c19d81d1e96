//! Up to ten received messages.

use super::place::Bits;
use super::received::Received;
use super::standard::Queue;
use super::sweep::BATCH_MAX;
use crate::error::Error;
use crate::region::Region;
#[cfg(feature = "std")]
use crate::region::store::Store;
use crate::time::Clock;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

/// What became of each entry of a batch, in order.
pub type Outcomes<T> = heapless::Vec<Result<T, Error>, BATCH_MAX>;

/// Up to ten received messages; a slice of [`Received`], and an iterator by value.
#[must_use = "unsettled messages come back when their visibility timeout runs out"]
pub struct Batch<'q, R: Region, C: Clock> {
    pub(super) queue: &'q Queue<R, C>,
    pub(super) messages: heapless::Vec<Received<'q, R, C>, BATCH_MAX>,
}

impl<R: Region, C: Clock> fmt::Debug for Batch<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.messages.iter()).finish()
    }
}

impl<'q, R: Region, C: Clock> Batch<'q, R, C> {
    #[inline(always)]
    pub(super) fn new(queue: &'q Queue<R, C>) -> Self {
        Self {
            queue,
            messages: heapless::Vec::new(),
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, received: Received<'q, R, C>) {
        // A receive finds at most ten: nothing is forgotten, and nothing is there to be dropped.
        core::mem::forget(self.messages.push(received));
    }

    /// Counts how long they lay, unless all came in the millisecond of their send.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(super) fn count_latency(&self, store: &Store<'_>, now_ms: u64) {
        let sent_ms = || self.messages.iter().map(|received| received.hold.sent_ms());
        if sent_ms().fold(0, |other_ms, sent_ms| other_ms | (sent_ms ^ now_ms)) != 0 {
            store.head().latency.count(sent_ms(), now_ms);
        }
    }

    /// Takes the last message out of the batch.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<Received<'q, R, C>> {
        self.messages.pop()
    }

    /// Deletes all of them; see [`Received::delete`].
    ///
    /// # Progress
    ///
    /// Lock-free. Slots of one block are freed with one `fetch_or`.
    #[inline]
    pub fn delete(self) -> Outcomes<()> {
        let this = ManuallyDrop::new(self); // each is settled here
        let mut outcomes = Outcomes::new();
        let queue = this.queue;
        #[cfg(feature = "fifo")]
        if queue.place.is_fifo() {
            if !queue.delete_from_groups(&this, &mut outcomes) {
                drop(ManuallyDrop::into_inner(this)); // they stay in flight
            }
            return outcomes;
        }
        let usable = queue.check();
        let store = queue.store();
        let owner = queue.region.owner();
        let mut free = Bits::free(store);
        for received in this.messages.iter() {
            let outcome = match &usable {
                Ok(()) => store
                    .delete(&received.hold, received.run(), owner)
                    .map(|freed| {
                        if let Some(run) = freed {
                            free.add_run(received.hold.index as usize, run);
                        }
                    }),
                Err(error) => Err(error.clone()),
            };
            let _ = outcomes.push(outcome);
        }
        free.flush();
        if usable.is_ok() {
            queue.make_all_durable(&mut outcomes);
        }
        outcomes
    }

    /// Makes all of them visible at once; see [`Received::release`].
    pub fn release(self) -> Outcomes<()> {
        self.messages.into_iter().map(Received::release).collect()
    }

    /// Sets a new visibility timeout for each; see [`Received::extend`].
    pub fn extend(&mut self, visibility: Duration) -> Outcomes<()> {
        self.messages
            .iter_mut()
            .map(|received| received.extend(visibility))
            .collect()
    }
}

impl<'q, R: Region, C: Clock> Deref for Batch<'q, R, C> {
    type Target = [Received<'q, R, C>];
    fn deref(&self) -> &Self::Target {
        &self.messages
    }
}

impl<R: Region, C: Clock> DerefMut for Batch<'_, R, C> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.messages
    }
}

impl<'q, R: Region, C: Clock> IntoIterator for Batch<'q, R, C> {
    type Item = Received<'q, R, C>;
    type IntoIter = <heapless::Vec<Received<'q, R, C>, BATCH_MAX> as IntoIterator>::IntoIter;
    fn into_iter(self) -> Self::IntoIter {
        self.messages.into_iter()
    }
}

impl<'b, 'q, R: Region, C: Clock> IntoIterator for &'b Batch<'q, R, C> {
    type Item = &'b Received<'q, R, C>;
    type IntoIter = core::slice::Iter<'b, Received<'q, R, C>>;
    fn into_iter(self) -> Self::IntoIter {
        self.messages.iter()
    }
}
