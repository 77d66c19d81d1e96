//! The journal's file: how it is made, found and checked.

use super::Journal;
use super::frame::{
    ALIGN, Frame, HEAD_BYTES, ID_BYTES_MAX, ONCE_BYTES, ORDERED_BYTES_MAX, record_bytes,
};
use crate::error::Error;
use crate::pod::{Pod, Zeroable};
use crate::region::fifo::kept::MARKED;
use crate::region::layout::{
    DURABILITY_PROCESS, FifoShape, SETS_MAX, SETS_SHIFT, SLOT_HEAD_BYTES, Settings, Shape,
};
use crate::region::mapped::companion::{self, Head, Label, Words};
use crate::region::mapped::os;
use crate::region::policy::PolicyNumbers;
use crate::ring::blocks::BLOCK_SLOTS;
use std::path::Path;

/// Where the ring begins.
pub const RING_OFFSET: u64 = 4096;

/// The first page.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct JournalHead {
    label: Label,
    slot_bytes: u64,
    slots: u64,
    body_bytes_max: u64,
    /// As they were when the queue was made.
    policy: PolicyNumbers,
    flags: u64,
    durability: u64,
    /// Of a FIFO queue: see `Config::window`.
    window: u64,
    ring_bytes: u64,
    /// Seeds the checksums of frames.
    seed: u64,
    /// xxh3-64 of the fields above.
    check: u64,
}

const _: () = {
    assert!(size_of::<JournalHead>() == 168);
    assert!(core::mem::offset_of!(JournalHead, label) == 0);
    assert!(core::mem::offset_of!(JournalHead, check) == 160);
};

impl Head for JournalHead {
    const MAGIC: u64 = u64::from_le_bytes(*b"RINGJRNL");
    /// 4: the page has all of the queue's settings, also of a FIFO queue. 5: groups have the keys
    /// of region format 5.
    const VERSION: u32 = 5;
    const END: &'static str = ".journal";
    const WORDS: Words = Words {
        foreign: "cannot be made: a file of its name (region.journal) is another one's",
        missing: "is missing (region.journal)",
        opening: "opening the journal",
        reading: "reading the journal",
        removing: "removing a stale journal",
        sizing: "reading the journal's size",
        writing: "writing the journal",
    };
    type Sizes = Sizes;
    type Frame = Frame;

    fn problem(problem: &'static str) -> Error {
        Error::Journal { problem }
    }
}

/// The lengths that follow from a queue's shape. See the module's text above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// C: bytes of the longest frame.
    pub frame_max: usize,
    /// D: bytes that the slots, or the ids, of one block take in frames.
    pub block_max: u64,
    /// P: positions in which the sweep goes round once.
    pub period: u64,
    /// Bytes of the ring.
    pub ring: u64,
}

/// The sizes of the journal of a queue of this shape; `None` if they overflow.
pub fn sizes_of(shape: &Shape) -> Option<Sizes> {
    // What a slot takes in a record, at most: the record's numbers, where the slot has its head. A
    // run has one of each, and slots are multiples of 8 long, so the padding is counted as well.
    let ordered = match shape.fifo.is_fifo() {
        true => ONCE_BYTES + ORDERED_BYTES_MAX,
        false => 0,
    };
    let slot_bytes = shape
        .slot_bytes
        .checked_add(record_bytes(0) - SLOT_HEAD_BYTES)?
        .checked_add(ordered)?;
    let ids = shape.fifo.ids.checked_mul(ID_BYTES_MAX)?;
    let live = shape.slots.checked_mul(slot_bytes)?.checked_add(ids)?;
    let longest = HEAD_BYTES + record_bytes(shape.stored_bytes_max()) + ordered;
    let frame_max = (live / 8)
        .clamp(64 << 10, 1 << 20)
        .max(longest)
        .checked_next_multiple_of(ALIGN)?;
    // Twice what the sweep itself may write, so that it never runs after itself.
    let period = (live as u64)
        .checked_add(frame_max as u64)?
        .checked_mul(2)?
        .checked_next_multiple_of(ALIGN as u64)?;
    let of_ids = shape.fifo.ids.min(MARKED) * ID_BYTES_MAX;
    let block = (shape.slots.min(BLOCK_SLOTS) * slot_bytes).max(of_ids) as u64;
    // Two frames in a row have more than C, so heads and padding add less than a quarter.
    let block_max = block
        .checked_add(block / 4)?
        .checked_next_multiple_of(ALIGN as u64)?
        .checked_add(2 * ALIGN as u64)?;
    let mut sizes = Sizes {
        frame_max,
        block_max,
        period,
        ring: 0,
    };
    period
        .checked_add(2 * block_max)?
        .checked_add(7 * frame_max as u64)?;
    sizes.ring = sizes.window() + 2 * frame_max as u64;
    Some(sizes)
}

impl Sizes {
    /// How many visits to blocks the sweep has made by a position.
    pub fn visits_at(&self, position: u64, blocks: u64) -> u64 {
        (u128::from(position) * u128::from(blocks) / u128::from(self.period)) as u64
    }

    /// How far behind the end of the newest frame an older one may begin and be believed.
    pub const fn window(&self) -> u64 {
        self.period + 2 * self.block_max + 5 * self.frame_max as u64
    }
}

/// What the journal beside region `nonce` has kept of the queue's configuration, if it is whole.
pub fn kept(region: &Path, nonce: u64) -> Option<(Shape, Settings)> {
    let head: JournalHead = companion::head_beside(region, nonce)?;
    let slots = usize::try_from(head.slots).ok()?;
    let ids = (head.window & 0xffff_ffff) as usize;
    let sets = (head.flags >> SETS_SHIFT & SETS_MAX) as usize;
    let shape = Shape {
        slot_bytes: usize::try_from(head.slot_bytes).ok()?,
        slots,
        body_bytes_max: usize::try_from(head.body_bytes_max).ok()?,
        fifo: match head.window {
            0 => FifoShape::NONE,
            _ => FifoShape::of(slots, ids).with_sets(sets).with_marks(true),
        },
    };
    let settings = Settings {
        policy: head.policy,
        flags: head.flags,
        nonce: head.label.section,
        durability: head.durability,
        window: head.window,
    };
    (head.durability != DURABILITY_PROCESS).then_some((shape, settings))
}

impl Journal {
    /// Makes an empty journal beside `region`.
    pub fn create(
        region: &Path,
        nonce: u64,
        shape: &Shape,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let sizes = sizes_of(shape).ok_or(Error::RegionTooLarge {
            len: u64::MAX,
            max: isize::MAX as u64,
        })?;
        let nonces = [nonce, settings.nonce];
        let head = JournalHead {
            label: Label::new::<JournalHead>(nonces),
            slot_bytes: shape.slot_bytes as u64,
            slots: shape.slots as u64,
            body_bytes_max: shape.body_bytes_max as u64,
            policy: settings.policy,
            flags: settings.flags,
            durability: settings.durability,
            window: settings.window,
            ring_bytes: sizes.ring,
            seed: os::random(),
            check: 0,
        };
        let made = companion::make(region, &head, RING_OFFSET + sizes.ring, |_| Ok(()));
        let (unnamed, path) = made?;
        unnamed.name(&path)?;
        Self::open(region, nonces, shape)
    }

    /// Opens the journal of a region.
    pub fn open(region: &Path, nonces: [u64; 2], shape: &Shape) -> Result<Self, Error> {
        let (file, head) = companion::find::<JournalHead>(region, nonces)?;
        let same = head.slot_bytes == shape.slot_bytes as u64
            && head.slots == shape.slots as u64
            && head.body_bytes_max == shape.body_bytes_max as u64
            && (head.window & 0xffff_ffff) as usize == shape.fifo.ids;
        let sizes = sizes_of(shape).filter(|sizes| same && sizes.ring == head.ring_bytes);
        let sizes = sizes.ok_or(Error::Journal {
            problem: "is damaged: its shape is not the queue's",
        })?;
        let expected = RING_OFFSET + sizes.ring;
        let frame = Frame::new(shape.fifo.is_fifo());
        Self::of(file, expected, sizes, head.seed, frame)
    }
}
