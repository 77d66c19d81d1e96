//! Settling by receipt: from another thread or another process than the one that received.

use super::batch::Outcomes;
use super::place::Bits;
use super::receipt::Receipt;
use super::standard::Queue;
use super::sweep::BATCH_MAX;
use crate::error::Error;
use crate::region::Region;
use crate::region::arena::Hold;
use crate::sync::Ordering;
use crate::time::Clock;
use core::time::Duration;

impl<R: Region, C: Clock> Queue<R, C> {
    /// Deletes the message of a receive. If it is gone already, that is `Ok`.
    ///
    /// # Errors
    ///
    /// [`Error::StaleReceipt`] (received again: nothing was deleted), [`Error::ForeignReceipt`],
    /// [`Error::MalformedReceipt`], [`Error::Pinned`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn delete(&self, receipt: &Receipt) -> Result<(), Error> {
        self.check()?;
        let store = self.store();
        let mut free = Bits::free(store);
        self.delete_one(receipt, &mut free)?;
        free.flush();
        self.make_durable()
    }

    fn delete_one(&self, receipt: &Receipt, free: &mut Bits<'_>) -> Result<(), Error> {
        let store = self.store();
        let hold = self.hold_of(receipt)?;
        let run = store.measured_run(hold.index as usize);
        #[cfg(feature = "fifo")]
        if self.place.is_fifo() {
            self.delete_in_turn(&store, &hold, run, self.now_ms(&store))?;
            self.notify_turn(&store, 1);
            return Ok(());
        }
        if let Some(run) = store.delete(&hold, run, self.region.owner())? {
            free.add_run(hold.index as usize, run);
        }
        Ok(())
    }

    /// Sets a new visibility timeout for the message of a receive, counted from now: 0 s to 12 h,
    /// and at most 12 h after the receive.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::NotInFlight`], [`Error::StaleReceipt`],
    /// [`Error::ForeignReceipt`], [`Error::MalformedReceipt`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), Error> {
        self.check()?;
        let hold = self.hold_of(receipt)?;
        self.extend_hold(&hold, receipt.received_ms(), visibility)
            .map(|_| ())
    }

    /// Makes the message of a receive visible at once.
    ///
    /// # Errors
    ///
    /// [`Error::NotInFlight`], [`Error::StaleReceipt`], [`Error::ForeignReceipt`],
    /// [`Error::MalformedReceipt`], [`Error::Pinned`], [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn release(&self, receipt: &Receipt) -> Result<(), Error> {
        self.check()?;
        self.release_hold(&self.hold_of(receipt)?)
    }

    /// [`delete`](Queue::delete) for 1 to 10 receipts, each with its own outcome.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::Forked`]: then nothing is done.
    pub fn delete_batch(&self, receipts: &[Receipt]) -> Result<Outcomes<()>, Error> {
        let mut free = Bits::free(self.store());
        let mut outcomes = self.each(receipts, |receipt| self.delete_one(receipt, &mut free))?;
        free.flush();
        self.make_all_durable(&mut outcomes);
        Ok(outcomes)
    }

    /// [`extend`](Queue::extend) for 1 to 10 receipts, each with its own outcome.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::Forked`]: then nothing is done.
    pub fn extend_batch(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Outcomes<()>, Error> {
        self.each(receipts, |receipt| self.extend(receipt, visibility))
    }

    /// [`release`](Queue::release) for 1 to 10 receipts, each with its own outcome.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::Forked`]: then nothing is done.
    pub fn release_batch(&self, receipts: &[Receipt]) -> Result<Outcomes<()>, Error> {
        self.each(receipts, |receipt| self.release(receipt))
    }

    /// The hold that a receipt names. One from before a power loss names none.
    pub(super) fn hold_of(&self, receipt: &Receipt) -> Result<Hold, Error> {
        let store = self.store();
        let hold = receipt.hold(self.name(&store), self.place.shape.slots)?;
        let recovered_ms = store.head().seldom.recovered_ms.load(Ordering::Relaxed);
        if self.place.is_journaled() && receipt.received_ms() < recovered_ms {
            return Err(Error::StaleReceipt);
        }
        Ok(hold)
    }

    fn each(
        &self,
        receipts: &[Receipt],
        settle: impl FnMut(&Receipt) -> Result<(), Error>,
    ) -> Result<Outcomes<()>, Error> {
        self.check()?;
        if receipts.is_empty() || receipts.len() > BATCH_MAX {
            return Err(Error::BatchSize {
                len: receipts.len(),
            });
        }
        Ok(receipts.iter().map(settle).collect())
    }
}
