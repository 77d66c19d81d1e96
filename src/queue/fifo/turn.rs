//! What a queue does otherwise if it is a FIFO queue: how one receives, settles, and is woken.
//!
//! A sleeper is woken for a ticket, that is when a group becomes free. Whoever may have issued one
//! looks after its change whether there is any; so a wake-up may find that it was for nothing, and
//! none is missing.

use crate::error::Error;
use crate::queue::Queue;
use crate::queue::batch::Batch;
use crate::queue::received::Received;
use crate::queue::sweep::{BATCH_MAX, Receive};
use crate::region::Region;
use crate::region::arena::Hold;
use crate::region::fifo::due::Now;
use crate::region::fifo::turn::Turn;
use crate::region::store::Store;
use crate::time::Clock;

impl<R: Region, C: Clock> Queue<R, C> {
    /// Wakes up to `count` of those who wait if there are groups to receive from.
    #[inline(always)]
    pub(in crate::queue) fn notify_turn(&self, store: &Store<'_>, count: u32) {
        let waits = store.head().event.has_sleepers();
        if waits || cfg!(feature = "async") {
            self.notify_turn_now(store, count);
        }
    }

    #[cold]
    fn notify_turn_now(&self, store: &Store<'_>, count: u32) {
        let tickets = store.tickets().len().min(count as usize);
        self.notify_if(store, tickets as u32);
    }

    /// Receives up to `max` messages, group by group. The batch is filled where its caller has it:
    /// a copy would read what was just written.
    #[inline(always)]
    pub(in crate::queue) fn receive_groups(
        &self,
        max: usize,
        visibility_ms: Option<u64>,
    ) -> Result<Batch<'_, R, C>, Error> {
        let mut batch = Batch::new(self);
        match self.fill_by_groups(&mut batch, max, visibility_ms) {
            Ok(()) => Ok(batch),
            Err(error) => Err(error),
        }
    }

    /// Receives the oldest message of one group: without a batch's way to its caller.
    pub(in crate::queue) fn receive_from_group(&self) -> Result<Option<Received<'_, R, C>>, Error> {
        let mut batch = Batch::new(self);
        self.fill_by_groups(&mut batch, 1, None)?;
        Ok(batch.pop())
    }

    /// The same into an empty batch. By itself, since it needs all registers.
    #[inline(never)]
    fn fill_by_groups<'q>(
        &'q self,
        batch: &mut Batch<'q, R, C>,
        max: usize,
        visibility_ms: Option<u64>,
    ) -> Result<(), Error> {
        if max == 0 || max > BATCH_MAX {
            return Err(Error::BatchSize { len: max });
        }
        self.check()?;
        let store = self.store();
        let max = match self.admit_receive(&store, max) {
            Ok(max) => max,
            // There is nothing to receive then.
            Err(Error::InFlight { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let how = self.how(&store, max, visibility_ms);
        let each = |hold| match self.admit_hold(&store, hold, &how) {
            Some(received) => {
                batch.push(received);
                true
            }
            None => false,
        };
        let expired = self.receive_in_turn(&store, &how, each);
        self.end_receive(&store, &how, expired, batch.is_empty());
        #[cfg(feature = "std")]
        batch.count_latency(&store, how.now_ms);
        Ok(())
    }

    /// Receives up to `how.max` messages, group by group. Returns how many became visible.
    #[inline]
    pub(in crate::queue) fn receive_in_turn(
        &self,
        store: &Store<'_>,
        how: &Receive,
        found: impl FnMut(Hold) -> bool,
    ) -> u32 {
        let expired = match store.is_due(how.now_ms) {
            true => self.expire_groups(store, how.now_ms),
            false => 0,
        };
        let turn = Turn {
            owner: how.owner,
            borrowed: how.borrowed,
            now_ms: how.now_ms,
            due_at_ms: how.due_at_ms,
        };
        store.receive_in_turn(&turn, how.max, found);
        expired
    }

    /// Makes ready what is due, and drops what is too old. Returns how many became ready.
    #[cold]
    pub(in crate::queue) fn expire_groups(&self, store: &Store<'_>, now_ms: u64) -> u32 {
        store.expire_groups(&Now {
            now_ms,
            oldest_ms: self.oldest_ms(store),
            owner: self.region.owner(),
        })
    }

    /// Deletes the message of a hold, and says if it came too late.
    pub(in crate::queue) fn delete_in_turn(
        &self,
        store: &Store<'_>,
        hold: &Hold,
        run: usize,
        now_ms: u64,
    ) -> Result<(), Error> {
        outcome_of(store.delete_in_turn(hold, run, now_ms, self.region.owner()))
    }
}

/// What a delete says of it.
#[inline(always)]
pub(in crate::queue) fn outcome_of(deleted: Result<bool, Error>) -> Result<(), Error> {
    match deleted {
        Ok(_) => Ok(()),
        Err(Error::NotInFlight) => Err(Error::ExpiredReceipt),
        Err(error) => Err(error),
    }
}
