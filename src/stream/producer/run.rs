//! Putting what waits: lane by lane, a claim at a time.

use super::buffered::StreamProducer;
use super::outcome::{PutOutcome, PutToken};
use super::slot::Buffered;
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::{Shard, StreamShape};
use crate::ring::log::{Position, Refusal};
use crate::stream::parts::{self, Length};
use crate::stream::put::Put;
use crate::stream::route::trouble;
use crate::stream::shared::{ShardId, StreamSequence};
use crate::time::Clock;

/// Granules that are claimed at once, unless one record has more: 64 KiB, as a batch does it.
const CLAIM_GRANULES: u32 = 1024;
/// Records that are put at once.
const CLAIM_RECORDS: usize = 500;

/// What became of the first records of a lane.
enum Ran {
    /// They are put, and told.
    Put,
    /// So many were refused.
    Refused(u32, Error),
    /// The shard was split or merged.
    Moved,
}

/// What to do with shards that have refused records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusals {
    /// Try again later.
    Wait,
    /// That is their outcome.
    Tell,
}

/// Whether the same record may be accepted later.
fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Full
            | Error::SegmentInUse { .. }
            | Error::ShardReserved { .. }
            | Error::ProvisionedThroughputExceeded { .. }
    )
}

fn told(record: &Buffered, result: Result<Put, Error>, part: u32) -> PutOutcome {
    PutOutcome {
        token: PutToken(record.token),
        attempts: match result {
            Ok(_) | Err(Error::NotDurable { .. }) => record.attempts + 1,
            Err(_) => record.attempts,
        },
        result,
        part,
    }
}

impl<R: Region, C: Clock> StreamProducer<'_, R, C> {
    pub(super) fn places(&self) -> usize {
        self.stream.site.place().shape.places
    }

    /// When a lane is due, ms; `None` if nothing waits there.
    #[inline(always)]
    pub(super) fn due_of(&self, place: usize) -> Option<u64> {
        let (lane, settings) = (self.buffer.lane(place), &self.settings);
        let first = self.buffer.first_of(place)?;
        if lane.refusals != 0 {
            return Some(lane.retry_ms);
        }
        let is_full = lane.records >= settings.batch_records || lane.bytes >= settings.batch_bytes;
        match is_full {
            true => Some(0),
            false => Some(first.accepted_ms.saturating_add(settings.linger_ms)),
        }
    }

    /// Puts what is due; or all, but for what waits after a refusal.
    #[cold]
    pub(super) fn put_due(&mut self, now_ms: u64, all: bool) -> Result<(), Error> {
        self.sort_unsorted()?;
        let mut place = 0;
        while place < self.places() {
            let due = self.due_of(place);
            let is_fresh = all && self.buffer.lane(place).refusals == 0;
            let is_due = due.is_some_and(|due| is_fresh || due <= now_ms);
            match is_due && !self.put_lane(place, now_ms, Refusals::Wait)? {
                true => place = 0, // all was sorted anew
                false => place += 1,
            }
        }
        let due = (0..self.places()).filter_map(|place| self.due_of(place));
        self.due_ms = due.min().unwrap_or(u64::MAX);
        Ok(())
    }

    /// Tries all that waits once more, and makes outcomes of refusals.
    #[cold]
    pub(super) fn end(&mut self) {
        let now_ms = self.stream.now_ms();
        let ready = self.stream.region().check();
        let (mut place, mut ended) = (0, ready.and_then(|()| self.sort_unsorted()));
        while place < self.places() && ended.is_ok() {
            match self.put_lane(place, now_ms, Refusals::Tell) {
                Ok(true) => place += 1,
                Ok(false) => place = 0,
                Err(error) => ended = Err(error),
            }
        }
        self.due_ms = u64::MAX;
        if let Err(error) = ended {
            self.buffer.empty_lanes(self.places());
            while let Some(oldest) = self.buffer.oldest() {
                let error = error.clone();
                self.buffer
                    .settle(oldest, |record| told(record, Err(error), 0));
            }
        }
    }

    /// Puts what waits in a lane, up to a refusal. Not so if all was sorted anew.
    fn put_lane(&mut self, place: usize, now_ms: u64, refusals: Refusals) -> Result<bool, Error> {
        let mut most = CLAIM_RECORDS;
        while self.buffer.first_of(place).is_some() {
            match self.run(place, most) {
                Ran::Put => self.buffer.lane_mut(place).refusals = 0,
                // Perhaps there is room for fewer.
                Ran::Refused(count, Error::Full | Error::SegmentInUse { .. }) if count > 1 => {
                    most = count as usize / 2;
                }
                Ran::Refused(_, error) if is_passing(&error) => {
                    self.refused(place, now_ms, refusals, error);
                    if refusals == Refusals::Wait {
                        break;
                    }
                }
                Ran::Refused(count, error) => {
                    for _ in 0..count {
                        let error = error.clone();
                        self.settle_refused(place, error);
                    }
                }
                Ran::Moved => {
                    self.sort_anew()?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn settle_refused(&mut self, place: usize, error: Error) {
        self.buffer.settle_first(place, |record| {
            let mut outcome = told(record, Err(error), 0);
            outcome.attempts += 1;
            outcome
        });
    }

    /// The first record of a lane was refused for now: those whose time is over are told so, and
    /// the others wait.
    #[cold]
    fn refused(&mut self, place: usize, now_ms: u64, refusals: Refusals, error: Error) {
        let ttl_ms = self.settings.ttl_ms;
        let mut is_first = true;
        while let Some(first) = self.buffer.first_of(place) {
            let over_ms = first.accepted_ms.saturating_add(ttl_ms);
            if refusals == Refusals::Wait && over_ms > now_ms {
                break;
            }
            match is_first {
                true => self.settle_refused(place, error.clone()),
                false => self
                    .buffer
                    .settle_first(place, |record| told(record, Err(error.clone()), 0)),
            }
            is_first = false;
        }
        let Some(first) = self.buffer.first_of(place) else {
            self.buffer.lane_mut(place).refusals = 0;
            return;
        };
        let over_ms = first.accepted_ms.saturating_add(ttl_ms);
        let lane = self.buffer.lane_mut(place);
        lane.refusals = lane.refusals.saturating_add(1);
        let mut wait_ms = self.jitter.wait_ms(lane.refusals, self.settings.backoff_ms);
        if let Error::ProvisionedThroughputExceeded { wait_ms: least, .. } = error {
            wait_ms = wait_ms.max(least);
        }
        lane.retry_ms = now_ms.saturating_add(wait_ms).min(over_ms);
        if is_first {
            self.buffer.first_tried(place);
        }
    }

    /// Puts the first records of a lane, up to so many: as many as one claim takes.
    fn run(&mut self, place: usize, most: usize) -> Ran {
        let stream = self.stream;
        let id = self.buffer.lane(place).shard;
        let Some(shard) = stream.site.shard(place, id) else {
            return Ran::Refused(1, trouble(Refusal::Damaged)); // a place that was routed to
        };
        // A claim that does not fit seals its segment: what it wastes is an eighth at most.
        let granules_max = CLAIM_GRANULES.min(shard.shape().ring.segment / 8);
        if let Some(bytes_max) = self.settings.aggregate {
            let claimed = StreamShape::bytes_of(granules_max);
            let bytes_max = bytes_max.min(claimed).min(stream.data_bytes_max());
            return match self.packed(place, most, bytes_max) {
                packed @ (2.., _) => self.put_aggregate(&shard, place, packed),
                _ => self.put_plain(&shard, place, 1, granules_max),
            };
        }
        self.put_plain(&shard, place, most, granules_max)
    }

    /// How many of the first records of a lane an aggregate takes, and how long it is.
    fn packed(&self, place: usize, most: usize, bytes_max: usize) -> (usize, usize) {
        let (mut count, mut length) = (0, Length::new());
        for n in self.buffer.lined_up(place).take(most) {
            let (key, data) = self.buffer.parts(n);
            let next = length.with(key, data.len());
            if next.bytes() > bytes_max || data.len() > parts::PART_BYTES_MAX {
                break;
            }
            (count, length) = (count + 1, next);
        }
        (count, length.bytes())
    }

    /// Puts the first records of a lane as the parts of one.
    fn put_aggregate(
        &mut self,
        shard: &Shard<'_>,
        place: usize,
        (count, len): (usize, usize),
    ) -> Ran {
        let stream = self.stream;
        let claimed = stream
            .admit(shard, len)
            .and_then(|()| stream.write_in(shard, StreamShape::granules_of(len)));
        let mut writing = match claimed {
            Ok(Some(writing)) => writing,
            Ok(None) => return Ran::Moved,
            Err(error) => return Ran::Refused(count as u32, error),
        };
        let at = writing.claim.at;
        let lined_up = self.buffer.lined_up(place).take(count);
        let parts = lined_up.map(|n| self.buffer.parts(n));
        let bytes = shard.data_mut(&mut writing, 0, len);
        let written = parts::write(bytes, parts);
        debug_assert!(written.is_some());
        shard.seal(&mut writing, 0, len);
        shard.commit(writing);
        stream.wake(shard);
        let durable = stream.make_durable(shard, at);
        for part in 0..count {
            let result = durable.clone().map(|()| put(shard, at));
            self.buffer
                .settle_first(place, |record| told(record, result, part as u32));
        }
        Ran::Put
    }

    /// Puts the first records of a lane, up to so many, and as many as are claimed at once.
    fn put_plain(
        &mut self,
        shard: &Shard<'_>,
        place: usize,
        most: usize,
        granules_max: u32,
    ) -> Ran {
        let stream = self.stream;
        let (mut count, mut total) = (0, 0);
        for n in self.buffer.lined_up(place).take(most) {
            let len = self.buffer.slot(n).record.len();
            let granules = StreamShape::granules_of(len);
            if count != 0 && total + granules > granules_max {
                break;
            }
            match stream.admit(shard, len) {
                Ok(()) => (count, total) = (count + 1, total + granules),
                // The next run begins with it.
                Err(_) if count != 0 => break,
                Err(error) => return Ran::Refused(1, error),
            }
        }
        let mut writing = match stream.write_in(shard, total) {
            Ok(Some(writing)) => writing,
            Ok(None) => return Ran::Moved,
            Err(error) => return Ran::Refused(count as u32, error),
        };
        let mine = self.buffer.lined_up(place).take(count);
        let granules = |n| StreamShape::granules_of(self.buffer.slot(n).record.len());
        let first = writing.claim.at;
        let mut filling = shard.fill(&mut writing);
        for n in mine.clone() {
            let (key, data) = self.buffer.parts(n);
            filling.record(key, data);
        }
        let last = Position(writing.claim.end.0 - 1);
        shard.commit_batch(writing, mine.map(granules));
        stream.wake(shard);
        let durable = stream.make_durable(shard, last);
        let mut at = first;
        for _ in 0..count {
            let result = durable.clone().map(|()| put(shard, at));
            self.buffer.settle_first(place, |record| {
                at = Position(at.0 + u64::from(StreamShape::granules_of(record.len())));
                told(record, result, 0)
            });
        }
        Ran::Put
    }
}

fn put(shard: &Shard<'_>, at: Position) -> Put {
    Put {
        shard: ShardId(shard.id()),
        sequence: StreamSequence(at),
    }
}
