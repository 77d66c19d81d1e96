//! A queue laid out in plain memory: how a region's bytes become a [`Store`].

use super::fifo::attempts::WAYS;
use super::home::{FifoWish, Wish};
use super::layout::{
    ATTRIBUTES_MAX, DURABILITY_PROCESS, FLAG_BY_GROUP, FLAG_CHECKSUM, FLAG_CONTENT, FLAG_QUOTA,
    FLAGS_FIFO, FifoShape, KIND_FIFO, KIND_QUEUE, NAMES_BYTES_TYPICAL, Note, Offsets, QueueHead,
    SETS_SHIFT, SLOT_HEAD_BYTES, Settings, Shape,
};
use super::policy::{OPTIONS, RANGES};
use super::store::Store;
use crate::error::Error;
use crate::ring::blocks::Block;
use crate::ring::due::Due;
use crate::sync::AtomicU64;

/// Where a verified queue lies in its region. Only this floor makes one.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub(super) offset: usize,
    pub(super) offsets: Offsets,
    /// Blocks, and words of a map of them: reckoned once.
    pub(super) blocks: usize,
    pub(super) groups: usize,
    pub(crate) shape: Shape,
    pub(crate) checksum: bool,
    /// See `Config::flags`.
    pub(crate) flags: u64,
    /// See `Config::window`.
    pub(crate) window: u64,
    /// See `Config::durability`.
    pub(crate) durability: u64,
}

impl Place {
    /// Whether a journal is told what changes.
    #[inline(always)]
    pub const fn is_journaled(&self) -> bool {
        self.durability != DURABILITY_PROCESS
    }

    /// Whether it is a FIFO queue.
    #[inline(always)]
    pub const fn is_fifo(&self) -> bool {
        cfg!(feature = "fifo") && self.shape.fifo.is_fifo()
    }

    /// An error if the queue is not of the kind that is wished for.
    pub(in crate::region) fn check_kind(&self, wish: &Wish) -> Result<(), Error> {
        let kind = |is_fifo| if is_fifo { KIND_FIFO } else { KIND_QUEUE };
        let (found, expected) = (kind(self.shape.fifo.is_fifo()), kind(wish.fifo.is_some()));
        if found == expected {
            return Ok(());
        }
        Err(Error::Kind { found, expected })
    }
}

/// The longest body by default, bytes: that of SQS.
const BODY_BYTES_MAX: usize = 256 << 10;
/// The longest body that an option may ask for, bytes.
pub const BODY_BYTES_LIMIT: usize = 1 << 30;

/// Bytes of a slot for a typical body: whole cache lines.
fn slot_bytes(wish: &Wish) -> usize {
    let names = wish.fifo.map_or(0, |_| NAMES_BYTES_TYPICAL);
    (wish.body_bytes_typical + names + SLOT_HEAD_BYTES).next_multiple_of(64)
}

/// The shape that a wish becomes in `len` bytes.
pub fn fit(wish: &Wish, len: usize, shared: bool) -> Result<(Shape, Settings), Error> {
    let slot_bytes = slot_bytes(wish);
    let fifo_of = |slots: usize| match &wish.fifo {
        Some(fifo) => {
            let attempts = fifo.attempts.unwrap_or_else(|| attempts_of(slots));
            FifoShape::of(slots, fifo.ids.unwrap_or_else(|| ids_of(slots)))
                .with_sets(attempts.div_ceil(WAYS))
                .with_marks(wish.durability != DURABILITY_PROCESS)
        }
        None => FifoShape::NONE,
    };
    let least = Shape {
        slot_bytes,
        slots: 1,
        body_bytes_max: slot_bytes - SLOT_HEAD_BYTES,
        fifo: fifo_of(1),
    };
    let needed = Offsets::of(least).map_or(u64::MAX, |offsets| offsets.end as u64);
    let too_small = Error::RegionTooSmall {
        len: len as u64,
        needed,
    };
    // Each slot takes its bytes, a word, a note, and a 64th of a block; then shrink for the
    // rounding.
    let head = size_of::<QueueHead>() + 384;
    let room = len.checked_sub(head).ok_or(too_small.clone())?;
    let slots = room / (slot_bytes + size_of::<AtomicU64>() + size_of::<Note>());
    let mut shape = Shape {
        slots: slots.min(slots_max(wish)),
        ..least
    };
    while shape.slots > 0 {
        shape.fifo = fifo_of(shape.slots);
        if Offsets::of(shape).is_some_and(|offsets| offsets.end <= len) {
            break;
        }
        shape.slots -= shape.slots.div_ceil(256);
    }
    if shape.slots == 0 {
        return Err(too_small);
    }
    let whole = shape.slots.saturating_mul(slot_bytes) - SLOT_HEAD_BYTES;
    shape.body_bytes_max = match wish.body_bytes_max {
        // Attributes may take some bytes more than they count.
        None => BODY_BYTES_MAX.min(whole.saturating_sub(2 * ATTRIBUTES_MAX).max(1)),
        Some(max) if max <= whole => max,
        Some(max) => {
            let needed = (len + (max - whole)) as u64;
            return Err(Error::RegionTooSmall {
                len: len as u64,
                needed,
            });
        }
    };
    let checksum = if wish.checksum.unwrap_or(shared) {
        FLAG_CHECKSUM
    } else {
        0
    };
    let settings = Settings {
        policy: wish.policy,
        flags: checksum
            | wish.fifo.map_or(0, |fifo| fifo.flags & FLAGS_FIFO)
            | (shape.fifo.sets as u64) << SETS_SHIFT,
        nonce: 0,
        durability: wish.durability,
        window: match &wish.fifo {
            Some(fifo) => fifo.interval_ms << 32 | shape.fifo.ids as u64,
            None => 0,
        },
    };
    if !shared && wish.durability != DURABILITY_PROCESS {
        return Err(Error::NoJournal);
    }
    Ok((shape, settings))
}

/// Ids that a FIFO queue with so many slots remembers, unless it is told.
fn ids_of(slots: usize) -> usize {
    (2 * slots).max(64)
}

/// Receive attempts that it remembers, unless it is told.
fn attempts_of(slots: usize) -> usize {
    (slots / 16).clamp(16, 1024)
}

/// Slots are named by 31 bits of a run and 32 bits of an index; in a FIFO queue groups, of which
/// there are more than slots, by 31.
fn slots_max(wish: &Wish) -> usize {
    match wish.fifo {
        Some(_) => 1 << 30,
        None => (1 << 31) - 64,
    }
}

/// Lays an empty queue out in memory.
///
/// # Safety
///
/// `base` is aligned to 128, valid for reads and writes of [`Offsets::end`] bytes, and used by
/// nobody else meanwhile. The bytes are initialised; `clean` says that they are zero.
pub unsafe fn format(base: *mut u8, shape: Shape, settings: Settings, clean: bool) {
    let Some(offsets) = Offsets::of(shape) else {
        return;
    };
    if !clean {
        // SAFETY: maps, state words and notes lie inside the memory given.
        unsafe {
            let maps = offsets.maps[0];
            base.add(maps).write_bytes(0, offsets.slots - maps);
        }
    }
    for index in 0..shape.blocks() {
        // SAFETY: the blocks lie inside the memory given; aligned since base and offset are.
        unsafe {
            let at = base.add(offsets.blocks) as *mut Block;
            at.add(index).write(Block::new(shape.valid(index)));
        }
    }
    for index in 0..shape.groups() {
        // SAFETY: as above. Every block has free slots; bits of no block are never asked for.
        unsafe {
            let free = base.add(offsets.maps[0]) as *mut AtomicU64;
            free.add(index).write(AtomicU64::new(u64::MAX));
            let dues = base.add(offsets.maps[2]) as *mut Due;
            dues.add(index).write(Due::none());
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
pub unsafe fn store<'a>(base: *mut u8, place: &'a Place) -> Store<'a> {
    // SAFETY: `verify` or `lay_out` has checked that all parts lie inside the section, aligned;
    // they consist of atomics, or are reached through the store's protocol only.
    unsafe { Store::new(base.add(place.offset), place) }
}

/// Refuses options that contradict an existing queue.
pub fn agree(wish: &Wish, place: &Place, store: &Store<'_>) -> Result<(), Error> {
    place.check_kind(wish)?;
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
    for (setting, range) in RANGES[..OPTIONS].iter().enumerate() {
        let found = store.head().policy.get(setting);
        option(range.what, found, wish.policy[setting])?;
    }
    option(
        "durability (level, and interval in ms * 4)",
        place.durability,
        wish.durability,
    )?;
    option(
        "typical_body (bytes, with the head and rounded)",
        place.shape.slot_bytes as u64,
        slot_bytes(wish) as u64,
    )?;
    if let Some(on) = wish.checksum {
        option("checksum", place.checksum as u64, on as u64)?;
    }
    if let Some(max) = wish.body_bytes_max {
        let found = place.shape.body_bytes_max as u64;
        option("max_body (bytes)", found, max as u64)?;
    }
    if let Some(fifo) = &wish.fifo {
        agree_fifo(fifo, place, option)?;
    }
    Ok(())
}

fn agree_fifo(
    wish: &FifoWish,
    place: &Place,
    option: impl Fn(&'static str, u64, u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let flag = |flags: u64, flag: u64| u64::from(flags & flag != 0);
    let flags = [
        ("content_dedup", FLAG_CONTENT),
        ("dedup_scope (1: group)", FLAG_BY_GROUP),
        ("quota", FLAG_QUOTA),
    ];
    for (what, bit) in flags {
        option(what, flag(place.flags, bit), flag(wish.flags, bit))?;
    }
    let (found, given) = (place.window >> 32, wish.interval_ms);
    option("dedup_interval (ms)", found, given)?;
    if let Some(ids) = wish.ids {
        option("dedup_ids", place.shape.fifo.ids as u64, ids as u64)?;
    }
    if let Some(attempts) = wish.attempts {
        let (found, given) = (place.shape.fifo.sets, attempts.div_ceil(WAYS));
        option("attempts (sets of 8)", found as u64, given as u64)?;
    }
    Ok(())
}
