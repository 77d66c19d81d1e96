//! A stream laid out in plain memory, and how what lies there is checked.

use super::keep;
use super::layout::{
    FLAG_BITS, FLAG_CHECKSUM, FLAG_EVICT, FLAG_MD5, FLAG_ON_DEMAND, FLAG_POSITIONS, FLAG_QUOTA,
    GRANULE_BYTES, Notes, SEGMENT_MAX, SEGMENT_MIN, ShardHead, StreamConfig, StreamHead,
    StreamOffsets, StreamShape, Writers,
};
use super::record::KEY_BYTES_MAX;
use crate::error::Error;
use crate::region::layout::{DURABILITY_PROCESS, EventSide};
use crate::ring::log::{INDEX_BITS, Position, Positions, Shape};
use crate::ring::shards::{Card, Change};
use crate::sync::{AtomicU32, AtomicU64, Ordering, Padded};

/// Bytes of a record before its key: checksum, lengths, time.
pub const STORED_HEAD_BYTES: usize = 16;
/// The longest data of a record by default, bytes: that of Kinesis.
const DATA_BYTES_MAX: usize = 1 << 20;
/// Segments into which a shard is divided, if nothing else speaks against it.
const SEGMENTS: usize = 16;

/// A stream's wishes for its memory, before the region says what it can give.
#[derive(Debug, Clone, Copy)]
pub struct StreamWish {
    /// How many shards there are at first.
    pub shards: usize,
    /// How many there can be at a time; `None`: as many as at first.
    pub places: Option<usize>,
    /// Bytes of a segment; `None`: a sixteenth of a shard.
    pub segment_bytes: Option<usize>,
    /// Readers of a shard at a time.
    pub readers: usize,
    /// Registered consumers.
    pub consumers: usize,
    /// The longest data of a record, bytes; `None`: 1 MiB, or what the region allows.
    pub data_bytes_max: Option<usize>,
    /// Checksums over records; `None`: if the region is shared.
    pub checksum: Option<bool>,
    /// Whether a full shard gives up its oldest segment.
    pub evict: bool,
    /// Whether each shard has the quotas of Kinesis.
    pub quota: bool,
    /// Whether shards are split by what comes in.
    pub on_demand: bool,
    /// Whether partition keys are hashed by MD5.
    pub md5: bool,
    /// How old a record may become, ms.
    pub retention_ms: u64,
    /// What survives the machine: as in the configuration of a queue.
    pub durability: u64,
}

/// Where a verified stream lies. Only this floor makes one.
#[derive(Debug, Clone, Copy)]
pub struct StreamPlace {
    pub(super) base: *mut u8,
    pub(super) offsets: StreamOffsets,
    pub(crate) shape: StreamShape,
    pub(crate) flags: u64,
    pub(crate) retention_ms: u64,
    /// Whether this participant only reads, and has the records read-only.
    pub(super) for_reading: bool,
    pub(crate) durability: u64,
}

// SAFETY: an address and numbers; what is done with the address is `Site`'s to answer for.
unsafe impl Send for StreamPlace {}
// SAFETY: as above.
unsafe impl Sync for StreamPlace {}

/// What a stream is created with, as numbers.
#[derive(Debug, Clone, Copy)]
pub struct StreamSettings {
    pub(crate) shape: StreamShape,
    pub(crate) flags: u64,
    pub(crate) retention_ms: u64,
    pub(crate) durability: u64,
    pub(crate) nonce: u64,
}

fn too_small(len: usize, shape: &StreamShape) -> Error {
    Error::RegionTooSmall {
        len: len as u64,
        needed: shape
            .offsets()
            .map_or(u64::MAX, |offsets| offsets.end as u64),
    }
}

/// The least granules of a segment in which data of so many bytes fit, with the longest key, beside
/// the last granule.
fn least(data_bytes_max: usize) -> usize {
    let longest = data_bytes_max.saturating_add(KEY_BYTES_MAX + STORED_HEAD_BYTES);
    let granules = longest.div_ceil(GRANULE_BYTES) + 1;
    granules.next_power_of_two().max(SEGMENT_MIN as usize)
}

/// The granules of a segment of which so many bytes are asked for.
fn rounded(bytes: usize, least: usize) -> usize {
    let granules = bytes.div_ceil(GRANULE_BYTES);
    granules.next_power_of_two().max(least)
}

/// The shape that a wish becomes in `len` bytes.
pub fn fit(wish: &StreamWish, len: usize, shared: bool) -> Result<StreamSettings, Error> {
    let places = wish.places.unwrap_or(wish.shards);
    if !shared && wish.durability != DURABILITY_PROCESS {
        return Err(Error::NoJournal);
    }
    let of = |segment: u32, segments: u32| StreamShape {
        shards: wish.shards,
        places,
        ring: Shape {
            segment,
            granules: segment.saturating_mul(segments),
        },
        pins: wish.readers,
        consumers: wish.consumers,
        positions: wish.consumers > 0,
        data_bytes_max: 1,
        kept: wish.durability != DURABILITY_PROCESS,
    };
    let fits = |shape: &StreamShape| shape.offsets().is_some_and(|offsets| offsets.end <= len);
    let least = wish.data_bytes_max.map_or(SEGMENT_MIN as usize, least);
    let segment = match wish.segment_bytes {
        Some(bytes) => rounded(bytes, least),
        None => {
            let shard = len / places / (GRANULE_BYTES + 9) / SEGMENTS;
            let wanted = (shard + 1).next_power_of_two() / 2;
            wanted
                .clamp(SEGMENT_MIN as usize, SEGMENT_MAX as usize)
                .max(least)
        }
    };
    if segment > SEGMENT_MAX as usize {
        let max = SEGMENT_MAX as usize * GRANULE_BYTES;
        let (what, value) = (
            "segment (bytes), or what max_data needs",
            segment * GRANULE_BYTES,
        );
        return Err(Error::OutOfRange {
            what,
            value: value as u64,
            min: (SEGMENT_MIN as usize * GRANULE_BYTES) as u64,
            max: max as u64,
        });
    }
    let segment = segment as u32;
    if !fits(&of(segment, 2)) {
        return Err(too_small(len, &of(segment, 2)));
    }
    let (mut low, mut high) = (2, (1 << INDEX_BITS) / segment);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match fits(&of(segment, middle)) {
            true => low = middle,
            false => high = middle - 1,
        }
    }
    let room = (segment as usize - 1) * GRANULE_BYTES - STORED_HEAD_BYTES - KEY_BYTES_MAX;
    let shape = StreamShape {
        data_bytes_max: wish.data_bytes_max.unwrap_or(room.min(DATA_BYTES_MAX)),
        ..of(segment, low)
    };
    let flag = |is, flag| if is { flag } else { 0 };
    Ok(StreamSettings {
        shape,
        flags: flag(wish.checksum.unwrap_or(shared), FLAG_CHECKSUM)
            | flag(wish.evict, FLAG_EVICT)
            | flag(wish.quota, FLAG_QUOTA)
            | flag(wish.on_demand, FLAG_ON_DEMAND)
            | flag(wish.md5, FLAG_MD5)
            | flag(shape.positions, FLAG_POSITIONS),
        retention_ms: wish.retention_ms,
        durability: wish.durability,
        nonce: 0,
    })
}

/// The first and the last hash of shard `shard` of `shards`, which divide all hashes evenly.
fn range_of(shard: usize, shards: usize) -> (u128, u128) {
    let start = |shard: usize| ((shard as u128) << 64).div_ceil(shards as u128);
    let end = match shard + 1 == shards {
        true => u128::MAX,
        false => (start(shard + 1) << 64) - 1,
    };
    (start(shard) << 64, end)
}

/// Lays an empty stream out in memory, and says where it is.
///
/// # Safety
///
/// `base` is aligned to 128, valid for reads and writes of as many bytes as the shape needs, and
/// used by nobody else meanwhile. The bytes are initialised; `clean` says that they are zero.
pub unsafe fn format(base: *mut u8, settings: &StreamSettings, clean: bool) -> Option<StreamPlace> {
    let shape = settings.shape;
    let offsets = shape.offsets()?;
    if !clean {
        // SAFETY: pins, seats, feeds, index, headers and demand lie inside the memory given.
        // Granules need not be zero: a header says what of them may be read.
        unsafe {
            base.add(offsets.pins)
                .write_bytes(0, offsets.granules - offsets.pins);
            base.add(offsets.demand)
                .write_bytes(0, offsets.end - offsets.demand);
        };
    }
    let word = AtomicU64::new;
    for place in 0..shape.places {
        let first = || word(Position::FIRST.0);
        let (id, range) = match place < shape.shards {
            true => (Some(place as u32), range_of(place, shape.shards)),
            false => (None, (0, 0)),
        };
        let head = ShardHead {
            writers: Padded(Writers {
                positions: Positions {
                    tail: first(),
                    floor: first(),
                    freed: first(),
                    settled: first(),
                },
                latest_ms: word(0),
                evicted: word(0),
                event: EventSide {
                    sequence: AtomicU32::new(0),
                    reserved: AtomicU32::new(0),
                    sleepers: word(0),
                },
            }),
            card: Padded(Card::first(id, range)),
            quota: Padded([word(0), word(0), word(0)]),
        };
        // SAFETY: the heads lie inside the memory given, aligned since base and offset are.
        unsafe {
            (base.add(offsets.heads) as *mut ShardHead)
                .add(place)
                .write(head)
        };
    }
    let config = StreamConfig {
        shards: word(shape.shards as u64),
        places: word(shape.places as u64),
        segment: word(shape.ring.segment.into()),
        granules: word(shape.ring.granules.into()),
        pins: word(shape.pins as u64),
        data_bytes_max: word(shape.data_bytes_max as u64),
        flags: word(settings.flags | settings.durability << FLAG_BITS),
        retention_ms: word(settings.retention_ms),
        nonce: word(settings.nonce),
        consumers: word(shape.consumers as u64),
        check: word(0),
    };
    config.check.store(config.checksum(), Ordering::Relaxed);
    let head = StreamHead {
        config: Padded(config),
        notes: Padded(Notes {
            tended_ms: word(0),
            deleted: word(0),
            roster: word(0),
        }),
        change: Padded(Change {
            word: word(0),
            parents: word(0),
            children: word(0),
        }),
    };
    if shape.kept {
        // SAFETY: as above; both parts lie inside the memory given.
        unsafe { keep::format(base.add(offsets.keep), base.add(offsets.kept), &shape) };
    }
    // SAFETY: as above; the head is first.
    unsafe { (base as *mut StreamHead).write(head) };
    Some(StreamPlace {
        base,
        offsets,
        shape,
        flags: settings.flags,
        retention_ms: settings.retention_ms,
        for_reading: false,
        durability: settings.durability,
    })
}

impl StreamPlace {
    /// Whether records carry checksums.
    #[inline(always)]
    pub const fn has_checksums(&self) -> bool {
        self.flags & FLAG_CHECKSUM != 0
    }

    /// Whether what is put survives the machine.
    #[inline(always)]
    pub const fn is_kept(&self) -> bool {
        cfg!(feature = "mapped") && self.durability != DURABILITY_PROCESS
    }

    /// Whether a full shard gives up its oldest segment.
    pub const fn evicts(&self) -> bool {
        self.flags & FLAG_EVICT != 0
    }

    /// Whether each shard has quotas.
    #[inline(always)]
    pub const fn has_quotas(&self) -> bool {
        self.flags & FLAG_QUOTA != 0
    }

    /// Whether shards are split by what comes in.
    pub const fn is_on_demand(&self) -> bool {
        self.flags & FLAG_ON_DEMAND != 0
    }

    /// Whether partition keys are hashed by MD5.
    #[inline(always)]
    pub const fn uses_md5(&self) -> bool {
        self.flags & FLAG_MD5 != 0
    }

    /// Whether this participant only reads.
    #[inline(always)]
    pub const fn is_for_reading(&self) -> bool {
        self.for_reading
    }

    /// The same for one who only reads.
    #[cfg(feature = "mapped")]
    pub(in crate::region) const fn for_reading(mut self) -> Self {
        self.for_reading = true;
        self
    }

    /// From where on readers write nothing, but to repair: index, headers, granules, demand.
    #[cfg(feature = "mapped")]
    pub(in crate::region) const fn read_only_from(&self) -> usize {
        self.offsets.index
    }

    /// The same stream at another address.
    ///
    /// # Safety
    ///
    /// The memory there is that of this stream, and stays so as long as the place is used.
    #[cfg(feature = "mapped")]
    pub(in crate::region) const unsafe fn moved(mut self, base: *mut u8) -> Self {
        self.base = base;
        self
    }

    /// Refuses options that contradict the stream that is there.
    pub fn agree(&self, wish: &StreamWish) -> Result<(), Error> {
        let option = |option, found: u64, given: u64| match found == given {
            true => Ok(()),
            false => Err(Error::OptionsDiffer {
                option,
                found,
                given,
            }),
        };
        let shape = &self.shape;
        option("shards", shape.shards as u64, wish.shards as u64)?;
        if let Some(places) = wish.places {
            option("max_shards", shape.places as u64, places as u64)?;
        }
        option("readers", shape.pins as u64, wish.readers as u64)?;
        option("consumers", shape.consumers as u64, wish.consumers as u64)?;
        option("retention (ms)", self.retention_ms, wish.retention_ms)?;
        option(
            "durability (level, and interval in ms * 4)",
            self.durability,
            wish.durability,
        )?;
        option("quota", self.has_quotas().into(), wish.quota.into())?;
        option(
            "on demand",
            self.is_on_demand().into(),
            wish.on_demand.into(),
        )?;
        option("md5 placement", self.uses_md5().into(), wish.md5.into())?;
        option("evict", self.evicts().into(), wish.evict.into())?;
        if let Some(max) = wish.data_bytes_max {
            option("max_data (bytes)", shape.data_bytes_max as u64, max as u64)?;
        }
        if let Some(bytes) = wish.segment_bytes {
            let given = rounded(bytes, least(shape.data_bytes_max)) * GRANULE_BYTES;
            let found = shape.ring.segment as usize * GRANULE_BYTES;
            option("segment (bytes)", found as u64, given as u64)?;
        }
        if let Some(checksum) = wish.checksum {
            option("checksum", self.has_checksums().into(), checksum.into())?;
        }
        Ok(())
    }
}
