//! What a stream with shards on demand remembers: up to where its shards were measured, and the
//! most that came in a second of each of the last days.
//!
//! A word each, so that whoever dies leaves nothing half-written. Nothing of it is needed for a
//! record: what is damaged here makes too many shards, or too few, within their bound.

use super::site::{Shard, Site};
use crate::region::home::Region;
use crate::ring::log::Position;
use crate::sync::{AtomicU64, Ordering};

/// Days that are remembered: today, and 30 days back.
const DAYS: usize = 31;
/// Words before those of places.
pub(super) const DEMAND_WORDS: usize = 1 + DAYS;

const DAY_MS: u64 = 86_400_000;
const DAY_BITS: u32 = 16;
const RATE_BITS: u32 = 24;
const RATE_MASK: u64 = (1 << RATE_BITS) - 1;

/// What comes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// Records.
    pub records: u64,
    /// KiB of the log.
    pub kib: u64,
}

/// The words of demand of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    words: &'a [AtomicU64],
}

/// `{ day:16, kib:24, records:24 }`
const fn packed(day: u64, rate: Rate) -> u64 {
    day << (2 * RATE_BITS) | rate.kib << RATE_BITS | rate.records
}

const fn unpacked(word: u64) -> (u64, Rate) {
    let rate = Rate {
        records: word & RATE_MASK,
        kib: word >> RATE_BITS & RATE_MASK,
    };
    (word >> (2 * RATE_BITS), rate)
}

/// The day of a time, as a word has it.
const fn day_of(ms: u64) -> u64 {
    (ms / DAY_MS) & ((1 << DAY_BITS) - 1)
}

impl Rate {
    /// Of each the greater one.
    pub fn max(self, other: Self) -> Self {
        Self {
            records: self.records.max(other.records),
            kib: self.kib.max(other.kib),
        }
    }
}

impl<R: Region> Site<R> {
    /// The words of demand.
    pub fn demand(&self) -> Demand<'_> {
        let place = self.place();
        let len = DEMAND_WORDS + place.shape.places;
        // SAFETY: the region has said that the stream lies here for as long as it lives itself, and
        // it lives as long as `self`; the offset is that of this part, which has so many words.
        let words = unsafe {
            let first = place.base.add(place.offsets.demand) as *const AtomicU64;
            core::slice::from_raw_parts(first, len)
        };
        Demand { words }
    }
}

impl<'a> Demand<'a> {
    /// When the stream was measured last, ms; 0: never.
    pub fn measured_ms(&self) -> &'a AtomicU64 {
        &self.words[0]
    }

    /// Up to where a place was measured.
    pub fn measured(&self, shard: &Shard<'_>) -> Position {
        // ORDERING: Relaxed; a hint: wherever it is, measuring goes on at a boundary.
        Position(self.words[DEMAND_WORDS + shard.number()].load(Ordering::Relaxed))
    }

    /// A place was measured up to there.
    pub fn set_measured(&self, shard: &Shard<'_>, to: Position) {
        self.words[DEMAND_WORDS + shard.number()].store(to.0, Ordering::Relaxed);
    }

    /// Remembers what came in a second, if it is the most of its day.
    pub fn note(&self, now_ms: u64, rate: Rate) {
        let rate = Rate {
            records: rate.records.min(RATE_MASK),
            kib: rate.kib.min(RATE_MASK),
        };
        let day = day_of(now_ms);
        let word = &self.words[1 + (now_ms / DAY_MS % DAYS as u64) as usize];
        // ORDERING: Relaxed; the word is all there is.
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let next = match unpacked(seen) {
                (of, noted) if of == day => packed(day, noted.max(rate)),
                _ => packed(day, rate),
            };
            if next == seen {
                return;
            }
            match word.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// The most that came in a second, today and 30 days back.
    pub fn peak(&self, now_ms: u64) -> Rate {
        let today = day_of(now_ms);
        let ago = |day: u64| today.wrapping_sub(day) & ((1 << DAY_BITS) - 1);
        let words = &self.words[1..DEMAND_WORDS];
        let noted = words
            .iter()
            .map(|word| unpacked(word.load(Ordering::Relaxed)));
        let kept = noted.filter(|(day, _)| ago(*day) < DAYS as u64);
        kept.fold(Rate::default(), |peak, (_, rate)| peak.max(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, DEMAND_WORDS, Demand, Rate};
    use crate::sync::AtomicU64;

    #[test]
    fn a_day_is_remembered_for_30_days() {
        let rate = |records, kib| Rate { records, kib };
        // A word knows a day by 16 bits: 179 years.
        for first in [31, 40_000, 65_530] {
            let words: [AtomicU64; DEMAND_WORDS + 1] = core::array::from_fn(|_| AtomicU64::new(0));
            let demand = Demand { words: &words };
            let at = |day: u64| (first + day) * DAY_MS + 5;
            demand.note(at(0), rate(100, 7));
            demand.note(at(0), rate(90, 9));
            assert_eq!(demand.peak(at(0)), rate(100, 9));
            demand.note(at(3), rate(u64::MAX, 1));
            assert_eq!(demand.peak(at(30)), rate((1 << 24) - 1, 9));
            assert_eq!(demand.peak(at(31)), rate((1 << 24) - 1, 1));
            assert_eq!(demand.peak(at(34)), rate(0, 0));
            demand.note(at(31), rate(5, 0));
            assert_eq!(
                demand.peak(at(31)),
                rate((1 << 24) - 1, 1),
                "the word of day 0 is new"
            );
            assert_eq!(demand.peak(at(40)), rate(5, 0));
            // What is of a day to come is from before the clock was set back.
            assert_eq!(demand.peak(at(30)), rate((1 << 24) - 1, 1));
        }
    }
}
