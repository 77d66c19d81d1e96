//! Waiting until something is due, in real time. Whoever has to do something else meanwhile asks
//! [`next_due`](StreamProducer::next_due), and waits for both.

use super::buffered::StreamProducer;
use crate::error::Error;
use crate::region::{Region, futex_wait};
use crate::sync::AtomicU32;
use crate::time::{Clock, Deadline};
use crate::wait::check_wait;
use core::time::Duration;

/// Sleeps: nobody knows of the word.
fn sleep(time: Duration) {
    if !time.is_zero() {
        futex_wait(&AtomicU32::new(0), 0, time, false);
    }
}

impl<R: Region, C: Clock> StreamProducer<'_, R, C> {
    /// [`poll`](Self::poll), after a sleep of up to `timeout` (0 to 20 s) until something is due.
    ///
    /// # Errors
    ///
    /// Those of [`poll`](Self::poll), and [`Error::OutOfRange`] for a timeout beyond 20 s.
    ///
    /// # Progress
    ///
    /// Waits for the time, for nothing else.
    pub fn poll_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        check_wait(timeout)?;
        self.stream.region().check()?;
        sleep(self.next_due().map_or(timeout, |due| due.min(timeout)));
        self.poll()
    }

    /// [`flush`](Self::flush), and up to `timeout` (0 to 20 s) for what was refused to be tried
    /// again. How many records wait still.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush), and [`Error::OutOfRange`] for a timeout beyond 20 s.
    ///
    /// # Progress
    ///
    /// Waits for shards that refuse records, for nothing else.
    pub fn flush_timeout(&mut self, timeout: Duration) -> Result<usize, Error> {
        check_wait(timeout)?;
        let deadline = Deadline::after(timeout);
        loop {
            let waiting = self.flush()?;
            let left = deadline.left();
            if waiting == 0 || left.is_zero() {
                return Ok(waiting);
            }
            sleep(self.next_due().map_or(left, |due| due.min(left)));
        }
    }
}
