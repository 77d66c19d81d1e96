//! A thread that waits at a region.

use crate::error::Error;
use crate::region::Region;
use core::time::Duration;

/// The longest wait: 20 s.
pub const WAIT_MS_MAX: u64 = 20_000;

/// A thread that sleeps at a region, as its warden counts it.
pub struct Waiting<'r, R: Region>(&'r R);

impl<'r, R: Region> Waiting<'r, R> {
    /// It begins to.
    pub fn at(region: &'r R) -> Self {
        region.wait_begins();
        Self(region)
    }
}

impl<R: Region> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        self.0.wait_ends();
    }
}

/// A timeout in range, or what is wrong with it.
pub fn check_wait(timeout: Duration) -> Result<(), Error> {
    let value = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    if value <= WAIT_MS_MAX {
        return Ok(());
    }
    Err(Error::OutOfRange {
        what: "wait (ms)",
        value,
        min: 0,
        max: WAIT_MS_MAX,
    })
}
