//! A received message, read in place.

#[cfg(feature = "fifo")]
use super::fifo::SequenceNumber;
use super::options::visibility_ms;
use super::place::Bits;
use super::receipt::{MessageId, Receipt};
use super::standard::Queue;
use crate::error::Error;
#[cfg(feature = "fifo")]
use crate::message::Names;
use crate::message::Origin;
use crate::region::Region;
use crate::region::arena::Hold;
use crate::region::body::Stored;
use crate::region::policy::VISIBILITY_MS_MAX;
#[cfg(feature = "std")]
use crate::region::store::Store;
use crate::ring::blocks::BLOCK_SLOTS;
use crate::time::Clock;
use core::fmt;
use core::mem::ManuallyDrop;
use core::time::Duration;

/// One receive of one message; its body is a slice of the region, not a copy.
///
/// The bytes stay as they are for as long as this value lives, even if the visibility timeout runs
/// out and somebody else receives, and deletes, the message meanwhile.
///
/// Dropped without [`delete`](Received::delete) or [`release`](Received::release), the message
/// stays in flight until its visibility timeout runs out, or this process dies.
#[must_use = "an unsettled message comes back when its visibility timeout runs out"]
pub struct Received<'q, R: Region, C: Clock> {
    pub(super) queue: &'q Queue<R, C>,
    pub(super) hold: Hold,
    pub(super) received_ms: u64,
    pub(super) stored: Stored,
}

impl<R: Region, C: Clock> fmt::Debug for Received<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("id", &self.id())
            .field("len", &self.stored.body_len())
            .field("receive_count", &self.receive_count())
            .finish_non_exhaustive()
    }
}

impl<R: Region, C: Clock> Received<'_, R, C> {
    /// The body, in place. Aligned to 8 bytes.
    #[inline]
    pub fn body(&self) -> &[u8] {
        self.queue.body_of(&self.hold, self.stored.body_len())
    }

    #[inline(always)]
    pub(super) fn run(&self) -> usize {
        self.queue.place.shape.run(self.stored.len as usize)
    }

    /// Counts how long it lay, unless it came in the millisecond of its send.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(super) fn count_latency(&self, store: &Store<'_>) {
        if self.hold.sent_ms() != self.received_ms {
            let latency = &store.head().latency;
            latency.count_one(self.hold.sent_ms(), self.received_ms);
        }
    }

    /// The message's id: the one that its send returned, also in a queue of dead letters.
    pub fn id(&self) -> MessageId {
        if let Some(origin) = self.origin() {
            return MessageId::from_words(origin.id);
        }
        MessageId::new(
            self.queue.name(&self.queue.store()),
            self.hold.index,
            self.hold.stamp,
        )
    }

    /// Of a dead letter: the name of the queue that it was moved from, empty if that has none (only
    /// an engine's queues have names). `None` for any other message.
    pub fn source(&self) -> Option<&str> {
        self.origin().map(|origin| origin.source)
    }

    fn origin(&self) -> Option<Origin<'_>> {
        self.queue.origin(&self.hold, &self.stored)
    }

    /// Of a message of a FIFO queue: the id of its group. `None` for any other message.
    #[cfg(feature = "fifo")]
    pub fn group(&self) -> Option<&str> {
        let names = self.queue.names(&self.hold, &self.stored);
        names.map(|names| names.group)
    }

    /// Of a message of a FIFO queue: the deduplication id that its sender gave. `None` if that is
    /// its body's digest, and for any other message.
    #[cfg(feature = "fifo")]
    pub fn deduplication_id(&self) -> Option<&str> {
        let names = self.queue.names(&self.hold, &self.stored);
        names.map(|names| names.id).filter(|id| !id.is_empty())
    }

    /// Of a message of a FIFO queue: its place in the order. `None` for any other message.
    #[cfg(feature = "fifo")]
    pub fn sequence_number(&self) -> Option<SequenceNumber> {
        match self.queue.place.is_fifo() {
            true => self
                .queue
                .store()
                .sequence_of(&self.hold)
                .map(SequenceNumber),
            false => None,
        }
    }

    /// The bytes of the attributes.
    pub(super) fn attributes_bytes(&self) -> &[u8] {
        self.queue.attributes_bytes(&self.hold, &self.stored)
    }

    /// How often the message has been received, this time included; stops at 262 143.
    pub fn receive_count(&self) -> u32 {
        self.hold.receive_count()
    }

    /// When it was sent, ms of the region's time (in mapped regions: close to Unix time).
    pub fn sent_ms(&self) -> u64 {
        self.hold.sent_ms()
    }

    /// When it was received, ms of the region's time.
    pub fn received_ms(&self) -> u64 {
        self.received_ms
    }

    /// When it was received for the first time, ms; this receive's time if nobody knows, which can
    /// be if who received it first died at once.
    pub fn first_received_ms(&self) -> u64 {
        let first = self.queue.store().first_received_ms(&self.hold);
        first.map_or(self.received_ms, |ms| ms.min(self.received_ms))
    }

    /// What deletes, extends or releases this receive from elsewhere.
    pub fn receipt(&self) -> Receipt {
        self.queue.receipt_of(&self.hold, self.received_ms)
    }

    /// Deletes the message: it will not be received again.
    ///
    /// Good also after the visibility timeout has run out, until somebody receives the message
    /// again; but not in a FIFO queue. If it is gone already, that is `Ok`.
    ///
    /// # Errors
    ///
    /// [`Error::StaleReceipt`]: received again meanwhile; nothing was deleted. [`Error::Forked`].
    /// In a FIFO queue [`Error::ExpiredReceipt`], and, if it has a quota, [`Error::Throttled`]: the
    /// message stays in flight, and its receipt good.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline]
    pub fn delete(self) -> Result<(), Error> {
        #[cfg(feature = "fifo")]
        if self.queue.place.is_fifo() {
            return self.delete_from_group();
        }
        let this = ManuallyDrop::new(self);
        let queue = this.queue;
        queue.check()?;
        let store = queue.store();
        if let Some(run) = store.delete(&this.hold, this.run(), queue.region.owner())? {
            store.put_free(this.hold.index as usize, run);
        }
        queue.make_durable()
    }

    /// Makes the message visible at once.
    ///
    /// # Errors
    ///
    /// [`Error::StaleReceipt`], [`Error::NotInFlight`] (its visibility had run out, or it was
    /// deleted), [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn release(self) -> Result<(), Error> {
        let this = ManuallyDrop::new(self);
        this.queue.check()?;
        this.queue.release_hold(&this.hold)
    }

    /// Sets a new visibility timeout, counted from now: 0 s to 12 h, and at most 12 h after the
    /// receive. 0 makes the message visible at once.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::StaleReceipt`], [`Error::NotInFlight`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn extend(&mut self, visibility: Duration) -> Result<(), Error> {
        let queue = self.queue;
        queue.check()?;
        let word = queue.extend_hold(&self.hold, self.received_ms, visibility)?;
        self.hold.word = word;
        Ok(())
    }

    /// Ends the reading and gives the receipt instead. The message stays in flight until its
    /// visibility timeout runs out, even if this process ends.
    pub fn detach(self) -> Receipt {
        let this = ManuallyDrop::new(self);
        let receipt = this.receipt();
        if this.queue.region.check().is_ok() {
            this.queue
                .store()
                .detach(&this.hold, this.queue.region.owner());
        }
        receipt
    }
}

impl<R: Region, C: Clock> Drop for Received<'_, R, C> {
    fn drop(&mut self) {
        if self.queue.region.check().is_ok() {
            self.queue
                .store()
                .unborrow(&self.hold, self.queue.region.owner());
        }
    }
}

impl<R: Region, C: Clock> AsRef<[u8]> for Received<'_, R, C> {
    fn as_ref(&self) -> &[u8] {
        self.body()
    }
}

impl<R: Region, C: Clock> Queue<R, C> {
    #[inline(always)]
    pub(super) fn body_of(&self, hold: &Hold, len: usize) -> &[u8] {
        self.store().held_bytes(hold, len)
    }

    /// Where a dead letter that is held or looked at came from.
    #[inline]
    pub(super) fn origin(&self, hold: &Hold, stored: &Stored) -> Option<Origin<'_>> {
        if !stored.has_origin() {
            return None;
        }
        let bytes = self.body_of(hold, stored.len as usize);
        Origin::read(bytes.get(stored.body_len()..)?)
    }

    /// The bytes of the attributes of a message that is held or looked at.
    #[inline]
    pub(super) fn attributes_bytes(&self, hold: &Hold, stored: &Stored) -> &[u8] {
        let bytes = self.tail_of(hold, stored);
        #[cfg(feature = "fifo")]
        if self.place.is_fifo() {
            let names = Names::read(bytes).map_or(bytes.len(), |names| names.len());
            return &bytes[..bytes.len() - names];
        }
        bytes
    }

    /// What stands behind the body of a message, without an origin.
    #[inline]
    fn tail_of(&self, hold: &Hold, stored: &Stored) -> &[u8] {
        let len = stored.len as usize;
        let behind = self.origin(hold, stored).map_or(0, |origin| origin.len());
        let bytes = self.body_of(hold, len);
        bytes
            .get(stored.body_len()..len - behind)
            .unwrap_or_default()
    }

    /// Group and deduplication id of a message of a FIFO queue that is held or looked at.
    #[cfg(feature = "fifo")]
    #[inline]
    pub(super) fn names(&self, hold: &Hold, stored: &Stored) -> Option<Names<'_>> {
        match self.place.is_fifo() {
            true => Names::read(self.tail_of(hold, stored)),
            false => None,
        }
    }

    pub(super) fn release_hold(&self, hold: &Hold) -> Result<(), Error> {
        let store = self.store();
        let index = hold.index as usize;
        #[cfg(feature = "fifo")]
        if self.place.is_fifo() {
            store.release_in_turn(hold, self.now_ms(&store), self.region.owner())?;
        }
        if !self.place.is_fifo() {
            store.release(hold, self.now_ms(&store), self.region.owner())?;
            let mut ready = Bits::ready(store, 0);
            ready.add(index);
            ready.flush();
        }
        if hold.sent_ms() < self.oldest_ms(&store) {
            // Whoever looks next drops it: while it was held, nobody looked at its age.
            store.lower_due(index / BLOCK_SLOTS, 0);
        }
        self.notify(&store, 1);
        Ok(())
    }

    /// Gives a hold another due time; returns its word.
    pub(super) fn extend_hold(
        &self,
        hold: &Hold,
        received_ms: u64,
        visibility: Duration,
    ) -> Result<crate::region::word::Word, Error> {
        let ms = visibility_ms(visibility)?;
        let store = self.store();
        let now_ms = self.now_ms(&store);
        let age_ms = now_ms.saturating_sub(received_ms);
        let max = VISIBILITY_MS_MAX.saturating_sub(age_ms);
        if ms > max {
            let what = "visibility timeout (ms), with the time since the receive";
            return Err(Error::OutOfRange {
                what,
                value: ms,
                min: 0,
                max,
            });
        }
        let due_at_ms = now_ms.saturating_add(ms);
        let word = store.extend(hold, now_ms, due_at_ms)?;
        let index = hold.index as usize;
        let block = index / BLOCK_SLOTS;
        let sooner = store.lower_due(block, due_at_ms);
        if ms == 0 {
            let expired = match self.place.is_fifo() {
                true => self.expire(&store, now_ms),
                false => {
                    let (oldest_ms, owner) = (self.oldest_ms(&store), self.region.owner());
                    store.expire_block(block, now_ms, oldest_ms, owner)
                }
            };
            self.notify_if(&store, expired);
        } else if sooner {
            self.notify(&store, 1); // who sleeps knows of no due time as near as this
        }
        Ok(word)
    }
}

/// A message that was copied out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Bytes written to the buffer.
    pub len: usize,
    /// What deletes, extends or releases it.
    pub receipt: Receipt,
    /// How often it has been received, this time included.
    pub receive_count: u32,
}
