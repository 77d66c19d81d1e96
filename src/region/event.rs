//! The event count on which receivers sleep.
//!
//! # Protocol
//!
//! `sequence` is the futex word; `sleepers` is `{ version:63, asleep:1 }`. A *waiter* reads
//! `sequence`, sets `asleep` with a new version, looks at the queue once more, and sleeps while
//! `sequence` is what it read. A *sender* publishes, then reads `sleepers`. If `asleep` is not set
//! it is done: no system call. Else it moves `sequence` on and wakes as many as it has messages; if
//! nobody was there to be woken, it clears `asleep`, provided the version is the one it read.
//!
//! `[sleeper-flag]`: the waiter sets `asleep` and then looks; the sender publishes and then reads
//! `asleep`. One of the two sees the other.
//!
//! Race: a waiter has set `asleep`, a sender wakes nobody because the waiter is not asleep yet, and
//! goes to clear the flag. If the waiter read `sequence` before the sender moved it, it will not
//! sleep, and sets the flag anew with another version. If it read it after, it set the flag after
//! that, so the version has changed and the clearing fails. Either way nobody sleeps on a cleared
//! flag.
//!
//! A waiter that dies leaves nothing but the flag, which costs the next sender one system call. A
//! sender that dies between publishing and waking leaves a sleeper with a message, and so does a
//! waiter that dies when it was woken and has not received. In shared memory the wardens of those
//! who sleep see the death, look at the ready bits, and wake on behalf of the dead
//! (`mapped::warden`); where there is none, sleeps are bounded.

use super::layout::EventSide;
use crate::sync::{AtomicU32, Ordering, store_load, store_load_after_rmw};

const ASLEEP: u64 = 1;
const VERSION: u64 = 2;

impl EventSide {
    /// First step of a waiter: the sequence to sleep on. Look at the queue after this.
    pub fn prepare(&self) -> u32 {
        // ORDERING: SeqCst; read before the flag is set.
        let sequence = self.sequence.load(Ordering::SeqCst);
        let mut seen = self.sleepers.load(Ordering::Relaxed);
        loop {
            let next = (seen & !ASLEEP).wrapping_add(VERSION) | ASLEEP;
            // ORDERING: SeqCst; [sleeper-flag] set before the caller looks at the queue.
            match self
                .sleepers
                .compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        // ORDERING: the look that follows reads bits by relaxed loads.
        store_load();
        sequence
    }

    /// Whether anybody may be asleep. Call it after a message's ready bit was put.
    #[inline(always)]
    pub fn has_sleepers(&self) -> bool {
        store_load_after_rmw();
        // ORDERING: SeqCst; [sleeper-flag] read after the ready bit was put, by a SeqCst
        // read-modify-write.
        self.sleepers.load(Ordering::SeqCst) & ASLEEP != 0
    }

    /// [`has_sleepers`](Self::has_sleepers) for whoever has published by plain stores.
    #[inline(always)]
    pub fn has_sleepers_behind_stores(&self) -> bool {
        // ORDERING: [sleeper-flag]; without the fence the load may come before the stores.
        store_load();
        self.sleepers.load(Ordering::Relaxed) & ASLEEP != 0
    }

    /// Wakes sleepers through `wake`, which returns how many there were.
    pub fn wake(&self, wake: impl FnOnce(&AtomicU32) -> u32) {
        let seen = self.sleepers.load(Ordering::SeqCst);
        if seen & ASLEEP == 0 {
            return;
        }
        // ORDERING: SeqCst; who reads the new sequence sees what was published before.
        self.sequence.fetch_add(1, Ordering::SeqCst);
        if wake(&self.sequence) == 0 {
            let clear = (seen & !ASLEEP).wrapping_add(VERSION);
            // ORDERING: SeqCst; fails if a waiter has come since. Then the flag stays.
            let _ =
                self.sleepers
                    .compare_exchange(seen, clear, Ordering::SeqCst, Ordering::Relaxed);
        }
    }
}
