//! A queue laid out in plain memory: how a region's bytes become a [`Store`].

use super::home::Wish;
use super::layout::{
    FLAG_CHECKSUM, QueueHead, SLOT_HEAD_BYTES, Settings, Shape, align_up, queue_bytes,
};
use super::store::Store;
use crate::error::Error;
use crate::ring::blocks::Block;
use crate::sync::{AtomicU64, Ordering};

/// Where a verified queue lies in its region. Only this floor makes one.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub(super) offset: usize,
    pub(super) offsets: [usize; 4],
    pub(crate) shape: Shape,
    pub(crate) checksum: bool,
}

/// The longest body by default, bytes: that of SQS.
const BODY_BYTES_MAX: usize = 256 << 10;
/// The longest body that an option may ask for, bytes.
pub const BODY_BYTES_LIMIT: usize = 1 << 30;

/// The shape that a wish becomes in `len` bytes.
pub fn fit(wish: &Wish, len: usize, shared: bool) -> Result<(Shape, Settings), Error> {
    let slot_bytes = align_up(wish.body_bytes_typical + SLOT_HEAD_BYTES, 64).unwrap_or(usize::MAX);
    let least = Shape {
        slot_bytes,
        slots: 1,
        body_bytes_max: slot_bytes - SLOT_HEAD_BYTES,
    };
    let needed = queue_bytes(least).map_or(u64::MAX, |offsets| offsets[3] as u64);
    let too_small = Error::RegionTooSmall {
        len: len as u64,
        needed,
    };
    // Each slot takes its bytes, its word, and a 64th of a block; then shrink for the rounding.
    let head = size_of::<QueueHead>() + 256;
    let room = len.checked_sub(head).ok_or(too_small.clone())?;
    let mut shape = Shape {
        slots: room / (slot_bytes + 8),
        ..least
    };
    while shape.slots > 0 && queue_bytes(shape).is_none_or(|offsets| offsets[3] > len) {
        shape.slots -= shape.slots.div_ceil(256);
    }
    if shape.slots == 0 {
        return Err(too_small);
    }
    // Slots are named by 31 bits of a run and 32 bits of an index.
    shape.slots = shape.slots.min((1 << 31) - 64);
    let whole = shape.slots.saturating_mul(slot_bytes) - SLOT_HEAD_BYTES;
    shape.body_bytes_max = match wish.body_bytes_max {
        None => BODY_BYTES_MAX.min(whole),
        Some(max) if max <= whole => max,
        Some(max) => {
            let needed = (len + (max - whole)) as u64;
            return Err(Error::RegionTooSmall {
                len: len as u64,
                needed,
            });
        }
    };
    let flags = if wish.checksum.unwrap_or(shared) {
        FLAG_CHECKSUM
    } else {
        0
    };
    let settings = Settings {
        visibility_ms: wish.visibility_ms,
        retention_ms: wish.retention_ms,
        flags,
        nonce: 0,
    };
    Ok((shape, settings))
}

/// Lays an empty queue out in memory.
///
/// # Safety
///
/// `base` is aligned to 128, valid for reads and writes of `queue_bytes(shape)[3]` bytes, and used
/// by nobody else meanwhile. The bytes are initialised; `clean` says that they are zero.
pub unsafe fn format(base: *mut u8, shape: Shape, settings: Settings, clean: bool) {
    let Some(offsets) = queue_bytes(shape) else {
        return;
    };
    if !clean {
        // SAFETY: the words lie inside the memory given.
        unsafe {
            base.add(offsets[1])
                .write_bytes(0, shape.slots * size_of::<AtomicU64>())
        };
    }
    for index in 0..shape.blocks() {
        // SAFETY: the blocks lie inside the memory given; aligned since base and offset are.
        unsafe {
            let at = base.add(offsets[0]) as *mut Block;
            at.add(index).write(Block::new(shape.valid(index)));
        }
    }
    // SAFETY: as above; the head is first.
    unsafe { (base as *mut QueueHead).write(QueueHead::new(shape, settings)) };
}

/// The store at a verified place.
///
/// # Safety
///
/// `base` is where the region of `place` begins, and stays valid during `'a`.
#[inline(always)]
pub unsafe fn store<'a>(base: *mut u8, place: &Place) -> Store<'a> {
    let shape = place.shape;
    // SAFETY: `verify` has checked that all four parts lie inside the section, aligned; they
    // consist of atomics, or are reached through the store's protocol only.
    unsafe {
        let base = base.add(place.offset);
        let blocks = base.add(place.offsets[0]) as *const Block;
        let words = base.add(place.offsets[1]) as *const AtomicU64;
        Store::new(
            &*(base as *const QueueHead),
            core::slice::from_raw_parts(blocks, shape.blocks()),
            core::slice::from_raw_parts(words, shape.slots),
            base.add(place.offsets[2]),
            shape,
        )
    }
}

/// Refuses options that contradict an existing queue.
pub fn agree(wish: &Wish, head: &QueueHead) -> Result<(), Error> {
    let config = &head.config;
    let option = |option, found: &AtomicU64, given: u64| {
        let found = found.load(Ordering::Relaxed);
        if found == given {
            Ok(())
        } else {
            Err(Error::OptionsDiffer {
                option,
                found,
                given,
            })
        }
    };
    option("visibility (ms)", &config.visibility_ms, wish.visibility_ms)?;
    option("retention (ms)", &config.retention_ms, wish.retention_ms)?;
    if let Some(max) = wish.body_bytes_max {
        option("max_body (bytes)", &config.body_bytes_max, max as u64)?;
    }
    Ok(())
}
