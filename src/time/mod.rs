//! Floor 0: time, in milliseconds. The only place that reads a clock.

mod manual;
#[cfg(feature = "std")]
mod system;

pub use manual::ManualClock;
#[cfg(feature = "std")]
pub use system::SystemClock;

/// Where a queue gets its time from.
///
/// The same for all participants of a region: milliseconds since a point that does not move while
/// the machine is up. Firmware implements it over its tick counter.
///
/// ```
/// struct Uptime;
/// impl ringmain::Clock for Uptime {
///     fn now_ms(&self) -> u64 {
///         42 // the chip's millisecond counter
///     }
/// }
/// ```
pub trait Clock {
    /// Milliseconds since the clock's origin. If it runs backwards, queues hold on to the latest
    /// time that they have seen.
    fn now_ms(&self) -> u64;
}

impl<C: Clock + ?Sized> Clock for &C {
    #[inline(always)]
    fn now_ms(&self) -> u64 {
        (**self).now_ms()
    }
}

/// The clock that a queue has unless it is given another: the system's.
#[cfg(feature = "std")]
pub type DefaultClock = SystemClock;

/// Without the standard library there is no default clock: name yours.
#[cfg(not(feature = "std"))]
#[derive(Debug)]
pub enum DefaultClock {}

#[cfg(not(feature = "std"))]
impl Clock for DefaultClock {
    fn now_ms(&self) -> u64 {
        match *self {}
    }
}

#[cfg(all(feature = "std", not(ringmain_loom)))]
pub(crate) use system::{Deadline, monotonic_after, spins, wall_ms};
