//! Figures of a stream.

use super::route::trouble;
use super::shared::{ShardId, Stream, StreamSequence};
use crate::error::Error;
use crate::region::Region;
use crate::sync::Ordering;
use crate::time::Clock;

/// How far a cursor is behind the latest record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Records that it has not read.
    pub records: u64,
    /// What they take in the shard, bytes.
    pub bytes: u64,
    /// The age of the next one, ms; 0 if there is none.
    pub ms: u64,
}

/// Figures of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardStats {
    /// Which one.
    pub shard: ShardId,
    /// Where the oldest record is kept, or the next one will be.
    pub oldest: StreamSequence,
    /// Where the next record will be.
    pub tail: StreamSequence,
    /// What is between, bytes.
    pub bytes: u64,
    /// The most that there can be, bytes.
    pub capacity_bytes: u64,
    /// When the latest record arrived, in the region's time, ms; 0 if there was none.
    pub latest_ms: u64,
    /// Segments that were given up for others although their records were not older than the
    /// retention, ever.
    pub evicted_segments: u64,
    /// Cursors that are there.
    pub readers: u32,
    /// Up to where it survives the machine; `None` if it does not.
    pub durable: Option<StreamSequence>,
    /// Holes that were found in it when it was made again after the last restart of the machine:
    /// what the disk has lost of what had been there. Readers step over them.
    pub damaged: u64,
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// Figures of a shard, as they are one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::NoShard`], [`Error::Forked`], [`Error::Damaged`].
    pub fn stat(&self, id: ShardId) -> Result<ShardStats, Error> {
        self.region().check()?;
        let shard = self.shard(id)?;
        let log = shard.log();
        let oldest = log.floor();
        let tail = log.tail(self.near(&shard)).map_err(trouble)?;
        let writers = &shard.head().writers;
        let kept = self.kept(shard.number());
        let is_taken = |pin: &&crate::ring::log::Pin| pin.owner.load(Ordering::Relaxed) != 0;
        let stats = ShardStats {
            shard: id,
            oldest: StreamSequence(oldest),
            tail: StreamSequence(tail),
            bytes: log.shape.distance(oldest, tail).saturating_mul(64),
            capacity_bytes: u64::from(log.shape.granules) * 64,
            latest_ms: writers.latest_ms.load(Ordering::Relaxed),
            evicted_segments: writers.evicted.load(Ordering::Relaxed),
            readers: shard.pins().iter().filter(is_taken).count() as u32,
            durable: kept.map(|(durable, _)| durable),
            damaged: kept.map_or(0, |(_, damaged)| damaged),
        };
        match shard.is_there() {
            true => Ok(stats),
            false => Err(Error::NoShard { shard: id.0 }),
        }
    }
}
