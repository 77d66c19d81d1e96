//! Which lane a record is in: see the protocol of this room.

use super::buffered::StreamProducer;
use super::slot::Lane;
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::Shard;
use crate::ring::log::Refusal;
use crate::ring::shards::Shards;
use crate::stream::route::trouble;
use crate::stream::shared::Stream;
use crate::time::Clock;

impl<R: Region, C: Clock> Stream<R, C> {
    /// The version of the open shards: as long as it is the same, so are they.
    #[inline(always)]
    fn version(&self) -> Result<u64, Error> {
        loop {
            match Shards(&self.site.places()).version() {
                Some(version) => return Ok(version),
                None => self.complete()?,
            }
        }
    }
}

impl Lane {
    /// Makes it that of a shard.
    #[inline(always)]
    fn serve(&mut self, shard: &Shard<'_>) {
        if self.shard != shard.id() {
            self.shard = shard.id();
            self.refusals = 0;
        }
    }
}

impl<R: Region, C: Clock> StreamProducer<'_, R, C> {
    /// The place whose lane a record of this hash belongs to; the lanes are right for it.
    #[inline(always)]
    pub(super) fn place_for(&mut self, hash: u128) -> Result<usize, Error> {
        let stream = self.stream;
        if stream.has_one_shard() {
            return Ok(0);
        }
        loop {
            if self.version != Some(stream.version()?) {
                self.sort_anew()?;
            }
            let shard = stream.route(hash)?;
            if self.version == Some(stream.version()?) {
                let place = shard.number();
                self.buffer.lane_mut(place).serve(&shard);
                return Ok(place);
            }
        }
    }

    /// Sorts what waits, if that has failed before.
    pub(super) fn sort_unsorted(&mut self) -> Result<(), Error> {
        match self.version.is_some() || self.waiting() == 0 || self.stream.has_one_shard() {
            true => Ok(()),
            false => self.sort_anew(),
        }
    }

    /// Sorts all that waits anew, by the shards that are open now.
    #[cold]
    pub(super) fn sort_anew(&mut self) -> Result<(), Error> {
        let stream = self.stream;
        // If it fails half-way, it has to be done again.
        self.version = None;
        if stream.has_one_shard() {
            return Err(trouble(Refusal::Damaged)); // it has no other to go to
        }
        loop {
            let version = stream.version()?;
            self.buffer.empty_lanes(self.places());
            let mut next = self.buffer.oldest();
            while let Some(n) = next {
                next = self.buffer.behind(n);
                let shard = stream.route(self.buffer.slot(n).record.hash)?;
                self.buffer.lane_mut(shard.number()).serve(&shard);
                self.buffer.line_up(n, shard.number());
            }
            if stream.version()? == version {
                self.version = Some(version);
                return Ok(());
            }
        }
    }
}
