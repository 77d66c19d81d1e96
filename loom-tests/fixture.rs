//! A queue's memory made of the model checker's types, and the steps that the real queue takes.

use loom::sync::Arc;
use ringmain::internals::arena::Hold;
use ringmain::internals::blocks::Block;
use ringmain::internals::due::Due;
use ringmain::internals::fifo::attempts::{Attempt, Attempts, WAYS};
use ringmain::internals::fifo::layout::{FifoHead, Group, IdMarks, Link, Remembered, UNORDERED};
use ringmain::internals::layout::{FifoShape, Note, QueueHead, Settings, Shape, SlotHead};
use ringmain::internals::maps::Map;
use ringmain::internals::store::{Maps, ModelSlot, Modelled, ModelledFifo, Store};
use ringmain::internals::sweep::Receive;
use ringmain::sync::{AtomicU64, Ordering, UnsafeCell};

/// One block with a few slots.
pub struct Memory {
    head: QueueHead,
    pub blocks: Vec<Block>,
    free: Vec<AtomicU64>,
    ready: Vec<AtomicU64>,
    pub dues: Vec<Due>,
    pub words: Vec<AtomicU64>,
    pub notes: Vec<Note>,
    slots: Vec<ModelSlot>,
    shape: Shape,
    fifo: Option<FifoMemory>,
}

/// What a FIFO queue has beside: two groups, two ids.
struct FifoMemory {
    head: FifoHead,
    links: Vec<Link>,
    groups: Vec<Group>,
    group_buckets: Vec<AtomicU64>,
    ids: Vec<Remembered>,
    id_buckets: Vec<AtomicU64>,
    tickets: Vec<AtomicU64>,
    sets: Vec<AtomicU64>,
    attempts: Vec<Attempt>,
    id_marks: Vec<IdMarks>,
}

/// A visibility timeout, ms: nothing is due before this.
pub const LATER_MS: u64 = 1000;

impl Memory {
    /// `slots` slots of one body each.
    pub fn new(slots: usize) -> Arc<Self> {
        Arc::new(Self::with(slots, 0))
    }

    /// The same with maps, and a second block that has no slots. The cursors stand in that one, so
    /// the first block is found by the maps alone.
    pub fn mapped(slots: usize) -> Arc<Self> {
        let mut memory = Self::with(slots, 1);
        memory.blocks.push(Block::new(0));
        let head = &memory.head;
        head.seldom.extent.store(2, Ordering::Relaxed);
        head.send.cursor.store(64, Ordering::Relaxed);
        head.receive.cursor.store(64, Ordering::Relaxed);
        Arc::new(memory)
    }

    /// A FIFO queue of `slots` slots, which remembers two ids.
    pub fn fifo(slots: usize) -> Arc<Self> {
        Self::fifo_with(slots, 2)
    }

    /// The same with `ids` ids.
    pub fn fifo_with(slots: usize, ids: usize) -> Arc<Self> {
        Arc::new(Self::in_groups(slots, ids, 0))
    }

    fn in_groups(slots: usize, ids: usize, sets: usize) -> Self {
        let mut memory = Self::with(slots, 0);
        let words = |n: usize| (0..n).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        memory.fifo = Some(FifoMemory {
            head: FifoHead::new(),
            links: (0..slots).map(|_| Link::new()).collect(),
            groups: (0..2).map(|_| Group::new()).collect(),
            group_buckets: words(1),
            ids: (0..ids).map(|_| Remembered::new()).collect(),
            id_buckets: words(1),
            tickets: words(4),
            sets: words(sets),
            attempts: (0..sets * WAYS).map(|_| Attempt::new()).collect(),
            id_marks: Vec::new(),
        });
        memory
    }

    /// A FIFO queue of `slots` slots that has a journal.
    pub fn fifo_kept(slots: usize) -> Arc<Self> {
        let mut memory = Self::in_groups(slots, 2, 0);
        if let Some(fifo) = &mut memory.fifo {
            fifo.id_marks.push(IdMarks::new());
        }
        Arc::new(memory)
    }

    /// A FIFO queue of `slots` slots, which remembers one set of receive attempts.
    pub fn fifo_with_attempts(slots: usize) -> Arc<Self> {
        Arc::new(Self::in_groups(slots, 2, 1))
    }

    fn with(slots: usize, groups: usize) -> Self {
        let shape = Shape {
            slot_bytes: 32,
            slots,
            body_bytes_max: 8,
            fifo: FifoShape::NONE,
        };
        let settings = Settings {
            policy: [LATER_MS, 60_000, 0, 120_000, 0, 0, 0, 0],
            flags: 0,
            nonce: 1,
            durability: 0,
            window: 0,
        };
        Self {
            head: QueueHead::new(shape, settings),
            blocks: (0..shape.blocks())
                .map(|i| Block::new(shape.valid(i)))
                .collect(),
            free: (0..groups).map(|_| AtomicU64::new(0b11)).collect(),
            ready: (0..groups).map(|_| AtomicU64::new(0)).collect(),
            dues: (0..groups).map(|_| Due::none()).collect(),
            words: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            notes: (0..slots).map(|_| Note::new()).collect(),
            slots: (0..slots)
                .map(|_| ModelSlot {
                    head: SlotHead::new(),
                    value: UnsafeCell::new(0),
                })
                .collect(),
            shape,
            fifo: None,
        }
    }

    pub fn store(&self) -> Store<'_> {
        Store::modelled(Modelled {
            head: &self.head,
            blocks: &self.blocks,
            maps: Maps {
                free: Map(&self.free),
                ready: Map(&self.ready),
                dues: &self.dues,
            },
            words: &self.words,
            notes: &self.notes,
            slots: &self.slots,
            shape: &self.shape,
            fifo: self.fifo.as_ref().map(|fifo| ModelledFifo {
                head: &fifo.head,
                links: &fifo.links,
                groups: &fifo.groups,
                group_buckets: &fifo.group_buckets,
                ids: &fifo.ids,
                id_buckets: &fifo.id_buckets,
                tickets: &fifo.tickets,
                attempts: Attempts {
                    sets: &fifo.sets,
                    entries: &fifo.attempts,
                },
                id_marks: &fifo.id_marks,
            }),
        })
    }

    /// Whether a message of a FIFO queue has no number.
    pub fn is_unordered(&self, slot: usize) -> bool {
        let sequence = &self.store().links()[slot].sequence;
        sequence.load(Ordering::SeqCst) & UNORDERED != 0
    }

    /// The free bits of the only block.
    pub fn free_bits(&self) -> u64 {
        self.blocks[0].free.load(Ordering::SeqCst)
    }

    /// Sends `value`; `false` if it is full.
    pub fn send(&self, value: u64, owner: u32) -> bool {
        self.send_until(value, owner, usize::MAX)
    }

    /// Sends `value`; without `marked`, past the journal's marks.
    pub fn send_marked(&self, value: u64, owner: u32, marked: bool) -> bool {
        let mut store = self.store();
        store.is_journaled = marked;
        self.send_through(&store, value, owner, usize::MAX)
    }

    /// Sends `value`, but dies after `steps` steps. `true`: it came to the end.
    pub fn send_until(&self, value: u64, owner: u32, steps: usize) -> bool {
        self.send_through(&self.store(), value, owner, steps)
    }

    fn send_through(&self, store: &Store<'_>, value: u64, owner: u32, steps: usize) -> bool {
        let Some((block, bit)) = store.take_free(1) else {
            return false;
        };
        if steps == 0 {
            return false;
        }
        let index = block * 64 + bit.trailing_zeros() as usize;
        let Some(claimed) = store.claim(index, 1, owner) else {
            return false;
        };
        if steps == 1 {
            return false;
        }
        // SAFETY: the run is claimed; the model checker watches that this is so.
        store.value(index).with_mut(|body| unsafe { *body = value });
        if steps == 2 {
            return false;
        }
        store.publish(claimed, 8, 0, 0);
        if steps == 3 {
            return false;
        }
        store.put_ready(block, bit);
        true
    }

    /// Receives one message at `now_ms`, to be read in place.
    pub fn receive(&self, owner: u32, now_ms: u64) -> Option<Hold> {
        let due_at_ms = now_ms + LATER_MS;
        let how = Receive {
            max: 1,
            owner,
            borrowed: true,
            now_ms,
            due_at_ms,
            oldest_ms: 0,
            receives_max: u64::MAX,
        };
        let mut found = None;
        self.store().receive(&how, |hold| {
            found = Some(hold);
            true
        });
        found
    }

    /// Reads the body of a slot that is being copied.
    pub fn read_slot(&self, index: usize) -> u64 {
        let store = self.store();
        // SAFETY: inside a copy; the model checker watches that this is so.
        store.value(index).with(|body| unsafe { *body })
    }

    /// The generation of the latest send into the first slot.
    pub fn generation(&self) -> u64 {
        self.notes[0].stamp.load(Ordering::SeqCst) >> 44
    }

    /// Reads the body of a hold.
    pub fn read(&self, hold: &Hold) -> u64 {
        let value = self.store().value(hold.index as usize);
        // SAFETY: held or pinned; the model checker watches that this is so.
        value.with(|body| unsafe { *body })
    }

    /// Deletes; whether it did.
    pub fn delete(&self, hold: &Hold, owner: u32) -> bool {
        let store = self.store();
        match store.delete(hold, 1, owner) {
            Ok(Some(run)) => {
                store.put_free(hold.index as usize, run);
                true
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }
}
