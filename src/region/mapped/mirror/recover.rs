//! Making a stream again from its mirror.

use super::layout::{BLOCK_BYTES, BLOCK_HEAD_BYTES, BlockHead, Sizes};
use super::{Ground, Mirror, ledger};
use crate::error::Error;
use crate::hash::xxh3_64_seeded;
use crate::pod::pod_read_unaligned;
use crate::region::stream::{GRANULE_BYTES, LedgerPlace, Shard};
use crate::ring::log::{Log, Position, Shape};
use crate::ring::shards::State;
use crate::sync::Ordering;

/// A latest time that is further ahead cannot be true, ms: 400 days.
const AHEAD_MS_MAX: u64 = 400 * 86_400_000;
/// Bits of a commit's number that count within a life.
const COUNT_BITS: u32 = 40;

/// What a mirror told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Restored {
    /// Records that are there again.
    pub records: u64,
    /// Holes among them.
    pub damaged: u64,
    /// The latest time of a record, ms.
    pub time_ms: u64,
}

/// A whole block, and where it lies.
#[derive(Debug, Clone, Copy)]
struct Image {
    head: BlockHead,
    at: u64,
    /// The slot that it was found in.
    slot: Option<u64>,
}

impl Mirror {
    /// Puts what the mirror has into a stream that was laid out anew. The caller has the region for
    /// itself; a time later than `wall_ms` and some days is not believed.
    pub fn restore(&self, ground: &Ground<'_>, wall_ms: u64) -> Result<Restored, Error> {
        let keep = ground.places.keep().ok_or(Error::NoJournal)?;
        let bytes = self.read_ledger()?;
        let head = ledger::head_of(&bytes);
        let mut restored = Restored::default();
        for (number, kept) in keep.shards.iter().enumerate() {
            let place = ledger::place_in(&bytes, &self.sizes, number);
            let Some(shard) = ground.places.shard(number) else {
                continue;
            };
            let floor = ledger::floor_in(&place, &shard.log().shape);
            let mut restoring = Restoring {
                log: shard.log(),
                shard,
                run: None,
                losing: false,
                damaged: 0,
                records: 0,
                latest_ms: 0,
                late_ms: wall_ms.saturating_add(AHEAD_MS_MAX),
            };
            let end = match place.has_shard() {
                true => self.restore_log(&mut restoring, number, floor, &place)?,
                false => End::at(floor),
            };
            let log = shard.log();
            let is_closed = place.name().state() == State::Closed;
            let floor = freed(&log.shape, floor, end.at);
            log.restore_ends(floor, end.at, is_closed);
            let told = Some(place.latest_ms).filter(|ms| *ms <= restoring.late_ms);
            let latest_ms = restoring.latest_ms.max(told.unwrap_or(0));
            ground.places.restore_place(number, &place, latest_ms);
            restored.records += restoring.records;
            restored.damaged += restoring.damaged;
            restored.time_ms = restored.time_ms.max(latest_ms);
            kept.kept.store(end.at.0, Ordering::Relaxed);
            kept.floor.store(place.floor, Ordering::Relaxed);
            kept.name.store(place.card[0], Ordering::Relaxed);
            kept.first.store(0, Ordering::Relaxed);
            kept.slot.store(end.slot.unwrap_or(1), Ordering::Relaxed);
            kept.damaged.store(restoring.damaged, Ordering::Relaxed);
        }
        self.restore_rest(&bytes, ground);
        let begun = ((head.begun >> COUNT_BITS).saturating_add(1)) << COUNT_BITS;
        let notes = &keep.head.notes;
        notes.begun.store(begun, Ordering::Relaxed);
        notes.durable.store(begun, Ordering::Relaxed);
        notes.ledger.store(head.number, Ordering::Relaxed);
        self.begin_life(ground, begun)?;
        Ok(restored)
    }

    /// Writes the last block of each shard to a slot, and a ledger of the new life.
    fn begin_life(&self, ground: &Ground<'_>, begun: u64) -> Result<(), Error> {
        let places = ground.places.keep().map_or(0, |keep| keep.shards.len());
        for place in 0..places {
            self.write_end(ground, place, begun)?;
        }
        self.write_ledger(&mut Vec::new(), ground, begun)
    }

    /// The block in these bytes, if it is whole and of this place.
    fn image(&self, bytes: &mut [u8], at: u64, place: usize) -> Result<Option<BlockHead>, Error> {
        if !self.is_read(bytes, at)? {
            return Ok(None);
        }
        let head: BlockHead = pod_read_unaligned(&bytes[..BLOCK_HEAD_BYTES]);
        let block = Position(head.position);
        let sound = head.place as usize == place
            && head.reserved == 0
            && self.sizes.ring().has(block)
            && self.sizes.block_of(block) == block
            && (1..=self.sizes.capacity(block)).contains(&head.used);
        if !sound {
            return Ok(None);
        }
        let len = BLOCK_HEAD_BYTES + head.used as usize * GRANULE_BYTES;
        let whole = head.check == xxh3_64_seeded(&bytes[8..len], self.seed);
        Ok(whole.then_some(head))
    }

    /// Puts the log of a shard back: where it ends.
    fn restore_log(
        &self,
        restoring: &mut Restoring<'_>,
        place: usize,
        floor: Position,
        told: &LedgerPlace,
    ) -> Result<End, Error> {
        let ring = self.sizes.ring();
        let mut bytes = vec![0; BLOCK_BYTES];
        let mut slots = [None; 2];
        let mut durable = Position(told.kept);
        for (slot, found) in (0..).zip(&mut slots) {
            let at = self.sizes.slot_at(place, slot);
            let head = self.image(&mut bytes, at, place)?;
            *found = head.map(|head| Image {
                head,
                at,
                slot: Some(slot),
            });
        }
        let mut blocks: Vec<(Position, Option<Image>)> = Vec::new();
        let mut block = Some(floor);
        while let Some(at) = block.filter(|_| (blocks.len() as u64) < self.sizes.blocks()) {
            let home = self.sizes.home_at(place, at);
            let head = self.image(&mut bytes, home, place)?;
            let home = head.map(|head| Image {
                head,
                at: home,
                slot: None,
            });
            let images = slots.into_iter().chain([home]).flatten();
            let here = images.filter(|image| image.head.position == at.0);
            blocks.push((at, here.max_by_key(|image| image.head.number)));
            block = ring.plus(at, self.sizes.capacity(at));
        }
        let images = blocks.iter().filter_map(|(_, image)| *image);
        for image in images.chain(slots.into_iter().flatten()) {
            durable = durable.max(Position(image.head.durable));
        }
        // What is not in the ring that begins at the floor nobody can have written.
        let is_there = |at: Position| {
            ring.has(at) && at >= floor && ring.distance(floor, at) < u64::from(ring.granules)
        };
        let durable = Some(durable).filter(|at| is_there(*at)).unwrap_or(floor);
        let mut end = End::at(floor);
        let mut number = 0;
        for (at, image) in blocks {
            let image = image.filter(|image| image.head.number >= number);
            let capacity = self.sizes.capacity(at);
            match image {
                Some(image) => {
                    number = image.head.number;
                    self.is_read(&mut bytes, image.at)?;
                    restoring.put(&image.head, &bytes[BLOCK_HEAD_BYTES..]);
                    end.slot = image.slot;
                    end.at = Position(at.0 + u64::from(image.head.used));
                    if image.head.used == capacity {
                        end.at = ring.plus(at, capacity).unwrap_or(end.at);
                    } else if durable <= end.at {
                        break;
                    } else {
                        restoring.lose(end.at);
                    }
                }
                None if at < durable => restoring.lose(at),
                None => break,
            }
        }
        let tail = restoring.finish(end.at, durable);
        Ok(End { at: tail, ..end })
    }
}

/// Where a log ends, and the slot that has that block.
#[derive(Debug, Clone, Copy)]
struct End {
    at: Position,
    slot: Option<u64>,
}

impl End {
    const fn at(at: Position) -> Self {
        Self { at, slot: None }
    }
}

/// The floor of a log that ends there: the segment of its tail has to be free.
fn freed(ring: &Shape, floor: Position, tail: Position) -> Position {
    let mut floor = floor;
    while ring.distance(floor, ring.start(tail)) >= u64::from(ring.granules) {
        match ring.next(floor) {
            Some(next) => floor = next,
            None => break,
        }
    }
    floor
}

/// Something that has begun.
#[derive(Debug, Clone, Copy)]
struct Run {
    at: Position,
    is_padding: bool,
}

/// A shard while its log is put back, block by block.
struct Restoring<'a> {
    shard: Shard<'a>,
    log: Log<'a>,
    run: Option<Run>,
    /// Whether what was there last is lost.
    losing: bool,
    damaged: u64,
    records: u64,
    latest_ms: u64,
    late_ms: u64,
}

impl Restoring<'_> {
    /// Puts a whole block back.
    fn put(&mut self, head: &BlockHead, granules: &[u8]) {
        let ring = self.log.shape;
        let block = Position(head.position);
        if ring.start(block) == block {
            self.end_segment(block);
        }
        let bytes = &granules[..head.used as usize * GRANULE_BYTES];
        // SAFETY: the caller of `restore` has the region for itself.
        unsafe { self.shard.copy_in(block.index(), bytes) };
        for granule in 0..head.used {
            if head.starts >> granule & 1 == 0 {
                continue;
            }
            let at = Position(block.0 + u64::from(granule));
            self.end_at(at);
            self.losing = false;
            self.run = Some(Run {
                at,
                is_padding: head.padding >> granule & 1 != 0,
            });
        }
        if head.starts >> head.used & 1 != 0 {
            let end = Position(block.0 + u64::from(head.used));
            self.end_at(end);
            (self.run, self.losing) = (None, false);
        } else if self.run.is_none() {
            self.run = Some(Run {
                at: block,
                is_padding: true,
            });
        }
    }

    /// What is from there on is lost, up to the next block that is put.
    fn lose(&mut self, at: Position) {
        let ring = self.log.shape;
        if ring.start(at) == at {
            self.end_segment(at);
        }
        self.damaged += u64::from(!self.losing);
        self.losing = true;
        let at = self.run.map_or(at, |run| run.at);
        self.run = Some(Run {
            at,
            is_padding: true,
        });
    }

    /// A segment begins there: nothing reaches over its start.
    fn end_segment(&mut self, next: Position) {
        self.end_at(next);
        self.run = None;
    }

    /// Makes of what has begun what it is, up to `end`, in its segment or where that ends.
    fn end_at(&mut self, end: Position) {
        let Some(run) = self.run else {
            return;
        };
        let ring = self.log.shape;
        let granules = ring.distance(run.at, end) as u32;
        if granules == 0 {
            return;
        }
        // A record leaves the last granule of its segment alone.
        let is_record = !run.is_padding && !end.index().is_multiple_of(ring.segment);
        self.log.restore_run(run.at, granules, is_record);
        if is_record {
            self.records += 1;
            // SAFETY: as in `put`.
            let time_ms = unsafe { self.shard.restore_note(run.at) };
            if time_ms <= self.late_ms {
                self.latest_ms = self.latest_ms.max(time_ms);
            }
        }
    }

    /// Ends the log: behind the last thing that is whole, or where it was durable.
    fn finish(&mut self, at: Position, durable: Position) -> Position {
        let ring = self.log.shape;
        let mut tail = self.run.map_or(at, |run| run.at);
        if tail >= durable {
            return tail;
        }
        // It was there, so nothing else may have its place.
        self.damaged += u64::from(!self.losing);
        while tail < durable {
            let Some(next) = ring.next(tail) else {
                break;
            };
            let to = next.min(durable);
            let granules = ring.distance(tail, to) as u32;
            self.log.restore_run(tail, granules, false);
            tail = to;
        }
        tail
    }
}

impl Sizes {
    /// The ring of each place.
    pub(super) const fn ring(&self) -> Shape {
        self.shape().ring
    }
}
