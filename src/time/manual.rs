//! A clock that is set by hand: tests of timeouts run on it.

use super::Clock;
use crate::sync::{AtomicU64, Ordering, const_fn};
use core::time::Duration;

/// Stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    const_fn! {
        /// A clock that shows `now_ms`.
        pub fn new(now_ms: u64) -> Self {
            Self(AtomicU64::new(now_ms))
        }
    }

    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// Sets it, also backwards.
    pub fn set_ms(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    #[inline(always)]
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
