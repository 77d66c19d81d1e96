//! The operating system's clock.

use super::Clock;

/// Milliseconds since the machine started, in steps of the kernel's tick (1 to 10 ms, commonly 4).
///
/// `CLOCK_MONOTONIC_COARSE`: the same in all processes, unmoved by steps of the wall clock, and
/// read in 3 ns where the precise clocks take 22 (see ARCHITECTURE.md). It stands still while the
/// machine sleeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now_ms(&self) -> u64 {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the pointer is to a live timespec. The call cannot fail for this clock.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
        now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
    }
}

/// A point of real time up to which a thread waits, whatever clock its queue has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(std::time::Instant);

impl Deadline {
    /// That far from now.
    pub(crate) fn after(timeout: core::time::Duration) -> Self {
        Self(std::time::Instant::now() + timeout)
    }

    /// What is left of it.
    pub(crate) fn left(self) -> core::time::Duration {
        self.0.saturating_duration_since(std::time::Instant::now())
    }
}

/// What the monotonic clock will show that far from now.
pub(crate) fn monotonic_after(wait: core::time::Duration) -> core::time::Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live timespec. The call cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let now = core::time::Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
    now + wait.min(core::time::Duration::from_secs(86_400))
}

/// How long a waiter spins before it sleeps: not at all on one core.
pub(crate) fn spins() -> u32 {
    static SPINS: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *SPINS.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        if cores > 1 { 200 } else { 0 }
    })
}

/// Wall-clock time, ms since 1970.
pub(crate) fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
