//! A short pause after a lost compare-exchange.

use crate::sync::spin_hint;

/// Waits longer each time, up to 64 spin hints; never yields, since the winner is on its way.
pub(super) struct Backoff(u32);

impl Backoff {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self(0)
    }

    /// Pauses: twice as long as the last time.
    #[cold]
    #[inline(never)]
    pub(super) fn pause(&mut self) {
        #[cfg(ringmain_loom)]
        let rounds = 1;
        #[cfg(not(ringmain_loom))]
        let rounds = 1 << self.0;
        for _ in 0..rounds {
            spin_hint();
        }
        self.0 = (self.0 + 1).min(6);
    }
}
