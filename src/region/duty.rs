//! Whether somebody watches for the deaths of others while threads sleep: the warden's being there,
//! apart from what it does (`mapped::warden`).
//!
//! # Protocol
//!
//! `state` is *off*, *starting* or *on*; `waiting` counts the threads that sleep. Who begins to
//! wait counts itself; if the state is not *on*, it starts a warden: under a lock of the starters
//! it goes from *off* to *starting*, and when the watch is there, or could not be had, to *on* or
//! *off*. A warden that finds nobody waiting ends by going from *on* to *off*; if it then finds
//! somebody, it goes back from *off* to *on*, unless a starter was faster. Then it ends, and the
//! starter's goes on.
//!
//! `[warden-thread]`: who waits counts itself and then reads `state`; the warden clears `state` and
//! then reads the count. One of the two sees the other, so nobody sleeps long unwatched.
//!
//! `[warden-lost]`: a warden whose watch is gone clears `state`, moves the event count on and wakes
//! all; who sleeps has read the sequence and then `state`. So it either knows, or does not sleep
//! on.

use crate::sync::{AtomicU32, Ordering, store_load_after_rmw};

const OFF: u32 = 0;
const STARTING: u32 = 1;
const ON: u32 = 2;

/// One attachment's.
#[derive(Debug)]
pub struct Duty {
    state: AtomicU32,
    waiting: AtomicU32,
}

impl Default for Duty {
    fn default() -> Self {
        Self {
            state: AtomicU32::new(OFF),
            waiting: AtomicU32::new(0),
        }
    }
}

impl Duty {
    /// A thread begins to wait. Whether it is watched; if not, it tries to start a warden.
    pub fn wait_begins(&self) -> bool {
        // ORDERING: SeqCst; [warden-thread] counted before the state is read.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        store_load_after_rmw();
        self.is_on()
    }

    /// A thread is done with waiting.
    pub fn wait_ends(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether anybody waits.
    pub fn is_needed(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) != 0
    }

    /// Whether a warden watches.
    pub fn is_on(&self) -> bool {
        // ORDERING: SeqCst; [warden-thread], [warden-lost].
        self.state.load(Ordering::SeqCst) == ON
    }

    /// Whether the caller has to start one. It holds the lock of starters, and says
    /// [`started`](Duty::started) before it frees it.
    pub fn starts(&self) -> bool {
        self.change(OFF, STARTING)
    }

    /// A start is done, or has failed.
    pub fn started(&self, is_on: bool) {
        self.state
            .store(if is_on { ON } else { OFF }, Ordering::SeqCst);
    }

    /// Whether the warden, which found nobody waiting, ends.
    pub fn ends(&self) -> bool {
        // ORDERING: SeqCst; [warden-thread] cleared before the count is read.
        self.state.swap(OFF, Ordering::SeqCst);
        store_load_after_rmw();
        !self.is_needed() || !self.change(OFF, ON)
    }

    /// The warden's watch is gone. The caller then wakes all sleepers.
    pub fn is_lost(&self) {
        // ORDERING: SeqCst; [warden-lost] cleared before the sequence is moved.
        self.state.store(OFF, Ordering::SeqCst);
    }

    fn change(&self, from: u32, to: u32) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }
}
