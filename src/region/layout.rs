//! The layout of a queue in memory: the same in each home. `docs/file-format.md` draws it.

use crate::ring::blocks::Block;
#[cfg(feature = "mapped")]
use crate::sync::Ordering;
use crate::sync::{AtomicU32, AtomicU64, Padded, const_fn};

/// Bytes of a slot that are its head; the body follows.
pub const SLOT_HEAD_BYTES: usize = 32;

/// What the sender writes before a slot becomes ready; it does not change while the message lives.
/// In the later slots of a run, body bytes lie here: nothing is written here but by who has claimed
/// the slot, and nothing read here is used before the state word has confirmed it.
#[derive(Debug)]
#[repr(C)]
pub struct SlotHead {
    /// `{ generation:18, sent_ms:44 }`: names the message in this slot.
    pub stamp: AtomicU64,
    /// `{ checksum:32, len:32 }` of the body.
    pub size: AtomicU64,
    /// Zero: room for attributes.
    pub attributes: AtomicU64,
    /// Zero: room for the time of the first receive.
    pub first_received_ms: AtomicU64,
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
    /// Visibility timeout, ms.
    pub visibility_ms: AtomicU64,
    /// Retention, ms.
    pub retention_ms: AtomicU64,
    /// Bit 0: bodies carry checksums.
    pub flags: AtomicU64,
    /// Random name of the queue: part of message ids and receipts.
    pub nonce: AtomicU64,
    /// `{ interval_ms:62, level:2 }`: see [`DURABILITY_PROCESS`].
    pub durability: AtomicU64,
    /// xxh3-64 of the fields above, in a mapped region; zero where nobody else can write.
    pub check: AtomicU64,
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
            &self.visibility_ms,
            &self.retention_ms,
            &self.flags,
            &self.nonce,
            &self.durability,
        ];
        let mut bytes = [0; 72];
        for (chunk, field) in bytes.chunks_exact_mut(8).zip(fields) {
            chunk.copy_from_slice(&field.load(Ordering::Acquire).to_le_bytes());
        }
        crate::hash::xxh3_64(&bytes)
    }
}

/// The longest visibility timeout, ms: 12 h.
pub const VISIBILITY_MS_MAX: u64 = 12 * 3_600_000;
/// The shortest retention, ms.
pub const RETENTION_MS_MIN: u64 = 60_000;
/// The longest retention, ms: 14 days.
pub const RETENTION_MS_MAX: u64 = 14 * 86_400_000;

/// Bodies carry checksums.
pub const FLAG_CHECKSUM: u64 = 1;

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
    /// Messages set aside because their bytes failed their checksum.
    pub damaged: AtomicU64,
    /// Messages dropped because they were older than the retention.
    pub expired: AtomicU64,
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
}

#[cfg(all(not(ringmain_loom), not(target_os = "none")))]
const _: () = {
    assert!(size_of::<QueueHead>() == 640);
    assert!(core::mem::offset_of!(QueueHead, send) == 128);
    assert!(core::mem::offset_of!(QueueHead, receive) == 256);
    assert!(core::mem::offset_of!(QueueHead, event) == 384);
    assert!(core::mem::offset_of!(QueueHead, seldom) == 512);
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

    /// Slots that a body of `len` bytes takes.
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
                stamp: AtomicU64::new(0),
                size: AtomicU64::new(0),
                attributes: AtomicU64::new(0),
                first_received_ms: AtomicU64::new(0),
            }
        }
    }
}

/// What a queue is created with, as numbers.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Visibility timeout, ms.
    pub visibility_ms: u64,
    /// Retention, ms.
    pub retention_ms: u64,
    /// See [`Config::flags`].
    pub flags: u64,
    /// See [`Config::nonce`].
    pub nonce: u64,
    /// See [`Config::durability`].
    pub durability: u64,
}

impl QueueHead {
    const_fn! {
        /// The head of an empty queue.
        pub fn new(shape: Shape, settings: Settings) -> Self {
            Self {
                config: Padded(Config {
                    slot_bytes: AtomicU64::new(shape.slot_bytes as u64),
                    slots: AtomicU64::new(shape.slots as u64),
                    blocks: AtomicU64::new(shape.blocks() as u64),
                    body_bytes_max: AtomicU64::new(shape.body_bytes_max as u64),
                    visibility_ms: AtomicU64::new(settings.visibility_ms),
                    retention_ms: AtomicU64::new(settings.retention_ms),
                    flags: AtomicU64::new(settings.flags),
                    nonce: AtomicU64::new(settings.nonce),
                    durability: AtomicU64::new(settings.durability),
                    check: AtomicU64::new(0),
                }),
                send: Padded(SendSide { cursor: AtomicU64::new(0) }),
                receive: Padded(ReceiveSide {
                    cursor: AtomicU64::new(0),
                    tended_ms: AtomicU64::new(0),
                }),
                event: Padded(EventSide {
                    sequence: AtomicU32::new(0),
                    reserved: AtomicU32::new(0),
                    sleepers: AtomicU64::new(0),
                }),
                seldom: Padded(Seldom {
                    extent: AtomicU64::new(1),
                    time_high_ms: AtomicU64::new(0),
                    damaged: AtomicU64::new(0),
                    expired: AtomicU64::new(0),
                    begun: AtomicU64::new(0),
                    durable: AtomicU64::new(0),
                    journal_end: AtomicU64::new(0),
                    swept: AtomicU64::new(0),
                    pending: AtomicU32::new(0),
                    reserved: AtomicU32::new(0),
                    recovered_ms: AtomicU64::new(0),
                }),
            }
        }
    }
}

/// Bytes that a queue of this shape takes, each part on its own line; `None` if it overflows.
pub const fn queue_bytes(shape: Shape) -> Option<[usize; 5]> {
    // Offsets of: blocks, words, names of former holders, slots, end.
    let blocks = size_of::<QueueHead>();
    let Some(words) = align_up(blocks + shape.blocks() * size_of::<Block>(), 128) else {
        return None;
    };
    let Some(word_bytes) = shape.slots.checked_mul(size_of::<AtomicU64>()) else {
        return None;
    };
    let Some(end_of_words) = words.checked_add(word_bytes) else {
        return None;
    };
    let Some(former) = align_up(end_of_words, 128) else {
        return None;
    };
    let Some(end_of_former) = former.checked_add(word_bytes) else {
        return None;
    };
    let Some(slots) = align_up(end_of_former, 128) else {
        return None;
    };
    let Some(slot_bytes) = shape.slots.checked_mul(shape.slot_bytes) else {
        return None;
    };
    match slots.checked_add(slot_bytes) {
        Some(end) => Some([blocks, words, former, slots, end]),
        None => None,
    }
}

/// `n` rounded up to a multiple of `to` (a power of two).
pub const fn align_up(n: usize, to: usize) -> Option<usize> {
    match n.checked_add(to - 1) {
        Some(n) => Some(n & !(to - 1)),
        None => None,
    }
}
