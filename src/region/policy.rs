//! What may be changed while a queue lives: a line of words that every participant reads as it
//! goes, so that a change reaches all of them without a restart.
//!
//! # Words
//!
//! Each setting is one word `{ check:20, value:44 }`. It is changed by one store, so it is seen old
//! or new, and each by itself: two that are changed together may be seen one new and one old for a
//! moment. The check tells a word that was damaged at rest, when the queue is opened. On the way it
//! is not compared, and a word that says too much is cut to its range. Only who is about to drop a
//! message for its age looks at the check of the retention: what is dropped does not come back.

use crate::sync::{AtomicU64, Ordering, const_fn};

/// A setting: what it is called, and its range.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// Its name in errors, with its unit.
    pub what: &'static str,
    /// The least value.
    pub min: u64,
    /// The greatest value.
    pub max: u64,
}

/// How many words there are.
pub const SETTINGS: usize = 8;
/// The first so many of them are options; the others are marks that operations set.
pub const OPTIONS: usize = 5;
/// Visibility timeout, ms.
pub const VISIBILITY_MS: usize = 0;
/// Retention, ms.
pub const RETENTION_MS: usize = 1;
/// Delay, ms.
pub const DELAY_MS: usize = 2;
/// Messages in flight at most.
pub const IN_FLIGHT_MAX: usize = 3;
/// Receives of a message before it is a dead letter; 0: as many as there are.
pub const RECEIVES_MAX: usize = 4;
/// Low bits of the name of the queue to which dead letters go; 0: none.
pub const DEAD_LETTERS: usize = 5;
/// 1: the queue has been deleted, and its memory is about to go.
pub const DELETED: usize = 6;
/// When the queue was last purged, ms; 0: never.
pub const PURGED_MS: usize = 7;

/// The longest visibility timeout, ms: 12 h.
pub const VISIBILITY_MS_MAX: u64 = 12 * 3_600_000;
/// The shortest retention, ms.
pub const RETENTION_MS_MIN: u64 = 60_000;
/// The longest retention, ms: 14 days.
pub const RETENTION_MS_MAX: u64 = 14 * 86_400_000;
/// The longest delay, ms: 15 min.
pub const DELAY_MS_MAX: u64 = 900_000;

/// The most receives before a message is a dead letter.
pub const RECEIVES_MAX_MAX: u64 = 1000;

/// The settings' ranges, by their index.
pub const RANGES: [Range; SETTINGS] = [
    Range {
        what: "visibility timeout (ms)",
        min: 0,
        max: VISIBILITY_MS_MAX,
    },
    Range {
        what: "retention (ms)",
        min: RETENTION_MS_MIN,
        max: RETENTION_MS_MAX,
    },
    Range {
        what: "delay (ms)",
        min: 0,
        max: DELAY_MS_MAX,
    },
    Range {
        what: "max_in_flight",
        min: 1,
        max: (1 << 31) - 1,
    },
    Range {
        what: "max_receives",
        min: 0,
        max: RECEIVES_MAX_MAX,
    },
    Range {
        what: "dead_letters",
        min: 0,
        max: VALUE_MASK,
    },
    Range {
        what: "deleted",
        min: 0,
        max: 1,
    },
    Range {
        what: "purged (ms)",
        min: 0,
        max: VALUE_MASK,
    },
];

/// Values of all settings.
pub type PolicyNumbers = [u64; SETTINGS];

/// The bits of a word that are its value.
pub const VALUE_MASK: u64 = (1 << 44) - 1;

/// `{ check:20, value:44 }`
const fn word_of(setting: usize, value: u64) -> u64 {
    let value = value & VALUE_MASK;
    let mixed = (value ^ ((setting as u64 + 1) << 56)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed & !VALUE_MASK) | value
}

/// The value that a setting's word has, if it is sound.
pub fn value_of(setting: usize, word: u64) -> Option<u64> {
    let (value, range) = (word & VALUE_MASK, &RANGES[setting]);
    let sound = word == word_of(setting, value) && (range.min..=range.max).contains(&value);
    sound.then_some(value)
}

/// The line of settings.
#[derive(Debug)]
#[repr(C)]
pub struct Policy {
    words: [AtomicU64; SETTINGS],
}

impl Policy {
    const_fn! {
        /// A line with these values.
        pub fn new(values: PolicyNumbers) -> Self {
            Self {
                words: [
                    AtomicU64::new(word_of(0, values[0])),
                    AtomicU64::new(word_of(1, values[1])),
                    AtomicU64::new(word_of(2, values[2])),
                    AtomicU64::new(word_of(3, values[3])),
                    AtomicU64::new(word_of(4, values[4])),
                    AtomicU64::new(word_of(5, values[5])),
                    AtomicU64::new(word_of(6, values[6])),
                    AtomicU64::new(word_of(7, values[7])),
                ],
            }
        }
    }

    /// A setting; no greater than its range allows, whatever the memory says.
    #[inline(always)]
    pub fn get(&self, setting: usize) -> u64 {
        let value = self.words[setting].load(Ordering::Relaxed) & VALUE_MASK;
        value.min(RANGES[setting].max)
    }

    /// Whether a mark is set.
    #[inline(always)]
    pub fn is_set(&self, mark: usize) -> bool {
        self.words[mark].load(Ordering::Relaxed) & VALUE_MASK != 0
    }

    /// Changes a setting. The caller has checked the range.
    pub fn set(&self, setting: usize, value: u64) {
        self.words[setting].store(word_of(setting, value), Ordering::Release);
    }

    /// Changes a setting if it is still `from`; whether it did.
    pub fn exchange(&self, setting: usize, from: u64, to: u64) -> bool {
        let (from, to) = (word_of(setting, from), word_of(setting, to));
        self.words[setting]
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// All settings.
    pub fn numbers(&self) -> PolicyNumbers {
        core::array::from_fn(|setting| self.get(setting))
    }

    /// Whether a setting's word is one that [`set`](Self::set) writes.
    #[cold]
    pub fn is_sound(&self, setting: usize) -> bool {
        value_of(setting, self.words[setting].load(Ordering::Acquire)).is_some()
    }

    /// The first setting that is not sound.
    #[cfg(feature = "mapped")]
    pub fn damaged(&self) -> Option<&'static str> {
        let unsound = (0..SETTINGS).find(|setting| !self.is_sound(*setting));
        unsound.map(|setting| RANGES[setting].what)
    }
}

#[cfg(all(test, not(ringmain_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_its_own_check() {
        let policy = Policy::new([30_000, 60_000, 0, 120_000, 5, 77, 1, 1 << 40]);
        assert_eq!(policy.get(VISIBILITY_MS), 30_000);
        policy.set(DELAY_MS, 900_000);
        let numbers = [30_000, 60_000, 900_000, 120_000, 5, 77, 1, 1 << 40];
        assert_eq!(policy.numbers(), numbers);
        #[cfg(feature = "mapped")]
        for (setting, range) in RANGES.iter().enumerate() {
            assert_eq!(policy.damaged(), None);
            for bit in 0..64 {
                policy.words[setting].fetch_xor(1 << bit, Ordering::Relaxed);
                assert_eq!(policy.damaged(), Some(range.what), "bit {bit}");
                policy.words[setting].fetch_xor(1 << bit, Ordering::Relaxed);
            }
        }
    }
}
