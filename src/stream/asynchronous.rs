//! Waiting for records as a future, for any executor.

use super::cursor::Cursor;
use super::records::Records;
use crate::error::Error;
use crate::region::Region;
use crate::sync::WAKERS;
use crate::time::Clock;
use crate::wait::sealed::Waiting;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

impl<'s, R: Region, C: Clock> Cursor<'s, R, C> {
    /// [`read`](Cursor::read) that waits for the first record.
    ///
    /// In one process a put wakes the future. Over a mapped region a thread of this attachment
    /// sleeps for all its futures: it passes on wake-ups of other processes, and deaths.
    ///
    /// Dropping the future loses nothing: the cursor is where it was.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Cursor::read), and [`Error::Waiters`]: more than 64 futures wait at this
    /// region in this process (4 on bare metal).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Cursor, Heap, DefaultClock};
    /// # type Error = ringmain::Error;
    /// # async fn work(cursor: &mut Cursor<'_, Heap, DefaultClock>) -> Result<(), Error> {
    /// for record in &cursor.read_async(100).await? {
    ///     println!("{}: {:?}", record.key()?, record.data());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_async(&mut self, max: usize) -> ReadFuture<'_, 's, R, C> {
        ReadFuture {
            cursor: Some(self),
            max,
            slot: None,
        }
    }
}

/// What [`Cursor::read_async`] returns.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct ReadFuture<'c, 's, R: Region, C: Clock> {
    /// `None` once it is ready.
    cursor: Option<&'c mut Cursor<'s, R, C>>,
    max: usize,
    slot: Option<usize>,
}

impl<'c, R: Region, C: Clock> Future for ReadFuture<'c, '_, R, C> {
    type Output = Result<Records<'c, R, C>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.look(context) {
            Ok(false) => Poll::Pending,
            Ok(true) => {
                self.leave();
                let max = self.max;
                match self.cursor.take() {
                    Some(cursor) => Poll::Ready(cursor.read(max)),
                    None => Poll::Pending, // it was ready before
                }
            }
            Err(error) => {
                self.leave();
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<R: Region, C: Clock> ReadFuture<'_, '_, R, C> {
    /// Whether a read has something; if not, the waker is in the set.
    fn look(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        let Some(cursor) = &self.cursor else {
            return Ok(true);
        };
        Cursor::<R, C>::check_max(self.max)?;
        if cursor.look()? {
            return Ok(true);
        }
        let wakers = cursor.wakers();
        let slot = match self.slot {
            Some(slot) => slot,
            None => wakers.take().ok_or(Error::Waiters { max: WAKERS })?,
        };
        self.slot = Some(slot);
        wakers.put(slot, context.waker());
        cursor.arm(slot);
        cursor.look()
    }

    /// Gives the slot back. A wake-up is for each who waits, so there is none to pass on.
    fn leave(&mut self) {
        if let (Some(slot), Some(cursor)) = (self.slot.take(), &self.cursor) {
            cursor.wakers().give_back(slot);
        }
    }
}

impl<R: Region, C: Clock> Drop for ReadFuture<'_, '_, R, C> {
    fn drop(&mut self) {
        self.leave();
    }
}
