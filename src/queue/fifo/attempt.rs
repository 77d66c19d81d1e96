//! Receives that may be repeated: by an id, for those whom the answer did not reach.

use super::key::attempt_key;
use super::queue::FifoQueue;
use super::quota::Call;
use crate::error::Error;
use crate::message::name_refused;
use crate::queue::Queue;
use crate::queue::batch::Batch;
use crate::queue::sweep::{BATCH_MAX, Receive};
use crate::region::Region;
use crate::region::fifo::attempts::{Begun, Claim, KEPT_MS};
use crate::region::fifo::ids::IdKey;
use crate::region::fifo::turn::Turn;
use crate::region::store::Store;
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;
use crate::time::Clock;

impl<R: Region, C: Clock> FifoQueue<R, C> {
    /// [`receive_batch`](FifoQueue::receive_batch) that may be repeated: within 5 min a call with
    /// the same id, from whichever process, receives the same messages again, as long as none was
    /// deleted or came back. So one who does not know what became of its receive calls again,
    /// instead of waiting for the visibility timeout.
    ///
    /// The id is 1 to 128 letters, digits and ASCII punctuation, such as a random number for each
    /// receive and its repetitions. A repetition is a new receive of each message: it counts, the
    /// visibility timeout begins anew, and handles and receipts of the call before are stale. It
    /// takes the messages in their order up to `max`, and up to the first that was deleted or came
    /// back, or goes to the dead letters; if that is the very first, it receives as if its id were
    /// new. The 5 min count from the first call. A call that received nothing is not remembered.
    ///
    /// Of two calls with one id at the same time one receives, and the other finds nothing.
    ///
    /// # Errors
    ///
    /// [`Error::AttemptId`]. [`Error::AttemptsFull`]: as many attempts have messages in flight as
    /// are remembered ([`FifoOptions::attempts`](crate::FifoOptions::attempts)).
    /// [`Error::Pinned`]: the first message's present holder and two former ones still read it; the
    /// attempt is as it was. [`Error::Unsupported`]: the queue remembers none. Those of
    /// [`receive_batch`](FifoQueue::receive_batch).
    ///
    /// # Progress
    ///
    /// As [`receive`](FifoQueue::receive).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Error, FifoOptions, FifoQueue, Heap};
    /// # let queue = FifoQueue::create(Heap::new(1 << 20)?, FifoOptions::new())?;
    /// queue.send("customer-7", "order-1", b"2 books")?;
    /// let lost = queue.receive_batch_attempt(10, "attempt-1")?.pop().expect("sent above");
    /// assert!(queue.receive()?.is_none(), "the group is locked");
    /// let again = queue.receive_batch_attempt(10, "attempt-1")?.pop().expect("the same");
    /// assert_eq!((again.body(), again.receive_count()), (&b"2 books"[..], 2));
    /// assert_eq!(lost.delete(), Err(Error::StaleReceipt));
    /// again.delete()?;
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn receive_batch_attempt(&self, max: usize, id: &str) -> Result<Batch<'_, R, C>, Error> {
        if let Some((rule, at)) = name_refused(id) {
            return Err(Error::AttemptId { rule, at });
        }
        if max == 0 || max > BATCH_MAX {
            return Err(Error::BatchSize { len: max });
        }
        if self.queue.place.shape.fifo.sets == 0 {
            let what = "receive attempt ids in a queue that was created to remember none";
            return Err(Error::Unsupported { what });
        }
        self.queue.admit_call_now(Call::Receive)?;
        self.queue.check()?;
        let store = self.queue.store();
        let key = attempt_key(id, self.queue.name(&store));
        self.queue.receive_attempt(&store, max, &key)
    }
}

impl<R: Region, C: Clock> Queue<R, C> {
    fn receive_attempt<'q>(
        &'q self,
        store: &Store<'q>,
        max: usize,
        key: &IdKey,
    ) -> Result<Batch<'q, R, C>, Error> {
        let how = self.how(store, max, None);
        let mut batch = Batch::new(self);
        let claim = match store.begin_attempt(key, how.now_ms, how.owner) {
            Begun::Claimed(claim) => claim,
            Begun::Busy => {
                let counters = &store.head().counters;
                counters.empty_receives.fetch_add(1, Ordering::Relaxed);
                self.tend_sometimes(store, how.now_ms); // it may be a dead one's
                return Ok(batch);
            }
            Begun::Full => {
                self.tend_sometimes(store, how.now_ms);
                let max = self.place.shape.fifo.attempts() as u64;
                return Err(Error::AttemptsFull { max });
            }
        };
        if let Err(error) = self.take_over(store, &claim, &how, &mut batch) {
            store.resume_attempt(claim);
            return Err(error);
        }
        let mut until_ms = None;
        if batch.is_empty() {
            match self.receive_groups(max, None) {
                Ok(received) => batch = received,
                Err(error) => {
                    store.end_attempt(claim, core::iter::empty(), None);
                    return Err(error);
                }
            }
            until_ms = Some(how.now_ms.saturating_add(KEPT_MS));
        } else {
            #[cfg(feature = "std")]
            batch.count_latency(store, how.now_ms);
            self.tend_sometimes(store, how.now_ms);
        }
        let holds = batch.messages.iter().map(|received| received.hold);
        store.end_attempt(claim, holds, until_ms);
        Ok(batch)
    }

    /// Takes the messages of the call before over, up to the first that cannot be had.
    fn take_over<'q>(
        &'q self,
        store: &Store<'q>,
        claim: &Claim<'_>,
        how: &Receive,
        batch: &mut Batch<'q, R, C>,
    ) -> Result<(), Error> {
        let turn = Turn {
            owner: how.owner,
            borrowed: how.borrowed,
            now_ms: how.now_ms,
            due_at_ms: how.due_at_ms,
        };
        let mut sooner = false;
        for former in store.recorded(claim).iter().take(how.max) {
            let hold = match store.take_over(former, &turn) {
                Ok(Some(hold)) => hold,
                Err(error) if batch.is_empty() => return Err(error),
                Ok(None) | Err(_) => break,
            };
            sooner |= store.lower_due(hold.index as usize / BLOCK_SLOTS, how.due_at_ms);
            match self.admit_hold(store, hold, how) {
                Some(received) => batch.push(received),
                None => break,
            }
        }
        if sooner {
            self.notify(store, 1); // who sleeps knows of no due time as near as this
        }
        Ok(())
    }
}
