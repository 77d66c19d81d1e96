//! The swept blocks: sets of free and of ready slots, 64 to a block, on one cache line.
//!
//! # States
//!
//! A slot's bit stands in `free` when somebody may take the slot to write, in `ready` when somebody
//! may take it to read, in neither while somebody holds it. Both words are hints: the slot's own
//! state word is the truth (see `region::arena`), and whoever takes a bit has yet to win that word.
//! So a bit that stands twice does no harm, and repair is setting bits again.
//!
//! # Transitions
//!
//! `take` clears up to *n* bits at or after a position with one compare-exchange; `put` sets bits
//! with one `fetch_or`. There is no ticket: a claimant that stops between the two holds its own
//! slots and nothing else.
//!
//! # Sweep
//!
//! A cursor is a slot position; it is a hint as well. A [`Sweep`] starts there and visits the
//! blocks in order, the first one from the cursor's bit on, all others whole, and at last the first
//! one's low bits, so that a whole lap sees every slot once. Takers store where they stopped. Since
//! a taker only moves forward inside a block and then leaves it, no bit is passed over for longer
//! than one lap; and since the lap ends with the low bits of the block it began in, a cursor that
//! stands in the block that the other one has lapped does not wait.
//!
//! # Edges
//!
//! `[bits-put]`: `put` releases, `take` acquires: what was done before the bit was set is seen by
//! who takes it.
//!
//! # The least due time
//!
//! `due` is a lower bound of the due times of the block's slots. Lowering it is easy; raising it
//! races with who lowers it, and the raiser may stop half-way. So it is raised in two steps: mark
//! it *closing*, look at the slots, then compare-exchange the new bound over exactly the mark that
//! was left. Whoever adds a slot does so first and then reads `due`: if it is not closing, the
//! raiser has not looked yet and will see the slot; if it is, the adder takes the mark away, and
//! the raiser's last step fails. `[due-closing]` names that pair. A raiser that stops leaves a
//! bound that is too low, which costs a look.

use crate::sync::{AtomicU64, Ordering, const_fn, store_load_after_rmw};

/// Slots in a block: the bits of a word.
pub const BLOCK_SLOTS: usize = 64;

/// One block's words, on a line of their own.
#[derive(Debug)]
#[cfg_attr(all(not(ringmain_loom), not(target_os = "none")), repr(C, align(64)))]
#[cfg_attr(any(ringmain_loom, target_os = "none"), repr(C))]
pub struct Block {
    /// Slots that may be taken to write.
    pub free: AtomicU64,
    /// Slots that may be taken to read.
    pub ready: AtomicU64,
    /// `{ closing:1, version:19, due_ms:44 }`: lower bound of the block's due times.
    pub due: AtomicU64,
    /// Slots whose message came or went since the journal looked (`region::marks`).
    #[cfg(feature = "mapped")]
    pub dirty: AtomicU64,
    /// Slots that the journal has looked at and not yet synced.
    #[cfg(feature = "mapped")]
    pub unsynced: AtomicU64,
    /// Slots that the journal reads now.
    #[cfg(feature = "mapped")]
    pub copying: AtomicU64,
}

#[cfg(all(not(ringmain_loom), not(target_os = "none")))]
const _: () = assert!(size_of::<Block>() == 64);

/// No due time: later than any.
pub const DUE_NONE_MS: u64 = (1 << 44) - 1;
const DUE_CLOSING: u64 = 1 << 63;
const DUE_VERSION: u64 = 1 << 44;
const DUE_VERSION_MASK: u64 = ((1 << 19) - 1) << 44;

const fn due_next(old: u64, due_ms: u64, closing: u64) -> u64 {
    let version = old.wrapping_add(DUE_VERSION) & DUE_VERSION_MASK;
    closing | version | due_ms
}

const fn due_of(word: u64) -> u64 {
    word & DUE_NONE_MS
}

impl Block {
    const_fn! {
        /// A block whose slots in `valid` are free.
        pub fn new(valid: u64) -> Self {
            Self {
                free: AtomicU64::new(valid),
                ready: AtomicU64::new(0),
                due: AtomicU64::new(DUE_NONE_MS),
                #[cfg(feature = "mapped")]
                dirty: AtomicU64::new(0),
                #[cfg(feature = "mapped")]
                unsynced: AtomicU64::new(0),
                #[cfg(feature = "mapped")]
                copying: AtomicU64::new(0),
            }
        }
    }

    /// Whether something in the block may be due at `now_ms`.
    #[inline(always)]
    pub fn is_due(&self, now_ms: u64) -> bool {
        due_of(self.due.load(Ordering::Relaxed)) <= now_ms
    }

    /// The lower bound of the block's due times, [`DUE_NONE_MS`] if there is none.
    pub fn due_ms(&self) -> u64 {
        due_of(self.due.load(Ordering::Relaxed))
    }

    /// Lowers the bound to `due_ms`. Call it after the slot's word carries that due time.
    ///
    /// # Progress
    ///
    /// Lock-free: a failed compare-exchange means that another one lowered or raised the bound.
    #[inline(always)]
    pub fn lower_due(&self, due_ms: u64) {
        // ORDERING: [due-closing] the slot's word was changed by a SeqCst read-modify-write before;
        // this load must not be ordered before it.
        store_load_after_rmw();
        let seen = self.due.load(Ordering::SeqCst);
        if seen & DUE_CLOSING == 0 && due_of(seen) <= due_ms {
            return;
        }
        self.lower_due_slow(seen, due_ms);
    }

    #[cold]
    fn lower_due_slow(&self, mut seen: u64, due_ms: u64) {
        while seen & DUE_CLOSING != 0 || due_of(seen) > due_ms {
            let least = if due_of(seen) < due_ms {
                due_of(seen)
            } else {
                due_ms
            };
            let next = due_next(seen, least, 0);
            // ORDERING: SeqCst both halves; [due-closing] takes the raiser's mark away.
            match self
                .due
                .compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// First step of raising the bound: marks it closing. Returns the mark for [`finish_raise`].
    ///
    /// [`finish_raise`]: Block::finish_raise
    pub fn begin_raise(&self) -> Option<u64> {
        let seen = self.due.load(Ordering::SeqCst);
        let mark = due_next(seen, due_of(seen), DUE_CLOSING);
        // ORDERING: SeqCst; [due-closing] the mark comes before the look at the slots.
        let won = self
            .due
            .compare_exchange(seen, mark, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok();
        store_load_after_rmw();
        won.then_some(mark)
    }

    /// Last step: sets the bound to what the look at the slots found, unless somebody added one.
    pub fn finish_raise(&self, mark: u64, due_ms: u64) {
        let next = due_next(mark, due_ms, 0);
        // ORDERING: SeqCst; fails over exactly the mark that an adder has taken away. A failure
        // leaves a bound that is too low, which the next visitor looks at again.
        let _ = self
            .due
            .compare_exchange(mark, next, Ordering::SeqCst, Ordering::Relaxed);
    }
}

/// The bits at or after `bit`.
#[inline(always)]
pub const fn bits_from(bit: u32) -> u64 {
    u64::MAX << (bit & 63)
}

/// The lowest `n` bits of `set`; all of them if it has no more.
#[inline(always)]
pub fn lowest(set: u64, n: u32) -> u64 {
    if n == 1 {
        return set & set.wrapping_neg();
    }
    // A loop and not a population count, which the common x86-64 target has no instruction for.
    let mut rest = set;
    let mut left = n;
    while left != 0 && rest != 0 {
        rest &= rest - 1;
        left -= 1;
    }
    set ^ rest
}

/// Takes up to `n` of the lowest bits of `word` inside `mask`, with one compare-exchange; 0 if
/// there is none.
///
/// # Progress
///
/// Lock-free: a failed compare-exchange means that another one took or put a bit.
#[inline(always)]
pub fn take(word: &AtomicU64, mask: u64, n: u32) -> u64 {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let set = lowest(seen & mask, n);
        if set == 0 {
            return 0;
        }
        // ORDERING: [bits-put] Acquire: pairs with `put`. The store half needs nothing: who takes a
        // bit publishes nothing by it.
        match word.compare_exchange_weak(seen, seen & !set, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return set,
            Err(now) => seen = now,
        }
    }
}

/// Sets bits.
///
/// # Progress
///
/// Wait-free where the target has a fetch-or.
#[inline(always)]
pub fn put(word: &AtomicU64, set: u64) {
    // ORDERING: [bits-put] Release: pairs with `take`. SeqCst because publishers read the sleepers'
    // word next ([sleeper-flag]).
    word.fetch_or(set, Ordering::SeqCst);
}

/// The lowest run of `len` adjacent bits in `set`, as a mask; 0 if there is none. `len` is 1 to 64.
#[inline(always)]
pub fn lowest_run(set: u64, len: u32) -> u64 {
    // After each step a bit stands where a run of `have` bits begins.
    let mut starts = set;
    let mut have = 1;
    while have < len && starts != 0 {
        let step = if have < len - have { have } else { len - have };
        starts &= starts >> step;
        have += step;
    }
    if starts == 0 {
        return 0;
    }
    (u64::MAX >> (64 - len)) << starts.trailing_zeros()
}

/// The blocks in the order of a lap: see the module's text.
#[derive(Debug)]
pub struct Sweep {
    block: usize,
    mask: u64,
    low: u64,
    left: usize,
    blocks: usize,
}

impl Sweep {
    /// A lap over `blocks` blocks that starts at slot `position` (taken modulo their slots).
    #[inline(always)]
    pub fn new(position: u64, blocks: usize) -> Self {
        let mut block = (position / BLOCK_SLOTS as u64) as usize;
        let mut mask = bits_from(position as u32);
        if block >= blocks {
            (block, mask) = (0, u64::MAX);
        }
        Self {
            block,
            mask,
            low: !mask,
            left: blocks + 1,
            blocks,
        }
    }
}

impl Iterator for Sweep {
    /// Block index, and the slots of it that this visit covers.
    type Item = (usize, u64);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, u64)> {
        if self.left == 0 || (self.left == 1 && self.low == 0) {
            return None;
        }
        self.left -= 1;
        let visit = if self.left == 0 {
            (self.block, self.low)
        } else {
            (self.block, self.mask)
        };
        self.block = if self.block + 1 == self.blocks {
            0
        } else {
            self.block + 1
        };
        self.mask = u64::MAX;
        Some(visit)
    }
}

#[cfg(all(test, not(ringmain_loom)))]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_lowest_first() {
        for len in 1..=64u32 {
            for at in 0..=(64 - len) {
                let run = (u64::MAX >> (64 - len)) << at;
                assert_eq!(lowest_run(run, len), run);
                if len < 64 {
                    assert_eq!(lowest_run(run, len + 1), 0);
                }
            }
        }
        assert_eq!(lowest_run(0b1011_0111, 2), 0b11);
        assert_eq!(lowest_run(0b1011_0101, 2), 0b0011_0000);
    }

    #[test]
    fn a_lap_visits_each_slot_once() {
        for blocks in 1..5usize {
            for position in 0..(blocks as u64 * 64 + 3) {
                let mut seen = [0u64; 5];
                for (block, mask) in Sweep::new(position, blocks) {
                    assert_eq!(seen[block] & mask, 0);
                    seen[block] |= mask;
                }
                assert!(seen[..blocks].iter().all(|&s| s == u64::MAX));
            }
        }
    }

    #[test]
    fn the_lowest_bits_are_taken() {
        let word = AtomicU64::new(0b1111_0110);
        assert_eq!(take(&word, bits_from(2), 2), 0b0001_0100);
        assert_eq!(take(&word, u64::MAX, 64), 0b1110_0010);
        assert_eq!(take(&word, u64::MAX, 1), 0);
    }
}
