//! Sleeping and waking on a 32-bit word: Linux futexes.

use crate::sync::AtomicU32;
use core::time::Duration;

/// Sleeps while `word` is `expected`, at most `timeout`. Returns early for any reason.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Duration, shared: bool) {
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs().min(86_400) as libc::time_t,
        tv_nsec: timeout.subsec_nanos() as _,
    };
    let flag = if shared { 0 } else { libc::FUTEX_PRIVATE_FLAG };
    // SAFETY: the word is a live, aligned u32 and the timespec lives through the call.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word as *const AtomicU32,
            libc::FUTEX_WAIT | flag,
            expected,
            &timeout as *const libc::timespec,
        );
    }
}

/// Wakes up to `count` sleepers; returns how many there were.
pub(crate) fn futex_wake(word: &AtomicU32, count: u32, shared: bool) -> u32 {
    let flag = if shared { 0 } else { libc::FUTEX_PRIVATE_FLAG };
    // SAFETY: the word is a live, aligned u32; waking touches no memory.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word as *const AtomicU32,
            libc::FUTEX_WAKE | flag,
            count.min(i32::MAX as u32),
        )
    };
    u32::try_from(woken).unwrap_or(0)
}
