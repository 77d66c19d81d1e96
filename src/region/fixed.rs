//! The static home: a queue in a `static` or any other value, laid out at compile time.

use super::home::{Intent, Region, Wish};
use super::layout::{
    DURABILITY_PROCESS, FIFO_PARTS, FLAG_CHECKSUM, FifoShape, Note, Offsets, QueueHead,
    SLOT_HEAD_BYTES, Settings, Shape, SlotHead, valid_bits,
};
use super::memory::Place;
use super::store::Store;
use crate::error::Error;
use crate::ring::blocks::Block;
use crate::sync::{AtomicU64, UnsafeCell};
use core::mem::offset_of;

/// One slot of a fixed home.
#[derive(Debug)]
#[repr(C, align(8))]
struct Slot<const B: usize> {
    head: SlotHead,
    body: [u8; B],
}

/// Memory for `N` messages of at most `B` bytes, without a heap and without an initialising call.
///
/// `BLOCKS` is `N / 64` rounded up: 1, the default, does for up to 64 messages. Anything else does
/// not compile. A message costs `32 + B` bytes rounded up to 8, and 16 more for its words.
///
/// ```
/// use ringmain::{ManualClock, Queue, QueueOptions, Fixed};
/// static CLOCK: ManualClock = ManualClock::new(0);
/// static READINGS: Queue<Fixed<100, 16, 2>, &ManualClock> =
///     Queue::fixed(&CLOCK, QueueOptions::new());
/// READINGS.send(b"21.5 C")?;
/// # Ok::<(), ringmain::Error>(())
/// ```
///
/// ```compile_fail
/// use ringmain::{ManualClock, Queue, QueueOptions, Fixed};
/// static CLOCK: ManualClock = ManualClock::new(0);
/// static READINGS: Queue<Fixed<100, 16>, &ManualClock> = // 100 messages need 2 blocks
///     Queue::fixed(&CLOCK, QueueOptions::new());
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct Fixed<const N: usize, const B: usize, const BLOCKS: usize = 1> {
    head: QueueHead,
    blocks: [Block; BLOCKS],
    words: [AtomicU64; N],
    notes: [Note; N],
    slots: UnsafeCell<[Slot<B>; N]>,
    #[cfg(feature = "async")]
    wakers: crate::sync::WakerSet,
}

// SAFETY: all access to `slots` goes through `Store`, whose protocol orders it; the rest is atomic.
unsafe impl<const N: usize, const B: usize, const BLOCKS: usize> Sync for Fixed<N, B, BLOCKS> {}

impl<const N: usize, const B: usize, const BLOCKS: usize> Fixed<N, B, BLOCKS> {
    const SHAPE: Shape = {
        assert!(
            N > 0 && B > 0,
            "a queue has at least one message of at least one byte"
        );
        assert!(N.div_ceil(64) == BLOCKS, "BLOCKS is N / 64, rounded up");
        Shape {
            slot_bytes: size_of::<Slot<B>>(),
            slots: N,
            body_bytes_max: B,
            fifo: FifoShape::NONE,
        }
    };

    const OFFSETS: Offsets = Offsets {
        blocks: offset_of!(Self, blocks),
        maps: [0; 3], // of no elements
        fifo: [0; FIFO_PARTS],
        words: offset_of!(Self, words),
        notes: offset_of!(Self, notes),
        slots: offset_of!(Self, slots),
        end: size_of::<Self>(),
    };

    pub(crate) const fn with(settings: Settings) -> Self {
        let mut valid = [0; BLOCKS];
        let mut index = 0;
        while index < BLOCKS {
            valid[index] = valid_bits(N, index);
            index += 1;
        }
        let mut blocks = [const { Block::new(0) }; BLOCKS];
        index = 0;
        while index < BLOCKS {
            blocks[index] = Block::new(valid[index]);
            index += 1;
        }
        Self {
            head: QueueHead::new(Self::SHAPE, settings),
            blocks,
            words: [const { AtomicU64::new(0) }; N],
            notes: [const { Note::new() }; N],
            slots: UnsafeCell::new(
                [const {
                    Slot {
                        head: SlotHead::new(),
                        body: [0; B],
                    }
                }; N],
            ),
            #[cfg(feature = "async")]
            wakers: crate::sync::WakerSet::new(),
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
            window: 0,
            durability: DURABILITY_PROCESS,
        }
    }
}

// SAFETY: the store is this value's own memory, private to it.
unsafe impl<const N: usize, const B: usize, const BLOCKS: usize> Region for Fixed<N, B, BLOCKS> {
    fn place(&self, _intent: Intent, _wish: &Wish) -> Result<Place, Error> {
        Err(Error::Occupied) // it comes with its queue: `Queue::fixed`
    }

    #[inline(always)]
    fn store<'s>(&'s self, place: &'s Place) -> Store<'s> {
        let head = core::ptr::from_ref(self) as *mut u8;
        // SAFETY: the head is this value's first field and the others lie where the place of `with`
        // says, as long as the compiler says; all that is written through it is atomic or in a
        // cell.
        unsafe { Store::new(head, place) }
    }

    #[cfg(feature = "async")]
    #[inline(always)]
    fn wakers(&self) -> &crate::sync::WakerSet {
        &self.wakers
    }
}

const _: () = assert!(size_of::<Slot<16>>() == SLOT_HEAD_BYTES + 16);
