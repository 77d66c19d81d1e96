//! Making a queue again from its journal.

use super::Journal;
use super::file::RING_OFFSET;
use super::frame::{
    ALIGN, FrameHead, HEAD_BYTES, Message, POSITION_MAX, Record, Records, head_of, is_whole,
};
use super::gaps::gaps;
use crate::error::Error;
use crate::hash::checksum;
use crate::region::body::{seed, size_of_stored};
use crate::region::fifo::kept::{KeptHead, KeptId, Unlinked};
use crate::region::marks::Look;
use crate::region::store::Store;
use crate::region::word::{GENERATIONS, Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;

/// What a journal told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Messages that are there again.
    pub messages: u64,
    /// The latest region time in it, ms.
    pub time_ms: u64,
    /// Where the next frame goes.
    end: u64,
    /// See [`FrameHead::swept`].
    swept: u64,
    /// The latest commit of which it has a frame.
    commit: u64,
}

/// A whole frame, by its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) position: u64,
    offset: u64,
    pub(super) len: usize,
}

impl Found {
    /// The position behind it.
    pub(super) const fn end(&self) -> u64 {
        let padded = (self.len as u64).next_multiple_of(ALIGN as u64);
        self.position.saturating_add(padded)
    }
}

impl Journal {
    /// Puts the messages of the journal into a queue that was laid out anew. The caller has the
    /// region for itself.
    pub fn recover(&self, store: &Store<'_>) -> Result<Recovered, Error> {
        let mut recovered = Recovered::default();
        let mut frames = self.frames(&mut recovered)?;
        let oldest = recovered.end.saturating_sub(self.sizes.window());
        frames.sort_unstable_by_key(|frame| core::cmp::Reverse(frame.position));
        let lost = gaps(&frames, &self.sizes, recovered.end);
        frames.retain(|frame| frame.position >= oldest);
        let mut restoring = Restoring::new(store);
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.resize(frame.len, 0);
            self.read(&mut bytes, RING_OFFSET + frame.offset)?;
            // Within a frame as well the later record is the newer one.
            let ordered = store.shape().fifo.is_fifo();
            let records: Vec<Record<'_>> = Records::of(&bytes, ordered).collect();
            for record in records.iter().rev() {
                recovered.messages += restoring.decide(record) as u64;
            }
            if ordered {
                restoring.note_once(head_of(&bytes));
            }
        }
        restoring.put_bits();
        restoring.put_in_order(recovered.time_ms);
        let seldom = &store.head().seldom;
        seldom.journal_end.store(recovered.end, Ordering::Relaxed);
        seldom.swept.store(recovered.swept, Ordering::Relaxed);
        store.head().counters.damaged.store(lost, Ordering::Relaxed);
        seldom.begun.store(recovered.commit, Ordering::Relaxed);
        seldom.durable.store(recovered.commit, Ordering::Relaxed);
        Ok(recovered)
    }

    /// All whole frames in the ring, in the order of their places.
    pub(super) fn frames(&self, recovered: &mut Recovered) -> Result<Vec<Found>, Error> {
        let ring = self.sizes.ring;
        let (mut frames, mut bytes) = (Vec::new(), Vec::new());
        let mut offset = 0;
        while offset < ring {
            bytes.resize(HEAD_BYTES, 0);
            let is_read = self.is_read(&mut bytes, RING_OFFSET + offset)?;
            let head = FrameHead::read(&bytes, offset, ring, self.sizes.frame_max);
            let mut next = offset + ALIGN as u64;
            if let Some(head) = head.filter(|_| is_read) {
                bytes.resize(head.len as usize, 0);
                if self.is_read(&mut bytes, RING_OFFSET + offset)?
                    && is_whole(&mut bytes, self.seed)
                {
                    next = offset + head.padded_len();
                    frames.push(Found {
                        position: head.position,
                        offset,
                        len: head.len as usize,
                    });
                    recovered.note(&head);
                }
            }
            offset = next;
        }
        Ok(frames)
    }
}

impl Recovered {
    fn note(&mut self, head: &FrameHead) {
        let end = head.position.saturating_add(head.padded_len());
        self.time_ms = self.time_ms.max(head.time_ms);
        if end > self.end {
            // Numbers of commits go on from here, and must not run out.
            let commit = head.commit.min(POSITION_MAX);
            (self.end, self.swept, self.commit) = (end, head.swept, commit);
        }
    }
}

/// A set of slots.
struct Slots(Vec<u64>);

impl Slots {
    fn new(slots: usize) -> Self {
        Self(vec![0; slots.div_ceil(BLOCK_SLOTS)])
    }

    fn has(&self, index: usize) -> bool {
        self.0[index / BLOCK_SLOTS] & (1 << (index % BLOCK_SLOTS)) != 0
    }

    fn add(&mut self, index: usize) {
        self.0[index / BLOCK_SLOTS] |= 1 << (index % BLOCK_SLOTS);
    }
}

/// A queue while messages are put back, the newest first.
struct Restoring<'r, 's> {
    store: &'r Store<'s>,
    /// Slots for which a newer record has spoken.
    decided: Slots,
    /// Slots that a newer message takes.
    taken: Slots,
    /// Slots whose newest record has a message that is not put back.
    left_out: Slots,
    /// Entries of ids for which a newer record has spoken.
    known: Slots,
    /// What those say.
    ids: Vec<KeptId>,
    /// Messages of a FIFO queue.
    unlinked: Vec<Unlinked>,
    head: KeptHead,
}

impl<'r, 's> Restoring<'r, 's> {
    fn new(store: &'r Store<'s>) -> Self {
        let slots = store.shape().slots;
        Self {
            store,
            decided: Slots::new(slots),
            taken: Slots::new(slots),
            left_out: Slots::new(slots),
            known: Slots::new(store.shape().fifo.ids),
            ids: Vec::new(),
            unlinked: Vec::new(),
            head: KeptHead::default(),
        }
    }

    /// Heeds a record unless a newer one has spoken; whether a message is there again.
    fn decide(&mut self, record: &Record<'_>) -> bool {
        let (slot, message) = match record {
            Record::Slot(slot, message) => (*slot, message),
            Record::Id(id) => {
                self.note_id(id);
                return false;
            }
        };
        // Its id counts as long as its window says, also if the message has gone.
        let order = message.as_ref().and_then(|message| message.order);
        if let Some(id) = order.and_then(|order| order.id) {
            self.note_id(&id);
        }
        let index = slot as usize;
        if index >= self.store.shape().slots || self.decided.has(index) {
            return false;
        }
        self.decided.add(index);
        let Some(message) = message else {
            return false;
        };
        let put = self.put(index, message);
        match (put, order) {
            (false, _) => self.left_out.add(index),
            (true, Some(order)) => self.unlinked.push(Unlinked { slot: index, order }),
            (true, None) => {}
        }
        put
    }

    fn note_id(&mut self, id: &KeptId) {
        let entry = id.entry as usize;
        if entry < self.store.shape().fifo.ids && !self.known.has(entry) {
            self.known.add(entry);
            self.ids.push(*id);
        }
    }

    /// Heeds what a frame says once.
    fn note_once(&mut self, head: KeptHead) {
        self.head.sequence = self.head.sequence.max(head.sequence);
        self.head.forgotten = self.head.forgotten.max(head.forgotten);
    }

    /// Puts messages of a FIFO queue in order, and its ids into their table.
    fn put_in_order(self, time_ms: u64) {
        if self.store.shape().fifo.is_fifo() {
            let (store, head) = (self.store, self.head);
            store.restore_groups(self.unlinked, &self.ids, head, time_ms);
        }
    }

    fn put(&mut self, index: usize, message: &Message<'_>) -> bool {
        let shape = &self.store.shape();
        let len = message.body.len();
        let end = index + shape.run(len);
        // A frame is whole, so these hold but for a message that was damaged before.
        let seed = seed(message.stamp, message.attributes);
        let sound = len <= shape.stored_bytes_max()
            && end <= shape.slots
            && message.order.is_none_or(|order| order.is_sound())
            && checksum(message.body, seed) == message.checksum;
        if !sound || (index..end).any(|slot| self.taken.has(slot)) {
            return false;
        }
        (index..end).for_each(|slot| self.taken.add(slot));
        let generation = message.generation & (GENERATIONS - 1);
        let look = Look {
            word: match message.delay_ms {
                0 => Word::ready(generation, 0),
                delay_ms => Word::held(0, generation, 0, false, delay_ms),
            },
            stamp: message.stamp,
            size: size_of_stored(message.checksum, len, message.attributes),
            attributes: message.attributes,
        };
        self.store.restore(index, &look, message.body);
        true
    }

    /// Makes the bits and the extent follow the words, and marks what the journal has to be told.
    fn put_bits(&self) {
        let store = self.store;
        let mut extent = 1;
        for (index, block) in store.blocks().iter().enumerate() {
            let taken = self.taken.0[index];
            let mut ready = 0;
            for bit in (0..BLOCK_SLOTS).filter(|bit| taken & (1 << bit) != 0) {
                let word = Word(store.words()[index * BLOCK_SLOTS + bit].load(Ordering::Relaxed));
                ready |= u64::from(word.phase() == Phase::Ready) << bit;
            }
            block
                .free
                .store(store.shape().valid(index) & !taken, Ordering::Relaxed);
            block.ready.store(ready, Ordering::Relaxed);
            let left_out = self.left_out.0[index];
            block.dirty.store(left_out, Ordering::Relaxed);
            if ready != 0 {
                store.maps().ready.note(index);
            }
            if taken | left_out != 0 {
                extent = index + 1;
            }
        }
        let seldom = &store.head().seldom;
        seldom.extent.store(extent as u64, Ordering::Release);
        store.forget_dues(); // delays and ages: the first look finds them
    }
}
