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
//! Bits are put block by block, when its words have been looked at: a slot may be somebody's again
//! by then, and his bit stands although it should not, which is what words are for.
//!
//! Two hints tell what need not be looked at: the extent, and a block's bound. No death makes them
//! wrong, but damage may, and a machine that lost power may have kept an old line of theirs beside
//! newer words. Each mending looks at a few blocks in turn, whatever these two say of them: a block
//! beyond the extent whose bits show use is taken into it, and a bound over messages is lowered to
//! nothing, which costs the next receiver a look and gives the block a true one.
//!
//! Each block that is looked at is noted in the maps for the bits that it has: one who died may
//! have struck it out and not have looked again (`ring::maps`).
//!
//! `left_out!` names a step that a twin leaves out, which the kill matrix must find broken
//! (`docs/recovery.md`).

use super::store::Store;
use super::word::{INTERIOR, Phase, Word};
use crate::ring::blocks::{self, BLOCK_SLOTS};
use crate::sync::{AtomicU64, Ordering, left_out};

/// Blocks that have been used so far, at least 1, whatever the memory says.
pub fn extent(store: &Store<'_>) -> usize {
    let extent = store.head().seldom.extent.load(Ordering::Relaxed) as usize;
    extent.clamp(1, store.blocks().len().max(1))
}

/// How many blocks a mending looks at whatever the hints say.
#[cfg(feature = "mapped")]
const BLOCKS_IN_TURN: usize = 64;

fn put_missing(word: &AtomicU64, set: u64) {
    let missing = set & !word.load(Ordering::Acquire);
    if !left_out!("bits") && missing != 0 {
        blocks::put(word, missing); // who calls this notes the block
    }
}

/// What a scan found in a block, as bits of its slots.
#[derive(Default)]
struct Found {
    free: u64,
    ready: u64,
    returned: u32,
    /// Whether cells may be reserved in this queue though no pin is set.
    peeked: bool,
}

impl Store<'_> {
    /// Takes back whatever belongs to owners that `dead` names, and puts missing bits. Returns how
    /// many messages became visible.
    ///
    /// The caller has proof that these owners are dead, and keeps their indices from being given
    /// out meanwhile.
    pub fn repair(&self, dead: &dyn Fn(u32) -> bool, owner: u32) -> u64 {
        let whole = |index| self.repair_block(index, self.shape().valid(index), dead, owner);
        (0..extent(self)).map(whole).sum()
    }

    /// Puts the missing bits of slots that stand in neither word, with nobody dead, and puts the
    /// hints of a few blocks right. `turn` counts the calls.
    #[cfg(feature = "mapped")]
    pub fn mend(&self, owner: u32, turn: u64) {
        self.look_in_turn(turn);
        for (index, block) in self.blocks()[..extent(self)].iter().enumerate() {
            let free = block.free.load(Ordering::Acquire);
            let stands = free | block.ready.load(Ordering::Acquire);
            self.repair_block(
                index,
                !stands & self.shape().valid(index),
                &|_| false,
                owner,
            );
        }
    }

    /// Looks at the blocks whose turn it is: see the module's text.
    #[cfg(feature = "mapped")]
    fn look_in_turn(&self, turn: u64) {
        let turns = self.blocks().len().div_ceil(BLOCKS_IN_TURN) as u64;
        let first = (turn % turns) as usize * BLOCKS_IN_TURN;
        let used = extent(self);
        for index in first..self.blocks().len().min(first + BLOCKS_IN_TURN) {
            let (block, valid) = (&self.blocks()[index], self.shape().valid(index));
            if index >= used {
                let free = block.free.load(Ordering::Relaxed);
                if free & valid != valid || block.ready.load(Ordering::Relaxed) != 0 {
                    let extent = &self.head().seldom.extent;
                    extent.fetch_max(index as u64 + 1, Ordering::Relaxed);
                }
                continue;
            }
            let slots = index * BLOCK_SLOTS..self.words().len().min((index + 1) * BLOCK_SLOTS);
            let live = |word: &AtomicU64| {
                let phase = Word(word.load(Ordering::SeqCst)).phase();
                matches!(phase, Phase::Ready | Phase::Held)
            };
            if self.words()[slots].iter().any(live) {
                self.lower_due(index, 0);
            }
        }
    }

    fn repair_block(
        &self,
        index: usize,
        mut slots: u64,
        dead: &dyn Fn(u32) -> bool,
        owner: u32,
    ) -> u64 {
        let block = &self.blocks()[index];
        let mut found = Found {
            // ORDERING: Acquire; [peeked] set before the first reservation.
            peeked: self.head().seldom.peeked.load(Ordering::Acquire) != 0,
            ..Found::default()
        };
        while slots != 0 {
            let bit = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            self.repair_slot(index * BLOCK_SLOTS + bit, dead, owner, &mut found);
        }
        put_missing(&block.free, found.free);
        if !self.shape().fifo.is_fifo() {
            put_missing(&block.ready, found.ready); // there, nobody takes them away
        }
        if found.returned != 0 {
            self.lower_due(index, 0); // they may be too old: while held, nobody looked at that
        }
        self.note_block(index);
        found.returned as u64
    }

    /// One slot: what is wrong with its word is put right, and what its bits should be is noted.
    #[inline(always)]
    fn repair_slot(&self, index: usize, dead: &dyn Fn(u32) -> bool, owner: u32, found: &mut Found) {
        let bit = 1u64 << (index % BLOCK_SLOTS);
        let word = &self.words()[index];
        // First the hold, then the pins: while the hold stands, whoever takes the message on from
        // the dead gives its name a pin.
        found.returned += self.return_held(index, dead) as u32;
        let pinned = found.peeked || Word(word.load(Ordering::Acquire)).pins() != 0;
        if !left_out!("pins") && pinned {
            self.drop_dead_pins(index, dead, owner);
        }
        let seen = Word(word.load(Ordering::Acquire));
        match seen.phase() {
            Phase::Free => found.free |= bit,
            Phase::Ready => found.ready |= bit,
            // Who held or extended it may not have come to lower the block's bound.
            Phase::Held => self.look_again(index, seen),
            Phase::Claimed if seen.is_interior() => self.repair_interior(index, seen, owner),
            // It has gone, or is complete: only who sees the other queue too can tell.
            Phase::Claimed if seen.is_departed() => {}
            Phase::Claimed if seen.is_arrival() => {
                if !left_out!("arrivals") && seen.owner() != 0 && dead(seen.owner()) {
                    self.orphan(index, seen);
                }
            }
            // Whoever takes it out of its list frees it; so does `mend_sends` once nobody is named.
            Phase::Claimed if seen.is_tombstone() => {
                if !left_out!("names") && seen.owner() != 0 && dead(seen.owner()) {
                    self.unname(index, seen);
                }
            }
            Phase::Claimed => {
                let orphan = seen.is_retired() && seen.pins() == 0;
                let theirs = seen.owner() != 0 && dead(seen.owner());
                let completed =
                    theirs && !left_out!("coming") && self.complete_theirs(index, seen, owner);
                if !left_out!("claimed") && !completed && (orphan || theirs) {
                    found.free |= self.reclaim(index, seen, owner) as u64 * bit;
                }
            }
        }
    }

    /// Makes a message ready that a dead owner holds; whether it did. Its bit is the caller's to
    /// put.
    #[inline(always)]
    fn return_held(&self, index: usize, dead: &dyn Fn(u32) -> bool) -> bool {
        let word = &self.words()[index];
        let mut seen = Word(word.load(Ordering::Acquire));
        while !left_out!("held") && seen.phase() == Phase::Held && dead(seen.owner()) {
            let ready = Word::ready(seen.generation(), seen.pins());
            // ORDERING: AcqRel; [slot-returned] on behalf of the dead, whose reads have ended.
            match word.compare_exchange(seen.0, ready.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = Word(now), // a former reader is done, or a late delete
            }
        }
        false
    }

    /// Frees a claimed run after making it the caller's own. `true`: it had one slot, whose free
    /// bit is the caller's to put.
    fn reclaim(&self, index: usize, seen: Word, owner: u32) -> bool {
        let word = &self.words()[index];
        // Who owns the first word frees the interior; so if the word is still what was seen, this
        // is the run's length.
        let run = self.measured_run(index);
        let single = run == 1;
        let next = if single {
            Word::free(seen.generation() + 1)
        } else {
            Word::claimed(owner, seen.generation(), seen.run())
        };
        // ORDERING: AcqRel; only one repair goes on from here. [slot-freed] on behalf of the dead.
        let won = word.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed);
        if won.is_ok() && !single {
            self.free_claimed(index, run);
            self.put_free(index, run);
        }
        won.is_ok() && single
    }

    /// Frees an interior word that no run covers. None arises by a death; a damaged file has them.
    fn repair_interior(&self, index: usize, seen: Word, owner: u32) {
        let back = seen.back() as usize;
        let first = index.checked_sub(back).filter(|_| back != 0);
        let covered = first.is_some_and(|first| {
            let first = Word(self.words()[first].load(Ordering::Acquire));
            first.phase() != Phase::Free && first.owner() != INTERIOR
        });
        if !covered {
            let mine = Word::claimed(owner, seen.generation(), 1);
            let word = &self.words()[index];
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
