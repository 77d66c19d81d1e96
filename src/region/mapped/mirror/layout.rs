//! What lies where in a mirror's file. `docs/file-format-stream.md` draws it.

use super::commit::Frame;
use crate::error::Error;
use crate::pod::{Pod, Zeroable};
use crate::region::mapped::companion::{Head, Label, Words};
use crate::region::stream::{
    GRANULE_BYTES, LedgerHead, LedgerPlace, LedgerSeat, StreamPlace, StreamShape,
};
use crate::ring::log::Position;

/// Blocks begin at multiples of this.
pub const BLOCK_BYTES: usize = 4096;
/// Granules of a block, beside its head.
pub const BLOCK_GRANULES: u32 = 63;
/// Words of demand in a ledger.
const DAYS: usize = 31;

/// The first page.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct MirrorHead {
    /// Whose it is.
    pub label: Label,
    /// Shards, places, segment, granules, readers, longest data, consumers: as in the stream.
    pub shape: [u64; 7],
    /// As in the stream.
    pub flags: u64,
    /// As in the stream.
    pub retention_ms: u64,
    /// As in the stream.
    pub durability: u64,
    /// Seeds the checksums of blocks and ledgers, so that nothing that was put looks like one.
    pub seed: u64,
    /// xxh3-64 of the fields above.
    pub check: u64,
}

impl Head for MirrorHead {
    const MAGIC: u64 = u64::from_le_bytes(*b"RINGMIRR");
    const VERSION: u32 = 1;
    const END: &'static str = ".mirror";
    const WORDS: Words = Words {
        foreign: "cannot be made: a file of its name (region.mirror) is another one's",
        missing: "is missing (region.mirror)",
        opening: "opening the mirror",
        reading: "reading the mirror",
        removing: "removing a stale mirror",
        sizing: "reading the mirror's size",
        writing: "writing the mirror",
    };
    type Sizes = Sizes;
    type Frame = Frame;

    fn problem(problem: &'static str) -> Error {
        Error::Mirror { problem }
    }
}

/// The head of a block.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct BlockHead {
    /// xxh3-64 of what follows, up to the last granule that is used, seeded.
    pub check: u64,
    /// The position of its first granule.
    pub position: u64,
    /// The commit that wrote it.
    pub number: u64,
    /// Up to where the shard was on the disk before.
    pub durable: u64,
    /// A bit for each granule at which something begins; behind the last one used too.
    pub starts: u64,
    /// Which of these are padding.
    pub padding: u64,
    /// Granules that are used.
    pub used: u32,
    /// The place of the shard.
    pub place: u32,
    /// Zero.
    pub reserved: u64,
}

/// Bytes of a block's head.
pub const BLOCK_HEAD_BYTES: usize = size_of::<BlockHead>();

const _: () = {
    assert!(BLOCK_HEAD_BYTES == GRANULE_BYTES);
    assert!(BLOCK_BYTES == (1 + BLOCK_GRANULES as usize) * GRANULE_BYTES);
    assert!(size_of::<MirrorHead>() == 128);
    assert!(core::mem::offset_of!(MirrorHead, label) == 0);
    assert!(core::mem::offset_of!(MirrorHead, check) == 120);
};

/// Where the parts lie, for a stream of this shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    shape: StreamShape,
    /// Bytes of a ledger, without its padding.
    pub ledger_len: usize,
    ledger: u64,
    /// Blocks of a segment.
    per_segment: u64,
    place: u64,
    /// Bytes of the file.
    pub file: u64,
}

const fn padded(len: u64) -> u64 {
    len.next_multiple_of(BLOCK_BYTES as u64)
}

/// What a mirror keeps of a stream's shape.
pub fn shape_words(shape: &StreamShape) -> [u64; 7] {
    [
        shape.shards as u64,
        shape.places as u64,
        shape.ring.segment.into(),
        shape.ring.granules.into(),
        shape.pins as u64,
        shape.data_bytes_max as u64,
        shape.consumers as u64,
    ]
}

impl Sizes {
    /// The sizes of the mirror of a stream of this shape; `None` if they overflow.
    pub fn of(shape: &StreamShape) -> Option<Self> {
        let ledger_len = size_of::<LedgerHead>()
            + shape.places * size_of::<LedgerPlace>()
            + shape.consumers * size_of::<LedgerSeat>()
            + DAYS * size_of::<u64>();
        let ledger = padded(ledger_len as u64);
        let per_segment = u64::from(shape.ring.segment.div_ceil(BLOCK_GRANULES));
        let segments = u64::from(shape.ring.granules / shape.ring.segment);
        let place = (2 + segments * per_segment) * BLOCK_BYTES as u64;
        let file = place
            .checked_mul(shape.places as u64)?
            .checked_add(BLOCK_BYTES as u64 + 2 * ledger)?;
        Some(Self {
            shape: *shape,
            ledger_len,
            ledger,
            per_segment,
            place,
            file: Some(file).filter(|file| *file <= i64::MAX as u64)?,
        })
    }

    /// The shape of the stream.
    pub(super) const fn shape(&self) -> StreamShape {
        self.shape
    }

    /// Where a ledger lies.
    pub const fn ledger_at(&self, number: u64) -> u64 {
        BLOCK_BYTES as u64 + (number % 2) * self.ledger
    }

    /// Where the places in a ledger lie, and its seats, and its days.
    pub const fn ledger_parts(&self) -> [usize; 3] {
        let places = size_of::<LedgerHead>();
        let seats = places + self.shape.places * size_of::<LedgerPlace>();
        let days = seats + self.shape.consumers * size_of::<LedgerSeat>();
        [places, seats, days]
    }

    /// Where a slot of a place lies.
    pub const fn slot_at(&self, place: usize, slot: u64) -> u64 {
        let places = BLOCK_BYTES as u64 + 2 * self.ledger;
        places + place as u64 * self.place + (slot % 2) * BLOCK_BYTES as u64
    }

    /// Where the block at a position has its home.
    pub const fn home_at(&self, place: usize, block: Position) -> u64 {
        let segment = (block.index() / self.shape.ring.segment) as u64;
        let offset = block.index() % self.shape.ring.segment;
        let number = segment * self.per_segment + (offset / BLOCK_GRANULES) as u64;
        self.slot_at(place, 0) + (2 + number) * BLOCK_BYTES as u64
    }

    /// The block of a granule: its first one.
    pub const fn block_of(&self, at: Position) -> Position {
        let offset = at.index() % self.shape.ring.segment;
        Position(at.0 - (offset % BLOCK_GRANULES) as u64)
    }

    /// Granules of the block at a position: fewer at the end of a segment.
    pub fn capacity(&self, block: Position) -> u32 {
        let offset = block.index() % self.shape.ring.segment;
        BLOCK_GRANULES.min(self.shape.ring.segment - offset)
    }

    /// Blocks of a place.
    pub const fn blocks(&self) -> u64 {
        self.place / BLOCK_BYTES as u64 - 2
    }
}

/// Whether a mirror's page says the same as its stream does.
pub fn is_of(head: &MirrorHead, place: &StreamPlace) -> bool {
    head.shape == shape_words(&place.shape)
        && head.flags == place.flags
        && head.retention_ms == place.retention_ms
        && head.durability == place.durability
}
