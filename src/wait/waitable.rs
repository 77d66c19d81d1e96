//! What one can wait for together with others.

use crate::error::Error;
use crate::sync::{AtomicU32, Ordering};

/// The most that is waited for at once: as many words as one thread can sleep on.
pub const WAITED_MAX: usize = 128; // FUTEX_WAITV_MAX

/// A queue of whatever region and clock, or a stream's cursor, for [`wait_any`](crate::wait_any)
/// and, with feature `async`, `wait_any_async`. Implemented by `Queue`, `FifoQueue` and `Cursor`,
/// and by nothing outside this library. At a FIFO queue one waits for a group that is free, at a
/// cursor for the next record of its shard.
pub trait Waitable: sealed::Waiting + Sync {}

pub(crate) mod sealed {
    use crate::error::Error;

    /// What a queue or cursor does for those who wait for several.
    pub trait Waiting {
        /// Whether there is something now; makes visible what is due, and tends now and then.
        fn look(&self) -> Result<bool, Error>;

        /// Wakes somebody else if something is visible: a wake-up came here that is not used. For
        /// a cursor it is nothing: each record wakes all who wait for it.
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

        /// Sees to it that the one in this place of the set is woken by what happens from now on,
        /// in other processes too. Look after this.
        #[cfg(feature = "async")]
        fn arm(&self, slot: usize);
    }
}

/// An error unless there are 1 to 128.
pub(super) fn check_count(len: usize) -> Result<(), Error> {
    if (1..=WAITED_MAX).contains(&len) {
        return Ok(());
    }
    Err(Error::OutOfRange {
        what: "queues and cursors to wait for",
        value: len as u64,
        min: 1,
        max: WAITED_MAX as u64,
    })
}

/// Which of them has something. Begins at another one with each call.
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
