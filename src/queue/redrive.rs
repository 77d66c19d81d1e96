//! Redrive: messages of a queue of dead letters go back to work.

use super::dead::Moved;
use super::received::Received;
use super::standard::Queue;
use crate::error::Error;
#[cfg(feature = "std")]
use crate::region::moving::origin_slot;
use crate::region::{Neighbour, Region};
use crate::time::Clock;
use core::mem::ManuallyDrop;

impl<R: Region, C: Clock> Queue<R, C> {
    /// Moves up to `max` messages that are visible now to another queue, where they are as if sent
    /// just then: with an id, a send time and a receive count of their own. Returns how many moved:
    /// fewer than `max` if no more are visible, or the other queue is full. One that is longer than
    /// the other queue takes stays, and is visible again when its visibility timeout runs out, but
    /// not before 1 s. What was tried and stays has one receive more, which the figures do not
    /// count.
    ///
    /// Each is moved whole, wherever this process dies. What a death has left in mid-move is
    /// finished by the next call with the same two queues.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if `to` is this queue; [`Error::InFlight`], [`Error::Deleted`],
    /// [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free; a scan of the slots in use comes first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Heap, Queue, QueueOptions};
    /// # let dead = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// # let jobs = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// dead.send(b"try again")?;
    /// assert_eq!(dead.redrive(&jobs, u64::MAX)?, 1);
    /// assert!(dead.receive()?.is_none());
    /// assert_eq!(jobs.receive()?.map(|job| job.receive_count()), Some(1));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn redrive<D: Region, E: Clock>(&self, to: &Queue<D, E>, max: u64) -> Result<u64, Error> {
        self.check()?;
        to.check()?;
        if self.name(&self.store()) == to.name(&to.store()) {
            return Err(Error::OutOfRange {
                what: "queues to redrive to other than the queue itself",
                value: 0,
                min: 1,
                max: 1,
            });
        }
        let to = Neighbour {
            region: &to.region,
            place: &to.place,
        };
        self.finish_moves_to(&[to], false);
        let mut moved = 0;
        while moved < max {
            let Some(received) = self.receive_to_move()? else {
                break;
            };
            match received.move_on(&to) {
                Ok(Moved::Away) => moved += 1,
                Ok(_) => {} // its time was over
                Err((Moved::Full, received)) => {
                    received.stays(true);
                    break;
                }
                Err((_, received)) => received.stays(false),
            }
        }
        Ok(moved)
    }

    /// Whether moves from here or to here wait for somebody to finish them.
    #[cfg(feature = "std")]
    pub(crate) fn has_unfinished_moves(&self) -> bool {
        self.region.check().is_ok() && self.store().has_unfinished_moves()
    }

    /// Makes messages of the orphans whose source queue is gone: nobody else has them.
    #[cfg(feature = "std")]
    pub(crate) fn adopt_orphans(&self, nonces: &[u64]) {
        let store = self.store();
        let landed = store.adopt_orphans(&|word| {
            nonces
                .iter()
                .any(|&nonce| origin_slot(word, nonce).is_some())
        });
        #[cfg(feature = "fifo")]
        if self.place.is_fifo() && landed != 0 {
            store.mend_sends(0..usize::MAX, self.region.owner());
        }
        self.notify_if(&store, landed);
    }

    /// The queue's nonce.
    #[cfg(feature = "std")]
    pub(crate) fn nonce(&self) -> u64 {
        self.name(&self.store())
    }
}

impl<R: Region, C: Clock> Received<'_, R, C> {
    /// Moves the message to another queue as if it were sent there now. If that cannot take it, it
    /// is still held.
    pub(crate) fn move_on(self, to: &Neighbour<'_>) -> Result<Moved, (Moved, Self)> {
        let (queue, store) = (self.queue, self.queue.store());
        match queue.move_to(&store, &self.hold, &self.stored, to, true) {
            stays @ (Moved::Full | Moved::Unfit) => Err((stays, self)),
            moved => {
                let _ = ManuallyDrop::new(self); // it is no longer this receive's
                Ok(moved)
            }
        }
    }
}
