//! Repair by scanning: what a dead owner held comes back, and bits that a death left missing are
//! put again.
//!
//! After a proven death the scan looks at every word that has been in use: bits are hints, and a
//! bit that stands although its slot is held must not hide it. Each step is one
//! compare-exchange or one `fetch_or` of a bit that may stand twice, so two repairs side by side,
//! or one that dies and is begun again, end the same.
//!
//! A participant may also *stop* between taking bits and winning the words: it lives, so nothing of
//! it is taken, but the messages would be hidden meanwhile. So the same scan, with nobody dead, is
//! run now and then; it looks only at slots whose bits stand in neither word, one line a block. It
//! puts the missing bits, others win the words, and the stopped one, when it
//! goes on, passes those slots over. So it is with one that stops between winning a word and
//! lowering its block's bound, and with a detached message whose time somebody cut short and died
//! before that: nobody would look when the time is over. The scan lowers the bound for each held
//! slot that it meets.
//!
//! `cfg(ringmain_twin)` names a step that is left out, in builds that the kill matrix must find
//! broken (`docs/recovery.md`).

use super::store::Store;
use super::word::{INTERIOR, Phase, Word};
use crate::ring::blocks::{self, BLOCK_SLOTS};
use crate::sync::{AtomicU64, Ordering};

/// Blocks that have been used so far, at least 1, whatever the memory says.
pub fn extent(store: &Store<'_>) -> usize {
    let extent = store.head.seldom.extent.load(Ordering::Relaxed) as usize;
    extent.clamp(1, store.blocks.len().max(1))
}

fn put_missing(word: &AtomicU64, bit: u64) {
    if !cfg!(ringmain_twin = "bits") && word.load(Ordering::Acquire) & bit == 0 {
        blocks::put(word, bit);
    }
}

impl Store<'_> {
    /// Takes back whatever belongs to owners that `dead` names, and puts missing bits. Returns how
    /// many messages became visible.
    ///
    /// The caller has proof that these owners are dead, and keeps their indices from being given
    /// out meanwhile.
    pub fn repair(&self, dead: &dyn Fn(u32) -> bool, owner: u32) -> u64 {
        let whole = |index| self.repair_block(index, self.shape.valid(index), dead, owner);
        (0..extent(self)).map(whole).sum()
    }

    /// Puts the missing bits of slots that stand in neither word, with nobody dead.
    #[cfg(feature = "mapped")]
    pub fn mend(&self, owner: u32) {
        for (index, block) in self.blocks[..extent(self)].iter().enumerate() {
            let free = block.free.load(Ordering::Acquire);
            let stands = free | block.ready.load(Ordering::Acquire);
            self.repair_block(index, !stands & self.shape.valid(index), &|_| false, owner);
        }
    }

    fn repair_block(
        &self,
        index: usize,
        mut slots: u64,
        dead: &dyn Fn(u32) -> bool,
        owner: u32,
    ) -> u64 {
        let mut returned = 0;
        while slots != 0 {
            let bit = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            returned += self.repair_slot(index * BLOCK_SLOTS + bit, dead, owner) as u64;
        }
        returned
    }

    /// One slot; whether a message became visible.
    fn repair_slot(&self, index: usize, dead: &dyn Fn(u32) -> bool, owner: u32) -> bool {
        let block = &self.blocks[index / BLOCK_SLOTS];
        let bit = 1u64 << (index % BLOCK_SLOTS);
        let word = &self.words[index];
        // First the hold, then the pins: while the hold stands, whoever takes the message on from
        // the dead gives its name a pin.
        let returned = self.return_held(index, dead);
        if !cfg!(ringmain_twin = "pins") && Word(word.load(Ordering::Acquire)).pins() != 0 {
            self.drop_dead_pins(index, dead, owner);
        }
        let seen = Word(word.load(Ordering::Acquire));
        match seen.phase() {
            Phase::Free => put_missing(&block.free, bit),
            Phase::Ready => put_missing(&block.ready, bit),
            // Who held or extended it may not have come to lower the block's bound.
            Phase::Held => self.look_again(index, seen),
            Phase::Claimed if seen.is_interior() => self.repair_interior(index, seen, owner),
            Phase::Claimed => {
                let orphan = seen.is_retired() && seen.pins() == 0;
                let theirs = seen.owner() != 0 && dead(seen.owner());
                if !cfg!(ringmain_twin = "claimed") && (orphan || theirs) {
                    self.reclaim(index, seen, owner);
                }
            }
        }
        returned
    }

    /// Makes a message ready that a dead owner holds; whether it did.
    fn return_held(&self, index: usize, dead: &dyn Fn(u32) -> bool) -> bool {
        let word = &self.words[index];
        let mut seen = Word(word.load(Ordering::Acquire));
        while !cfg!(ringmain_twin = "held") && seen.phase() == Phase::Held && dead(seen.owner()) {
            let ready = Word::ready(seen.generation(), seen.pins());
            // ORDERING: AcqRel; [slot-returned] on behalf of the dead, whose reads have ended.
            match word.compare_exchange(seen.0, ready.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    let block = &self.blocks[index / BLOCK_SLOTS];
                    blocks::put(&block.ready, 1 << (index % BLOCK_SLOTS));
                    return true;
                }
                Err(now) => seen = Word(now), // a former reader is done, or a late delete
            }
        }
        false
    }

    /// Frees a claimed run after making it the caller's own.
    fn reclaim(&self, index: usize, seen: Word, owner: u32) {
        let mine = Word::claimed(owner, seen.generation(), seen.run());
        // ORDERING: AcqRel; only one repair goes on from here.
        let word = &self.words[index];
        if word
            .compare_exchange(seen.0, mine.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            let run = self.measured_run(index);
            self.free_claimed(index, run);
            self.put_free(index, run);
        }
    }

    /// Frees an interior word that no run covers. None arises by a death; a damaged file has them.
    fn repair_interior(&self, index: usize, seen: Word, owner: u32) {
        let back = seen.back() as usize;
        let first = index.checked_sub(back).filter(|_| back != 0);
        let covered = first.is_some_and(|first| {
            let first = Word(self.words[first].load(Ordering::Acquire));
            first.phase() != Phase::Free && first.owner() != INTERIOR
        });
        if !covered {
            let mine = Word::claimed(owner, seen.generation(), 1);
            let word = &self.words[index];
            if word
                .compare_exchange(seen.0, mine.0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
            {
                self.free_claimed(index, 1);
                self.put_free(index, 1);
            }
        }
    }
}
