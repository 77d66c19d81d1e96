//! The least due time of a set of slots: a lower bound that is easy to lower and safe to raise.
//!
//! # Protocol
//!
//! A bound is never later than the truth; too early only costs a look. Lowering it is one
//! compare-exchange. Raising it races with who lowers it, and the raiser may stop half-way. So it
//! is raised in two steps: mark it *closing*, look at what it bounds, then compare-exchange the new
//! bound over exactly the mark that was left. Whoever adds something does so first and then reads
//! the bound: if it is not closing, the raiser has not looked yet and will see what was added; if
//! it is, the adder takes the mark away, and the raiser's last step fails. `[due-closing]` names
//! that pair. A raiser that stops leaves a bound that is too low.
//!
//! # Levels
//!
//! Each block of 64 slots has a bound, each group of 64 blocks, and the whole queue. Each is a
//! bound of the bounds below it. Who adds goes up: block, group, queue, and looks at each, whether
//! it had to lower the one below or not, since another who lowered that may have stopped there. Who
//! raises looks at the bounds one level below.

use crate::sync::{AtomicU64, Ordering, const_fn, store_load_after_rmw};

/// `{ closing:1, due_ms:44, version:19 }`: a lower bound of due times. So one comparison tells
/// whether it is neither closing nor later than some time.
#[derive(Debug)]
#[repr(transparent)]
pub struct Due(pub AtomicU64);

/// No due time: later than any.
pub const DUE_NONE_MS: u64 = (1 << 44) - 1;
const CLOSING: u64 = 1 << 63;
const VERSION_BITS: u32 = 19;
const VERSION_MASK: u64 = (1 << VERSION_BITS) - 1;

const fn next(old: u64, due_ms: u64, closing: u64) -> u64 {
    let version = old.wrapping_add(1) & VERSION_MASK;
    closing | due_ms << VERSION_BITS | version
}

const fn due_of(word: u64) -> u64 {
    (word & !CLOSING) >> VERSION_BITS
}

impl Due {
    const_fn! {
        /// A bound over nothing.
        pub fn none() -> Self {
            Self(AtomicU64::new(next(VERSION_MASK, DUE_NONE_MS, 0)))
        }
    }

    /// The bound, ms; [`DUE_NONE_MS`] if there is none.
    #[inline(always)]
    pub fn ms(&self) -> u64 {
        due_of(self.0.load(Ordering::Relaxed))
    }

    /// Lowers the bound to `due_ms`, if that is less than [`DUE_NONE_MS`]; whether it had to. Call
    /// it after the slot's word carries that due time, or the bound one level below does.
    ///
    /// # Progress
    ///
    /// Lock-free: a failed compare-exchange means that another one lowered or raised the bound.
    #[inline(always)]
    pub fn lower(&self, due_ms: u64) -> bool {
        // ORDERING: [due-closing] what was added was added by a SeqCst read-modify-write before;
        // this load must not be ordered before it.
        store_load_after_rmw();
        let seen = self.0.load(Ordering::SeqCst);
        if seen <= due_ms << VERSION_BITS | VERSION_MASK {
            return false;
        }
        self.lower_slow(seen, due_ms.min(DUE_NONE_MS))
    }

    /// Whether the bound is at or before `due_ms`, and nobody is about to raise it.
    #[inline(always)]
    pub fn covers(&self, due_ms: u64) -> bool {
        // ORDERING: as in `lower`.
        store_load_after_rmw();
        self.0.load(Ordering::SeqCst) <= due_ms << VERSION_BITS | VERSION_MASK
    }

    #[cold]
    fn lower_slow(&self, mut seen: u64, due_ms: u64) -> bool {
        while seen & CLOSING != 0 || due_of(seen) > due_ms {
            let least = due_of(seen).min(due_ms);
            let word = next(seen, least, 0);
            // ORDERING: SeqCst both halves; [due-closing] takes the raiser's mark away.
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            match self.0.compare_exchange(seen, word, done, failed) {
                Ok(_) => return least < due_of(seen),
                Err(now) => seen = now,
            }
        }
        false
    }

    /// First step of raising the bound: marks it closing. Returns the mark for
    /// [`finish_raise`](Due::finish_raise).
    pub fn begin_raise(&self) -> Option<u64> {
        let seen = self.0.load(Ordering::SeqCst);
        let mark = next(seen, due_of(seen), CLOSING);
        // ORDERING: SeqCst; [due-closing] the mark comes before the look at what is below.
        let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        let won = self.0.compare_exchange(seen, mark, done, failed).is_ok();
        store_load_after_rmw();
        won.then_some(mark)
    }

    /// Last step: sets the bound to what the look found, unless somebody added something.
    pub fn finish_raise(&self, mark: u64, due_ms: u64) {
        let word = next(mark, due_ms.min(DUE_NONE_MS), 0);
        // ORDERING: SeqCst; fails over exactly the mark that an adder has taken away. A failure
        // leaves a bound that is too low, which the next visitor looks at again.
        let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
        let _ = self.0.compare_exchange(mark, word, done, failed);
    }

    /// Raises the bound to the least of the bounds below it.
    pub fn raise_over<'d>(&self, below: impl Iterator<Item = &'d Due>) {
        if let Some(mark) = self.begin_raise() {
            // ORDERING: SeqCst; [due-closing] looked at after the mark.
            let least = below.map(|due| due_of(due.0.load(Ordering::SeqCst))).min();
            self.finish_raise(mark, least.unwrap_or(DUE_NONE_MS));
        }
    }
}
