//! A reader of a shard: its pin, and the segment that this keeps.

use super::record::Reading;
use super::site::Shard;
use crate::ring::log::{Pin, Position, Step};

/// One of a shard's pins, which its reader has, and the segment that it keeps.
///
/// Bytes are lent by a borrow of it, and it leaves its segment by `&mut`, or by lending itself to a
/// [`Held`]: so not while any are lent. Dropped, the pin stays its owner's until that one is known
/// to be dead: [give it back](Self::give_back).
#[derive(Debug)]
pub struct ShardReader<'s> {
    shard: Shard<'s>,
    pin: &'s Pin,
    segment: Option<Position>,
}

/// A reader that is in a segment, for as long as it shows what is there.
///
/// Dropped, it keeps the segment until the reader enters another one, or this one again: let it
/// [rest](Self::rest).
#[derive(Debug)]
pub struct Held<'r> {
    shard: Shard<'r>,
    pin: &'r Pin,
    segment: Option<Position>,
}

impl<'s> ShardReader<'s> {
    /// Takes one of the shard's pins that is nobody's, if there is one.
    pub fn take(shard: Shard<'s>, owner: u32) -> Option<Self> {
        let pin = shard.pins().iter().find(|pin| pin.take(owner))?;
        Some(Self {
            shard,
            pin,
            segment: None,
        })
    }

    /// Gives the pin back.
    pub fn give_back(&mut self) {
        self.segment = None;
        self.pin.give_back();
    }

    /// Enters the segment of a position, and leaves the one in which it was; false if that segment
    /// was taken from the readers.
    #[inline(always)]
    pub fn enter(&mut self, at: Position) -> bool {
        let log = self.shard.log();
        let segment = log.shape.start(at);
        let entered = self.pin.go_on(segment) || log.enter(self.pin, segment);
        self.segment = entered.then_some(segment);
        entered
    }

    /// Stops reading, for now.
    #[inline(always)]
    pub fn rest(&mut self) {
        rest(self.pin, &mut self.segment);
    }

    /// Lends the segment in which it is, and all that was read there.
    #[inline(always)]
    pub fn hold(&mut self) -> Held<'_> {
        Held {
            shard: self.shard,
            pin: self.pin,
            segment: self.segment.take(),
        }
    }

    /// The records from a boundary on in the segment; none if it is not in this segment.
    #[inline(always)]
    pub fn read(&self, at: Position) -> Reading<'_> {
        // SAFETY: it leaves the segment by `&mut` alone, and this borrows it.
        unsafe { read(&self.shard, self.segment, at) }
    }

    /// The time of the record at a boundary of the segment, ms. `None`: there is none, that is not
    /// in this segment, or its lengths are not what they should be.
    pub fn time_at(&self, at: Position) -> Option<u64> {
        let log = self.shard.log();
        self.segment.filter(|own| log.shape.start(at) == *own)?;
        let Step::Record { granules, .. } = log.step(at) else {
            return None;
        };
        // SAFETY: a record was found there, and its segment is pinned while this is borrowed.
        Some(unsafe { self.shard.stored(at, granules) }?.time_ms)
    }
}

impl Held<'_> {
    /// [`ShardReader::read`].
    #[inline(always)]
    pub fn read(&self, at: Position) -> Reading<'_> {
        // SAFETY: it leaves the segment by `&mut` alone, and this borrows it.
        unsafe { read(&self.shard, self.segment, at) }
    }

    /// [`ShardReader::rest`].
    #[inline(always)]
    pub fn rest(&mut self) {
        rest(self.pin, &mut self.segment);
    }
}

#[inline(always)]
fn rest(pin: &Pin, segment: &mut Option<Position>) {
    if let Some(segment) = segment.take() {
        pin.rest(segment);
    }
}

/// # Safety
///
/// `segment` is pinned, if it is one, as long as what this gives lives.
#[inline(always)]
unsafe fn read<'r>(shard: &Shard<'r>, segment: Option<Position>, at: Position) -> Reading<'r> {
    match segment == Some(shard.log().shape.start(at)) {
        // SAFETY: by the caller's promise.
        true => unsafe { shard.read(at) },
        false => shard.read_nothing(at),
    }
}
