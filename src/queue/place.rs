//! Where the next message goes: runs of free slots, from the send cursor on.
//!
//! Senders sweep only the blocks in use so far (the *extent*) and add one when the sweep comes
//! round to blocks that are still more than half full. So a queue that is never deep keeps to a few
//! blocks and their cache lines, and filling a deep one looks at a few blocks for each one added.
//! When every block is in use and a whole lap found no room, the queue is full.

use crate::region::arena::Claimed;
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::ring::blocks::{self, BLOCK_SLOTS, bits_from, lowest_run};
use crate::sync::Ordering;

/// The most runs taken at once: a batch.
pub const RUNS_MAX: usize = 10;

/// Runs of free slots in one block, whose bits were taken with one compare-exchange.
pub struct Taken {
    /// The first slot of each run.
    pub first: [u32; RUNS_MAX],
    /// How many runs.
    pub count: usize,
}

impl Store<'_> {
    /// Takes up to `n` free slots of one block: the block and their bits; `None` if there is none.
    ///
    /// # Progress
    ///
    /// Lock-free; looks at each block at most twice.
    #[inline(always)]
    pub fn take_free(&self, n: u32) -> Option<(usize, u64)> {
        let cursor = self.head().send.cursor.load(Ordering::Relaxed);
        let block = cursor as usize / BLOCK_SLOTS;
        if block < extent(self) {
            let set = blocks::take(&self.blocks()[block].free, bits_from(cursor as u32), n);
            if set != 0 {
                self.move_on(block, set);
                return Some((block, set));
            }
        }
        self.sweep_free(|block, mask| {
            let set = blocks::take(&self.blocks()[block].free, mask, n);
            (set != 0).then_some((set, (block, set)))
        })
    }

    /// Takes free bits for as many of `runs` as fit into one block, at least one; `None` if there
    /// is no room for the first. Each run is 1 to 64 slots.
    ///
    /// # Progress
    ///
    /// As [`take_free`](Store::take_free).
    pub fn take_runs(&self, runs: &[u32]) -> Option<Taken> {
        self.sweep_free(|block, mask| self.take_runs_in(block, mask, runs))
    }

    /// Notes where the next sender starts to look.
    #[inline(always)]
    fn move_on(&self, block: usize, set: u64) {
        let next = (block * BLOCK_SLOTS) as u64 + 64 - set.leading_zeros() as u64;
        self.head().send.cursor.store(next, Ordering::Relaxed);
    }

    /// One lap of the send cursor; `take` returns the bits that it took of a block.
    #[inline(never)]
    fn sweep_free<T>(&self, take: impl Fn(usize, u64) -> Option<(u64, T)>) -> Option<T> {
        let cursor = self.head().send.cursor.load(Ordering::Relaxed);
        let mut used = extent(self);
        let start = cursor as usize / BLOCK_SLOTS;
        let mut from = start;
        // From the cursor to the end; in the second round from the first block to the cursor.
        let mut round = false;
        loop {
            let to = if round { used.min(start + 1) } else { used };
            while let Some(block) = self.maps().free.next(from, to) {
                let first = block == start && !round;
                let mask = if first {
                    bits_from(cursor as u32)
                } else {
                    u64::MAX
                };
                if let Some((set, taken)) = take(block, mask) {
                    self.move_on(block, set);
                    return Some(taken);
                }
                self.strike_full(block);
                from = block + 1;
            }
            if used < self.blocks().len() && (round || !self.is_roomy(used)) {
                let block = used;
                used += 1;
                let extent = &self.head().seldom.extent;
                extent.fetch_max(used as u64, Ordering::Relaxed);
                if let Some((set, taken)) = take(block, u64::MAX) {
                    self.move_on(block, set);
                    return Some(taken);
                }
                from = used; // somebody else has it: add another one
            } else if round {
                return None;
            } else {
                (round, from) = (true, 0);
            }
        }
    }

    /// Strikes out a block that has no free slots, unless it is the one in which messages are
    /// deleted now: it would be noted again at once.
    #[inline(always)]
    fn strike_full(&self, block: usize) {
        let free = &self.blocks()[block].free;
        let receiver = self.head().receive.cursor.load(Ordering::Relaxed) as usize / BLOCK_SLOTS;
        if free.load(Ordering::Relaxed) == 0 && block != receiver {
            self.maps().free.strike(block, free);
        }
    }

    /// Whether one of the first few blocks is at least half free.
    fn is_roomy(&self, used: usize) -> bool {
        let first = &self.blocks()[..used.min(4)];
        let half = BLOCK_SLOTS as u32 / 2;
        first
            .iter()
            .any(|block| block.free.load(Ordering::Relaxed).count_ones() >= half)
    }

    fn take_runs_in(&self, block: usize, mask: u64, runs: &[u32]) -> Option<(u64, Taken)> {
        let word = &self.blocks()[block].free;
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let mut left = seen & mask;
            let mut taken = Taken {
                first: [0; RUNS_MAX],
                count: 0,
            };
            for &run in runs.iter().take(RUNS_MAX) {
                let bits = lowest_run(left, run);
                if bits == 0 {
                    break;
                }
                left &= !bits;
                taken.first[taken.count] = (block * BLOCK_SLOTS) as u32 + bits.trailing_zeros();
                taken.count += 1;
            }
            if taken.count == 0 {
                return None;
            }
            let set = (seen & mask) & !left;
            let (done, failed) = (Ordering::Acquire, Ordering::Relaxed);
            // ORDERING: [bits-put] Acquire, as in `blocks::take`.
            match word.compare_exchange_weak(seen, seen & !set, done, failed) {
                Ok(_) => return Some((set, taken)),
                Err(now) => seen = now,
            }
        }
    }

    /// Claims room for a message of `run` slots; `None` if there is none.
    ///
    /// # Progress
    ///
    /// As [`claim_run`](Store::claim_run).
    #[inline(always)]
    pub fn claim_free(&self, run: usize, owner: u32) -> Option<Claimed> {
        if run > 1 {
            return self.claim_run(run, owner);
        }
        loop {
            let (block, bit) = self.take_free(1)?;
            let index = block * BLOCK_SLOTS + bit.trailing_zeros() as usize;
            // A slot that turns out to be somebody's is passed over, its bit consumed.
            if let Some(claimed) = self.claim(index, 1, owner) {
                return Some(claimed);
            }
        }
    }

    /// Claims a run of any length.
    ///
    /// # Progress
    ///
    /// Up to 64 slots: lock-free. Longer runs want whole adjacent blocks; two that want the same
    /// ones may both give way and go on searching, so they are obstruction-free.
    #[cold]
    pub fn claim_run(&self, run: usize, owner: u32) -> Option<Claimed> {
        if run > BLOCK_SLOTS {
            return self.claim_blocks(run, owner);
        }
        // Each failure of `claim` consumes a bit that stood wrongly, so this ends.
        loop {
            let taken = self.take_runs(&[run as u32])?;
            if let Some(claimed) = self.claim(taken.first[0] as usize, run, owner) {
                return Some(claimed);
            }
        }
    }

    fn claim_blocks(&self, run: usize, owner: u32) -> Option<Claimed> {
        let span = run.div_ceil(BLOCK_SLOTS);
        let starts = (self.blocks().len() + 1).checked_sub(span)?;
        let from = self.head().send.cursor.load(Ordering::Relaxed) as usize / BLOCK_SLOTS;
        for step in 0..starts {
            let first = (from + step) % starts;
            if !self.take_blocks(first, run) {
                continue;
            }
            if let Some(claimed) = self.claim(first * BLOCK_SLOTS, run, owner) {
                let next = (first * BLOCK_SLOTS + run) as u64;
                self.head().send.cursor.store(next, Ordering::Relaxed);
                return Some(claimed);
            }
        }
        None
    }

    /// Takes the free bits of `run` slots from the start of block `first` on: all or none. The
    /// extent comes first: repair looks no further, and has to find bits that a death leaves taken.
    pub(super) fn take_blocks(&self, first: usize, run: usize) -> bool {
        let span = run.div_ceil(BLOCK_SLOTS);
        let wanted = |block: usize| u64::MAX >> (64 - (run - block * BLOCK_SLOTS).min(BLOCK_SLOTS));
        let mut blocks = self.blocks()[first..first + span].iter().enumerate();
        if !blocks.all(|(at, block)| !block.free.load(Ordering::Relaxed) & wanted(at) == 0) {
            return false; // so that the extent grows for room only
        }
        self.head()
            .seldom
            .extent
            .fetch_max((first + span) as u64, Ordering::Relaxed);
        let mut have = 0;
        while have < run {
            let len = (run - have).min(BLOCK_SLOTS);
            let set = u64::MAX >> (64 - len);
            let word = &self.blocks()[first + have / BLOCK_SLOTS].free;
            let seen = word.load(Ordering::Relaxed);
            // ORDERING: [bits-put] Acquire, as in `blocks::take`.
            let won = seen & set == set
                && word
                    .compare_exchange(seen, seen & !set, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
            if !won {
                self.put_free(first * BLOCK_SLOTS, have);
                return false;
            }
            have += len;
        }
        true
    }
}

/// Collects free or ready bits block by block, so that a batch puts them with few `fetch_or`s.
pub struct Bits<'a> {
    store: Store<'a>,
    ready: bool,
    /// When what was sent is too old, ms; 0 if nothing was sent.
    aged_at_ms: u64,
    block: usize,
    set: u64,
}

impl<'a> Bits<'a> {
    /// Bits of the free words.
    pub fn free(store: Store<'a>) -> Self {
        Self {
            store,
            ready: false,
            aged_at_ms: 0,
            block: 0,
            set: 0,
        }
    }

    /// Bits of the ready words, of messages that are too old at `aged_at_ms` if they are new.
    pub fn ready(store: Store<'a>, aged_at_ms: u64) -> Self {
        Self {
            store,
            ready: true,
            aged_at_ms,
            block: 0,
            set: 0,
        }
    }

    /// Adds one slot.
    #[inline(always)]
    pub fn add(&mut self, index: usize) {
        let block = index / BLOCK_SLOTS;
        if block != self.block {
            self.flush();
            self.block = block;
        }
        self.set |= 1 << (index % BLOCK_SLOTS);
    }

    /// Adds a run.
    #[inline(always)]
    pub fn add_run(&mut self, index: usize, run: usize) {
        if run == 1 {
            self.add(index);
        } else {
            self.store.put_free(index, run);
        }
    }

    /// Puts what was collected.
    #[inline(always)]
    pub fn flush(&mut self) {
        if self.set != 0 {
            if self.ready {
                self.store.put_ready(self.block, self.set);
                if self.aged_at_ms != 0 {
                    self.store.lower_aged(self.block, self.aged_at_ms);
                }
            } else {
                self.store.put_free_bits(self.block, self.set);
            }
            self.set = 0;
        }
    }
}
