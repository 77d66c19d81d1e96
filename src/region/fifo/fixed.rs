//! The static home of FIFO queues: one in a `static` or any other value, laid out at compile time.
//!
//! The length of an array cannot be reckoned from that of another, only repeated. So each part is
//! an array, or several in a row, of the lengths that the type names. Where a power of two is
//! needed, as many elements are used as make one, and the array is so long that they do.

use super::attempts::{Attempt, WAYS};
use super::layout::{FifoHead, Group, Link, Remembered};
use crate::error::Error;
use crate::region::home::{Intent, Region, Wish};
use crate::region::layout::{
    DURABILITY_PROCESS, FLAG_CHECKSUM, FifoShape, IDS_MAX, NAMES_BYTES_TYPICAL, Note, Offsets,
    QueueHead, SETS_MAX, SETS_SHIFT, Settings, Shape, SlotHead, valid_bits,
};
use crate::region::memory::Place;
use crate::region::store::Store;
use crate::ring::blocks::{BLOCK_SLOTS, Block};
use crate::sync::{AtomicU64, UnsafeCell};
use core::mem::offset_of;

/// Entries of groups beyond the slots, for each block of these.
const SPARE: usize = BLOCK_SLOTS / 8;
/// Words of tickets for each entry of a group: at least half of them are used.
const TICKETS: usize = 4;
/// Words that begin chains for each that is found by them: at least half of them are used.
const BUCKETS: usize = 2;

/// One slot: a body, and its group and deduplication id.
#[derive(Debug)]
#[repr(C, align(8))]
struct Slot<const B: usize> {
    head: SlotHead,
    body: [u8; B],
    names: [u8; NAMES_BYTES_TYPICAL],
}

/// `T` for each slot, and for the spare entries: in memory one array.
#[derive(Debug)]
#[repr(C)]
struct Entries<T, const N: usize, const BLOCKS: usize> {
    slots: [T; N],
    spare: [[T; SPARE]; BLOCKS],
}

/// Memory for a FIFO queue of `N` messages of at most `B` bytes that remembers `IDS` deduplication
/// ids, without a heap and without an initialising call.
///
/// | parameter | |
/// |---|---|
/// | `N` | messages, if each takes one slot: its group and its id have 46 bytes together |
/// | `B` | longest body with attributes, bytes |
/// | `IDS` | ids that are remembered at once: as many as are sent in one `dedup_interval` |
/// | `BLOCKS` | `N / 64` rounded up: 1, the default, does for up to 64 messages |
/// | `SETS` | sets of eight receive attempts that are remembered: 0, the default, for none |
///
/// There may be as many groups as messages. A message with longer names takes several adjacent
/// slots. What does not fit together does not compile.
///
/// # Size
///
/// On 32-bit bare metal 280 bytes and `B`, rounded up to 8, for each message, 144 for each id, 792
/// for each block, 2056 for each set, and with the queue's handle 560 once: so one over
/// `FixedFifo<16, 16, 32>` takes 10 696. With an operating system, where lines are kept apart, it
/// takes some 3 KiB more.
///
/// # Examples
///
/// ```
/// use ringmain::{FifoOptions, FifoQueue, FixedFifo, ManualClock};
/// static CLOCK: ManualClock = ManualClock::new(0);
/// static ORDERS: FifoQueue<FixedFifo<16, 32, 64>, &ManualClock> =
///     FifoQueue::fixed(&CLOCK, FifoOptions::new());
/// ORDERS.send("valve-3", "1", b"open")?;
/// ORDERS.send("valve-3", "2", b"close")?;
/// let order = ORDERS.receive()?.expect("sent above");
/// assert_eq!((order.group(), order.body()), (Some("valve-3"), &b"open"[..]));
/// # Ok::<(), ringmain::Error>(())
/// ```
///
/// ```compile_fail
/// use ringmain::{FifoOptions, FifoQueue, FixedFifo, ManualClock};
/// static CLOCK: ManualClock = ManualClock::new(0);
/// static ORDERS: FifoQueue<FixedFifo<100, 32, 64>, &ManualClock> = // 100 need 2 blocks
///     FifoQueue::fixed(&CLOCK, FifoOptions::new());
/// ```
///
/// ```compile_fail
/// use ringmain::{FifoOptions, FifoQueue, FixedFifo, ManualClock};
/// static CLOCK: ManualClock = ManualClock::new(0);
/// static ORDERS: FifoQueue<FixedFifo<16, 32, 0>, &ManualClock> = // no room for any id
///     FifoQueue::fixed(&CLOCK, FifoOptions::new());
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct FixedFifo<
    const N: usize,
    const B: usize,
    const IDS: usize,
    const BLOCKS: usize = 1,
    const SETS: usize = 0,
> {
    head: QueueHead,
    blocks: [Block; BLOCKS],
    words: [AtomicU64; N],
    notes: [Note; N],
    fifo: FifoHead,
    links: [Link; N],
    groups: Entries<Group, N, BLOCKS>,
    group_buckets: [[AtomicU64; BUCKETS]; N],
    ids: [Remembered; IDS],
    id_buckets: [[AtomicU64; BUCKETS]; IDS],
    tickets: Entries<[AtomicU64; TICKETS], N, BLOCKS>,
    sets: [AtomicU64; SETS],
    attempts: [[Attempt; WAYS]; SETS],
    slots: UnsafeCell<[Slot<B>; N]>,
    #[cfg(feature = "async")]
    wakers: crate::sync::WakerSet,
}

// SAFETY: all access to `slots` goes through `Store`, whose protocol orders it; the rest is atomic.
unsafe impl<
    const N: usize,
    const B: usize,
    const IDS: usize,
    const BLOCKS: usize,
    const SETS: usize,
> Sync for FixedFifo<N, B, IDS, BLOCKS, SETS>
{
}

impl<const N: usize, const B: usize, const IDS: usize, const BLOCKS: usize, const SETS: usize>
    FixedFifo<N, B, IDS, BLOCKS, SETS>
{
    const SHAPE: Shape = {
        assert!(
            N > 0 && B > 0,
            "a queue has at least one message of at least one byte"
        );
        assert!(N <= 1 << 30, "there are too many messages");
        assert!(
            N.div_ceil(BLOCK_SLOTS) == BLOCKS,
            "BLOCKS is N / 64, rounded up"
        );
        assert!(
            IDS > 0 && IDS as u64 <= IDS_MAX,
            "a FIFO queue remembers at least one id"
        );
        assert!(
            SETS as u64 <= SETS_MAX,
            "there are too many sets of attempts"
        );
        let groups = N + SPARE * BLOCKS;
        Shape {
            slot_bytes: size_of::<Slot<B>>(),
            slots: N,
            body_bytes_max: B,
            fifo: FifoShape {
                groups,
                group_buckets: power_within(BUCKETS * N),
                ids: IDS,
                id_buckets: power_within(BUCKETS * IDS),
                tickets: power_within(TICKETS * groups),
                sets: SETS,
                marks: 0,
            },
        }
    };

    const OFFSETS: Offsets = Offsets {
        blocks: offset_of!(Self, blocks),
        maps: MAPLESS,
        fifo: [
            offset_of!(Self, fifo),
            offset_of!(Self, links),
            offset_of!(Self, groups),
            offset_of!(Self, group_buckets),
            offset_of!(Self, ids),
            offset_of!(Self, id_buckets),
            offset_of!(Self, tickets),
            offset_of!(Self, sets),
            offset_of!(Self, attempts),
            offset_of!(Self, attempts), // no marks: there is no journal
        ],
        words: offset_of!(Self, words),
        notes: offset_of!(Self, notes),
        slots: offset_of!(Self, slots),
        end: size_of::<Self>(),
    };

    pub(crate) const fn with(settings: Settings) -> Self {
        let mut blocks = [const { Block::new(0) }; BLOCKS];
        let mut index = 0;
        while index < BLOCKS {
            blocks[index] = Block::new(valid_bits(N, index));
            index += 1;
        }
        Self {
            head: QueueHead::new(Self::SHAPE, settings),
            blocks,
            words: [const { AtomicU64::new(0) }; N],
            notes: [const { Note::new() }; N],
            fifo: FifoHead::new(),
            links: [const { Link::new() }; N],
            groups: Entries {
                slots: [const { Group::new() }; N],
                spare: [const { [const { Group::new() }; SPARE] }; BLOCKS],
            },
            group_buckets: [const { [const { AtomicU64::new(0) }; BUCKETS] }; N],
            ids: [const { Remembered::new() }; IDS],
            id_buckets: [const { [const { AtomicU64::new(0) }; BUCKETS] }; IDS],
            tickets: Entries {
                slots: [const { [const { AtomicU64::new(0) }; TICKETS] }; N],
                spare: [const { [const { [const { AtomicU64::new(0) }; TICKETS] }; SPARE] };
                    BLOCKS],
            },
            sets: [const { AtomicU64::new(0) }; SETS],
            attempts: [const { [const { Attempt::new() }; WAYS] }; SETS],
            slots: UnsafeCell::new(
                [const {
                    Slot {
                        head: SlotHead::new(),
                        body: [0; B],
                        names: [0; NAMES_BYTES_TYPICAL],
                    }
                }; N],
            ),
            #[cfg(feature = "async")]
            wakers: crate::sync::WakerSet::new(),
        }
    }

    /// The settings as they are of this type: what it says itself is added.
    pub(crate) const fn settings(settings: Settings) -> Settings {
        Settings {
            flags: settings.flags | (SETS as u64) << SETS_SHIFT,
            window: settings.window | IDS as u64,
            ..settings
        }
    }

    pub(crate) const fn place_of(settings: Settings) -> Place {
        Place {
            offset: 0,
            offsets: Self::OFFSETS,
            blocks: BLOCKS,
            groups: 0,
            shape: Self::SHAPE,
            checksum: settings.flags & FLAG_CHECKSUM != 0,
            flags: settings.flags,
            window: settings.window,
            durability: DURABILITY_PROCESS,
        }
    }
}

// SAFETY: the store is this value's own memory, private to it.
unsafe impl<
    const N: usize,
    const B: usize,
    const IDS: usize,
    const BLOCKS: usize,
    const SETS: usize,
> Region for FixedFifo<N, B, IDS, BLOCKS, SETS>
{
    fn place(&self, _intent: Intent, _wish: &Wish) -> Result<Place, Error> {
        Err(Error::Occupied) // it comes with its queue: `FifoQueue::fixed`
    }

    #[inline(always)]
    fn store<'s>(&'s self, place: &'s Place) -> Store<'s> {
        let head = core::ptr::from_ref(self) as *mut u8;
        // SAFETY: the head is this value's first field and the others lie where the place of `with`
        // says, as long as the compiler says; all that is written through it is atomic or in a
        // cell. Buckets and tickets are as many of theirs as the shape says, which `SHAPE` takes
        // from the lengths of their arrays.
        unsafe { Store::new(head, place) }
    }

    #[cfg(feature = "async")]
    #[inline(always)]
    fn wakers(&self) -> &crate::sync::WakerSet {
        &self.wakers
    }
}

/// Offsets of maps of no elements.
const MAPLESS: [usize; 3] = [0; 3];

/// The greatest power of two that is at most `n`, which is not 0.
const fn power_within(n: usize) -> usize {
    1 << n.ilog2()
}

// What is repeated is one array, without a gap.
const _: () = {
    assert!(size_of::<Entries<Group, 5, 3>>() == (5 + 3 * SPARE) * size_of::<Group>());
    let words = TICKETS * (5 + 3 * SPARE);
    let tickets = size_of::<Entries<[AtomicU64; TICKETS], 5, 3>>();
    assert!(tickets == words * size_of::<AtomicU64>());
};
