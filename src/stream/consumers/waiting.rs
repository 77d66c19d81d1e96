//! A subscription beside queues and cursors in one wait.

use super::subscription::Subscription;
use crate::error::Error;
#[cfg(feature = "std")]
use crate::region::Futex;
use crate::region::Region;
use crate::time::Clock;
use crate::wait::sealed::Waiting;
#[cfg(feature = "std")]
use core::time::Duration;

impl<R: Region + Sync, C: Clock + Sync> crate::wait::Waitable for Subscription<'_, R, C> {}

/// As the cursor, which also looks whether the subscription stands.
impl<R: Region, C: Clock> Waiting for Subscription<'_, R, C> {
    fn look(&self) -> Result<bool, Error> {
        Ok(self.end().is_some() || self.cursor.look()?)
    }

    fn pass_on(&self) {}

    #[cfg(feature = "std")]
    fn prepare(&self) -> u32 {
        self.cursor.prepare()
    }

    #[cfg(feature = "std")]
    fn bed(&self, sequence: u32) -> (Futex, Duration) {
        let (futex, nap) = self.cursor.bed(sequence);
        (futex, nap.min(self.left()))
    }

    #[cfg(feature = "std")]
    fn sleep_here(&self, sequence: u32, nap: Duration) {
        self.cursor.sleep_here(sequence, nap);
    }

    #[cfg(feature = "std")]
    fn begin(&self) {
        self.cursor.begin();
    }

    #[cfg(feature = "std")]
    fn end(&self) {
        Waiting::end(&self.cursor);
    }

    #[cfg(feature = "async")]
    fn wakers(&self) -> &crate::sync::WakerSet {
        self.cursor.wakers()
    }

    #[cfg(feature = "async")]
    fn arm(&self, slot: usize) {
        self.cursor.arm(slot);
    }
}
