//! A queue laid out in plain memory: how a region's bytes become a [`Store`].

use super::home::Wish;
use super::layout::{
    DURABILITY_PROCESS, FLAG_CHECKSUM, QueueHead, SLOT_HEAD_BYTES, Settings, Shape, queue_bytes,
};
use super::store::Store;
use crate::error::Error;
use crate::ring::blocks::Block;
use crate::sync::AtomicU64;

/// Where a verified queue lies in its region. Only this floor makes one.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub(super) offset: usize,
    pub(super) offsets: [usize; 5],
    pub(crate) shape: Shape,
    pub(crate) checksum: bool,
    /// See `Config::durability`.
    pub(crate) durability: u64,
    pub(crate) visibility_ms: u64,
    pub(crate) retention_ms: u64,
}

impl Place {
    /// Whether a journal is told what changes.
    #[inline(always)]
    pub const fn is_journaled(&self) -> bool {
        self.durability != DURABILITY_PROCESS
    }
}

/// The longest body by default, bytes: that of SQS.
const BODY_BYTES_MAX: usize = 256 << 10;
/// The longest body that an option may ask for, bytes.
pub const BODY_BYTES_LIMIT: usize = 1 << 30;

/// Bytes of a slot for a typical body: whole cache lines.
fn slot_bytes(body_bytes_typical: usize) -> usize {
    (body_bytes_typical + SLOT_HEAD_BYTES).next_multiple_of(64)
}

/// The shape that a wish becomes in `len` bytes.
pub fn fit(wish: &Wish, len: usize, shared: bool) -> Result<(Shape, Settings), Error> {
    let slot_bytes = slot_bytes(wish.body_bytes_typical);
    let least = Shape {
        slot_bytes,
        slots: 1,
        body_bytes_max: slot_bytes - SLOT_HEAD_BYTES,
    };
    let needed = queue_bytes(least).map_or(u64::MAX, |offsets| offsets[4] as u64);
    let too_small = Error::RegionTooSmall {
        len: len as u64,
        needed,
    };
    // Each slot takes its bytes, two words, and a 64th of a block; then shrink for the rounding.
    let head = size_of::<QueueHead>() + 384;
    let room = len.checked_sub(head).ok_or(too_small.clone())?;
    let mut shape = Shape {
        slots: room / (slot_bytes + 16),
        ..least
    };
    while shape.slots > 0 && queue_bytes(shape).is_none_or(|offsets| offsets[4] > len) {
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
        durability: wish.durability,
    };
    if !shared && wish.durability != DURABILITY_PROCESS {
        return Err(Error::NoJournal);
    }
    Ok((shape, settings))
}

/// Lays an empty queue out in memory.
///
/// # Safety
///
/// `base` is aligned to 128, valid for reads and writes of `queue_bytes(shape)[4]` bytes, and used
/// by nobody else meanwhile. The bytes are initialised; `clean` says that they are zero.
pub unsafe fn format(base: *mut u8, shape: Shape, settings: Settings, clean: bool) {
    let Some(offsets) = queue_bytes(shape) else {
        return;
    };
    if !clean {
        let words = offsets[3] - offsets[1];
        // SAFETY: the state words and the former holders' names lie inside the memory given.
        unsafe { base.add(offsets[1]).write_bytes(0, words) };
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
    // SAFETY: `verify` has checked that all five parts lie inside the section, aligned; they
    // consist of atomics, or are reached through the store's protocol only.
    unsafe {
        let base = base.add(place.offset);
        let blocks = base.add(place.offsets[0]) as *const Block;
        let words = base.add(place.offsets[1]) as *const AtomicU64;
        let former = base.add(place.offsets[2]) as *const AtomicU64;
        Store::new(
            &*(base as *const QueueHead),
            core::slice::from_raw_parts(blocks, shape.blocks()),
            core::slice::from_raw_parts(words, shape.slots),
            core::slice::from_raw_parts(former, shape.slots),
            base.add(place.offsets[3]),
            shape,
        )
        .journaled(place.is_journaled())
    }
}

/// Refuses options that contradict an existing queue.
pub fn agree(wish: &Wish, place: &Place) -> Result<(), Error> {
    let option = |option, found: u64, given: u64| {
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
    option("visibility (ms)", place.visibility_ms, wish.visibility_ms)?;
    option("retention (ms)", place.retention_ms, wish.retention_ms)?;
    option(
        "durability (level, and interval in ms * 4)",
        place.durability,
        wish.durability,
    )?;
    option(
        "typical_body (bytes, with the head and rounded)",
        place.shape.slot_bytes as u64,
        slot_bytes(wish.body_bytes_typical) as u64,
    )?;
    if let Some(on) = wish.checksum {
        option("checksum", place.checksum as u64, on as u64)?;
    }
    if let Some(max) = wish.body_bytes_max {
        let found = place.shape.body_bytes_max as u64;
        option("max_body (bytes)", found, max as u64)?;
    }
    Ok(())
}
