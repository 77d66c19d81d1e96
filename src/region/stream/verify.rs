//! Checking what a mapped file says of its stream before any of it is used.

use super::layout::{
    CONSUMERS_MAX, FLAG_BITS, FLAG_CHECKSUM, FLAG_EVICT, FLAG_MD5, FLAG_ON_DEMAND, FLAG_POSITIONS,
    FLAG_QUOTA, GRANULE_BYTES, PINS_MAX, RETENTION_MS_MAX, SEGMENT_MAX, SEGMENT_MIN, SHARDS_MAX,
    StreamHead, StreamShape,
};
use super::memory::{STORED_HEAD_BYTES, StreamPlace};
use super::record::KEY_BYTES_MAX;
use crate::error::Error;
use crate::region::layout::{DURABILITY_PROCESS, is_durability};
use crate::ring::log::{INDEX_BITS, Shape};
use crate::sync::{AtomicU64, Ordering};

/// Reads and checks what lies in memory as a stream: nothing of it is believed before.
///
/// # Safety
///
/// `base` is aligned to 128 and valid for reads and writes of `len` bytes, initialised, and
/// accessed by nobody but by the protocol of streams.
pub unsafe fn verify(base: *mut u8, len: usize) -> Result<StreamPlace, Error> {
    let damaged = |field| Error::Damaged { field };
    if len < size_of::<StreamHead>() {
        return Err(damaged("stream section length"));
    }
    // SAFETY: aligned, long enough, and the head consists of atomics: any bytes are valid.
    let config = unsafe { &(*(base as *const StreamHead)).config };
    let number = |word: &AtomicU64, range: core::ops::RangeInclusive<u64>, field| {
        let value = word.load(Ordering::Acquire);
        match range.contains(&value) {
            true => Ok(value),
            false => Err(damaged(field)),
        }
    };
    let shards = number(&config.shards, 1..=SHARDS_MAX as u64, "number of shards")?;
    let places = number(
        &config.places,
        shards..=SHARDS_MAX as u64,
        "places for shards",
    )?;
    let segments = SEGMENT_MIN as u64..=SEGMENT_MAX as u64;
    let segment = number(&config.segment, segments, "segment size")?;
    let granules = number(
        &config.granules,
        2 * segment..=1 << INDEX_BITS,
        "shard size",
    )?;
    if !segment.is_power_of_two() || granules % segment != 0 {
        return Err(damaged("segment size"));
    }
    let pins = number(&config.pins, 1..=PINS_MAX as u64, "number of readers")?;
    let most = CONSUMERS_MAX as u64;
    let consumers = number(&config.consumers, 0..=most, "number of consumers")?;
    let all = config.flags.load(Ordering::Acquire);
    let (flags, durability) = (all & ((1 << FLAG_BITS) - 1), all >> FLAG_BITS);
    if flags > FLAG_CHECKSUM | FLAG_EVICT | FLAG_QUOTA | FLAG_ON_DEMAND | FLAG_MD5 | FLAG_POSITIONS
    {
        return Err(damaged("flags"));
    }
    if !is_durability(durability) {
        return Err(damaged("durability"));
    }
    let room = (segment - 1) * GRANULE_BYTES as u64 - (STORED_HEAD_BYTES + KEY_BYTES_MAX) as u64;
    let shape = StreamShape {
        shards: shards as usize,
        places: places as usize,
        ring: Shape {
            segment: segment as u32,
            granules: granules as u32,
        },
        pins: pins as usize,
        consumers: consumers as usize,
        positions: flags & FLAG_POSITIONS != 0,
        data_bytes_max: number(&config.data_bytes_max, 1..=room, "longest data")? as usize,
        kept: durability != DURABILITY_PROCESS,
    };
    let offsets = shape
        .offsets()
        .filter(|offsets| offsets.end <= len)
        .ok_or(damaged("stream size"))?;
    let retention_ms = number(&config.retention_ms, 0..=RETENTION_MS_MAX, "retention")?;
    if config.check.load(Ordering::Acquire) != config.checksum() {
        return Err(damaged("configuration checksum"));
    }
    Ok(StreamPlace {
        base,
        offsets,
        shape,
        flags,
        retention_ms,
        for_reading: false,
        durability,
    })
}
