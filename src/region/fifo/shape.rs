//! What is fixed when a FIFO queue is created: flags, limits, and the sizes of its own parts.

use super::attempts::WAYS;

/// A FIFO queue takes the digest of a body for its deduplication id.
pub const FLAG_CONTENT: u64 = 1 << 1;
/// A FIFO queue's deduplication ids count within their groups.
pub const FLAG_BY_GROUP: u64 = 1 << 2;
/// A FIFO queue takes as many calls a second as SQS does.
pub const FLAG_QUOTA: u64 = 1 << 3;
/// The flags that only FIFO queues have.
pub const FLAGS_FIFO: u64 = FLAG_CONTENT | FLAG_BY_GROUP | FLAG_QUOTA;
/// Where the flags of a FIFO queue say how many sets of receive attempts there are: 16 bits.
pub const SETS_SHIFT: u32 = 16;
/// The most sets of receive attempts.
#[cfg(any(feature = "fifo", feature = "mapped"))]
pub const SETS_MAX: u64 = (1 << 16) - 1;

/// The most ids that a FIFO queue remembers.
#[cfg(any(feature = "fifo", feature = "mapped"))]
pub const IDS_MAX: u64 = 1 << 31;
/// The shortest deduplication interval, ms.
#[cfg(any(feature = "fifo", feature = "mapped"))]
pub const WINDOW_MS_MIN: u64 = 1000;
/// The longest deduplication interval, ms: 1 day.
#[cfg(any(feature = "fifo", feature = "mapped"))]
pub const WINDOW_MS_MAX: u64 = 86_400_000;
/// The most bytes that group and deduplication id of a message take, behind its attributes.
pub const NAMES_BYTES_MAX: usize = 2 * 128 + 2;
/// So many bytes of them count as part of a typical message.
pub const NAMES_BYTES_TYPICAL: usize = 48;

/// Whether a number is one that [`Config::window`] of a FIFO queue may have.
#[cfg(feature = "mapped")]
pub const fn is_window(value: u64) -> bool {
    let (interval_ms, ids) = (value >> 32, value & 0xffff_ffff);
    interval_ms >= WINDOW_MS_MIN && interval_ms <= WINDOW_MS_MAX && ids >= 1 && ids <= IDS_MAX
}

/// The sizes of a FIFO queue's own parts, see [`fifo`](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FifoShape {
    /// Entries of groups; 0: the queue is a standard one.
    pub groups: usize,
    /// Words that begin chains of groups: a power of two.
    pub group_buckets: usize,
    /// Entries of remembered ids.
    pub ids: usize,
    /// Words that begin chains of ids: a power of two.
    pub id_buckets: usize,
    /// Cells of tickets: a power of two.
    pub tickets: usize,
    /// Sets of receive attempts; 0: none are remembered.
    pub sets: usize,
    /// Blocks of 64 ids that have marks for a journal; 0: there is none.
    pub marks: usize,
}

impl FifoShape {
    /// Of a standard queue.
    pub const NONE: Self = Self {
        groups: 0,
        group_buckets: 0,
        ids: 0,
        id_buckets: 0,
        tickets: 0,
        sets: 0,
        marks: 0,
    };

    /// Of a FIFO queue with so many slots that remembers so many ids. There are more entries of
    /// groups than slots, so that one without messages is found soon, and more tickets than those;
    /// and so many chains of ids that seldom another id has to be looked at, which is a miss.
    pub const fn of(slots: usize, ids: usize) -> Self {
        let groups = slots + slots / 8 + 64;
        Self {
            groups,
            group_buckets: groups.next_power_of_two(),
            ids,
            id_buckets: (4 * ids).next_power_of_two(),
            tickets: (2 * groups).next_power_of_two(),
            sets: 0,
            marks: 0,
        }
    }

    /// The same with so many sets of receive attempts.
    pub const fn with_sets(self, sets: usize) -> Self {
        Self { sets, ..self }
    }

    /// The same with marks of its ids, if it has a journal.
    pub const fn with_marks(self, journaled: bool) -> Self {
        let marks = if journaled { self.ids.div_ceil(64) } else { 0 };
        Self { marks, ..self }
    }

    /// Entries of receive attempts.
    pub const fn attempts(&self) -> usize {
        self.sets * WAYS
    }

    /// Whether the queue is a FIFO queue.
    #[inline(always)]
    pub const fn is_fifo(&self) -> bool {
        self.groups != 0
    }
}
