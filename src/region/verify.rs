//! Checking what a mapped file says of its queue before any of it is used.

use super::layout::{
    Config, DURABILITY_PROCESS, FLAG_CHECKSUM, FLAGS_FIFO, FifoShape, KIND_FIFO, Offsets,
    QueueHead, SETS_MAX, SETS_SHIFT, SLOT_HEAD_BYTES, Shape, is_durability, is_window,
};
use super::memory::Place;
use crate::error::Error;
use crate::ring::due::DUE_NONE_MS;
use crate::sync::{AtomicU64, Ordering};

/// Reads and checks the configuration of a queue of this kind: nothing of it is believed before.
///
/// # Safety
///
/// `base` is aligned to 128 and valid for `len` bytes, initialised, and accessed only atomically.
pub unsafe fn verify(
    base: *const u8,
    len: usize,
    offset: usize,
    kind: u64,
) -> Result<Place, Error> {
    if len < size_of::<QueueHead>() {
        return Err(Error::Damaged {
            field: "queue section length",
        });
    }
    // SAFETY: aligned, long enough, and QueueHead consists of atomics: any bytes are valid.
    let config: &Config = unsafe { &(*(base as *const QueueHead)).config };
    let number = |field: &AtomicU64| usize::try_from(field.load(Ordering::Acquire)).ok();
    let slot_bytes = number(&config.slot_bytes)
        .filter(|n| n % 8 == 0 && *n > SLOT_HEAD_BYTES && *n <= len)
        .ok_or(Error::Damaged {
            field: "slot bytes",
        })?;
    let slots = number(&config.slots)
        .filter(|n| *n >= 1 && *n < 1 << 31 && (kind != KIND_FIFO || *n <= 1 << 30))
        .ok_or(Error::Damaged {
            field: "number of slots",
        })?;
    let window = config.window.load(Ordering::Acquire);
    let sets = config.flags.load(Ordering::Acquire) >> SETS_SHIFT & SETS_MAX;
    let durability = config.durability.load(Ordering::Acquire);
    let (fifo, flags_max) = match kind {
        KIND_FIFO if is_window(window) => (
            FifoShape::of(slots, (window & 0xffff_ffff) as usize)
                .with_sets(sets as usize)
                .with_marks(durability != DURABILITY_PROCESS),
            FLAG_CHECKSUM | FLAGS_FIFO | SETS_MAX << SETS_SHIFT,
        ),
        _ if kind != KIND_FIFO && window == 0 => (FifoShape::NONE, FLAG_CHECKSUM),
        _ => {
            return Err(Error::Damaged {
                field: "deduplication window",
            });
        }
    };
    let whole = slots.saturating_mul(slot_bytes) - SLOT_HEAD_BYTES;
    let body_bytes_max = number(&config.body_bytes_max)
        .filter(|n| *n >= 1 && *n <= whole)
        .ok_or(Error::Damaged {
            field: "longest body",
        })?;
    let shape = Shape {
        slot_bytes,
        slots,
        body_bytes_max,
        fifo,
    };
    let offsets = Offsets::of(shape)
        .filter(|offsets| offsets.end <= len)
        .ok_or(Error::Damaged {
            field: "queue size",
        })?;
    if number(&config.blocks) != Some(shape.blocks()) {
        return Err(Error::Damaged {
            field: "number of blocks",
        });
    }
    let in_range = |field: &AtomicU64, least, greatest, name| {
        let value = field.load(Ordering::Acquire);
        if (least..=greatest).contains(&value) {
            Ok(value)
        } else {
            Err(Error::Damaged { field: name })
        }
    };
    // SAFETY: as above.
    let policy = unsafe { &(*(base as *const QueueHead)).policy };
    if let Some(field) = policy.damaged() {
        return Err(Error::Damaged { field });
    }
    // SAFETY: as above.
    let seldom = unsafe { &(*(base as *const QueueHead)).seldom };
    // SAFETY: as above.
    let event = unsafe { &(*(base as *const QueueHead)).event };
    if event.reserved.load(Ordering::Acquire) != 0 {
        return Err(Error::Damaged {
            field: "reserved word",
        });
    }
    in_range(&seldom.time_high_ms, 0, DUE_NONE_MS, "latest time")?;
    let flags = in_range(&config.flags, 0, flags_max, "flags")?;
    if flags & !flags_max != 0 {
        return Err(Error::Damaged { field: "flags" });
    }
    if config.check.load(Ordering::Acquire) != config.checksum() {
        return Err(Error::Damaged {
            field: "configuration checksum",
        });
    }
    // A journal is believed by its checksums, so its bodies have them.
    if !is_durability(durability)
        || (durability != DURABILITY_PROCESS && flags & FLAG_CHECKSUM == 0)
    {
        return Err(Error::Damaged {
            field: "durability",
        });
    }
    if seldom.reserved.load(Ordering::Acquire) != 0 {
        return Err(Error::Damaged {
            field: "reserved word",
        });
    }
    Ok(Place {
        offset,
        offsets,
        blocks: shape.blocks(),
        groups: shape.groups(),
        shape,
        checksum: flags & FLAG_CHECKSUM != 0,
        flags,
        window,
        durability,
    })
}
