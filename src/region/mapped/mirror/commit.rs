//! Commits: what is new in the shards is copied to the mirror.

use super::layout::{BLOCK_BYTES, BLOCK_HEAD_BYTES, BlockHead, Sizes};
use super::{Ground, Mirror, Outcome, Stuck, Until, ledger};
use crate::error::Error;
use crate::hash::xxh3_64_seeded;
use crate::pod::bytes_of;
use crate::region::kept::KeptShard;
use crate::region::stream::{GRANULE_BYTES, Shard, StreamShape};
use crate::ring::log::{Log, Pin, Position, Refusal, Step};
use crate::ring::shards::{Name, State};
use crate::sync::{Ordering, spin_hint};

/// Blocks that are written at once.
const RUN_BLOCKS: usize = 64;
/// How often a claim is looked at that is in the way: its claimant copies, most of the time.
const SPINS: u32 = 2000;

/// What a commit has written of a place, to be noted when it is on the disk.
#[derive(Debug, Clone, Copy)]
struct Written {
    place: usize,
    kept: Position,
    first: Position,
    slot: Option<u64>,
}

/// Where commits are made up: allocated once.
#[derive(Debug)]
pub struct Frame {
    blocks: Vec<u8>,
    limits: Vec<Position>,
    written: Vec<Written>,
    ledger: Vec<u8>,
}

impl Frame {
    pub(super) fn new(shape: &StreamShape, sizes: &Sizes) -> Self {
        Self {
            blocks: vec![0; RUN_BLOCKS * BLOCK_BYTES],
            limits: Vec::with_capacity(shape.places),
            written: Vec::with_capacity(shape.places),
            ledger: Vec::with_capacity(sizes.ledger_len),
        }
    }
}

/// Why a place is not written up to where it ended when the commit began.
enum Halt {
    /// It is.
    None,
    /// Somebody has claimed what comes next.
    Claimed(Position),
    /// It was given up meanwhile: the next commit goes on behind it.
    Gone,
}

/// Why a ledger is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Shards or consumers have changed.
    Table,
    /// What is there to be written needs the floors on the disk.
    Floors,
}

/// What is at a boundary, once who has claimed it has had a moment to go on.
fn settled(log: &Log<'_>, at: Position) -> Step {
    for _ in 0..SPINS {
        match log.step(at) {
            Step::Claimed(_) => spin_hint(),
            step => return step,
        }
    }
    log.step(at)
}

fn damaged() -> Error {
    Error::Damaged {
        field: "header of a record",
    }
}

impl Mirror {
    /// Commits what is there, unless that is done when it is our turn. The lock is ours.
    pub(super) fn commit_now(
        &self,
        ground: &Ground<'_>,
        frame: &mut Frame,
        until: Until,
    ) -> Result<Outcome, Error> {
        let keep = ground.places.keep().ok_or(Error::NoJournal)?;
        let number = keep.head.begin();
        let mut stuck = None;
        match self.needs_ledger(ground, frame)? {
            Needs::Nothing => {}
            needs => match self.write_ledger(&mut frame.ledger, ground, number) {
                // A change that cannot be completed now: what is not of it can go on.
                Err(Error::NotDurable {
                    errno: libc::EAGAIN,
                }) if needs == Needs::Table => stuck = Some(Stuck { place: 0, at: None }),
                written => written?,
            },
        }
        frame.written.clear();
        for place in 0..keep.shards.len() {
            let limit = frame.limits[place];
            let kept = &keep.shards[place];
            match self.write_place(ground, frame, place, kept, limit, number)? {
                Halt::None => {}
                Halt::Claimed(at) => {
                    stuck = stuck.or(Some(Stuck {
                        place,
                        at: Some(at),
                    }))
                }
                Halt::Gone => stuck = stuck.or(Some(Stuck { place, at: None })),
            }
        }
        if !frame.written.is_empty() {
            self.sync()?;
        }
        for written in &frame.written {
            let kept = &keep.shards[written.place];
            kept.note(written.kept, written.first, written.slot);
        }
        if stuck.is_none() {
            keep.head.end(number);
        }
        Ok(match stuck {
            Some(stuck) if !self.is_done(&keep, until) => Outcome::Stuck(stuck),
            _ => Outcome::Done,
        })
    }

    /// Notes where the shards end now, and says whether a ledger has to be on the disk before what
    /// is new there may be.
    fn needs_ledger(&self, ground: &Ground<'_>, frame: &mut Frame) -> Result<Needs, Error> {
        let places = &ground.places;
        let keep = places.keep().ok_or(Error::NoJournal)?;
        let notes = &keep.head.notes;
        if places.complete().is_ok_and(|was| was) {
            (ground.rouse)();
        }
        // ORDERING: Acquire; [mirror-ledger].
        let seen = |word: &crate::sync::AtomicU64| word.load(Ordering::Acquire);
        let mut floors = false;
        let table = places.change_word() != seen(&notes.change)
            || places.roster_word() != seen(&notes.roster)
            || (ground.is_on_demand && ledger::days_of(ground) != seen(&notes.days));
        frame.limits.clear();
        for (number, kept) in keep.shards.iter().enumerate() {
            let log = places.shard(number).ok_or(damaged())?.log();
            let limit = match log.tail(log.hint()) {
                Ok(tail) => tail,
                Err(Refusal::Exhausted) => log.hint(),
                Err(_) => return Err(damaged()),
            };
            frame.limits.push(limit);
            let (at, floor) = (kept.position(), Position(seen(&kept.floor)));
            let name = places.name(number).ok_or(damaged())?;
            if at >= limit || !matches!(name.state(), State::Open | State::Closed) {
                continue;
            }
            let ring = &log.shape;
            // What would be written over may be durable: see the protocol.
            let over = ring.distance(floor, ring.start(limit)) >= u64::from(ring.granules);
            floors |= over || ring.start(at) < log.floor();
        }
        Ok(match (floors, table) {
            (true, _) => Needs::Floors,
            (_, true) => Needs::Table,
            _ => Needs::Nothing,
        })
    }

    /// Writes what is new in a place, up to `limit`.
    fn write_place(
        &self,
        ground: &Ground<'_>,
        frame: &mut Frame,
        place: usize,
        kept: &KeptShard,
        limit: Position,
        number: u64,
    ) -> Result<Halt, Error> {
        let from = kept.position();
        let name = ground.places.name(place).ok_or(damaged())?;
        if from >= limit || !matches!(name.state(), State::Open | State::Closed) {
            return Ok(Halt::None);
        }
        let shard = ground.places.shard(place).ok_or(damaged())?;
        let log = shard.log();
        if !log.shape.has(from) {
            return Err(damaged());
        }
        // ORDERING: Acquire; [mirror-ledger].
        let known = Name(kept.name.load(Ordering::Acquire));
        let ours = known.id() == name.id() && matches!(known.state(), State::Open | State::Closed);
        if !ours {
            return Ok(Halt::Gone); // another shard's by now: the next ledger has it
        }
        if let Step::Claimed(_) = settled(&log, from) {
            return Ok(Halt::Claimed(from));
        }
        let pin = shard.keeper().ok_or(damaged())?;
        if !take(pin, ground) {
            return Ok(Halt::Gone); // a repairer of who had it before is not done with it
        }
        let written = self.copy(frame, &shard, pin, [from, limit], kept, (place, number));
        pin.give_back();
        let (written, halt) = written?;
        if written.kept > from {
            frame.written.push(written);
        }
        Ok(halt)
    }

    /// Copies from one position to another, or to the first claim between.
    fn copy(
        &self,
        frame: &mut Frame,
        shard: &Shard<'_>,
        pin: &Pin,
        [from, limit]: [Position; 2],
        kept: &KeptShard,
        (place, number): (usize, u64),
    ) -> Result<(Written, Halt), Error> {
        let (log, sizes) = (shard.log(), &self.sizes);
        let ring = log.shape;
        let mut copying = Copying::new(self, &mut frame.blocks, (place, number), from);
        let mut written = Written {
            place,
            kept: from,
            first: from,
            slot: None,
        };
        let mut segment = ring.start(from);
        if !log.enter(pin, segment) {
            return Ok((written, Halt::Gone));
        }
        let block = sizes.block_of(from);
        let (slot, first) = kept.block();
        let Some(mut at) = first_of(&log, block, from, first) else {
            return Err(damaged());
        };
        copying.begin(block);
        // SAFETY: the segment is entered, a block lies in one, and what is before `at` is over.
        unsafe { copying.fill(shard, block, (at.0 - block.0) as u32, false, false)? };
        let mut halt = Halt::None;
        while at < limit {
            if ring.start(at) != segment {
                segment = ring.start(at);
                if !log.enter(pin, segment) {
                    halt = Halt::Gone;
                    break;
                }
            }
            let (granules, next, is_padding) = match settled(&log, at) {
                Step::Record { granules, next } => (granules, next, false),
                Step::Skip(next) => (ring.distance(at, next) as u32, next, true),
                Step::Claimed(_) | Step::Empty => {
                    halt = Halt::Claimed(at);
                    break;
                }
                Step::Passed => {
                    halt = Halt::Gone;
                    break;
                }
                Step::End => break,
                Step::Damaged => return Err(damaged()),
            };
            copying.boundary(is_padding);
            // SAFETY: the segment is entered, and this is a record or padding.
            unsafe { copying.fill(shard, at, granules, is_padding, true)? };
            at = next;
        }
        if at > from {
            written.slot = copying.finish(1 - slot % 2)?;
            written.first = copying.first.unwrap_or(at);
            written.kept = at;
        }
        Ok((written, halt))
    }

    /// Writes the block in which a place ends to a slot, other than the one that has it: after it
    /// was made again.
    pub(super) fn write_end(
        &self,
        ground: &Ground<'_>,
        place: usize,
        number: u64,
    ) -> Result<(), Error> {
        let keep = ground.places.keep().ok_or(Error::NoJournal)?;
        let shard = ground.places.shard(place).ok_or(damaged())?;
        let (log, kept) = (shard.log(), &keep.shards[place]);
        let tail = Position(kept.kept.load(Ordering::Relaxed));
        let block = self.sizes.block_of(tail);
        if block == tail {
            return Ok(());
        }
        let mut bytes = vec![0; BLOCK_BYTES];
        let mut copying = Copying::new(self, &mut bytes, (place, number), tail);
        let mut at = first_of(&log, block, tail, Position(0)).ok_or(damaged())?;
        copying.begin(block);
        // SAFETY: the stream is being made again, by this caller alone.
        unsafe { copying.fill(&shard, block, (at.0 - block.0) as u32, false, false)? };
        while at < tail {
            let (next, is_padding) = match log.step(at) {
                Step::Record { next, .. } => (next, false),
                Step::Skip(next) => (next, true),
                _ => return Err(damaged()),
            };
            copying.boundary(is_padding);
            // SAFETY: as above.
            unsafe { copying.fill(&shard, at, (next.0 - at.0) as u32, is_padding, true)? };
            at = next;
        }
        let slot = 1 - kept.slot.load(Ordering::Relaxed) % 2;
        copying.finish(slot)?;
        kept.slot.store(slot, Ordering::Relaxed);
        Ok(())
    }
}

/// Takes the pin of who reads for the mirror. Who had it last is dead if it still has it, since
/// the lock was free: then it is repaired.
fn take(pin: &Pin, ground: &Ground<'_>) -> bool {
    for _ in 0..SPINS {
        if pin.take(ground.owner) {
            return true;
        }
        (ground.tend)();
        spin_hint();
    }
    false
}

/// The first boundary in a block, from its start on; `to` is one that is known. `hint` is it, if it
/// is in between.
fn first_of(log: &Log<'_>, block: Position, to: Position, hint: Position) -> Option<Position> {
    if block <= hint && hint <= to {
        return Some(hint);
    }
    let mut at = log.shape.start(block);
    while at < block {
        at = log.over(at)?;
    }
    (at <= to).then_some(at)
}

/// Blocks that are made up: of one place, one after the other.
struct Copying<'m, 'f> {
    mirror: &'m Mirror,
    bytes: &'f mut [u8],
    /// Where the first of them has its home.
    home: u64,
    /// How many are complete.
    complete: usize,
    head: BlockHead,
    /// The first boundary in the block that is made up.
    first: Option<Position>,
}

impl<'m, 'f> Copying<'m, 'f> {
    fn new(
        mirror: &'m Mirror,
        bytes: &'f mut [u8],
        (place, number): (usize, u64),
        durable: Position,
    ) -> Self {
        Self {
            mirror,
            bytes,
            home: 0,
            complete: 0,
            head: BlockHead {
                check: 0,
                position: 0,
                number,
                durable: durable.0,
                starts: 0,
                padding: 0,
                used: 0,
                place: place as u32,
                reserved: 0,
            },
            first: None,
        }
    }

    fn block(&self) -> Position {
        Position(self.head.position)
    }

    fn begin(&mut self, block: Position) {
        let place = self.head.place as usize;
        if self.complete == 0 {
            self.home = self.mirror.sizes.home_at(place, block);
        }
        self.head = BlockHead {
            position: block.0,
            starts: 0,
            padding: 0,
            used: 0,
            ..self.head
        };
        self.first = None;
    }

    /// Something begins at the next granule.
    fn boundary(&mut self, is_padding: bool) {
        self.head.starts |= 1 << self.head.used;
        self.head.padding |= u64::from(is_padding) << self.head.used;
        let at = Position(self.head.position + u64::from(self.head.used));
        self.first.get_or_insert(at);
    }

    /// The next granules, from `at` on; `ends` says that something ends with them.
    ///
    /// # Safety
    ///
    /// That of [`Shard::copy_out`], unless it is padding.
    unsafe fn fill(
        &mut self,
        shard: &Shard<'_>,
        at: Position,
        granules: u32,
        is_padding: bool,
        ends: bool,
    ) -> Result<(), Error> {
        let (mut index, mut left) = (at.index(), granules);
        while left != 0 {
            let room = self.mirror.sizes.capacity(self.block()) - self.head.used;
            let some = left.min(room);
            let from = self.complete * BLOCK_BYTES
                + BLOCK_HEAD_BYTES
                + self.head.used as usize * GRANULE_BYTES;
            let into = &mut self.bytes[from..from + some as usize * GRANULE_BYTES];
            match is_padding {
                true => into.fill(0),
                // SAFETY: by the caller's promise.
                false => unsafe { shard.copy_out(index, into) },
            }
            self.head.used += some;
            (index, left) = (index + some, left - some);
            if some == room {
                self.complete_block(ends && left == 0)?;
            }
        }
        Ok(())
    }

    /// Seals the block that is made up.
    fn seal(&mut self, ends: bool) {
        if ends {
            self.head.starts |= 1 << self.head.used;
        }
        let at = self.complete * BLOCK_BYTES;
        let len = BLOCK_HEAD_BYTES + self.head.used as usize * GRANULE_BYTES;
        let bytes = &mut self.bytes[at..at + BLOCK_BYTES];
        bytes[len..].fill(0);
        bytes[..BLOCK_HEAD_BYTES].copy_from_slice(bytes_of(&self.head));
        let check = xxh3_64_seeded(&bytes[8..len], self.mirror.seed);
        bytes[..8].copy_from_slice(&check.to_le_bytes());
    }

    fn complete_block(&mut self, ends: bool) -> Result<(), Error> {
        self.seal(ends);
        self.complete += 1;
        let ring = self.mirror.sizes.ring();
        let next = ring.plus(self.block(), self.head.used);
        let next = next.ok_or(Error::Exhausted)?;
        let place = self.head.place as usize;
        let home = self.mirror.sizes.home_at(place, next);
        let is_next = home == self.home + (self.complete * BLOCK_BYTES) as u64;
        if !is_next || (self.complete + 1) * BLOCK_BYTES > self.bytes.len() {
            self.flush()?;
        }
        self.begin(next);
        Ok(())
    }

    /// Writes what is complete to its home.
    fn flush(&mut self) -> Result<(), Error> {
        let len = self.complete * BLOCK_BYTES;
        if len != 0 {
            self.mirror.write(&self.bytes[..len], self.home)?;
            self.complete = 0;
        }
        Ok(())
    }

    /// Writes all that is left: a block that is not complete to this slot, if there is one. Which
    /// slot has the end now.
    fn finish(&mut self, slot: u64) -> Result<Option<u64>, Error> {
        let is_partial = self.head.used != 0;
        if is_partial {
            self.seal(true);
            let at = self.complete * BLOCK_BYTES;
            let place = self.head.place as usize;
            let slot_at = self.mirror.sizes.slot_at(place, slot);
            self.mirror
                .write(&self.bytes[at..at + BLOCK_BYTES], slot_at)?;
        }
        self.flush()?;
        Ok(is_partial.then_some(slot))
    }
}
