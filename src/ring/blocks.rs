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
//! # Due times
//!
//! The block's third word bounds the due times of its slots: see [`due`](super::due).

use super::due::Due;
use super::maps::Map;
use crate::sync::{AtomicU64, Ordering, const_fn};

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
    /// Lower bound of the block's due times.
    pub due: Due,
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

impl Block {
    const_fn! {
        /// A block whose slots in `valid` are free.
        pub fn new(valid: u64) -> Self {
            Self {
                free: AtomicU64::new(valid),
                ready: AtomicU64::new(0),
                due: Due::none(),
                #[cfg(feature = "mapped")]
                dirty: AtomicU64::new(0),
                #[cfg(feature = "mapped")]
                unsynced: AtomicU64::new(0),
                #[cfg(feature = "mapped")]
                copying: AtomicU64::new(0),
            }
        }
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

/// The blocks in the order of a lap: see the module's text. Those that the map strikes out are left
/// out, but for the first.
#[derive(Debug)]
pub struct Sweep<'a> {
    map: Map<'a>,
    /// The block to be visited next, if any.
    next: Option<usize>,
    mask: u64,
    first: usize,
    /// Slots of the first block that the last visit covers.
    low: u64,
    wrapped: bool,
    blocks: usize,
}

impl<'a> Sweep<'a> {
    /// A lap over `blocks` blocks (at least one) that starts at slot `position`, or at the first if
    /// there is no such slot.
    #[inline(always)]
    pub fn new(position: u64, blocks: usize, map: Map<'a>) -> Self {
        let mut first = (position / BLOCK_SLOTS as u64) as usize;
        let mut mask = bits_from(position as u32);
        if first >= blocks {
            (first, mask) = (0, u64::MAX);
        }
        Self {
            map,
            next: Some(first),
            mask,
            first,
            low: !mask,
            wrapped: false,
            blocks,
        }
    }

    #[inline(always)]
    fn after(&mut self, block: usize) -> Option<usize> {
        if !self.wrapped {
            let next = self.map.next(block + 1, self.blocks);
            if next.is_some() {
                return next;
            }
            self.wrapped = true;
            return self.map.next(0, self.first).or_else(|| self.last());
        }
        if block == self.first {
            return None;
        }
        self.map.next(block + 1, self.first).or_else(|| self.last())
    }

    /// The block in which the lap began, once more for its low bits.
    fn last(&mut self) -> Option<usize> {
        self.mask = self.low;
        (self.low != 0).then_some(self.first)
    }
}

impl Iterator for Sweep<'_> {
    /// Block index, and the slots of it that this visit covers.
    type Item = (usize, u64);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, u64)> {
        let block = self.next?;
        let mask = core::mem::replace(&mut self.mask, u64::MAX);
        self.next = self.after(block);
        Some((block, mask))
    }
}

#[cfg(all(test, feature = "std", not(ringmain_loom)))]
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
        let all = [AtomicU64::new(u64::MAX)];
        for (blocks, map) in (1..5usize).flat_map(|n| [(n, Map(&[])), (n, Map(&all))]) {
            for position in 0..(blocks as u64 * 64 + 3) {
                let mut seen = [0u64; 5];
                for (block, mask) in Sweep::new(position, blocks, map) {
                    assert_eq!(seen[block] & mask, 0);
                    seen[block] |= mask;
                }
                assert!(seen[..blocks].iter().all(|&s| s == u64::MAX));
            }
        }
    }

    #[test]
    fn a_lap_leaves_out_what_the_map_strikes_out() {
        let words = [AtomicU64::new(0b10_0100)];
        let lap = |position| {
            let lap = Sweep::new(position, 6, Map(&words));
            lap.map(|(block, _)| block).collect::<std::vec::Vec<_>>()
        };
        assert_eq!(lap(0), [0, 2, 5]);
        assert_eq!(lap(1), [0, 2, 5, 0]);
        assert_eq!(lap(2 * 64 + 1), [2, 5, 2]);
        assert_eq!(lap(3 * 64), [3, 5, 2]);
        assert_eq!(lap(5 * 64 + 9), [5, 2, 5]);
    }

    #[test]
    fn the_lowest_bits_are_taken() {
        let word = AtomicU64::new(0b1111_0110);
        assert_eq!(take(&word, bits_from(2), 2), 0b0001_0100);
        assert_eq!(take(&word, u64::MAX, 64), 0b1110_0010);
        assert_eq!(take(&word, u64::MAX, 1), 0);
    }
}
