//! The twins: a rogue that does to the file what nobody may do, by the offsets of
//! docs/file-format.md, so that the audit has something to find.

use super::board::{Raw, SECTION};
use super::body;
use super::faults::Fault;
use super::hand::Hand;
use super::os;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a rogue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twin {
    /// Takes a ready message away.
    Lose,
    /// Makes a deleted message ready again.
    Resurrect,
    /// Changes a byte of a body, and its checksum with it.
    Damage,
    /// Makes a held message ready before its time.
    Early,
    /// Claims a slot for nobody.
    Leak,
    /// Counts receives that were none.
    Count,
}

impl Twin {
    pub const ALL: [Twin; 6] = [
        Twin::Lose,
        Twin::Resurrect,
        Twin::Damage,
        Twin::Early,
        Twin::Leak,
        Twin::Count,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Twin::Lose => "lose",
            Twin::Resurrect => "resurrect",
            Twin::Damage => "damage",
            Twin::Early => "early",
            Twin::Leak => "leak",
            Twin::Count => "count",
        }
    }

    /// What the audit has to find.
    pub fn expected(self) -> Fault {
        match self {
            Twin::Lose => Fault::Lost,
            Twin::Resurrect => Fault::Resurrected,
            Twin::Damage => Fault::Damaged,
            Twin::Early => Fault::Early,
            Twin::Leak => Fault::Leak,
            Twin::Count => Fault::Counts,
        }
    }
}

const FREE: u64 = 0;
const CLAIMED: u64 = 1;
const READY: u64 = 2;
const HELD: u64 = 3;
const GENERATION: u64 = ((1 << 18) - 1) << 31;
const PINS: u64 = 3 << 59;
const NOBODY: u64 = 1021 << 49;
const SLOT_HEAD_BYTES: usize = 16;

fn phase(word: u64) -> u64 {
    word >> 62
}

/// The queue's parts in the file.
struct Parts {
    raw: Raw,
    slots: usize,
    slot_bytes: usize,
    words: usize,
    notes: usize,
    /// The maps of free and of ready slots, if there are any.
    maps: Option<[usize; 2]>,
    first_slot: usize,
}

/// Where, in the section, the blocks begin.
const BLOCKS: usize = 1152;

impl Parts {
    fn of(raw: Raw) -> Self {
        let number = |at: usize| raw.word(SECTION + at).load(Ordering::Relaxed) as usize;
        let (slot_bytes, slots, blocks) = (number(0), number(8), number(16));
        let line = |n: usize| n.next_multiple_of(128);
        let groups = if blocks > 8 { blocks.div_ceil(64) } else { 0 };
        let free_map = line(BLOCKS + 64 * blocks);
        let ready_map = line(free_map + 8 * groups);
        let words = line(line(ready_map + 8 * groups) + 8 * groups);
        let notes = line(words + 8 * slots);
        let first_slot = line(notes + 32 * slots);
        Self {
            raw,
            slots,
            slot_bytes,
            words: SECTION + words,
            notes: SECTION + notes,
            maps: (groups != 0).then_some([SECTION + free_map, SECTION + ready_map]),
            first_slot: SECTION + first_slot,
        }
    }

    fn word(&self, slot: usize) -> &'static AtomicU64 {
        self.raw.word(self.words + 8 * slot)
    }

    /// The block's word of free (0) or ready (8) bits, and the slot's bit.
    fn bits(&self, slot: usize, which: usize) -> (&'static AtomicU64, u64) {
        let at = SECTION + BLOCKS + 64 * (slot / 64) + which;
        (self.raw.word(at), 1 << (slot % 64))
    }

    fn put(&self, slot: usize, which: usize) {
        let (bits, bit) = self.bits(slot, which);
        bits.fetch_or(bit, Ordering::SeqCst);
        if let Some(maps) = self.maps {
            let map = self.raw.word(maps[which / 8] + 8 * (slot / 4096));
            map.fetch_or(1 << (slot / 64 % 64), Ordering::SeqCst);
        }
    }

    /// Takes a bit; whether it stood.
    fn take(&self, slot: usize, which: usize) -> bool {
        let (bits, bit) = self.bits(slot, which);
        bits.fetch_and(!bit, Ordering::SeqCst) & bit != 0
    }

    fn size(&self, slot: usize) -> &'static AtomicU64 {
        self.raw.word(self.first_slot + self.slot_bytes * slot)
    }

    fn stamp(&self, slot: usize) -> u64 {
        let note = self.raw.word(self.notes + 32 * slot);
        note.load(Ordering::Relaxed)
    }

    /// The bytes of a message of one slot, if it is one.
    fn body(&self, slot: usize) -> Option<&'static mut [u8]> {
        let len = self.size(slot).load(Ordering::Relaxed) as u32 as usize;
        if self.stamp(slot) == 0 || len < 16 || len > self.slot_bytes - SLOT_HEAD_BYTES {
            return None;
        }
        let at = self.first_slot + self.slot_bytes * slot + SLOT_HEAD_BYTES;
        // SAFETY: inside the mapping. That others may write there is what a rogue is.
        Some(unsafe { std::slice::from_raw_parts_mut(self.raw.base.add(at), len) })
    }
}

const FREE_BITS: usize = 0;
const READY_BITS: usize = 8;

/// Does its deed a few times a round.
pub fn rogue(hand: &mut Hand, twin: Twin) -> i32 {
    let parts = Parts::of(hand.tools.raw);
    let mut deeds = 0;
    while hand.goes_on() && deeds < 8 {
        let slot = hand.below(parts.slots as u64) as usize;
        if deed(&parts, slot, twin) {
            deeds += 1;
            let wait = os::now_ns() + 20_000_000;
            while os::now_ns() < wait && hand.goes_on() {
                std::thread::yield_now();
            }
        }
    }
    0
}

/// One deed to one slot; whether it could be done.
fn deed(parts: &Parts, slot: usize, twin: Twin) -> bool {
    let word = parts.word(slot);
    let seen = word.load(Ordering::SeqCst);
    let swap = |next: u64| {
        word.compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    };
    match twin {
        Twin::Lose => {
            let one = phase(seen) == READY && seen & PINS == 0 && parts.body(slot).is_some();
            if !one || !swap(seen & GENERATION | FREE << 62) {
                return false;
            }
            parts.take(slot, READY_BITS);
            parts.put(slot, FREE_BITS);
        }
        Twin::Resurrect => {
            let whole = |bytes: &mut [u8]| body::seed_of(bytes).is_some();
            let one = phase(seen) == FREE && parts.body(slot).is_some_and(whole);
            if !one || !parts.take(slot, FREE_BITS) {
                return false;
            }
            if !swap(seen & GENERATION | READY << 62) {
                return false;
            }
            parts.put(slot, READY_BITS);
        }
        Twin::Damage => {
            let Some(bytes) = parts.body(slot).filter(|_| phase(seen) == READY) else {
                return false;
            };
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            let stamp = parts.stamp(slot);
            let sum = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, stamp) as u32 as u64;
            let size = sum << 32 | bytes.len() as u64;
            parts.size(slot).store(size, Ordering::SeqCst);
        }
        Twin::Early => {
            let owned = (seen >> 49) & 1023 != 0 && seen as u32 & 0x7fff_ffff > 4000;
            let one = phase(seen) == HELD && owned && parts.body(slot).is_some();
            if !one || !swap(seen & (GENERATION | PINS) | READY << 62) {
                return false;
            }
            parts.put(slot, READY_BITS);
        }
        Twin::Leak => {
            if phase(seen) != FREE || !parts.take(slot, FREE_BITS) {
                return false;
            }
            return swap(seen & GENERATION | NOBODY | CLAIMED << 62 | 1);
        }
        Twin::Count => {
            let next = (seen & GENERATION) + (1000 << 31);
            let one = phase(seen) == READY && seen & PINS == 0 && parts.body(slot).is_some();
            return one && swap(next & GENERATION | READY << 62);
        }
    }
    true
}
