//! Reading: a place in a shard that moves on.

use super::consumers::Reader;
use super::records::Records;
use super::route::trouble;
use super::shared::{ShardId, Stream, StreamSequence};
use super::stat::Lag;
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::{Shard, ShardReader, Stored};
use crate::ring::log::{Log, Position, Refusal, Step};
use crate::time::Clock;
use core::fmt;

/// The most records of a read.
const READ_MAX: usize = 10_000;

/// Where a cursor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that is not older than the retention.
    Oldest,
    /// Behind the latest record.
    Latest,
    /// At the record with this number, or the first one behind it.
    At(StreamSequence),
    /// At the first record behind this number.
    After(StreamSequence),
    /// At the first record that arrived at this time or later, in the region's time, ms.
    Time(u64),
}

/// A reader's place in a shard. It has one of the shard's pins while it lives
/// ([`StreamOptions::readers`](super::StreamOptions::readers)); between reads it keeps nothing from
/// being written anew.
pub struct Cursor<'s, R: Region, C: Clock> {
    pub(super) stream: &'s Stream<R, C>,
    pub(super) shard: Shard<'s>,
    held: ShardReader<'s>,
    pub(super) at: Position,
    /// Whether records are compared with their checksums.
    check: bool,
    /// The registered consumer for which it reads.
    pub(super) reader: Option<Reader<'s>>,
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// A cursor in a shard.
    ///
    /// # Errors
    ///
    /// [`Error::NoShard`], [`Error::Readers`], [`Error::OutOfRange`] for a number that no record
    /// has yet, [`Error::Forked`], [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// Lock-free: a place is found by a search in an index and mostly a walk over what one of its
    /// words stands for; it begins again if what it has come to is reclaimed.
    pub fn cursor(&self, shard: ShardId, start: Start) -> Result<Cursor<'_, R, C>, Error> {
        self.region().check()?;
        let shard = self.shard(shard)?;
        let owner = self.region().owner();
        let take = || ShardReader::take(shard, owner);
        // Perhaps those who have the pins have died.
        let held = match take() {
            None if self.ask(self.now_ms()) => take(),
            held => held,
        };
        let held = held.ok_or(Error::Readers {
            max: shard.pins().len(),
        })?;
        let mut cursor = Cursor {
            stream: self,
            shard,
            held,
            at: shard.log().floor(),
            check: self.site.place().has_checksums(),
            reader: None,
        };
        cursor.seek(start)?;
        Ok(cursor)
    }
}

impl<'s, R: Region, C: Clock> Cursor<'s, R, C> {
    /// Goes to another place of the shard.
    ///
    /// # Errors
    ///
    /// As [`Stream::cursor`]; the cursor is where it was then.
    pub fn seek(&mut self, start: Start) -> Result<(), Error> {
        let before = self.at;
        let sought = self.seek_to(start).and_then(|()| self.check());
        if sought.is_err() {
            self.at = before;
        }
        sought
    }

    fn seek_to(&mut self, start: Start) -> Result<(), Error> {
        let tail = self.tail()?;
        match start {
            Start::Latest => self.at = tail,
            Start::Oldest => {
                let age = self.stream.site.place().retention_ms;
                let ms = self.stream.now_ms().saturating_sub(age);
                self.seek_time(self.log().floor(), ms, tail)?;
            }
            Start::Time(ms) => self.seek_time(self.log().floor(), ms, tail)?,
            Start::At(sequence) => self.at = self.boundary(sequence.0, tail)?,
            Start::After(sequence) => {
                let shape = self.log().shape;
                let behind = shape.has(sequence.0).then(|| shape.plus(sequence.0, 1));
                self.at = self.boundary(behind.flatten().unwrap_or(sequence.0), tail)?;
            }
        }
        Ok(())
    }

    /// An error if the place is another shard's by now: what was found before may be that one's.
    fn check(&self) -> Result<(), Error> {
        match self.shard.is_there() {
            true => Ok(()),
            false => Err(Error::NoShard {
                shard: self.shard.id(),
            }),
        }
    }

    /// Reads up to `max` records, in place: as many as there are in one segment. It is empty if
    /// nothing has come, or the next record is not committed yet.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`]: the cursor had fallen behind what is kept; it stands at the oldest record
    /// now. [`Error::RecordDamaged`]: the next record fails its checksum; the cursor stands behind
    /// it now. [`Error::ShardClosed`]: behind the last record of a closed shard; it names those to
    /// read on in. [`Error::NoShard`]: the shard was closed, and all its records are gone.
    /// [`Error::ProvisionedThroughputExceeded`]; the cursor is where it was. One that reads for a
    /// registered consumer: [`Error::NoConsumer`] when that is deregistered.
    /// [`Error::OutOfRange`] unless `max` is 1 to 10 000, [`Error::Forked`], [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// Lock-free: it waits for nobody, and goes on over padding as long as there is some.
    pub fn read(&mut self, max: usize) -> Result<Records<'_, R, C>, Error> {
        Self::check_max(max)?;
        self.stream.region().check()?;
        self.admit()?;
        if !self.arrive()? {
            return Ok(self.records(self.at, 0));
        }
        let (from, mut len) = (self.at, 0);
        let (mut reading, mut damaged) = (self.held.read(from), None);
        while len < max
            && let Some((at, stored)) = reading.next(self.check)
        {
            if stored.is_none() {
                damaged = Some(at);
                break;
            }
            len += 1;
        }
        let granules = match damaged {
            // The next read tells it.
            Some(at) if len != 0 => (at.0 - from.0) as u32,
            _ => reading.since(from),
        };
        if len == 0 {
            self.held.rest();
        }
        let Some(behind) = self.log().shape.plus(from, granules) else {
            self.held.rest();
            return Err(trouble(Refusal::Exhausted));
        };
        self.at = behind;
        if let (0, Some(at)) = (len, damaged) {
            return Err(Error::RecordDamaged { sequence: at.0 });
        }
        self.note_read(|| {
            let mut reading = self.held.read(from);
            let stored = core::iter::from_fn(|| reading.next(false)).take(len);
            let len = |stored: Stored<'_>| stored.key.len() + stored.data.len();
            stored.map(|(_, stored)| stored.map_or(0, len)).sum()
        });
        Ok(self.records(from, len))
    }

    /// Whether reads compare records with their checksums, if they have any: yes, unless this says
    /// no. Without it a read of short records that caches hold takes about a third of the time,
    /// and what is damaged is read as it is; only lengths that cannot be are
    /// [`Error::RecordDamaged`]. For one reader of several, or for data with checksums of its own.
    pub fn verify_checksums(&mut self, on: bool) {
        self.check = on && self.stream.site.place().has_checksums();
    }

    /// A number of records in range, or what is wrong with it.
    #[inline(always)]
    pub(super) fn check_max(max: usize) -> Result<(), Error> {
        if max != 0 && max <= READ_MAX {
            return Ok(());
        }
        Err(Error::OutOfRange {
            what: "records of a read",
            value: max as u64,
            min: 1,
            max: READ_MAX as u64,
        })
    }

    fn records(&mut self, from: Position, len: usize) -> Records<'_, R, C> {
        Records {
            stream: self.stream,
            shard: self.shard,
            held: self.held.hold(),
            from,
            len,
        }
    }

    /// The place: that of the next record.
    pub fn position(&self) -> StreamSequence {
        StreamSequence(self.at)
    }

    /// The shard.
    pub fn shard(&self) -> ShardId {
        ShardId(self.shard.id())
    }

    /// How far it is behind the latest record: a walk over all that is between.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Damaged`].
    pub fn lag(&mut self) -> Result<Lag, Error> {
        self.stream.region().check()?;
        let log = self.log();
        let tail = self.tail()?;
        let (mut at, mut records) = (self.at.max(log.floor()), 0);
        while at < tail {
            at = match log.step(at) {
                Step::Record { next, .. } => {
                    records += 1;
                    next
                }
                Step::Skip(next) => next,
                Step::Passed => log.floor().max(Position(at.0 + 1)),
                _ => break,
            };
        }
        self.check()?;
        let now_ms = self.stream.now_ms();
        let before = self.at;
        let next_ms = match self.arrive() {
            Ok(true) => {
                let time = self.held.time_at(self.at);
                self.held.rest();
                time
            }
            Ok(false) => None,
            Err(Error::Lost { .. }) => {
                self.at = before; // the next read tells it
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Lag {
            records,
            bytes: log.shape.distance(self.at, tail).saturating_mul(64),
            ms: next_ms.map_or(0, |ms| now_ms.saturating_sub(ms)),
        })
    }

    #[inline(always)]
    fn log(&self) -> Log<'s> {
        self.shard.log()
    }

    fn tail(&self) -> Result<Position, Error> {
        let from = self.stream.near(&self.shard);
        self.log().tail(from).map_err(trouble)
    }

    /// The first boundary at or behind a number, or that itself if what lay there is gone.
    fn boundary(&self, target: Position, tail: Position) -> Result<Position, Error> {
        let log = self.log();
        if !log.shape.has(target) || target > tail {
            return Err(Error::OutOfRange {
                what: "sequence number",
                value: target.0,
                min: log.floor().0,
                max: tail.0,
            });
        }
        let known = self.shard.head().card.known();
        let target = known.map_or(target, |known| target.max(known.begin));
        Ok(self.shard.boundary(target).unwrap_or(target.min(tail)))
    }

    /// Goes to the first record from `from` on of this time or a later one.
    fn seek_time(&mut self, from: Position, ms: u64, tail: Position) -> Result<(), Error> {
        self.at = self.shard.before(from, tail, ms);
        // From there it is not far.
        while self.at < tail {
            if !self.held.enter(self.at) {
                self.at = self.log().floor(); // all of it is gone; what is left is younger
                self.check()?;
                continue;
            }
            let next = match self.log().step(self.at) {
                Step::Record { next, .. } => match self.held.time_at(self.at) {
                    Some(time) if time < ms => Some(next),
                    _ => None,
                },
                Step::Skip(next) => Some(next),
                _ => None,
            };
            self.held.rest();
            match next {
                Some(next) => self.at = next,
                None => break,
            }
        }
        Ok(())
    }

    /// Goes to the next record and enters its segment; false if there is none.
    #[inline(always)]
    fn arrive(&mut self) -> Result<bool, Error> {
        let mut asked = false;
        loop {
            if !self.held.enter(self.at) {
                return Err(self.fallen(self.log().floor()));
            }
            let outcome = match self.log().step(self.at) {
                Step::Record { .. } => {
                    let now_ms = self.stream.now_ms();
                    let age = self.stream.site.place().retention_ms;
                    let time = self.held.time_at(self.at);
                    if time.is_none_or(|ms| ms.saturating_add(age) >= now_ms) {
                        return Ok(true);
                    }
                    self.held.rest();
                    return Err(self.fallen(self.at));
                }
                Step::Skip(next) => {
                    self.at = next;
                    continue;
                }
                Step::Empty => Ok(false),
                Step::End => Err(self.ended()),
                Step::Claimed(_) if !asked && self.stream.ask(self.stream.now_ms()) => {
                    asked = true; // perhaps the claimant has died
                    continue;
                }
                Step::Claimed(_) => Ok(false),
                Step::Passed | Step::Damaged => Err(Error::Damaged {
                    field: "header of a record",
                }),
            };
            self.held.rest();
            return outcome;
        }
    }

    /// It stands before what is kept: it goes to the oldest record from `from` on that is not older
    /// than the retention, and says how much was lost.
    #[cold]
    fn fallen(&mut self, from: Position) -> Error {
        let before = self.at;
        let age = self.stream.site.place().retention_ms;
        let since_ms = self.stream.now_ms().saturating_sub(age);
        let sought = self
            .tail()
            .and_then(|tail| self.seek_time(from, since_ms, tail));
        let oldest = core::mem::replace(&mut self.at, before);
        match sought {
            Ok(()) => self.lost(oldest),
            Err(error) => error,
        }
    }

    /// What follows the last record of a closed shard.
    #[cold]
    fn ended(&self) -> Error {
        if let Err(error) = self.stream.complete() {
            return error;
        }
        let known = self.shard.head().card.known();
        match known.filter(|known| known.id == self.shard.id()) {
            Some(known) => Error::ShardClosed {
                children: known.children,
            },
            None => Error::NoShard {
                shard: self.shard.id(),
            },
        }
    }

    /// Goes to the oldest record that is kept, and says how much was lost.
    #[cold]
    fn lost(&mut self, oldest: Position) -> Error {
        if let Err(gone) = self.check() {
            return gone;
        }
        let granules = self.log().shape.distance(self.at, oldest);
        self.at = oldest;
        Error::Lost {
            bytes: granules.saturating_mul(64),
        }
    }
}

impl<R: Region, C: Clock> Drop for Cursor<'_, R, C> {
    fn drop(&mut self) {
        // In a forked child the pin is the parent's.
        if self.stream.region().check().is_ok() {
            self.held.give_back();
        }
    }
}

impl<R: Region, C: Clock> fmt::Debug for Cursor<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("shard", &self.shard())
            .field("position", &self.at.0)
            .finish_non_exhaustive()
    }
}
