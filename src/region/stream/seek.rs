//! Finding records by position and by time: by the index, which is a hint, and by walking.

use super::layout::BLOCK_GRANULES;
use super::record::named;
use super::site::Shard;
use crate::ring::log::{Position, Step};
use crate::sync::Ordering;

impl Shard<'_> {
    /// What the index says of a block: where a record begins there, and its time.
    fn noted(&self, block: Position) -> Option<(Position, u64)> {
        let word = self
            .index()
            .get((block.index() / BLOCK_GRANULES) as usize)?;
        let (at, time_ms) = named(word.load(Ordering::Relaxed), block)?;
        // What the index names was a boundary when it was written. It is this lap's if there is a
        // record of this lap.
        matches!(self.log().step(at), Step::Record { .. }).then_some((at, time_ms))
    }

    /// The block of a granule: its first one.
    pub fn block_of(&self, at: Position) -> Position {
        Position(at.0 & !(BLOCK_GRANULES as u64 - 1))
    }

    /// The time of a record in the block of a granule, if the index knows of one, ms.
    pub fn time_near(&self, at: Position) -> Option<u64> {
        Some(self.noted(self.block_of(at))?.1)
    }

    /// The time of a record behind this segment, the first that the index knows: all that is in the
    /// segment is no younger. `None` if nothing begins behind it yet.
    pub fn closed_ms(&self, segment: Position) -> Option<u64> {
        let (log, ring) = (self.log(), self.shape().ring);
        let next = ring.next(segment)?;
        let tail = log.tail(log.hint()).ok()?;
        let blocks = ring.distance(next, tail).div_ceil(BLOCK_GRANULES as u64);
        let known = |n: u64| self.noted(ring.plus(next, n as u32 * BLOCK_GRANULES)?);
        let found = (0..blocks.min(self.index().len() as u64)).find_map(known);
        match found {
            Some((_, time_ms)) => Some(time_ms),
            // All of it was given up.
            None if tail > next => Some(self.head().writers.latest_ms.load(Ordering::Relaxed)),
            None => None,
        }
    }

    /// The first boundary at or behind `target`, in the segment of `target`; `None` if there is
    /// none.
    pub fn boundary(&self, target: Position) -> Option<Position> {
        let log = self.log();
        let start = log.shape.start(target);
        let block = Position(target.0 & !(BLOCK_GRANULES as u64 - 1));
        let noted = self.noted(block).filter(|(at, _)| *at <= target);
        let mut at = noted.map_or(start, |(at, _)| at);
        while at < target {
            at = log.over(at)?;
        }
        Some(at)
    }

    /// A boundary from `from` on before which no record from `from` on has this time or a later
    /// one: the last that the index knows of. `to` is the tail.
    pub fn before(&self, from: Position, to: Position, time_ms: u64) -> Position {
        let ring = self.shape().ring;
        let first = Position(from.0 & !(BLOCK_GRANULES as u64 - 1));
        let blocks = ring.distance(first, to).div_ceil(BLOCK_GRANULES as u64);
        let block = |n: u64| ring.plus(first, (n * BLOCK_GRANULES as u64) as u32);
        let (mut found, mut low, mut high) = (from, 0, blocks.min(self.index().len() as u64));
        while low < high {
            // The last block up to the middle that the index knows.
            let middle = low + (high - low) / 2;
            let known = (low..=middle).rev().find_map(|n| {
                let noted = self.noted(block(n)?)?;
                Some((n, noted))
            });
            match known {
                Some((_, (at, noted_ms))) if noted_ms < time_ms => {
                    found = found.max(at);
                    low = middle + 1;
                }
                Some((n, _)) => high = n,
                None => low = middle + 1,
            }
        }
        found
    }
}
