//! The layout of a stream in memory: the same in each home. `docs/file-format-stream.md` draws it.

use super::consumers::ConsumerSeat;
use super::demand::DEMAND_WORDS;
use crate::region::kept::{KeepHead, KeptShard};
use crate::region::layout::{EventSide, align_up};
use crate::ring::log::{Pin, Positions, Shape};
use crate::ring::roster::Feed;
use crate::ring::shards::{Card, Change};
use crate::sync::{AtomicU64, Ordering, Padded};

/// Kind of a region's section: a stream.
pub const KIND_STREAM: u64 = 3;

/// Bytes of a granule: a cache line.
pub const GRANULE_BYTES: usize = 64;

/// Granules to which one word of the index belongs.
pub const BLOCK_GRANULES: u32 = crate::ring::log::BLOCK;

/// Records carry checksums.
pub const FLAG_CHECKSUM: u64 = 1;
/// A full shard gives up its oldest segment.
pub const FLAG_EVICT: u64 = 2;
/// Each shard has the quotas of Kinesis.
pub const FLAG_QUOTA: u64 = 4;
/// Shards are split by what comes in.
pub const FLAG_ON_DEMAND: u64 = 8;
/// Partition keys are hashed by MD5; without it, by xxh3-128.
pub const FLAG_MD5: u64 = 16;
/// Where consumers have come to is kept.
pub const FLAG_POSITIONS: u64 = 32;
/// Bits of the flags; above them stands the durability, as a queue's configuration has it.
pub const FLAG_BITS: u32 = 8;

/// The most shards.
pub const SHARDS_MAX: usize = 1024;
/// The most readers of a shard at a time.
pub const PINS_MAX: usize = 4096;
/// The most registered consumers.
pub const CONSUMERS_MAX: usize = 64;
/// The least granules of a segment: a block.
pub const SEGMENT_MIN: u32 = BLOCK_GRANULES;
/// The most granules of a segment: 16 MiB.
pub const SEGMENT_MAX: u32 = 1 << 18;
/// The longest retention, ms: 365 days.
pub const RETENTION_MS_MAX: u64 = 365 * 86_400_000;
/// The latest time that a record has, ms: 557 years.
pub const TIME_MS_MAX: u64 = (1 << 44) - 2;

/// What was fixed when the stream was created. Written once, before the stream is published.
#[derive(Debug)]
#[repr(C)]
pub struct StreamConfig {
    /// How many shards there are at first.
    pub shards: AtomicU64,
    /// How many there can be at a time.
    pub places: AtomicU64,
    /// Granules of a segment.
    pub segment: AtomicU64,
    /// Granules of a shard.
    pub granules: AtomicU64,
    /// Readers of a shard at a time.
    pub pins: AtomicU64,
    /// The longest data of a record, bytes.
    pub data_bytes_max: AtomicU64,
    /// `{ durability:56, flags:8 }`: [`FLAG_CHECKSUM`], [`FLAG_EVICT`], [`FLAG_QUOTA`],
    /// [`FLAG_ON_DEMAND`], [`FLAG_MD5`], [`FLAG_POSITIONS`].
    pub flags: AtomicU64,
    /// How old a record may become, ms.
    pub retention_ms: AtomicU64,
    /// Random name of the stream.
    pub nonce: AtomicU64,
    /// How many registered consumers there can be.
    pub consumers: AtomicU64,
    /// xxh3-64 of the fields above.
    pub check: AtomicU64,
}

impl StreamConfig {
    /// What [`check`](Self::check) has to be.
    pub fn checksum(&self) -> u64 {
        let fields = [
            &self.shards,
            &self.places,
            &self.segment,
            &self.granules,
            &self.pins,
            &self.data_bytes_max,
            &self.flags,
            &self.retention_ms,
            &self.nonce,
            &self.consumers,
        ];
        let mut bytes = [0; 80];
        for (chunk, field) in bytes.chunks_exact_mut(8).zip(fields) {
            chunk.copy_from_slice(&field.load(Ordering::Acquire).to_le_bytes());
        }
        crate::hash::xxh3_64(&bytes)
    }
}

/// The head of a stream; the parts of its places for shards follow it.
#[derive(Debug)]
#[repr(C)]
pub struct StreamHead {
    /// Fixed at creation.
    pub config: Padded<StreamConfig>,
    /// Seldom written, by anybody.
    pub notes: Padded<Notes>,
    /// The split or merge that is made.
    pub change: Padded<Change>,
}

/// What is seldom written.
#[derive(Debug)]
#[repr(C)]
pub struct Notes {
    /// When somebody last asked the kernel who has died, ms.
    pub tended_ms: AtomicU64,
    /// [`DELETED`]: the stream has been deleted, and its memory is about to go.
    pub deleted: AtomicU64,
    /// The roster of consumers: see `ring::roster`.
    pub roster: AtomicU64,
}

/// What the mark of a deleted stream is; any other value is none, so that no flipped bit is one.
#[cfg(feature = "std")]
pub const DELETED: u64 = u64::from_le_bytes(*b"deleted!");

/// What a place for a shard has once.
#[derive(Debug)]
#[repr(C)]
pub struct ShardHead {
    /// The writers' line.
    pub writers: Padded<Writers>,
    /// Which shard is here.
    pub card: Padded<Card>,
    /// Of a stream with quotas: see `stream::quota`.
    pub quota: Padded<[AtomicU64; 3]>,
}

/// What writers change: the positions seldom, the time once a millisecond; and who waits for them.
#[derive(Debug)]
#[repr(C)]
pub struct Writers {
    /// Where the log begins and ends.
    pub positions: Positions,
    /// The latest time of a record, ms: it does not go back.
    pub latest_ms: AtomicU64,
    /// Segments that were given up to make room while their records were not over.
    pub evicted: AtomicU64,
    /// Whoever waits for records of this shard. On this line, since each writer looks at it.
    pub event: EventSide,
}

const _: () = {
    assert!(size_of::<Pin>() == 16 && size_of::<Writers>() == 64);
    #[cfg(not(target_os = "none"))]
    assert!(size_of::<StreamHead>() == 384 && size_of::<ShardHead>() == 384);
};

/// The numbers that fix a stream's layout; verified before use, then kept outside the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamShape {
    /// How many shards there are at first.
    pub shards: usize,
    /// How many there can be at a time.
    pub places: usize,
    /// The ring of each.
    pub ring: Shape,
    /// Readers of a shard at a time.
    pub pins: usize,
    /// Registered consumers.
    pub consumers: usize,
    /// Whether it is kept where they have come to.
    pub positions: bool,
    /// The longest data of a record, bytes.
    pub data_bytes_max: usize,
    /// Whether it survives the machine: then there is what `keep` tells.
    pub kept: bool,
}

/// Where the parts of a stream begin, as offsets from its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOffsets {
    /// Heads of places.
    pub heads: usize,
    /// Pins of all shards.
    pub pins: usize,
    /// Seats of consumers.
    pub seats: usize,
    /// Feeds of all consumers.
    pub feeds: usize,
    /// Where consumers have come to, of all of them.
    pub positions: usize,
    /// What is known of the mirror, of a stream that survives the machine.
    pub keep: usize,
    /// What is known there of each place.
    pub kept: usize,
    /// Words of the index, of all shards.
    pub index: usize,
    /// Headers of all shards.
    pub headers: usize,
    /// Granules of all shards.
    pub granules: usize,
    /// What is remembered of the demand.
    pub demand: usize,
    /// Behind the last one.
    pub end: usize,
}

impl StreamShape {
    /// Granules that a record with so many bytes of key and data takes.
    #[inline(always)]
    pub const fn granules_of(len: usize) -> u32 {
        // Rounded up, of a number that is not 0.
        ((len + super::memory::STORED_HEAD_BYTES - 1) / GRANULE_BYTES + 1) as u32
    }

    /// The most bytes of key and data of a record that takes so many granules.
    pub const fn bytes_of(granules: u32) -> usize {
        granules as usize * GRANULE_BYTES - super::memory::STORED_HEAD_BYTES
    }

    /// One for each consumer and place, if there are any.
    pub const fn position_words(&self) -> usize {
        match self.positions {
            true => self.places * self.consumers,
            false => 0,
        }
    }

    /// Pins of a shard: those of readers, and one of who reads for the mirror.
    #[inline(always)]
    pub const fn pins_of_shard(&self) -> usize {
        self.pins.saturating_add(self.kept as usize)
    }

    /// Where the parts lie; `None` if that is beyond all memory.
    pub fn offsets(&self) -> Option<StreamOffsets> {
        let granules = self.places.checked_mul(self.ring.granules as usize)?;
        let parts = [
            (self.places, size_of::<ShardHead>()),
            (
                self.places.checked_mul(self.pins_of_shard())?,
                size_of::<Pin>(),
            ),
            (self.consumers, size_of::<ConsumerSeat>()),
            (self.places.checked_mul(self.consumers)?, size_of::<Feed>()),
            (self.position_words(), size_of::<AtomicU64>()),
            (usize::from(self.kept), size_of::<KeepHead>()),
            (self.places * usize::from(self.kept), size_of::<KeptShard>()),
            (granules / BLOCK_GRANULES as usize, size_of::<AtomicU64>()),
            (granules, size_of::<AtomicU64>()),
            (granules, GRANULE_BYTES),
            (
                self.places.checked_add(DEMAND_WORDS)?,
                size_of::<AtomicU64>(),
            ),
        ];
        let mut starts = [0; 11];
        let mut end = size_of::<StreamHead>();
        for (start, (count, bytes)) in starts.iter_mut().zip(parts) {
            *start = align_up(end, 128)?;
            if count != 0 {
                end = start.checked_add(count.checked_mul(bytes)?)?;
            }
        }
        let [
            heads,
            pins,
            seats,
            feeds,
            positions,
            keep,
            kept,
            index,
            headers,
            granules,
            demand,
        ] = starts;
        Some(StreamOffsets {
            heads,
            pins,
            seats,
            feeds,
            positions,
            keep,
            kept,
            index,
            headers,
            granules,
            demand,
            end,
        })
    }
}
