//! The memory of a producer: slots, one for each record that it has, and the bytes of those that
//! wait.
//!
//! A slot is in one of three lists by its `next`: *free*; in a *lane*, that of its shard, if its
//! record waits; or *told*, if the outcome is to be taken. Those that wait are in the *row* too, in
//! the order in which they were accepted, by `before` and `behind`. Their bytes lie in that order,
//! with gaps where records have gone; when there is no room behind the last, the bytes are slid
//! together. So each put moves what waits at most once, and only after something has gone.

use super::outcome::PutOutcome;
use core::ops::{Deref, DerefMut};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Room for one record of a producer, in memory that the caller gives: see
/// [`StreamProducer::with_memory`](super::StreamProducer::with_memory).
#[derive(Debug, Clone)]
pub struct ProducerSlot {
    pub(super) record: Buffered,
    pub(super) outcome: Option<PutOutcome>,
    next: u32,
    before: u32,
    behind: u32,
    /// The lane of the place for a shard that has this slot's number: it has nothing to do with the
    /// record.
    pub(super) lane: Lane,
}

/// A record that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffered {
    pub(super) hash: u128,
    pub(super) token: u64,
    pub(super) accepted_ms: u64,
    pub(super) attempts: u32,
    start: usize,
    key_len: usize,
    data_len: usize,
}

/// The records that wait for a shard, and how long it is left alone.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    /// Which shard.
    pub(super) shard: u32,
    first: u32,
    last: u32,
    pub(super) records: u32,
    pub(super) bytes: usize,
    /// Refusals in a row.
    pub(super) refusals: u32,
    /// When it is tried again, ms.
    pub(super) retry_ms: u64,
}

impl ProducerSlot {
    /// Room without a record.
    pub const EMPTY: Self = Self {
        record: Buffered {
            hash: 0,
            token: 0,
            accepted_ms: 0,
            attempts: 0,
            start: 0,
            key_len: 0,
            data_len: 0,
        },
        outcome: None,
        next: NONE,
        before: NONE,
        behind: NONE,
        lane: Lane {
            shard: 0,
            first: NONE,
            last: NONE,
            records: 0,
            bytes: 0,
            refusals: 0,
            retry_ms: 0,
        },
    };
}

impl Buffered {
    /// Bytes of key and data.
    pub(super) const fn len(&self) -> usize {
        self.key_len + self.data_len
    }
}

/// Memory that the caller has given, or that was allocated.
#[derive(Debug)]
pub(super) enum Memory<'m, T> {
    Given(&'m mut [T]),
    #[cfg(feature = "alloc")]
    Own(alloc::boxed::Box<[T]>),
}

impl<T> Deref for Memory<'_, T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        match self {
            Self::Given(memory) => memory,
            #[cfg(feature = "alloc")]
            Self::Own(memory) => memory,
        }
    }
}

impl<T> DerefMut for Memory<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Given(memory) => memory,
            #[cfg(feature = "alloc")]
            Self::Own(memory) => memory,
        }
    }
}

/// What a producer has in hand.
#[derive(Debug)]
pub(super) struct Buffer<'m> {
    slots: Memory<'m, ProducerSlot>,
    bytes: Memory<'m, u8>,
    free: u32,
    /// The row: records that wait, oldest first.
    oldest: u32,
    newest: u32,
    /// Outcomes, oldest first.
    told: u32,
    told_last: u32,
    /// Behind the bytes of the newest record.
    end: usize,
    waiting: usize,
    waiting_bytes: usize,
}

impl<'m> Buffer<'m> {
    /// In this memory, whatever was in it.
    pub(super) fn new(mut slots: Memory<'m, ProducerSlot>, bytes: Memory<'m, u8>) -> Self {
        let len = slots.len() as u32;
        for (n, slot) in (1..).zip(slots.iter_mut()) {
            *slot = ProducerSlot {
                next: if n < len { n } else { NONE },
                ..ProducerSlot::EMPTY
            };
        }
        Self {
            free: if len == 0 { NONE } else { 0 },
            slots,
            bytes,
            oldest: NONE,
            newest: NONE,
            told: NONE,
            told_last: NONE,
            end: 0,
            waiting: 0,
            waiting_bytes: 0,
        }
    }

    /// How many records there may be.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// How many bytes of keys and data may wait.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// How many records wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many bytes of keys and data wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    #[inline(always)]
    pub(super) fn slot(&self, n: u32) -> &ProducerSlot {
        &self.slots[n as usize]
    }

    #[inline(always)]
    pub(super) fn slot_mut(&mut self, n: u32) -> &mut ProducerSlot {
        &mut self.slots[n as usize]
    }

    /// The lane of a place.
    #[inline(always)]
    pub(super) fn lane(&self, place: usize) -> &Lane {
        &self.slots[place].lane
    }

    #[inline(always)]
    pub(super) fn lane_mut(&mut self, place: usize) -> &mut Lane {
        &mut self.slots[place].lane
    }

    /// The key and the data of a record that waits.
    #[inline(always)]
    pub(super) fn parts(&self, n: u32) -> (&[u8], &[u8]) {
        let record = &self.slot(n).record;
        self.bytes[record.start..record.start + record.len()].split_at(record.key_len)
    }

    /// Whether a record with so many bytes of key and data finds room.
    #[inline(always)]
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.free != NONE && len <= self.bytes.len() - self.waiting_bytes
    }

    /// Takes a record for which there is room. It is in no lane yet.
    #[inline(always)]
    pub(super) fn accept(
        &mut self,
        token: u64,
        hash: u128,
        key: &[u8],
        data: &[u8],
        now_ms: u64,
    ) -> u32 {
        let (n, len) = (self.free, key.len() + data.len());
        if self.bytes.len() - self.end < len {
            self.slide();
        }
        let start = self.end;
        let (into_key, into_data) = self.bytes[start..start + len].split_at_mut(key.len());
        into_key.copy_from_slice(key);
        into_data.copy_from_slice(data);
        self.end += len;
        let newest = self.newest;
        let slot = self.slot_mut(n);
        let free = slot.next;
        slot.record = Buffered {
            hash,
            token,
            accepted_ms: now_ms,
            attempts: 0,
            start,
            key_len: key.len(),
            data_len: data.len(),
        };
        (slot.before, slot.behind, slot.next) = (newest, NONE, NONE);
        self.free = free;
        match newest {
            NONE => self.oldest = n,
            newest => self.slot_mut(newest).behind = n,
        }
        self.newest = n;
        self.waiting += 1;
        self.waiting_bytes += len;
        n
    }

    /// Slides the bytes of what waits together.
    #[cold]
    fn slide(&mut self) {
        let (mut end, mut n) = (0, self.oldest);
        while n != NONE {
            let slot = &mut self.slots[n as usize];
            let (start, len) = (slot.record.start, slot.record.len());
            self.bytes.copy_within(start..start + len, end);
            slot.record.start = end;
            end += len;
            n = slot.behind;
        }
        self.end = end;
    }

    /// Puts a record that waits at the end of the lane of a place.
    #[inline(always)]
    pub(super) fn line_up(&mut self, n: u32, place: usize) {
        let len = self.slot(n).record.len();
        self.slot_mut(n).next = NONE;
        let lane = self.lane_mut(place);
        let last = core::mem::replace(&mut lane.last, n);
        lane.records += 1;
        lane.bytes += len;
        match last {
            NONE => lane.first = n,
            last => self.slot_mut(last).next = n,
        }
    }

    /// Empties all lanes of so many places: what waits is in the row alone.
    pub(super) fn empty_lanes(&mut self, places: usize) {
        for slot in &mut self.slots[..places] {
            let lane = &mut slot.lane;
            (lane.first, lane.last, lane.records, lane.bytes) = (NONE, NONE, 0, 0);
        }
    }

    /// The records of a lane, oldest first.
    #[inline(always)]
    pub(super) fn lined_up(&self, place: usize) -> impl Iterator<Item = u32> + Clone {
        let first = self.lane(place).first;
        let next = |n: &u32| Some(self.slot(*n).next).filter(|next| *next != NONE);
        core::iter::successors(Some(first).filter(|first| *first != NONE), next)
    }

    /// The oldest record of a lane.
    #[inline(always)]
    pub(super) fn first_of(&self, place: usize) -> Option<&Buffered> {
        match self.lane(place).first {
            NONE => None,
            first => Some(&self.slot(first).record),
        }
    }

    /// Counts a try of the oldest record of a lane.
    pub(super) fn first_tried(&mut self, place: usize) {
        let first = self.lane(place).first;
        if first != NONE {
            let attempts = &mut self.slot_mut(first).record.attempts;
            *attempts = attempts.saturating_add(1);
        }
    }

    /// The oldest record that waits.
    pub(super) fn oldest(&self) -> Option<u32> {
        Some(self.oldest).filter(|n| *n != NONE)
    }

    /// The record behind one that waits.
    pub(super) fn behind(&self, n: u32) -> Option<u32> {
        Some(self.slot(n).behind).filter(|n| *n != NONE)
    }

    /// Takes the oldest record from a lane, with its outcome.
    #[inline(always)]
    pub(super) fn settle_first(
        &mut self,
        place: usize,
        outcome: impl FnOnce(&Buffered) -> PutOutcome,
    ) {
        let lane = &self.lane(place);
        let n = lane.first;
        if n == NONE {
            return;
        }
        let (next, len) = (self.slot(n).next, self.slot(n).record.len());
        let lane = self.lane_mut(place);
        lane.first = next;
        if next == NONE {
            lane.last = NONE;
        }
        lane.records -= 1;
        lane.bytes -= len;
        self.settle(n, outcome);
    }

    /// Ends the waiting of a record that is in no lane.
    #[inline(always)]
    pub(super) fn settle(&mut self, n: u32, outcome: impl FnOnce(&Buffered) -> PutOutcome) {
        let slot = self.slot_mut(n);
        let (before, behind, len) = (slot.before, slot.behind, slot.record.len());
        slot.outcome = Some(outcome(&slot.record));
        slot.next = NONE;
        match before {
            NONE => self.oldest = behind,
            before => self.slot_mut(before).behind = behind,
        }
        match behind {
            NONE => {
                // The bytes behind the last one are free again.
                self.newest = before;
                self.end = match before {
                    NONE => 0,
                    before => {
                        let last = &self.slot(before).record;
                        last.start + last.len()
                    }
                };
            }
            behind => self.slot_mut(behind).before = before,
        }
        match core::mem::replace(&mut self.told_last, n) {
            NONE => self.told = n,
            last => self.slot_mut(last).next = n,
        }
        self.waiting -= 1;
        self.waiting_bytes -= len;
    }

    /// Takes the oldest outcome.
    pub(super) fn take_outcome(&mut self) -> Option<PutOutcome> {
        let n = self.told;
        if n == NONE {
            return None;
        }
        let free = self.free;
        let slot = self.slot_mut(n);
        let outcome = slot.outcome.take();
        let next = core::mem::replace(&mut slot.next, free);
        self.free = n;
        self.told = next;
        if next == NONE {
            self.told_last = NONE;
        }
        outcome
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::{Buffer, Memory, ProducerSlot, PutOutcome};
    use crate::stream::producer::outcome::PutToken;
    use alloc::vec;
    use alloc::vec::Vec;

    fn outcome(token: u64) -> PutOutcome {
        PutOutcome {
            token: PutToken(token),
            result: Err(crate::Error::Full),
            part: 0,
            attempts: 0,
        }
    }

    /// Records of two lanes come and go at random; what waits keeps its bytes and its order.
    #[test]
    fn what_waits_keeps_its_bytes() {
        let slots = Memory::Own(vec![ProducerSlot::EMPTY; 20].into());
        let mut buffer = Buffer::new(slots, Memory::Own(vec![0; 100].into()));
        let mut lanes: [Vec<(u64, Vec<u8>)>; 2] = [Vec::new(), Vec::new()];
        let (mut seed, mut token, mut told) = (1_u64, 0, 0);
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (what, lane, len) = (seed >> 61, (seed >> 40) as usize % 2, (seed >> 50) % 30);
            let bytes = vec![token as u8; 1 + len as usize];
            if what < 4 && buffer.has_room(bytes.len()) {
                let (key, data) = bytes.split_at(1);
                let n = buffer.accept(token, 0, key, data, 0);
                buffer.line_up(n, lane);
                lanes[lane].push((token, bytes));
                token += 1;
            } else if what < 7 && !lanes[lane].is_empty() {
                lanes[lane].remove(0);
                buffer.settle_first(lane, |record| outcome(record.token));
                told += 1;
            } else if let Some(taken) = buffer.take_outcome() {
                assert!(taken.token.0 < token);
                told -= 1;
            }
            let waiting = lanes.iter().flatten().map(|(_, bytes)| bytes.len());
            assert_eq!(buffer.waiting_bytes(), waiting.clone().sum::<usize>());
            assert_eq!(buffer.waiting(), waiting.count());
            let free = 20 - buffer.waiting() - told;
            assert_eq!(buffer.has_room(0), free > 0);
            for (place, lane) in lanes.iter().enumerate() {
                let found: Vec<_> = buffer.lined_up(place).collect();
                assert_eq!(found.len(), lane.len());
                for (n, (token, bytes)) in found.into_iter().zip(lane) {
                    let (key, data) = buffer.parts(n);
                    assert_eq!([key, data].concat(), *bytes);
                    assert_eq!(buffer.slot(n).record.token, *token);
                }
            }
        }
        assert!(token > 5000);
    }
}
