//! Waiting as a future, for any executor.

use super::batch::Batch;
use super::received::Received;
use super::standard::Queue;
use super::sweep::BATCH_MAX;
use crate::error::Error;
use crate::region::Region;
use crate::sync::WAKERS;
use crate::time::Clock;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

impl<R: Region, C: Clock> Queue<R, C> {
    /// Waits for one message.
    ///
    /// In one process a sender wakes the future. Over a mapped region a thread of this attachment
    /// sleeps for all its futures: it passes on wake-ups of other processes, visibility timeouts
    /// and deaths. Over heap and static memory a message whose visibility runs out is noticed
    /// by the next call of anybody.
    ///
    /// Dropping the future loses nothing: a wake-up that it had been given goes to the next one.
    ///
    /// # Errors
    ///
    /// [`Error::Waiters`]: more than 64 futures wait at this region in this process (4 on bare
    /// metal). [`Error::Forked`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Heap, Queue, QueueOptions};
    /// # async fn work(queue: &Queue<Heap>) -> Result<(), ringmain::Error> {
    /// let received = queue.receive_async().await?;
    /// println!("{} bytes", received.body().len());
    /// received.delete()
    /// # }
    /// ```
    pub fn receive_async(&self) -> ReceiveFuture<'_, R, C> {
        ReceiveFuture(self.receive_batch_async(1))
    }

    /// Waits for the first of up to `max` (1 to 10) messages.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], and those of [`receive_async`](Queue::receive_async).
    pub fn receive_batch_async(&self, max: usize) -> ReceiveBatchFuture<'_, R, C> {
        ReceiveBatchFuture {
            queue: self,
            max,
            slot: None,
        }
    }
}

/// What [`Queue::receive_async`] returns.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct ReceiveFuture<'q, R: Region, C: Clock>(ReceiveBatchFuture<'q, R, C>);

/// What [`Queue::receive_batch_async`] returns.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct ReceiveBatchFuture<'q, R: Region, C: Clock> {
    queue: &'q Queue<R, C>,
    max: usize,
    slot: Option<usize>,
}

impl<'q, R: Region, C: Clock> Future for ReceiveFuture<'q, R, C> {
    type Output = Result<Received<'q, R, C>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.0).poll(context) {
            Poll::Ready(Ok(mut batch)) => match batch.pop() {
                Some(received) => Poll::Ready(Ok(received)),
                None => Poll::Pending, // a batch that is ready is not empty
            },
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<'q, R: Region, C: Clock> Future for ReceiveBatchFuture<'q, R, C> {
    type Output = Result<Batch<'q, R, C>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        if self.max == 0 || self.max > BATCH_MAX {
            return Poll::Ready(Err(Error::BatchSize { len: self.max }));
        }
        #[cfg(feature = "fifo")]
        if self.slot.is_none() {
            queue.admit_call_now(super::fifo::Call::Receive)?; // a wait is one call
        }
        let batch = queue.receive_some(self.max, None)?;
        if !batch.is_empty() {
            if let Some(slot) = self.slot.take() {
                queue.region.wakers().give_back(slot);
            }
            return Poll::Ready(Ok(batch));
        }
        let wakers = queue.region.wakers();
        let slot = match self.slot {
            Some(slot) => slot,
            None => wakers.take().ok_or(Error::Waiters { max: WAKERS })?,
        };
        self.slot = Some(slot);
        wakers.put(slot, context.waker());
        queue.region.arm(&queue.place);
        let batch = queue.receive_some(self.max, None)?;
        if batch.is_empty() {
            return Poll::Pending;
        }
        self.leave();
        Poll::Ready(Ok(batch))
    }
}

impl<R: Region, C: Clock> ReceiveBatchFuture<'_, R, C> {
    /// Gives the slot back; a wake-up that this future does not use goes to the next one.
    fn leave(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        if self.queue.region.wakers().give_back(slot) {
            self.queue.pass_on();
        }
    }
}

impl<R: Region, C: Clock> Drop for ReceiveBatchFuture<'_, R, C> {
    fn drop(&mut self) {
        self.leave();
    }
}
