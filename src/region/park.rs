//! Sleeping and waking on a 32-bit word: Linux futexes.

use crate::sync::AtomicU32;
use crate::time::monotonic_after;
use core::time::Duration;

/// A word of 32 bits.
const FUTEX_32: u32 = 2;

/// A word to sleep on, as the kernel takes it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Futex {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

impl Futex {
    /// No word.
    pub const NONE: Self = Self {
        expected: 0,
        address: 0,
        flags: 0,
        reserved: 0,
    };

    /// A word that should be `expected`.
    pub fn new(word: &AtomicU32, expected: u32, shared: bool) -> Self {
        let private = if shared { 0 } else { libc::FUTEX_PRIVATE_FLAG };
        Self {
            expected: u64::from(expected),
            address: core::ptr::from_ref(word).addr() as u64,
            flags: FUTEX_32 | private as u32,
            reserved: 0,
        }
    }
}

/// Sleeps while each word is as expected, at most `timeout`. Returns early for any reason. `false`:
/// the kernel cannot do it (before 5.16), or may not, and has not slept.
pub(crate) fn futex_wait_any(futexes: &[Futex], timeout: Duration) -> bool {
    let until = monotonic_after(timeout);
    let until = [until.as_secs() as i64, i64::from(until.subsec_nanos())]; // __kernel_timespec
    // SAFETY: the list and the time live through the call. The kernel reads the words, and gives an
    // error where there is none.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            futexes.as_ptr(),
            futexes.len(),
            0,
            &until,
            libc::CLOCK_MONOTONIC,
        )
    };
    let error = std::io::Error::last_os_error().raw_os_error();
    let slept = [libc::EAGAIN, libc::ETIMEDOUT, libc::EINTR].map(Some);
    woken >= 0 || slept.contains(&error)
}

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
