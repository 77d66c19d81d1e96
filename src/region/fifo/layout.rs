//! What a FIFO queue has beside the parts of a standard one: links, groups, remembered ids, chains
//! to find them by, and tickets of groups that can be received from.

use crate::ring::chains::Chained;
use crate::sync::{AtomicU64, Ordering, Padded, const_fn};

/// How a list of messages goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing follows: here the next message is appended.
    End,
    /// This slot follows.
    Slot(usize),
    /// Nothing follows, and nothing may be appended.
    Closed,
}

/// `{ kind:2, frozen:1, version:30, slot:31 }`: a place where a message may be linked. The version
/// grows with each change, so that no two states of one place look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextWord(pub u64);

const FROZEN: u64 = 1 << 61;
const VERSION_SHIFT: u32 = 31;
const VERSION_MASK: u64 = (1 << 30) - 1;
const SLOT_MASK: u64 = (1 << VERSION_SHIFT) - 1;

impl NextWord {
    const fn new(version: u64, next: Next) -> Self {
        let (kind, slot) = match next {
            Next::End => (0, 0),
            Next::Slot(slot) => (1, slot as u64 & SLOT_MASK),
            Next::Closed => (2, 0),
        };
        Self(kind << 62 | (version & VERSION_MASK) << VERSION_SHIFT | slot)
    }

    /// What follows.
    pub const fn next(self) -> Next {
        match self.0 >> 62 {
            0 => Next::End,
            1 => Next::Slot((self.0 & SLOT_MASK) as usize),
            _ => Next::Closed,
        }
    }

    /// What follows, if that is a slot and this is not frozen: what most places lead to.
    #[inline(always)]
    pub const fn plain(self) -> Option<usize> {
        match self.0 >> 61 {
            0b010 => Some((self.0 & SLOT_MASK) as usize),
            _ => None,
        }
    }

    /// Whether nothing follows, and this is not frozen.
    #[inline(always)]
    pub const fn is_open(self) -> bool {
        self.0 >> 61 == 0
    }

    /// Whether its slot's message is gone, so that it is no place to unlink anything from.
    pub const fn is_frozen(self) -> bool {
        self.0 & FROZEN != 0
    }

    /// The next version, with another follower; frozen if this is.
    pub const fn then(self, next: Next) -> Self {
        let version = (self.0 >> VERSION_SHIFT) + 1;
        Self(Self::new(version, next).0 | (self.0 & FROZEN))
    }

    /// The next version, frozen.
    pub const fn then_frozen(self) -> Self {
        Self(self.then(self.next()).0 | FROZEN)
    }

    /// The next version, frozen, and nothing may be appended.
    pub const fn then_closed(self) -> Self {
        Self(self.then(Next::Closed).0 | FROZEN)
    }

    /// The next version, not frozen: of another message, with nothing behind it.
    pub const fn anew(self) -> Self {
        Self(self.then(Next::End).0 & !FROZEN)
    }
}

/// In a sequence word: the message has no number yet; the low bits are its generation.
pub const UNORDERED: u64 = 1 << 63;
/// In a sequence word that is not a number: the message was moved here from another queue, and the
/// generation is that of the claim, since its stamp's lies as far back as it was received there.
pub const MOVED: u64 = 1 << 62;

/// What a FIFO queue knows of a slot beside its note. Reset by who has claimed the slot.
#[derive(Debug)]
#[cfg_attr(all(not(ringmain_loom), not(target_os = "none")), repr(C, align(64)))]
#[cfg_attr(any(ringmain_loom, target_os = "none"), repr(C))]
pub struct Link {
    /// A [`NextWord`]: what follows in the group.
    pub next: AtomicU64,
    /// The message's number, which its sender has reserved; or `{ unordered:1, moved:1, 0:44,
    /// generation:18 }` until it has one.
    pub sequence: AtomicU64,
    /// The entry of its deduplication id, and one more; 0: none.
    pub id: AtomicU64,
    /// The group's key.
    pub key: [AtomicU64; 2],
    /// The group's entry, and one more, as whoever linked it knows: a hint.
    pub group: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 2],
}

#[cfg(all(not(ringmain_loom), not(target_os = "none")))]
const _: () = assert!(size_of::<Link>() == 64);

impl Link {
    const_fn! {
        /// Of a slot that was never used.
        pub fn new() -> Self {
            Self {
                next: AtomicU64::new(0),
                sequence: AtomicU64::new(0),
                id: AtomicU64::new(0),
                key: [AtomicU64::new(0), AtomicU64::new(0)],
                group: AtomicU64::new(0),
                reserved: [AtomicU64::new(0), AtomicU64::new(0)],
            }
        }
    }
}

/// A group that has messages, or had some lately.
#[derive(Debug)]
#[cfg_attr(all(not(ringmain_loom), not(target_os = "none")), repr(C, align(64)))]
#[cfg_attr(any(ringmain_loom, target_os = "none"), repr(C))]
pub struct Group {
    /// `{ phase:2, 0:20, owner:10, version:32 }`
    pub state: AtomicU64,
    /// See [`chains`](crate::ring::chains).
    pub chain: AtomicU64,
    /// 128 bits of its name's hash.
    pub key: [AtomicU64; 2],
    /// A [`NextWord`]: its oldest message. Closed: the entry is no group.
    pub first: AtomicU64,
    /// `{ sequence:32, slot:32 }`: where the end was lately.
    pub last: AtomicU64,
    /// `{ version:63, wide:1 }`: whether others than the oldest may be in flight.
    pub wide: AtomicU64,
    /// Position after that of its latest ticket.
    pub ticket: AtomicU64,
}

#[cfg(all(not(ringmain_loom), not(target_os = "none")))]
const _: () = assert!(size_of::<Group>() == 64);

impl Group {
    const_fn! {
        /// An entry that was never used.
        pub fn new() -> Self {
            Self {
                state: AtomicU64::new(0),
                chain: AtomicU64::new(0),
                key: [AtomicU64::new(0), AtomicU64::new(0)],
                first: AtomicU64::new(0),
                last: AtomicU64::new(0),
                wide: AtomicU64::new(0),
                ticket: AtomicU64::new(0),
            }
        }
    }
}

impl Chained for Group {
    fn chain(&self) -> &AtomicU64 {
        &self.chain
    }
}

/// Words of a remembered id's key.
pub const ID_WORDS: usize = 10;

/// A deduplication id within its window.
#[derive(Debug)]
#[cfg_attr(all(not(ringmain_loom), not(target_os = "none")), repr(C, align(128)))]
#[cfg_attr(any(ringmain_loom, target_os = "none"), repr(C))]
pub struct Remembered {
    /// See [`chains`](crate::ring::chains).
    pub chain: AtomicU64,
    /// See [`ids`](super::ids).
    pub state: AtomicU64,
    /// Stamp of the first message with this id.
    pub stamp: AtomicU64,
    /// Its sequence number, once it is accepted.
    pub sequence: AtomicU64,
    /// When the window ends, ms.
    pub until_ms: AtomicU64,
    /// The key's hash.
    pub hash: AtomicU64,
    /// The id itself, or its digest.
    pub key: [AtomicU64; ID_WORDS],
}

#[cfg(all(not(ringmain_loom), not(target_os = "none")))]
const _: () = assert!(size_of::<Remembered>() == 128);

impl Remembered {
    const_fn! {
        /// An entry that was never used.
        pub fn new() -> Self {
            Self {
                chain: AtomicU64::new(0),
                state: AtomicU64::new(0),
                stamp: AtomicU64::new(0),
                sequence: AtomicU64::new(0),
                until_ms: AtomicU64::new(0),
                hash: AtomicU64::new(0),
                key: [
                    AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0),
                    AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0),
                    AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0),
                    AtomicU64::new(0),
                ],
            }
        }
    }
}

impl Chained for Remembered {
    const TERMS: bool = true;

    fn chain(&self) -> &AtomicU64 {
        &self.chain
    }

    #[inline(always)]
    fn term(&self) -> u64 {
        self.state.load(Ordering::Acquire) >> 32
    }
}

/// Of 64 remembered ids, what a journal has to be told: see [`kept`](super::kept).
#[derive(Debug)]
#[repr(C)]
pub struct IdMarks {
    /// Ids whose message is going, and no commit has looked since.
    pub dirty: AtomicU64,
    /// Ids that a commit has looked at, and that are not known to be on the disk.
    pub unsynced: AtomicU64,
}

#[cfg(ringmain_loom)]
impl IdMarks {
    /// Without a mark.
    pub fn new() -> Self {
        Self {
            dirty: AtomicU64::new(0),
            unsynced: AtomicU64::new(0),
        }
    }
}

/// What a FIFO queue has once.
#[derive(Debug)]
#[repr(C)]
pub struct FifoHead {
    /// The latest sequence number that was given out.
    pub sequence: Padded<AtomicU64>,
    /// Position of the first ticket.
    pub tickets_first: Padded<AtomicU64>,
    /// Position after the last ticket.
    pub tickets_last: Padded<AtomicU64>,
    /// Where the next id is remembered: a count.
    pub ids_cursor: Padded<AtomicU64>,
    /// Where an entry for a group is looked for next: a count.
    pub groups_cursor: Padded<AtomicU64>,
    /// Ids of messages up to this sequence number are forgotten: a purge was.
    pub forgotten: Padded<AtomicU64>,
    /// Of a queue with a quota: see `queue::fifo::quota`.
    pub quota: Padded<[AtomicU64; 3]>,
}

impl FifoHead {
    const_fn! {
        /// Of an empty queue.
        pub fn new() -> Self {
            Self {
                sequence: Padded(AtomicU64::new(0)),
                tickets_first: Padded(AtomicU64::new(0)),
                tickets_last: Padded(AtomicU64::new(0)),
                ids_cursor: Padded(AtomicU64::new(0)),
                groups_cursor: Padded(AtomicU64::new(0)),
                forgotten: Padded(AtomicU64::new(0)),
                quota: Padded([AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)]),
            }
        }
    }
}
