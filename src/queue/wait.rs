//! Long polling: sleeping until a message comes.

use super::batch::Batch;
use super::received::Received;
use super::standard::{Queue, TEND_EVERY_MS};
use crate::error::Error;
use crate::region::{Region, futex_wait};
use crate::time::{Clock, Deadline, spins};
use crate::wait::{WAIT_MS_MAX, Waiting, check_wait};
use core::time::Duration;

/// The longest sleep in private memory, ms: there nobody else looks at the time.
const SLEEP_MS_MAX: u64 = 250;

impl<R: Region, C: Clock> Queue<R, C> {
    /// [`receive`](Queue::receive) that waits up to `timeout` (0 to 20 s) for a message.
    ///
    /// It spins briefly if the machine has a second core, then sleeps; a sender wakes it. Each
    /// message wakes one sleeper. While it sleeps over shared memory, a thread of its attachment
    /// watches for the deaths of others; where the kernel does not tell of them, and at a handle
    /// that [leaves tending](Queue::leave_tending) to others, it wakes every 8 ms to look.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Waits for a message, for nothing else.
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Option<Received<'_, R, C>>, Error> {
        Ok(self.receive_batch_timeout(1, timeout)?.pop())
    }

    /// [`receive_batch`](Queue::receive_batch) that waits up to `timeout` (0 to 20 s) for the first
    /// message.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::BatchSize`], [`Error::Forked`].
    pub fn receive_batch_timeout(
        &self,
        max: usize,
        timeout: Duration,
    ) -> Result<Batch<'_, R, C>, Error> {
        check_wait(timeout)?;
        let batch = self.receive_some(max, None)?;
        if !batch.is_empty() || timeout.is_zero() {
            return Ok(batch);
        }
        let deadline = Deadline::after(timeout);
        for _ in 0..spins() {
            crate::sync::spin_hint();
        }
        let mut waiting = None;
        loop {
            let batch = self.receive_some(max, None)?;
            if !batch.is_empty() || deadline.left().is_zero() {
                return Ok(batch);
            }
            if self.tends {
                waiting.get_or_insert_with(|| Waiting::at(&self.region));
            }
            let sequence = self.store().head().event.prepare();
            let batch = self.receive_some(max, None)?;
            if !batch.is_empty() {
                return Ok(batch);
            }
            self.sleep(sequence, deadline.left());
        }
    }

    /// Sleeps until woken, until something may be due, or until it is time to tend.
    fn sleep(&self, sequence: u32, left: Duration) {
        let nap = self.nap().min(left);
        let event = &self.store().head().event;
        futex_wait(&event.sequence, sequence, nap, self.region.is_shared());
    }

    /// How long a thread may sleep here that has read the sequence and has found nothing.
    pub(super) fn nap(&self) -> Duration {
        let store = self.store();
        let longest = match (self.region.is_shared(), self.tends) {
            (false, _) => SLEEP_MS_MAX,
            // [warden-lost] looked at after the sequence was read.
            (true, true) if self.region.is_watched() => WAIT_MS_MAX,
            (true, _) => TEND_EVERY_MS,
        };
        let due = store.least_due_ms().saturating_sub(self.now_ms(&store));
        Duration::from_millis(longest.min(due.max(1)))
    }
}
