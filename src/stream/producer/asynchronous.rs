//! Waiting until something is due, on an executor. A producer waits for the time alone, and nothing
//! here has a timer: whoever calls has one, of its executor or of its chip.

use super::buffered::StreamProducer;
use super::outcome::{PutOutcome, PutToken};
use crate::error::Error;
use crate::region::Region;
use crate::stream::StreamEntry;
use crate::time::Clock;
use core::future::Future;
use core::time::Duration;

impl<R: Region, C: Clock> StreamProducer<'_, R, C> {
    /// [`put_entry`](Self::put_entry) that waits until there is room: until what waits was put, or
    /// has an outcome, of which `told` is told then. `sleep` makes a future that is ready after the
    /// given time, as the timer of any executor does.
    ///
    /// Dropping the future loses nothing: the record was not accepted.
    ///
    /// # Errors
    ///
    /// Those of [`put_entry`](Self::put_entry), but [`Error::BufferFull`].
    ///
    /// # Progress
    ///
    /// Waits for shards that refuse records, for nothing else.
    pub async fn put_async<S: Future<Output = ()>>(
        &mut self,
        entry: &StreamEntry<'_>,
        mut sleep: impl FnMut(Duration) -> S,
        mut told: impl FnMut(PutOutcome),
    ) -> Result<PutToken, Error> {
        loop {
            let full = match self.put_entry(entry) {
                Err(full @ Error::BufferFull { .. }) => full,
                put => return put,
            };
            let mut room = false;
            while let Some(outcome) = self.next_outcome() {
                told(outcome);
                room = true;
            }
            if !room {
                let due = self.next_due().ok_or(full)?;
                sleep(due).await;
            }
        }
    }

    /// [`flush`](Self::flush) until nothing waits: what was refused is tried again when it is due,
    /// and has an outcome at the latest when its time is over. `sleep` makes a future that is ready
    /// after the given time.
    ///
    /// Dropping the future loses nothing: what waits goes on waiting, for the next call.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush).
    ///
    /// # Progress
    ///
    /// Waits for shards that refuse records, for nothing else.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::future::Future;
    /// use core::time::Duration;
    /// use ringmain::{Heap, ProducerOptions, Stream, StreamOptions, StreamProducer};
    ///
    /// // With tokio: `tokio::time::sleep`; with embassy: `Timer::after`, behind a conversion.
    /// async fn telemetry<S: Future<Output = ()>>(
    ///     sleep: impl FnMut(Duration) -> S,
    /// ) -> Result<(), ringmain::Error> {
    ///     let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    ///     let mut producer = StreamProducer::new(&stream, ProducerOptions::new())?;
    ///     producer.put("boiler-7", b"81.5")?;
    ///     producer.flush_async(sleep).await
    /// }
    /// # use std::task::{Context, Poll, Waker};
    /// # let mut done = std::pin::pin!(telemetry(|_| std::future::ready(())));
    /// # assert!(done.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    /// ```
    pub async fn flush_async<S: Future<Output = ()>>(
        &mut self,
        mut sleep: impl FnMut(Duration) -> S,
    ) -> Result<(), Error> {
        while self.flush()? != 0 {
            if let Some(due) = self.next_due() {
                sleep(due).await;
            }
        }
        Ok(())
    }
}
