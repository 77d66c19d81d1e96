//! Long polling: sleeping until a message comes.

use super::batch::Batch;
use super::options::whole_ms;
use super::received::Received;
use super::standard::{Queue, TEND_EVERY_MS};
use crate::error::Error;
use crate::region::{Region, futex_wait};
use crate::time::{Clock, Deadline, spins};
use core::time::Duration;

/// The longest wait: 20 s.
const WAIT_MS_MAX: u64 = 20_000;
/// The longest sleep where nobody can die unseen, ms.
const SLEEP_MS_MAX: u64 = 250;

impl<R: Region, C: Clock> Queue<R, C> {
    /// [`receive`](Queue::receive) that waits up to `timeout` (0 to 20 s) for a message.
    ///
    /// It spins briefly if the machine has a second core, then sleeps; a sender wakes it. Each
    /// message wakes one sleeper. In shared memory it also looks every 8 ms who has died.
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
        let value = whole_ms(timeout);
        if value > WAIT_MS_MAX {
            let what = "wait (ms)";
            return Err(Error::OutOfRange {
                what,
                value,
                min: 0,
                max: WAIT_MS_MAX,
            });
        }
        let batch = self.receive_some(max, None)?;
        if !batch.is_empty() || timeout.is_zero() {
            return Ok(batch);
        }
        let deadline = Deadline::after(timeout);
        for _ in 0..spins() {
            crate::sync::spin_hint();
        }
        loop {
            let batch = self.receive_some(max, None)?;
            if !batch.is_empty() || deadline.left().is_zero() {
                return Ok(batch);
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
        let store = self.store();
        let shared = self.region.is_shared();
        let longest = if shared { TEND_EVERY_MS } else { SLEEP_MS_MAX };
        let due = store
            .least_due_ms()
            .saturating_sub(self.now_ms(&store))
            .max(1);
        let nap = Duration::from_millis(longest.min(due)).min(left);
        futex_wait(&store.head().event.sequence, sequence, nap, shared);
    }
}
