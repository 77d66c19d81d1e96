//! Shards on demand: what comes in is measured, and shards are split until twice the most of the
//! last 30 days would fit.
//!
//! Nothing is counted by who puts. What was put lies in the log with its time: so
//! [`tend`](Stream::tend) walks over the headers of what has come since the last time, and divides
//! it into windows by the time index, which knows the time of each 64 granules. Those of one block
//! are taken to have one time, so a rate is right to 4 KiB and 64 records a shard.
//!
//! One measures at a time, and once in a second at most: whoever moves the word on that says when
//! it was measured last. Who dies in it loses what it had counted; what it had not come to lies
//! before the next window, and is passed over, or it would look like a peak.

use super::shared::{ShardId, Stream};
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::{Rate, Shard};
use crate::ring::log::{Position, Step};
use crate::ring::shards::{Shards, Table};
use crate::sync::Ordering;
use crate::time::Clock;

/// What a shard takes in a second.
const SHARD_RECORDS: u64 = 1000;
const SHARD_KIB: u64 = 1024;
/// How many times the peak there is to be room for.
const HEADROOM: u64 = 2;

/// A stream is measured at most this often, ms; and no window is shorter.
const WINDOW_MS: u64 = 1000;
/// The windows into which the time since the last measure is divided.
const WINDOWS: usize = 64;

/// How a stream gets its shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capacity {
    /// By who splits and merges them.
    #[default]
    Provisioned,
    /// [`Stream::tend`] splits them by what comes in.
    OnDemand,
}

/// What comes into a stream with shards on demand, and what that asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The most records of a second, today and 30 days back.
    pub peak_records: u64,
    /// The most bytes of a second, as records take them in the shards.
    pub peak_bytes: u64,
    /// How many open shards there are.
    pub open: u32,
    /// How many there are to be: for twice the peak, at least as many as the stream was made with,
    /// and at most [`max_shards`](super::StreamOptions::max_shards).
    pub wanted: u32,
}

/// Counts of records and granules by time.
struct Windows {
    since_ms: u64,
    window_ms: u64,
    counts: [(u64, u64); WINDOWS],
}

impl Windows {
    fn new(since_ms: u64, now_ms: u64) -> Self {
        let time_ms = now_ms.saturating_sub(since_ms);
        Self {
            since_ms,
            window_ms: time_ms.div_ceil(WINDOWS as u64).max(WINDOW_MS),
            counts: [(0, 0); WINDOWS],
        }
    }

    fn add(&mut self, time_ms: u64, granules: u32) {
        let window = time_ms.saturating_sub(self.since_ms) / self.window_ms;
        let (records, sum) = &mut self.counts[(window as usize).min(WINDOWS - 1)];
        (*records, *sum) = (*records + 1, *sum + u64::from(granules));
    }

    /// The most of a second.
    fn peak(&self) -> Rate {
        let rate = |(records, granules): &(u64, u64)| Rate {
            records: records.saturating_mul(1000) / self.window_ms,
            kib: granules.saturating_mul(64 * 1000) / 1024 / self.window_ms,
        };
        let rates = self.counts.iter().map(rate);
        rates.fold(Rate::default(), Rate::max)
    }
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// What has come in at most, and how many shards that asks for. [`tend`](Self::tend) measures
    /// it, of a stream with [`Capacity::OnDemand`] alone; of another one nothing is known.
    ///
    /// ```
    /// use ringmain::{Capacity, Heap, Stream, StreamOptions};
    /// let options = StreamOptions::new().capacity(Capacity::OnDemand);
    /// let stream = Stream::create(Heap::new(16 << 20)?, options)?;
    /// let demand = stream.demand()?;
    /// assert_eq!((demand.open, demand.wanted), (4, 4)); // 4 MiB or 4000 records in a second
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn demand(&self) -> Result<Demand, Error> {
        self.region().check()?;
        let peak = self.site.demand().peak(self.now_ms());
        let shape = &self.site.place().shape;
        let needed = |peak: u64, shard: u64| (HEADROOM * peak).div_ceil(shard);
        let by_records = needed(peak.records, SHARD_RECORDS);
        let wanted = by_records.max(needed(peak.kib, SHARD_KIB));
        let places = shape.places as u64;
        Ok(Demand {
            peak_records: peak.records,
            peak_bytes: peak.kib * 1024,
            open: self.open_shards().count() as u32,
            wanted: wanted.clamp(shape.shards as u64, places) as u32,
        })
    }

    /// Merges neighbours as long as there are more open shards than the stream's
    /// [`demand`](Self::demand) asks for, and a place for their child: how many there are fewer.
    /// Of a stream with [`Capacity::OnDemand`], for which nobody else does it: a shard that was
    /// split costs nothing but its share of the memory.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the capacity is provisioned; [`Error::Resharding`],
    /// [`Error::Forked`], [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// As [`merge`](Self::merge).
    pub fn shrink(&self) -> Result<u32, Error> {
        if !self.site.place().is_on_demand() {
            return Err(Error::Unsupported {
                what: "shards of a stream with provisioned capacity are merged by name",
            });
        }
        let mut merged = 0;
        loop {
            let demand = self.demand()?;
            if demand.open <= demand.wanted {
                return Ok(merged);
            }
            // The two neighbours that have the fewest hashes together.
            let behind = |low: (u32, (u128, u128))| {
                let next = |high: &(u32, (u128, u128))| low.1.1.checked_add(1) == Some(high.1.0);
                let high = self.open_shards().find(next)?;
                Some((high.1.1.saturating_sub(low.1.0), low.0, high.0))
            };
            let Some((_, low, high)) = self.open_shards().filter_map(behind).min() else {
                return Ok(merged);
            };
            match self.merge(ShardId(low), ShardId(high)) {
                Ok(_) => merged += 1,
                Err(Error::ShardLimit { .. } | Error::ShardNotOpen { .. }) => return Ok(merged),
                Err(error) => return Err(error),
            }
        }
    }

    /// The open shards: ids and ranges.
    fn open_shards(&self) -> impl Iterator<Item = (u32, (u128, u128))> {
        let places = self.site.places();
        let known = move |place| places.card(place)?.known();
        let all = (0..places.places()).filter_map(known);
        all.filter(|known| known.is_open)
            .map(|known| (known.id, known.range))
    }

    /// Measures what has come, and splits shards if they are too few. For one of those who tend.
    pub(super) fn serve_demand(&self, now_ms: u64) -> Result<(), Error> {
        if !self.site.place().is_on_demand() || !self.measure(now_ms) {
            return Ok(());
        }
        loop {
            let demand = self.demand()?;
            if demand.open >= demand.wanted {
                return Ok(());
            }
            // The one with the most hashes, in the middle: so they stay even.
            let widest = self
                .open_shards()
                .max_by_key(|(_, (first, last))| last.saturating_sub(*first));
            let Some((id, (first, last))) = widest else {
                return Ok(());
            };
            // Of a damaged card: a point that is none, which is told.
            let middle = first.saturating_add(last.saturating_sub(first) / 2 + 1);
            match self.split(ShardId(id), middle) {
                Ok(_) => {}
                // The next one who tends goes on.
                Err(
                    Error::ShardLimit { .. }
                    | Error::Resharding { .. }
                    | Error::ShardNotOpen { .. }
                    | Error::NoShard { .. }
                    | Error::SplitPoint,
                ) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Measures what has come since the last time, unless that is too short ago or somebody else
    /// does. Whether it did.
    fn measure(&self, now_ms: u64) -> bool {
        let demand = self.site.demand();
        let word = demand.measured_ms();
        // ORDERING: Relaxed, here and below; it says whose turn it is, and publishes nothing.
        let last = word.load(Ordering::Relaxed);
        let is_over = now_ms < last || now_ms - last >= WINDOW_MS;
        let turn = || word.compare_exchange(last, now_ms, Ordering::Relaxed, Ordering::Relaxed);
        if !is_over || turn().is_err() {
            return false;
        }
        let places = self.site.places();
        let shards = || {
            let known = |place| places.card(place)?.known();
            let all = (0..places.places()).filter_map(known);
            all.filter_map(|known| {
                let place = Shards(&places).place_of(known.id);
                Some((self.site.shard(place, known.id)?, known.begin))
            })
        };
        // If it was never measured, or the clock was set back: from the oldest record on.
        let since_ms = match last {
            1.. if last <= now_ms => last,
            _ => {
                let oldest = |(shard, begin): (Shard<'_>, Position)| {
                    shard.time_near(shard.log().floor().max(begin))
                };
                shards().filter_map(oldest).min().unwrap_or(now_ms)
            }
        };
        let mut windows = Windows::new(since_ms, now_ms);
        for (shard, begin) in shards() {
            self.measure_shard(&shard, begin, &mut windows);
        }
        demand.note(now_ms, windows.peak());
        true
    }

    /// Counts what has come to a shard, which begins there.
    fn measure_shard(&self, shard: &Shard<'_>, begin: Position, windows: &mut Windows) {
        let (log, demand) = (shard.log(), self.site.demand());
        let Ok(tail) = log.tail(self.near(shard)) else {
            return;
        };
        let from = demand.measured(shard).max(begin).max(log.floor());
        let from = if log.shape.has(from) && from < tail {
            from
        } else {
            tail
        };
        let mut at = shard.boundary(from).unwrap_or(tail);
        // Of what shares a block with what was counted before, the time may be that of the latter.
        let (mut time_ms, mut block, first) = (windows.since_ms, None, shard.block_of(from));
        while at < tail {
            match log.step(at) {
                Step::Record { granules, next } => {
                    let of = shard.block_of(at);
                    if block != Some(of) {
                        block = Some(of);
                        time_ms = shard.time_near(at).unwrap_or(time_ms);
                    }
                    if time_ms >= windows.since_ms || of == first {
                        windows.add(time_ms, granules);
                    }
                    at = next;
                }
                Step::Skip(next) => at = next,
                Step::Passed if log.floor() > at => at = log.floor(),
                _ => break,
            }
        }
        if shard.is_there() {
            demand.set_measured(shard, at);
        }
    }
}
