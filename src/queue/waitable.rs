//! What one can wait for together with others.

#[cfg(feature = "fifo")]
use super::fifo::FifoQueue;
use super::standard::Queue;
use crate::error::Error;
use crate::region::Region;
use crate::sync::{AtomicU32, Ordering};
use crate::time::Clock;

/// The most queues that are waited for at once: as many words as one thread can sleep on.
pub const QUEUES_MAX: usize = 128; // FUTEX_WAITV_MAX

/// A queue of whatever region and clock, for [`wait_any`](crate::wait_any) and, with feature
/// `async`, `wait_any_async`. Implemented by [`Queue`] and `FifoQueue`, and by nothing outside this
/// library. At a FIFO queue one waits for a group that is free.
pub trait Waitable: sealed::Waiting + Sync {}

impl<R: Region + Sync, C: Clock + Sync> Waitable for Queue<R, C> {}

#[cfg(feature = "fifo")]
impl<R: Region + Sync, C: Clock + Sync> Waitable for FifoQueue<R, C> {}

pub(super) mod sealed {
    use crate::error::Error;

    /// What a queue does for those who wait for several.
    pub trait Waiting {
        /// Whether something is visible now; makes visible what is due, and tends now and then.
        fn look(&self) -> Result<bool, Error>;

        /// Wakes somebody else if something is visible: a wake-up came here that is not used.
        fn pass_on(&self);

        /// First step of a thread that sleeps; see `region::event`.
        #[cfg(feature = "std")]
        fn prepare(&self) -> u32;

        /// Where and for how long the thread may sleep after it has found nothing.
        #[cfg(feature = "std")]
        fn bed(&self, sequence: u32) -> (crate::region::Futex, core::time::Duration);

        /// [`bed`](Waiting::bed) for one who can sleep at one queue only. Sleeps `nap` at most.
        #[cfg(feature = "std")]
        fn sleep_here(&self, sequence: u32, nap: core::time::Duration);

        /// A thread begins to sleep here.
        #[cfg(feature = "std")]
        fn begin(&self);

        /// A thread that had begun to sleep here goes on.
        #[cfg(feature = "std")]
        fn end(&self);

        /// The futures that wait here.
        #[cfg(feature = "async")]
        fn wakers(&self) -> &crate::sync::WakerSet;

        /// Sees to it that they are woken by what happens in other processes.
        #[cfg(feature = "async")]
        fn arm(&self);
    }
}

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
    fn arm(&self) {
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
    fn arm(&self) {
        self.queue.arm();
    }
}

/// An error unless there are 1 to 128.
pub(super) fn check_count(len: usize) -> Result<(), Error> {
    if (1..=QUEUES_MAX).contains(&len) {
        return Ok(());
    }
    Err(Error::OutOfRange {
        what: "queues to wait for",
        value: len as u64,
        min: 1,
        max: QUEUES_MAX as u64,
    })
}

/// Which of the queues has something visible. Begins at another one with each call.
pub(super) fn look_at_all(queues: &[&dyn Waitable]) -> Result<Option<usize>, Error> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let len = queues.len();
    let first = TURN.fetch_add(1, Ordering::Relaxed) as usize;
    for step in 0..len {
        let index = (first % len + step) % len;
        if queues[index].look()? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}
