//! The layout of a queue in memory: the same in each home. `docs/file-format.md` draws it.

use super::fifo::attempts::Attempt;
use super::fifo::layout::{FifoHead, Group, IdMarks, Link, Remembered};
pub use super::fifo::shape::*;
#[cfg(all(feature = "std", not(ringmain_loom)))]
use super::latency::Latency;
use super::policy::{Policy, PolicyNumbers};
use crate::ring::blocks::Block;
use crate::ring::due::Due;
#[cfg(feature = "mapped")]
use crate::sync::Ordering;
use crate::sync::{AtomicU32, AtomicU64, Padded, const_fn};

/// Bytes of a slot that are its head; the body follows.
pub const SLOT_HEAD_BYTES: usize = 16;

/// In the size of a message: it has attributes.
pub const HAS_ATTRIBUTES: u64 = 1 << 31;
/// In the size of a message: how many bytes are stored.
pub const LEN_MASK: u64 = HAS_ATTRIBUTES - 1;

/// The most attributes of a message.
pub const ATTRIBUTES_MAX: usize = 10;

/// In the attributes of a message: behind them stands where it came from.
pub const HAS_ORIGIN: u64 = 1 << 63;
/// The most bytes that this takes.
pub const ORIGIN_BYTES_MAX: usize = 97;

/// What the sender writes before a slot becomes ready; it does not change while the message lives.
/// In the later slots of a run, bytes of the message lie here: nothing is written here but by who
/// has claimed the slot, and nothing is read but by who holds or copies the message.
#[derive(Debug)]
#[repr(C)]
pub struct SlotHead {
    /// `{ checksum:32, has_attributes:1, len:31 }` of what is stored: the body, and the attributes
    /// after it.
    pub size: AtomicU64,
    /// `{ has_origin:1, count:31, len:32 }` of the attributes, if there are any: they, and the
    /// origin behind them, are the last `len` bytes.
    pub attributes: AtomicU64,
}

/// What else is known of a slot. It lies beside the words and never under a body, so anybody may
/// look at it at any time; what is seen counts if the word is the same before and after.
#[derive(Debug)]
#[repr(C)]
pub struct Note {
    /// `{ generation:18, sent_ms:44 }`: names the message in this slot. Written by who has claimed
    /// the slot.
    pub stamp: AtomicU64,
    /// Two cells `{ 0:3, peek:1, name:28 }`: holders whose visibility ran out while they still
    /// read, and who count only while the state word has their pin; or who peeks.
    pub former: AtomicU64,
    /// `{ generation:18, first_received_ms:44 }`: counts only for the message of that generation.
    pub first: AtomicU64,
    /// `{ received:32, sent:32 }`: see [`tally`](super::tally).
    pub tally: AtomicU64,
}

#[cfg(not(ringmain_loom))]
const _: () = assert!(size_of::<Note>() == 32);

impl Note {
    const_fn! {
        /// Of a slot that was never used.
        pub fn new() -> Self {
            Self {
                stamp: AtomicU64::new(0),
                former: AtomicU64::new(0),
                first: AtomicU64::new(0),
                tally: AtomicU64::new(0),
            }
        }
    }
}

#[cfg(not(ringmain_loom))]
const _: () = assert!(size_of::<SlotHead>() == SLOT_HEAD_BYTES && align_of::<SlotHead>() == 8);

/// What was fixed when the queue was created. Written once, before the queue is published.
#[derive(Debug)]
#[repr(C)]
pub struct Config {
    /// Bytes of a slot.
    pub slot_bytes: AtomicU64,
    /// How many slots.
    pub slots: AtomicU64,
    /// How many blocks of 64 slots.
    pub blocks: AtomicU64,
    /// Longest body, bytes.
    pub body_bytes_max: AtomicU64,
    /// Bit 0: bodies carry checksums; those of a FIFO queue: see [`FLAGS_FIFO`], [`SETS_SHIFT`].
    pub flags: AtomicU64,
    /// Random name of the queue: part of message ids and receipts.
    pub nonce: AtomicU64,
    /// `{ interval_ms:62, level:2 }`: see [`DURABILITY_PROCESS`].
    pub durability: AtomicU64,
    /// xxh3-64 of the fields above, and of the one below if that is not zero, in a mapped region;
    /// zero where nobody else can write.
    pub check: AtomicU64,
    /// `{ interval_ms:32, ids:32 }` of a FIFO queue's deduplication; 0: a standard queue.
    pub window: AtomicU64,
}

#[cfg(feature = "mapped")]
impl Config {
    /// What [`check`](Self::check) has to be.
    pub fn checksum(&self) -> u64 {
        let fields = [
            &self.slot_bytes,
            &self.slots,
            &self.blocks,
            &self.body_bytes_max,
            &self.flags,
            &self.nonce,
            &self.durability,
            &self.window,
        ];
        let mut bytes = [0; 64];
        for (chunk, field) in bytes.chunks_exact_mut(8).zip(fields) {
            chunk.copy_from_slice(&field.load(Ordering::Acquire).to_le_bytes());
        }
        let len = match self.window.load(Ordering::Acquire) {
            0 => 56,
            _ => 64,
        };
        crate::hash::xxh3_64(&bytes[..len])
    }
}

/// Bodies carry checksums.
pub const FLAG_CHECKSUM: u64 = 1;
/// Kind of a region's section: a standard queue.
pub const KIND_QUEUE: u64 = 1;
/// Kind of a region's section: a FIFO queue.
pub const KIND_FIFO: u64 = 2;

/// What was sent survives the process: no journal.
pub const DURABILITY_PROCESS: u64 = 0;
/// It survives the machine once an operation has returned.
#[cfg(feature = "mapped")]
pub const DURABILITY_BEFORE_OK: u64 = 1;
/// It survives the machine some time later; the upper 62 bits say how much, ms.
#[cfg(feature = "mapped")]
pub const DURABILITY_INTERVAL: u64 = 2;
/// The longest interval, ms: 1 h.
#[cfg(feature = "mapped")]
pub const INTERVAL_MS_MAX: u64 = 3_600_000;

/// Whether a number is one that [`Config::durability`] may have.
#[cfg(feature = "mapped")]
pub const fn is_durability(value: u64) -> bool {
    match value & 3 {
        DURABILITY_INTERVAL => value >> 2 >= 1 && value >> 2 <= INTERVAL_MS_MAX,
        _ => value <= DURABILITY_BEFORE_OK,
    }
}

/// The senders' line: hints.
#[derive(Debug)]
#[repr(C)]
pub struct SendSide {
    /// Slot at which the next sender starts to look.
    pub cursor: AtomicU64,
}

/// The receivers' line: hints.
#[derive(Debug)]
#[repr(C)]
pub struct ReceiveSide {
    /// Slot at which the next receiver starts to look.
    pub cursor: AtomicU64,
    /// When somebody last asked the kernel who has died.
    pub tended_ms: AtomicU64,
    /// 1: somebody has died since moves were looked at, see [`moving`](super::moving).
    pub bereaved: AtomicU64,
}

/// The waiters' line: an event count.
#[derive(Debug)]
#[repr(C)]
pub struct EventSide {
    /// The futex word; grows by one with each wake-up.
    pub sequence: AtomicU32,
    /// Zero.
    pub reserved: AtomicU32,
    /// `{ version:63, asleep:1 }`: whether somebody may be asleep.
    pub sleepers: AtomicU64,
}

/// What is read by all and seldom written: not on a line that senders or receivers write.
#[derive(Debug)]
#[repr(C)]
pub struct Seldom {
    /// Blocks in use so far: only these are swept. It only grows.
    pub extent: AtomicU64,
    /// The latest time seen: time does not run backwards over it.
    pub time_high_ms: AtomicU64,
    /// Lower bound of all due times.
    pub due: Due,
    /// The greatest number of a commit that has begun.
    pub begun: AtomicU64,
    /// The greatest number of a commit that is on the disk.
    pub durable: AtomicU64,
    /// Where the journal's next frame goes: bytes written to it, ever.
    pub journal_end: AtomicU64,
    /// Visits of the journal's sweep to blocks, ever.
    pub swept: AtomicU64,
    /// Futex word: 1 while something is marked that no timed commit has taken.
    pub pending: AtomicU32,
    /// Zero.
    pub reserved: AtomicU32,
    /// Receives before this time were before a power loss: their receipts are void.
    pub recovered_ms: AtomicU64,
    /// 1 once somebody has peeked: cells may be reserved from then on.
    pub peeked: AtomicU64,
}

/// What happened that is seldom, ever: a line of its own.
#[derive(Debug)]
#[repr(C)]
pub struct Counters {
    /// Messages set aside because their bytes failed their checksum.
    pub damaged: AtomicU64,
    /// Messages dropped because they were older than the retention.
    pub expired: AtomicU64,
    /// Messages removed by purges.
    pub purged: AtomicU64,
    /// Receives that found nothing.
    pub empty_receives: AtomicU64,
    /// Sends that slots' tallies had no more room for.
    pub sent: AtomicU64,
    /// Receives that slots' tallies had no more room for.
    pub received: AtomicU64,
    /// How many more messages may be received before those in flight are counted again: a number
    /// with a sign.
    pub in_flight_left: AtomicU64,
    /// Messages moved to another queue.
    pub moved: AtomicU64,
}

/// The head of a queue; blocks, state words and slots follow it.
#[derive(Debug)]
#[repr(C)]
pub struct QueueHead {
    /// Fixed at creation.
    pub config: Padded<Config>,
    /// Senders' hints.
    pub send: Padded<SendSide>,
    /// Receivers' hints.
    pub receive: Padded<ReceiveSide>,
    /// Waiters.
    pub event: Padded<EventSide>,
    /// Read by all, seldom written.
    pub seldom: Padded<Seldom>,
    /// What may be changed while the queue lives.
    pub policy: Padded<Policy>,
    /// What happened.
    pub counters: Padded<Counters>,
    /// How long messages lay before they were received. Firmware does not pay for it, and no model
    /// looks at it.
    #[cfg(all(feature = "std", not(ringmain_loom)))]
    pub latency: Padded<Latency>,
}

#[cfg(all(not(ringmain_loom), not(target_os = "none")))]
const _: () = {
    assert!(core::mem::offset_of!(QueueHead, send) == 128);
    assert!(core::mem::offset_of!(QueueHead, receive) == 256);
    assert!(core::mem::offset_of!(QueueHead, event) == 384);
    assert!(core::mem::offset_of!(QueueHead, seldom) == 512);
    assert!(core::mem::offset_of!(QueueHead, policy) == 640);
    assert!(core::mem::offset_of!(QueueHead, counters) == 768);
    #[cfg(feature = "std")]
    assert!(core::mem::offset_of!(QueueHead, latency) == 896);
    #[cfg(feature = "std")]
    assert!(size_of::<Latency>() == 192);
    let end = if cfg!(feature = "std") { 1152 } else { 896 };
    assert!(size_of::<QueueHead>() == end);
};

/// The numbers that fix a queue's layout; verified before use, then kept outside the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of a slot: a multiple of 8, at least the head and one byte.
    pub slot_bytes: usize,
    /// How many slots.
    pub slots: usize,
    /// Longest body, bytes.
    pub body_bytes_max: usize,
    /// What a FIFO queue has beside; of a standard queue nothing.
    pub fifo: FifoShape,
}

impl Shape {
    /// Blocks that hold the slots.
    #[inline(always)]
    pub const fn blocks(&self) -> usize {
        self.slots.div_ceil(crate::ring::blocks::BLOCK_SLOTS)
    }

    /// The longest body that takes one slot, bytes.
    #[inline(always)]
    pub const fn single_bytes(&self) -> usize {
        self.slot_bytes - SLOT_HEAD_BYTES
    }

    /// The most bytes of a message that are stored: attributes take two bytes each more than they
    /// count, and neither a dead letter's origin nor the names of a FIFO queue's message count.
    #[inline(always)]
    pub const fn stored_bytes_max(&self) -> usize {
        let names = match self.fifo.is_fifo() {
            true => NAMES_BYTES_MAX,
            false => 0,
        };
        self.body_bytes_max + 2 * ATTRIBUTES_MAX + ORIGIN_BYTES_MAX + names
    }

    /// Slots that `len` bytes take.
    #[inline(always)]
    pub const fn run(&self, len: usize) -> usize {
        if len <= self.single_bytes() {
            return 1; // the common case spares the division
        }
        (len + SLOT_HEAD_BYTES).div_ceil(self.slot_bytes)
    }

    /// The slots of block `block` that exist, as bits.
    pub const fn valid(&self, block: usize) -> u64 {
        valid_bits(self.slots, block)
    }
}

/// The slots of block `block` that exist when there are `slots` in all.
pub const fn valid_bits(slots: usize, block: usize) -> u64 {
    let first = block * crate::ring::blocks::BLOCK_SLOTS;
    if slots >= first + 64 {
        u64::MAX
    } else if slots <= first {
        0
    } else {
        u64::MAX >> (64 - (slots - first))
    }
}

impl SlotHead {
    const_fn! {
        /// An unused slot's head.
        pub fn new() -> Self {
            Self {
                size: AtomicU64::new(0),
                attributes: AtomicU64::new(0),
            }
        }
    }
}

/// What a queue is created with, as numbers.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What may be changed later.
    pub policy: PolicyNumbers,
    /// See [`Config::flags`].
    pub flags: u64,
    /// See [`Config::nonce`].
    pub nonce: u64,
    /// See [`Config::durability`].
    pub durability: u64,
    /// See [`Config::window`].
    pub window: u64,
}

impl QueueHead {
    /// What the settings of other queues call this one: the low bits of its nonce.
    #[cfg(all(feature = "std", not(ringmain_loom)))]
    pub fn id(&self) -> u64 {
        // ORDERING: Relaxed; written before the queue was published.
        super::id_of(self.config.nonce.load(crate::sync::Ordering::Relaxed))
    }

    const_fn! {
        /// The head of an empty queue.
        pub fn new(shape: Shape, settings: Settings) -> Self {
            Self {
                config: Padded(Config {
                    slot_bytes: AtomicU64::new(shape.slot_bytes as u64),
                    slots: AtomicU64::new(shape.slots as u64),
                    blocks: AtomicU64::new(shape.blocks() as u64),
                    body_bytes_max: AtomicU64::new(shape.body_bytes_max as u64),
                    flags: AtomicU64::new(settings.flags),
                    nonce: AtomicU64::new(settings.nonce),
                    durability: AtomicU64::new(settings.durability),
                    check: AtomicU64::new(0),
                    window: AtomicU64::new(settings.window),
                }),
                send: Padded(SendSide { cursor: AtomicU64::new(0) }),
                receive: Padded(ReceiveSide {
                    cursor: AtomicU64::new(0),
                    tended_ms: AtomicU64::new(0),
                    bereaved: AtomicU64::new(0),
                }),
                event: Padded(EventSide {
                    sequence: AtomicU32::new(0),
                    reserved: AtomicU32::new(0),
                    sleepers: AtomicU64::new(0),
                }),
                seldom: Padded(Seldom {
                    extent: AtomicU64::new(1),
                    time_high_ms: AtomicU64::new(0),
                    due: Due::none(),
                    begun: AtomicU64::new(0),
                    durable: AtomicU64::new(0),
                    journal_end: AtomicU64::new(0),
                    swept: AtomicU64::new(0),
                    pending: AtomicU32::new(0),
                    reserved: AtomicU32::new(0),
                    recovered_ms: AtomicU64::new(0),
                    peeked: AtomicU64::new(0),
                }),
                policy: Padded(Policy::new(settings.policy)),
                counters: Padded(Counters {
                    damaged: AtomicU64::new(0),
                    expired: AtomicU64::new(0),
                    purged: AtomicU64::new(0),
                    empty_receives: AtomicU64::new(0),
                    sent: AtomicU64::new(0),
                    received: AtomicU64::new(0),
                    in_flight_left: AtomicU64::new(0),
                    moved: AtomicU64::new(0),
                }),
                #[cfg(all(feature = "std", not(ringmain_loom)))]
                latency: Padded(Latency::new()),
            }
        }
    }
}

/// Blocks up to which a sweep looks at each: a queue with more has maps (`ring::maps`).
pub const BLOCKS_LINEAR: usize = 8;

impl Shape {
    /// Words of a map of the blocks, and bounds of groups of 64 blocks; 0 where each is looked at.
    pub const fn groups(&self) -> usize {
        if self.blocks() <= BLOCKS_LINEAR {
            0
        } else {
            self.blocks().div_ceil(64)
        }
    }
}

/// How many parts a FIFO queue has of its own.
pub const FIFO_PARTS: usize = 10;

/// Where the parts of a queue lie, in bytes from its head; each part has lines of its own.
#[derive(Debug, Clone, Copy)]
pub struct Offsets {
    /// Blocks.
    pub blocks: usize,
    /// The map of blocks with free slots, that of blocks with ready ones, and the groups' bounds.
    pub maps: [usize; 3],
    /// State words.
    pub words: usize,
    /// Notes.
    pub notes: usize,
    /// A FIFO queue's own: head, links, groups, their buckets, ids, their buckets, tickets,
    /// sets of attempts, attempts, and marks of ids.
    pub fifo: [usize; FIFO_PARTS],
    /// Slots.
    pub slots: usize,
    /// The end of all.
    pub end: usize,
}

impl Offsets {
    /// Of a queue that needs no such offsets: its parts are fields.
    pub const NONE: Self = Self {
        blocks: 0,
        maps: [0; 3],
        words: 0,
        notes: 0,
        fifo: [0; FIFO_PARTS],
        slots: 0,
        end: 0,
    };

    /// Those of a shape; `None` if they overflow.
    pub const fn of(shape: Shape) -> Option<Self> {
        let mut offsets = Self::NONE;
        offsets.blocks = size_of::<QueueHead>();
        let mut end = offsets.blocks;
        let parts = [
            (shape.blocks(), size_of::<Block>()),
            (shape.groups(), size_of::<AtomicU64>()),
            (shape.groups(), size_of::<AtomicU64>()),
            (shape.groups(), size_of::<Due>()),
            (shape.slots, size_of::<AtomicU64>()),
            (shape.slots, size_of::<Note>()),
            (shape.fifo.is_fifo() as usize, size_of::<FifoHead>()),
            (
                shape.fifo.is_fifo() as usize * shape.slots,
                size_of::<Link>(),
            ),
            (shape.fifo.groups, size_of::<Group>()),
            (shape.fifo.group_buckets, size_of::<AtomicU64>()),
            (shape.fifo.ids, size_of::<Remembered>()),
            (shape.fifo.id_buckets, size_of::<AtomicU64>()),
            (shape.fifo.tickets, size_of::<AtomicU64>()),
            (shape.fifo.sets, size_of::<AtomicU64>()),
            (shape.fifo.attempts(), size_of::<Attempt>()),
            (shape.fifo.marks, size_of::<IdMarks>()),
            (shape.slots, shape.slot_bytes),
        ];
        let mut part = 0;
        while part < parts.len() {
            let Some(at) = align_up(end, 128) else {
                return None;
            };
            match part {
                0 => offsets.blocks = at,
                1..=3 => offsets.maps[part - 1] = at,
                4 => offsets.words = at,
                5 => offsets.notes = at,
                6..=15 => offsets.fifo[part - 6] = at,
                _ => offsets.slots = at,
            }
            let (count, bytes) = parts[part];
            let Some(len) = count.checked_mul(bytes) else {
                return None;
            };
            end = match at.checked_add(len) {
                Some(end) => end,
                None => return None,
            };
            part += 1;
        }
        offsets.end = end;
        Some(offsets)
    }
}

/// `n` rounded up to a multiple of `to` (a power of two).
pub const fn align_up(n: usize, to: usize) -> Option<usize> {
    match n.checked_add(to - 1) {
        Some(n) => Some(n & !(to - 1)),
        None => None,
    }
}
