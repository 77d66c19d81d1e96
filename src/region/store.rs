//! A queue's memory as typed references: what `region` makes of its bytes, and all that the
//! protocols see.

use super::layout::{Note, QueueHead, Shape, SlotHead};
use crate::ring::blocks::Block;
use crate::ring::due::Due;
use crate::ring::maps::Map;
use crate::sync::AtomicU64;

/// One queue's memory. Copying it copies references.
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    /// The queue's head.
    pub head: &'a QueueHead,
    /// Blocks of free and ready bits.
    pub blocks: &'a [Block],
    /// Which blocks may have free slots, and which ready ones.
    pub maps: Maps<'a>,
    /// One state word a slot.
    pub words: &'a [AtomicU64],
    /// One note a slot.
    pub notes: &'a [Note],
    slots: Slots<'a>,
    /// The verified layout.
    pub shape: Shape,
    /// Whether a journal is told what changes.
    pub journaled: bool,
}

/// What summarises the blocks of a queue that has many; empty otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Maps<'a> {
    /// Blocks that may have free slots.
    pub free: Map<'a>,
    /// Blocks that may have ready slots.
    pub ready: Map<'a>,
    /// The bound of the due times of each 64 blocks.
    pub dues: &'a [Due],
}

impl Maps<'_> {
    /// Of a queue with few blocks.
    pub const NONE: Self = Self {
        free: Map(&[]),
        ready: Map(&[]),
        dues: &[],
    };
}

/// The parts of a queue, as [`Store::new`] joins them.
#[cfg(not(ringmain_loom))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) head: &'a QueueHead,
    pub(crate) blocks: &'a [Block],
    pub(crate) maps: Maps<'a>,
    pub(crate) words: &'a [AtomicU64],
    pub(crate) notes: &'a [Note],
    pub(crate) slots: *mut u8,
}

/// The slots' heads and bodies.
#[cfg(not(ringmain_loom))]
#[derive(Debug, Clone, Copy)]
struct Slots<'a> {
    base: *mut u8,
    memory: core::marker::PhantomData<&'a [u8]>,
}

#[cfg(not(ringmain_loom))]
impl<'a> Store<'a> {
    /// Joins the parts.
    ///
    /// # Safety
    ///
    /// `slots` is valid for reads and writes of `shape.slots * shape.slot_bytes` bytes during `'a`,
    /// aligned to 8, initialised, and its bytes are accessed by nobody but through stores over the
    /// same words; `words` and `notes` have `shape.slots` elements, `blocks` has `shape.blocks()`,
    /// and each map `shape.groups()` or none.
    #[inline(always)]
    pub(crate) unsafe fn new(parts: Parts<'a>, shape: Shape) -> Self {
        let slots = Slots {
            base: parts.slots,
            memory: core::marker::PhantomData,
        };
        Self {
            head: parts.head,
            blocks: parts.blocks,
            maps: parts.maps,
            words: parts.words,
            notes: parts.notes,
            slots,
            shape,
            journaled: false,
        }
    }

    /// The same store, whose changes a journal is told.
    #[inline(always)]
    pub(crate) const fn journaled(mut self, journaled: bool) -> Self {
        self.journaled = journaled;
        self
    }

    #[inline(always)]
    fn address(&self, index: usize) -> *mut u8 {
        assert!(index < self.words.len());
        // SAFETY: index is below the number of slots, so the offset stays inside the memory that
        // `new` was given.
        unsafe { self.slots.base.add(index * self.shape.slot_bytes) }
    }

    /// The head of slot `index`.
    #[inline(always)]
    pub fn slot(&self, index: usize) -> &'a SlotHead {
        // SAFETY: inside the memory given to `new`, aligned to 8 since base and slot_bytes are;
        // SlotHead consists of atomics, so any bytes are valid and shared access is allowed.
        unsafe { &*(self.address(index) as *const SlotHead) }
    }

    /// Asks the processor to fetch slot `index`: its head and the start of its body.
    #[inline(always)]
    pub fn prefetch(&self, index: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let at = self.slots.base.wrapping_add(index * self.shape.slot_bytes) as *const i8;
            // SAFETY: a prefetch has no effect on memory and faults on no address.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(at);
                _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(64));
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = index;
    }

    /// The `len` bytes after the head of slot `index`.
    #[inline(always)]
    fn body_address(&self, index: usize, len: usize) -> *mut u8 {
        let all = self.words.len() * self.shape.slot_bytes;
        let start = index * self.shape.slot_bytes + size_of::<SlotHead>();
        assert!(start <= all && len <= all - start);
        // SAFETY: just checked to lie inside the memory that `new` was given.
        unsafe { self.slots.base.add(start) }
    }

    /// The body of a run that the caller holds.
    ///
    /// # Safety
    ///
    /// The run at `index` cannot be freed during `'b`: the caller holds it (Held and borrowed, or
    /// pinned), and so nobody writes its bytes.
    #[inline(always)]
    pub(crate) unsafe fn body<'b>(&self, index: usize, len: usize) -> &'b [u8]
    where
        'a: 'b,
    {
        // SAFETY: `body_address` checks that the body lies inside the memory; the
        // bytes are initialised, and by the caller's promise not written during `'b`.
        unsafe { core::slice::from_raw_parts(self.body_address(index, len), len) }
    }

    /// The body of a run that the caller has claimed.
    ///
    /// # Safety
    ///
    /// The caller won the run's words (Claimed) and makes no second reference during `'b`.
    #[inline(always)]
    pub(crate) unsafe fn body_mut<'b>(&self, index: usize, len: usize) -> &'b mut [u8]
    where
        'a: 'b,
    {
        // SAFETY: as in `body`; exclusive by the caller's promise, since each other claimant fails
        // its compare-exchange on one of the run's words.
        unsafe { core::slice::from_raw_parts_mut(self.body_address(index, len), len) }
    }
}

// SAFETY: the pointer is to memory that is shared by design: heads are atomics, and body bytes are
// reached only through the claim and hold protocol of `arena`, which orders them.
#[cfg(not(ringmain_loom))]
unsafe impl Send for Slots<'_> {}
// SAFETY: as above.
#[cfg(not(ringmain_loom))]
unsafe impl Sync for Slots<'_> {}

/// Under the model checker slots are typed, and a body is one number that it watches.
#[cfg(ringmain_loom)]
#[derive(Debug)]
pub struct ModelSlot {
    /// The slot's head.
    pub head: SlotHead,
    /// The body.
    pub value: crate::sync::UnsafeCell<u64>,
}

#[cfg(ringmain_loom)]
type Slots<'a> = &'a [ModelSlot];

#[cfg(ringmain_loom)]
impl<'a> Store<'a> {
    /// Joins the parts.
    pub fn modelled(
        head: &'a QueueHead,
        blocks: &'a [Block],
        maps: Maps<'a>,
        words: &'a [AtomicU64],
        notes: &'a [Note],
        slots: &'a [ModelSlot],
        shape: Shape,
    ) -> Self {
        Self {
            head,
            blocks,
            maps,
            words,
            notes,
            slots,
            shape,
            journaled: true,
        }
    }

    /// The head of slot `index`.
    pub fn slot(&self, index: usize) -> &'a SlotHead {
        &self.slots[index].head
    }

    /// Nothing to fetch.
    pub fn prefetch(&self, _index: usize) {}

    /// The body's cell.
    pub fn value(&self, index: usize) -> &'a crate::sync::UnsafeCell<u64> {
        &self.slots[index].value
    }
}
