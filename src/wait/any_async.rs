//! Waiting for several queues and cursors as a future.

use super::waitable::{WAITED_MAX, Waitable, check_count, look_at_all};
use crate::error::Error;
use crate::sync::WAKERS;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// The place in a queue's waker set that is none.
const NOWHERE: u8 = u8::MAX;
const _: () = assert!(WAKERS < NOWHERE as usize);

/// Waits until one of 1 to 128 queues and cursors has something, and returns that one's index. They
/// may be in different regions and homes, and have different clocks. A cursor also has something if
/// its next read is an error.
///
/// It takes nothing: the receive that follows may find that somebody else was faster. If several
/// have something, it is not always the first of them that is named. Dropping the future
/// loses nothing: a wake-up that it had been given, or does not use, goes to the next one.
///
/// # Errors
///
/// [`Error::OutOfRange`]: how many there are. [`Error::Waiters`]: too many futures wait at one of
/// them. [`Error::Forked`].
///
/// # Examples
///
/// ```
/// # use ringmain::{Heap, Queue, wait_any_async};
/// # async fn work(urgent: &Queue<Heap>, normal: &Queue<Heap>) -> Result<(), ringmain::Error> {
/// match wait_any_async(&[urgent, normal]).await? {
///     0 => println!("{:?}", urgent.receive()?),
///     _ => println!("{:?}", normal.receive()?),
/// }
/// # Ok(())
/// # }
/// ```
pub fn wait_any_async<'a>(queues: &'a [&'a dyn Waitable]) -> WaitAnyFuture<'a> {
    WaitAnyFuture {
        queues,
        slots: [NOWHERE; WAITED_MAX],
    }
}

/// What [`wait_any_async`] returns.
#[must_use = "a future does nothing unless it is awaited"]
pub struct WaitAnyFuture<'a> {
    queues: &'a [&'a dyn Waitable],
    slots: [u8; WAITED_MAX],
}

impl core::fmt::Debug for WaitAnyFuture<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WaitAnyFuture")
            .field("queues", &self.queues.len())
            .finish_non_exhaustive()
    }
}

impl Future for WaitAnyFuture<'_> {
    type Output = Result<usize, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        check_count(self.queues.len())?;
        let mut found = look_at_all(self.queues);
        if matches!(found, Ok(None)) {
            found = match self.put_everywhere(context) {
                Ok(()) => look_at_all(self.queues),
                Err(error) => Err(error),
            };
        }
        match found.transpose() {
            None => Poll::Pending,
            Some(found) => {
                self.leave(found.as_ref().ok().copied());
                Poll::Ready(found)
            }
        }
    }
}

impl WaitAnyFuture<'_> {
    /// Puts the waker into each queue's set.
    fn put_everywhere(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        for (queue, slot) in self.queues.iter().zip(&mut self.slots) {
            if *slot == NOWHERE {
                let taken = queue.wakers().take();
                *slot = taken.ok_or(Error::Waiters { max: WAKERS })? as u8;
            }
            queue.wakers().put(usize::from(*slot), context.waker());
            queue.arm(usize::from(*slot));
        }
        Ok(())
    }

    /// Gives all slots back; wake-ups of queues that are not `used` go to the next ones.
    fn leave(&mut self, used: Option<usize>) {
        for (index, (queue, slot)) in self.queues.iter().zip(&mut self.slots).enumerate() {
            let slot = core::mem::replace(slot, NOWHERE);
            if slot != NOWHERE && queue.wakers().give_back(usize::from(slot)) && Some(index) != used
            {
                queue.pass_on();
            }
        }
    }
}

impl Drop for WaitAnyFuture<'_> {
    fn drop(&mut self) {
        self.leave(None);
    }
}
