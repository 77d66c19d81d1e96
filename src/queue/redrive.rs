//! Redrive: messages of a queue of dead letters go back to work.

use super::dead::Moved;
use super::received::Received;
use super::standard::Queue;
use crate::error::Error;
use crate::region::{Neighbour, Region};
use crate::time::Clock;
use core::mem::ManuallyDrop;

impl<R: Region, C: Clock> Queue<R, C> {
    /// Moves up to `max` messages that are visible now to another queue, where they are as if sent
    /// just then: with an id, a send time and a receive count of their own. Returns how many moved:
    /// fewer than `max` if no more are visible, or the other queue is full.
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
        self.finish_moves_to(&[to]);
        let mut moved = 0;
        while moved < max {
            let Some(received) = self.receive()? else {
                break;
            };
            match received.move_on(&to) {
                Moved::Moved => moved += 1,
                Moved::Lost => {}
                Moved::Stays => break,
            }
        }
        Ok(moved)
    }
}

impl<R: Region, C: Clock> Received<'_, R, C> {
    /// Moves the message to another queue as if it were sent there now. If it stays, it is visible.
    pub(crate) fn move_on(self, to: &Neighbour<'_>) -> Moved {
        let this = ManuallyDrop::new(self); // it is moved, lost or released here
        let (queue, store) = (this.queue, this.queue.store());
        let moved = queue.move_to(&store, &this.hold, &this.stored, to, true);
        if moved == Moved::Stays {
            // It may have run out, and be visible by that.
            let _ = queue.release_hold(&this.hold);
        }
        moved
    }
}
