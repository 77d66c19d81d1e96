//! A queue as one of several that are waited for.

#[cfg(feature = "fifo")]
use super::fifo::FifoQueue;
use super::standard::Queue;
use crate::error::Error;
use crate::region::Region;
use crate::time::Clock;
use crate::wait::{Waitable, sealed};

impl<R: Region + Sync, C: Clock + Sync> Waitable for Queue<R, C> {}

#[cfg(feature = "fifo")]
impl<R: Region + Sync, C: Clock + Sync> Waitable for FifoQueue<R, C> {}

impl<R: Region, C: Clock> Queue<R, C> {
    /// Wakes somebody else if something is visible: a wake-up came here that is not used.
    pub(super) fn pass_on(&self) {
        if self.region.check().is_ok() {
            let store = self.store();
            if store.visible(self.now_ms(&store)) != 0 {
                self.notify(&store, 1);
            }
        }
    }
}

impl<R: Region, C: Clock> sealed::Waiting for Queue<R, C> {
    fn look(&self) -> Result<bool, Error> {
        self.check()?;
        let store = self.store();
        let now_ms = self.now_ms(&store);
        self.tend_sometimes(&store, now_ms);
        self.check()?; // before anything of a file that is cut short is touched
        if store.is_due(now_ms) {
            let expired = self.expire(&store, now_ms);
            self.notify_if(&store, expired.saturating_sub(1)); // one is for the caller
        }
        // A FIFO queue gives nothing when as much as may be is in flight: who waits waits on.
        let full = self.place.is_fifo() && self.admit_receive(&store, 1).is_err();
        Ok(!full && store.has_visible())
    }

    fn pass_on(&self) {
        Queue::pass_on(self);
    }

    #[cfg(feature = "std")]
    fn prepare(&self) -> u32 {
        self.store().head().event.prepare()
    }

    #[cfg(feature = "std")]
    fn bed(&self, sequence: u32) -> (crate::region::Futex, core::time::Duration) {
        let (word, shared) = (&self.store().head().event.sequence, self.region.is_shared());
        let futex = crate::region::Futex::new(word, sequence, shared);
        (futex, self.nap())
    }

    #[cfg(feature = "std")]
    fn sleep_here(&self, sequence: u32, nap: core::time::Duration) {
        let word = &self.store().head().event.sequence;
        crate::region::futex_wait(word, sequence, nap, self.region.is_shared());
    }

    #[cfg(feature = "std")]
    fn begin(&self) {
        if self.tends {
            self.region.wait_begins();
        }
    }

    #[cfg(feature = "std")]
    fn end(&self) {
        if self.tends {
            self.region.wait_ends();
        }
    }

    #[cfg(feature = "async")]
    fn wakers(&self) -> &crate::sync::WakerSet {
        self.region.wakers()
    }

    #[cfg(feature = "async")]
    fn arm(&self, _slot: usize) {
        self.region.arm(&self.place);
    }
}

/// As the queue's inner handle, which says of itself that it is a FIFO queue's.
#[cfg(feature = "fifo")]
impl<R: Region, C: Clock> sealed::Waiting for FifoQueue<R, C> {
    fn look(&self) -> Result<bool, Error> {
        sealed::Waiting::look(&self.queue)
    }

    fn pass_on(&self) {
        Queue::pass_on(&self.queue);
    }

    #[cfg(feature = "std")]
    fn prepare(&self) -> u32 {
        self.queue.prepare()
    }

    #[cfg(feature = "std")]
    fn bed(&self, sequence: u32) -> (crate::region::Futex, core::time::Duration) {
        self.queue.bed(sequence)
    }

    #[cfg(feature = "std")]
    fn sleep_here(&self, sequence: u32, nap: core::time::Duration) {
        self.queue.sleep_here(sequence, nap);
    }

    #[cfg(feature = "std")]
    fn begin(&self) {
        self.queue.begin();
    }

    #[cfg(feature = "std")]
    fn end(&self) {
        self.queue.end();
    }

    #[cfg(feature = "async")]
    fn wakers(&self) -> &crate::sync::WakerSet {
        sealed::Waiting::wakers(&self.queue)
    }

    #[cfg(feature = "async")]
    fn arm(&self, slot: usize) {
        self.queue.arm(slot);
    }
}
