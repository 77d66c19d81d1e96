//! A queue's memory as typed references: what `region` makes of its bytes, and all that the
//! protocols see.

use super::fifo::attempts::Attempts;
#[cfg(any(feature = "mapped", ringmain_loom))]
use super::fifo::layout::IdMarks;
use super::fifo::layout::{FifoHead, Group, Link, Remembered};
use super::layout::{Note, QueueHead, Shape, SlotHead};
#[cfg(not(ringmain_loom))]
use super::memory::Place;
use crate::ring::blocks::Block;
use crate::ring::chains::Chains;
use crate::ring::due::Due;
use crate::ring::maps::Map;
use crate::ring::tickets::Tickets;
use crate::sync::AtomicU64;

/// Asks the processor to fetch the line at an address.
#[inline(always)]
pub fn fetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(ringmain_loom)))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect on memory and faults on no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(any(not(target_arch = "x86_64"), ringmain_loom))]
    let _ = at;
}

/// One queue's memory: where it begins, and where its parts are. Copying it copies two references;
/// each part is reckoned where it is used, so that a store costs nothing to pass on.
#[cfg(not(ringmain_loom))]
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    base: Base<'a>,
    place: &'a Place,
}

/// Where the queue's head is.
#[cfg(not(ringmain_loom))]
#[derive(Debug, Clone, Copy)]
struct Base<'a> {
    head: *mut u8,
    memory: core::marker::PhantomData<&'a [u8]>,
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
    #[cfg(ringmain_loom)]
    pub const NONE: Self = Self {
        free: Map(&[]),
        ready: Map(&[]),
        dues: &[],
    };
}

#[cfg(not(ringmain_loom))]
impl<'a> Store<'a> {
    /// The store of the queue whose head is at `head`.
    ///
    /// # Safety
    ///
    /// `place` tells where the parts of the queue are, as offsets from `head`: each lies, aligned,
    /// in memory that is valid for reads and writes during `'a`, initialised, and accessed by
    /// nobody but through such stores.
    #[inline(always)]
    pub(crate) unsafe fn new(head: *mut u8, place: &'a Place) -> Self {
        let base = Base {
            head,
            memory: core::marker::PhantomData,
        };
        Self { base, place }
    }

    /// Elements of a part.
    ///
    /// # Safety
    ///
    /// `offset` and `len` are those of a part whose elements are `T`, and `T` consists of atomics.
    #[inline(always)]
    unsafe fn part<T>(&self, offset: usize, len: usize) -> &'a [T] {
        // SAFETY: by the promises of `new` and of the caller; atomics may be shared and have no
        // invalid bytes.
        unsafe { core::slice::from_raw_parts(self.base.head.add(offset) as *const T, len) }
    }

    /// The queue's head.
    #[inline(always)]
    pub fn head(&self) -> &'a QueueHead {
        // SAFETY: by the promise of `new`; the head consists of atomics.
        unsafe { &*(self.base.head as *const QueueHead) }
    }

    /// Blocks of free and ready bits.
    #[inline(always)]
    pub fn blocks(&self) -> &'a [Block] {
        // SAFETY: where the blocks are.
        unsafe { self.part(self.place.offsets.blocks, self.place.blocks) }
    }

    /// Which blocks may have free slots, and which ready ones.
    #[inline(always)]
    pub fn maps(&self) -> Maps<'a> {
        let ([free, ready, dues], groups) = (self.place.offsets.maps, self.place.groups);
        // SAFETY: where the maps are; of a queue without maps they have no elements.
        unsafe {
            Maps {
                free: Map(self.part(free, groups)),
                ready: Map(self.part(ready, groups)),
                dues: self.part(dues, groups),
            }
        }
    }

    /// One state word a slot.
    #[inline(always)]
    pub fn words(&self) -> &'a [AtomicU64] {
        // SAFETY: where the words are.
        unsafe { self.part(self.place.offsets.words, self.place.shape.slots) }
    }

    /// One note a slot.
    #[inline(always)]
    pub fn notes(&self) -> &'a [Note] {
        // SAFETY: where the notes are.
        unsafe { self.part(self.place.offsets.notes, self.place.shape.slots) }
    }

    /// What a FIFO queue has once. Of a standard queue this must not be asked.
    #[inline(always)]
    pub fn fifo_head(&self) -> &'a FifoHead {
        let present = self.place.shape.fifo.is_fifo() as usize;
        // SAFETY: where the FIFO queue's head is; without one there is no element, and this panics.
        unsafe { &self.part::<FifoHead>(self.place.offsets.fifo[0], present)[0] }
    }

    /// One link a slot.
    #[inline(always)]
    pub fn links(&self) -> &'a [Link] {
        let fifo = &self.place.shape.fifo;
        let len = if fifo.is_fifo() {
            self.place.shape.slots
        } else {
            0
        };
        // SAFETY: where the links are.
        unsafe { self.part(self.place.offsets.fifo[1], len) }
    }

    /// Groups, and where to find them.
    #[inline(always)]
    pub fn groups(&self) -> Chains<'a, Group> {
        let (offsets, fifo) = (&self.place.offsets.fifo, &self.place.shape.fifo);
        // SAFETY: where they are.
        unsafe {
            Chains {
                elements: self.part(offsets[2], fifo.groups),
                buckets: self.part(offsets[3], fifo.group_buckets),
            }
        }
    }

    /// Remembered ids, and where to find them.
    #[inline(always)]
    pub fn ids(&self) -> Chains<'a, Remembered> {
        let (offsets, fifo) = (&self.place.offsets.fifo, &self.place.shape.fifo);
        // SAFETY: where they are.
        unsafe {
            Chains {
                elements: self.part(offsets[4], fifo.ids),
                buckets: self.part(offsets[5], fifo.id_buckets),
            }
        }
    }

    /// Groups that can be received from, in the order in which they became so.
    #[inline(always)]
    pub fn tickets(&self) -> Tickets<'a> {
        let head = self.fifo_head();
        Tickets {
            first: &head.tickets_first,
            last: &head.tickets_last,
            // SAFETY: where the tickets are.
            cells: unsafe { self.part(self.place.offsets.fifo[6], self.place.shape.fifo.tickets) },
        }
    }

    /// Receive attempts.
    #[inline(always)]
    pub fn attempts(&self) -> Attempts<'a> {
        let (offsets, fifo) = (&self.place.offsets.fifo, &self.place.shape.fifo);
        // SAFETY: where they are.
        unsafe {
            Attempts {
                sets: self.part(offsets[7], fifo.sets),
                entries: self.part(offsets[8], fifo.attempts()),
            }
        }
    }

    /// Marks of ids; none without a journal.
    #[cfg(feature = "mapped")]
    #[inline(always)]
    pub fn id_marks(&self) -> &'a [IdMarks] {
        // SAFETY: where the marks are.
        unsafe { self.part(self.place.offsets.fifo[9], self.place.shape.fifo.marks) }
    }

    /// The verified layout.
    #[inline(always)]
    pub fn shape(&self) -> &'a Shape {
        &self.place.shape
    }

    /// Whether a journal is told what changes.
    #[inline(always)]
    pub fn journaled(&self) -> bool {
        self.place.is_journaled()
    }

    #[inline(always)]
    fn slots(&self) -> *mut u8 {
        self.base.head.wrapping_add(self.place.offsets.slots)
    }

    #[inline(always)]
    fn address(&self, index: usize) -> *mut u8 {
        assert!(index < self.place.shape.slots);
        // SAFETY: index is below the number of slots, so the offset stays inside the memory that
        // `new` was given.
        unsafe { self.slots().add(index * self.place.shape.slot_bytes) }
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
        let at = self
            .slots()
            .wrapping_add(index * self.place.shape.slot_bytes);
        fetch(at);
        fetch(at.wrapping_add(64));
    }

    /// The `len` bytes after the head of slot `index`.
    #[inline(always)]
    fn body_address(&self, index: usize, len: usize) -> *mut u8 {
        let shape = &self.place.shape;
        let all = shape.slots * shape.slot_bytes;
        let start = index * shape.slot_bytes + size_of::<SlotHead>();
        assert!(start <= all && len <= all - start);
        // SAFETY: just checked to lie inside the memory that `new` was given.
        unsafe { self.slots().add(start) }
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
unsafe impl Send for Base<'_> {}
// SAFETY: as above.
#[cfg(not(ringmain_loom))]
unsafe impl Sync for Base<'_> {}

/// Under the model checker the parts are typed, and a body is one number that it watches.
#[cfg(ringmain_loom)]
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    /// The parts.
    pub parts: Modelled<'a>,
    /// Whether a journal is told what changes.
    pub is_journaled: bool,
}

/// The parts of a modelled queue.
#[cfg(ringmain_loom)]
#[derive(Debug, Clone, Copy)]
pub struct Modelled<'a> {
    /// The queue's head.
    pub head: &'a QueueHead,
    /// Blocks.
    pub blocks: &'a [Block],
    /// Maps.
    pub maps: Maps<'a>,
    /// State words.
    pub words: &'a [AtomicU64],
    /// Notes.
    pub notes: &'a [Note],
    /// Slots.
    pub slots: &'a [ModelSlot],
    /// The layout.
    pub shape: &'a Shape,
    /// A FIFO queue's own parts.
    pub fifo: Option<ModelledFifo<'a>>,
}

/// The parts that a modelled FIFO queue has of its own.
#[cfg(ringmain_loom)]
#[derive(Debug, Clone, Copy)]
pub struct ModelledFifo<'a> {
    /// What there is once.
    pub head: &'a FifoHead,
    /// Links.
    pub links: &'a [Link],
    /// Groups.
    pub groups: &'a [Group],
    /// Where to find them.
    pub group_buckets: &'a [AtomicU64],
    /// Remembered ids.
    pub ids: &'a [Remembered],
    /// Where to find them.
    pub id_buckets: &'a [AtomicU64],
    /// Cells of tickets.
    pub tickets: &'a [AtomicU64],
    /// Receive attempts.
    pub attempts: Attempts<'a>,
    /// Marks of ids.
    pub id_marks: &'a [IdMarks],
}

/// A slot of a modelled queue.
#[cfg(ringmain_loom)]
#[derive(Debug)]
pub struct ModelSlot {
    /// The slot's head.
    pub head: SlotHead,
    /// The body.
    pub value: crate::sync::UnsafeCell<u64>,
}

#[cfg(ringmain_loom)]
#[allow(missing_docs)] // as their namesakes above
impl<'a> Store<'a> {
    pub fn modelled(parts: Modelled<'a>) -> Self {
        Self {
            parts,
            is_journaled: true,
        }
    }

    pub fn head(&self) -> &'a QueueHead {
        self.parts.head
    }

    pub fn blocks(&self) -> &'a [Block] {
        self.parts.blocks
    }

    pub fn maps(&self) -> Maps<'a> {
        self.parts.maps
    }

    pub fn words(&self) -> &'a [AtomicU64] {
        self.parts.words
    }

    pub fn notes(&self) -> &'a [Note] {
        self.parts.notes
    }

    pub fn shape(&self) -> &'a Shape {
        self.parts.shape
    }

    fn fifo(&self) -> ModelledFifo<'a> {
        self.parts.fifo.expect("a model of a FIFO queue")
    }

    pub fn fifo_head(&self) -> &'a FifoHead {
        self.fifo().head
    }

    pub fn links(&self) -> &'a [Link] {
        self.parts.fifo.map_or(&[], |fifo| fifo.links)
    }

    pub fn groups(&self) -> Chains<'a, Group> {
        let (elements, buckets) = (self.fifo().groups, self.fifo().group_buckets);
        Chains { elements, buckets }
    }

    pub fn ids(&self) -> Chains<'a, Remembered> {
        let (elements, buckets) = (self.fifo().ids, self.fifo().id_buckets);
        Chains { elements, buckets }
    }

    pub fn tickets(&self) -> Tickets<'a> {
        let (head, cells) = (self.fifo().head, self.fifo().tickets);
        Tickets {
            first: &head.tickets_first,
            last: &head.tickets_last,
            cells,
        }
    }

    pub fn attempts(&self) -> Attempts<'a> {
        self.fifo().attempts
    }

    pub fn id_marks(&self) -> &'a [IdMarks] {
        self.parts.fifo.map_or(&[], |fifo| fifo.id_marks)
    }

    pub fn journaled(&self) -> bool {
        self.is_journaled
    }

    pub fn slot(&self, index: usize) -> &'a SlotHead {
        &self.parts.slots[index].head
    }

    pub fn prefetch(&self, _index: usize) {}

    pub fn value(&self, index: usize) -> &'a crate::sync::UnsafeCell<u64> {
        &self.parts.slots[index].value
    }
}
